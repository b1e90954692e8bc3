//! Each row of the table of refusals: the answer, that nothing is stored, and what the delivery log says.

use std::time::Duration;

use serde_json::Value;

use crate::helpers::gateway::{ANSWER_DEADLINE, GITHUB, Gateway, SOURCES, STRIPE, problem, stripe_body};
use crate::helpers::http::{self, Answer, Connection};
use crate::helpers::sender::{self, Fields, fields};

/// Small limits, so that the tests need no large bodies; a source of every odd kind beside the ordinary ones.
const LIMITED: &str = r#"
[sources.stripe]
provider = "stripe"
secrets = [{ literal = "whsec_canaryStripe0123456789" }]
body_limit = "1KiB"

[sources.github]
provider = "github"
secrets = [{ literal = "canaryGithub0123456789abcdef" }]

[sources.retired]
provider = "github"
secrets = [{ literal = "canaryGithub0123456789abcdef" }]
retired = true

[sources.pending]
provider = "github"
secrets = [{ env = "HOOKGATE_TEST_IS_NOT_SET" }]
"#;

/// A refusal's status and problem, and that nothing became of it.
async fn assert_refused(gateway: &Gateway, answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, problem(answer).as_str()), (status, code));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("hookgate-event-id"), None);
    assert_eq!(answer.header("retry-after").is_some(), status == 503, "to come again is said with every 503 alone: {answer:?}");
    assert!(!answer.text().to_lowercase().contains("canary"), "an echo or a secret: {}", answer.text());
    assert_eq!(gateway.rows("event"), 0, "no refused delivery becomes an event");
    assert_eq!(gateway.rows("task"), 0);
}

/// The reasons of all rejected deliveries, oldest first; they have no id and no text of the request.
async fn rejected(gateway: &Gateway) -> Vec<String> {
    let mut reasons = Vec::new();
    for row in gateway.deliveries().await.iter().rev() {
        assert_eq!(
            (&row["verdict"], &row["event_id"], &row["event_type"]),
            (&"rejected".into(), &Value::Null, &Value::Null),
            "{row}"
        );
        assert!(!row.to_string().to_lowercase().contains("canary"), "{row}");
        reasons.push(row["reason"].as_str().expect("a reason").to_owned());
    }
    reasons
}

/// The head of a request of which not a byte of the body is sent.
fn head_of_stripe() -> Vec<u8> {
    let mut head = http::head("POST", "/hooks/stripe", &Fields::new());
    head.extend(b"Content-Length: 100\r\n\r\n");
    head
}

#[tokio::test]
async fn an_unknown_source_is_404_and_no_path_trick_reaches_a_known_one() {
    let gateway = Gateway::start(LIMITED).await;
    let signed = sender::stripe(STRIPE, gateway.now_s(), b"{\"id\":\"evt_canary\"}");
    let paths = [
        "/hooks/canary",
        "/hooks/STRIPE",
        "/hooks/stripe/",
        "/hooks/stripe/x",
        "/hooks/../hooks/stripe",
        "/hooks/./stripe",
        "/hooks/x/../stripe",
        "/hooks/..%2fstripe",
        "/hooks/x%2f..%2fstripe",
        "/hooks/%2e%2e/hooks/stripe",
        "/hooks/stripe%00",
        "/hooks/stripe%2f",
        "/hooks/stripe%20",
        "/hooks/stripe;x=1",
        "//hooks/stripe",
        "/hooks//stripe",
        "/hooks/",
        "/hooks",
        "/",
        "/HOOKS/stripe",
        "/hooks/%FF",
    ];
    for path in paths {
        let answer = gateway.send(&http::request("POST", path, &signed, b"{\"id\":\"evt_canary\"}")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(matches!(problem(&answer).as_str(), "unknown-source" | "not-found"), "{path}: {}", answer.text());
        assert!(!answer.text().contains("canary"), "{path}: {}", answer.text());
    }
    assert_eq!(gateway.rows("event"), 0);
    assert_eq!(rejected(&gateway).await, Vec::<String>::new(), "unknown sources are not logged");
}

#[tokio::test]
async fn a_nul_in_the_path_is_refused() {
    let gateway = Gateway::start(LIMITED).await;
    let mut connection = Connection::to(gateway.public).await;
    connection.send(b"POST /hooks/stripe\0 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    let answer = connection.answer().await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(gateway.rows("event"), 0);
}

#[tokio::test]
async fn a_retired_source_is_410_whatever_comes() {
    let gateway = Gateway::start(LIMITED).await;
    let body = b"{\"canary\":1}";
    let request = http::request("POST", "/hooks/retired", &sender::github(GITHUB, "canary-1", "push", body), body);
    assert_refused(&gateway, &gateway.send(&request).await, 410, "retired").await;
    assert_eq!(rejected(&gateway).await, Vec::<String>::new());
}

#[tokio::test]
async fn another_method_is_405_and_says_which_are_taken() {
    let gateway = Gateway::start(LIMITED).await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "CANARY"] {
        let answer = gateway.send(&http::request(method, "/hooks/stripe", &Fields::new(), b"")).await;
        assert_refused(&gateway, &answer, 405, "method-not-allowed").await;
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
    }
    assert_eq!(rejected(&gateway).await, Vec::<String>::new(), "what ends before step 4 is not logged");
}

#[tokio::test]
async fn with_every_place_taken_a_sender_that_retries_gets_503_and_the_others_are_served_again_after() {
    let gateway = Gateway::start(&format!("[limits]\nin_flight = 1\nbody_deadline = \"3s\"\n{SOURCES}")).await;
    let other = gateway.held_database();
    let mut first = Connection::to(gateway.public).await;
    first.send(&gateway.stripe(&stripe_body("evt_1", "invoice.paid"))).await;
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    let second = gateway.send(&gateway.stripe(&stripe_body("evt_2", "invoice.paid"))).await;
    assert_refused(&gateway, &second, 503, "overloaded").await;
    assert_eq!(second.header("retry-after"), Some("2"));
    other.execute_batch("ROLLBACK").expect("the lock is ours");
    assert_eq!(first.answer().await.status, 200, "who had the place is not harmed");
    gateway.accept("evt_2", "invoice.paid").await;
    assert_eq!(gateway.deliveries().await.len(), 2, "what was turned away for want of room is not logged");
}

#[tokio::test]
async fn with_every_place_taken_a_sender_that_retries_is_turned_away_before_its_body_is_read() {
    let gateway = Gateway::start(&format!("[limits]\nin_flight = 1\nbody_deadline = \"3s\"\n{SOURCES}")).await;
    let other = gateway.held_database();
    let mut first = Connection::to(gateway.public).await;
    first.send(&gateway.stripe(&stripe_body("evt_1", "invoice.paid"))).await;
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    let mut second = Connection::to(gateway.public).await;
    second.send(&head_of_stripe()).await;
    assert_refused(&gateway, &second.answer().await, 503, "overloaded").await;
    other.execute_batch("ROLLBACK").expect("the lock is ours");
    assert_eq!(first.answer().await.status, 200);
}

#[tokio::test]
async fn with_no_place_before_the_store_a_sender_that_retries_is_turned_away_before_its_body_is_read() {
    let (gateway, balky) = Gateway::start_balky(SOURCES).await;
    balky.set_full(true);
    let mut sender = Connection::to(gateway.public).await;
    sender.send(&head_of_stripe()).await;
    assert_refused(&gateway, &sender.answer().await, 503, "overloaded").await;
    let waits = gateway.send(&gateway.github("one", "push", b"{}")).await;
    assert_eq!(waits.status, 200, "who does not come again is read, and waits for a place");
    balky.set_full(false);
    gateway.accept("evt_1", "invoice.paid").await;
}

#[tokio::test]
async fn who_does_not_retry_waits_for_a_place_before_its_body_is_read() {
    let gateway = Gateway::start(&format!("[limits]\nin_flight = 1\nbody_deadline = \"3s\"\n{SOURCES}")).await;
    let other = gateway.held_database();
    let mut first = Connection::to(gateway.public).await;
    first.send(&gateway.stripe(&stripe_body("evt_1", "invoice.paid"))).await;
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    let mut second = Connection::to(gateway.public).await;
    second.send(&gateway.github("one", "push", b"{}")).await;
    gateway.clock.sleeper(Duration::from_secs(8), Duration::from_secs(8)).await;
    other.execute_batch("ROLLBACK").expect("the lock is ours");
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(second.answer().await.status, 200, "it had its turn");
}

#[tokio::test]
async fn who_does_not_retry_gets_503_once_the_answer_deadline_has_passed() {
    let gateway = Gateway::start(&format!("[limits]\nin_flight = 1\nbody_deadline = \"3s\"\n{SOURCES}")).await;
    let other = gateway.held_database();
    let mut first = Connection::to(gateway.public).await;
    first.send(&gateway.github("one", "push", b"{}")).await;
    gateway.clock.sleepers(1, Duration::from_secs(8), Duration::from_secs(8)).await;
    let mut second = Connection::to(gateway.public).await;
    second.send(&gateway.github("two", "push", b"{}")).await;
    gateway.clock.sleepers(2, Duration::from_secs(8), Duration::from_secs(8)).await;
    gateway.clock.advance(Duration::from_secs(8));
    assert_eq!(first.answer().await.status, 503);
    // The first one's place comes free in the same moment: the second finds it, too late for its body, or does not.
    assert!(matches!(second.answer().await.status, 503 | 408));
    other.execute_batch("ROLLBACK").expect("the lock is ours");
}

#[tokio::test]
async fn a_stated_length_over_the_limit_is_413_before_the_body_is_read_and_ends_the_connection() {
    let gateway = Gateway::start(LIMITED).await;
    let mut connection = Connection::to(gateway.public).await;
    let mut head = http::head("POST", "/hooks/stripe", &fields(&[("X-Canary", "canary")]));
    head.extend(b"Content-Length: 1025\r\n\r\n");
    connection.send(&head).await;
    // Not a byte of the body has been sent.
    assert_refused(&gateway, &connection.answer().await, 413, "body-too-large").await;
    assert!(connection.is_closed().await, "what follows would be read as a request");
    assert_eq!(rejected(&gateway).await, ["body-too-large"]);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_judged_and_one_more_byte_is_413() {
    let gateway = Gateway::start(LIMITED).await;
    for (bytes, status) in [(1024, 401), (1025, 413)] {
        let answer = gateway.send(&http::request("POST", "/hooks/stripe", &Fields::new(), &vec![b'x'; bytes])).await;
        assert_eq!(answer.status, status, "{bytes}");
        let answer = gateway.send(&http::chunked("POST", "/hooks/stripe", &Fields::new(), &vec![b'x'; bytes], 100)).await;
        assert_eq!(answer.status, status, "{bytes} in chunks");
    }
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_413_and_ends_the_connection() {
    let gateway = Gateway::start(LIMITED).await;
    let mut connection = Connection::to(gateway.public).await;
    connection.send(&http::chunked("POST", "/hooks/stripe", &fields(&[("X-Canary", "canary")]), &vec![b'x'; 4096], 512)).await;
    assert_refused(&gateway, &connection.answer().await, 413, "body-too-large").await;
    assert!(connection.is_closed().await);
    assert_eq!(rejected(&gateway).await, ["body-too-large"]);
}

#[tokio::test]
async fn a_slow_body_is_408_once_its_deadline_or_the_answers_has_passed() {
    let gateway = Gateway::start(LIMITED).await;
    let mut connection = Connection::to(gateway.public).await;
    let mut head = http::head("POST", "/hooks/stripe", &Fields::new());
    head.extend(b"Content-Length: 100\r\n\r\ncanary");
    connection.send(&head).await;
    // Stripe is told after 4 s at the latest, so a body that takes longer is of no use.
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    gateway.clock.advance(ANSWER_DEADLINE);
    assert_refused(&gateway, &connection.answer().await, 408, "body-too-slow").await;
    assert!(connection.is_closed().await);
    assert_eq!(rejected(&gateway).await, ["body-too-slow"]);
}

#[tokio::test]
async fn an_encoded_body_is_415_though_it_is_signed_as_sent() {
    let gateway = Gateway::start(LIMITED).await;
    // `printf '{"id":"evt_1"}' | gzip -n`, or bytes that only look so: nobody inflates them.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV\xcaLQ\xb2RJ-K\x8a7T\xaa\x05\x00\x85\x0c\x9cB\x0e\x00\x00\x00";
    for coding in ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, identity", "canary"] {
        let mut signed = sender::stripe(STRIPE, gateway.now_s(), gzip);
        signed.push(("Content-Encoding".to_owned(), coding.to_owned()));
        let answer = gateway.send(&http::request("POST", "/hooks/stripe", &signed, gzip)).await;
        assert_refused(&gateway, &answer, 415, "unsupported-encoding").await;
        gateway.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(rejected(&gateway).await, ["unsupported-encoding"; 7]);
    let body = stripe_body("evt_1", "invoice.paid");
    let mut signed = sender::stripe(STRIPE, gateway.now_s(), &body);
    signed.push(("Content-Encoding".to_owned(), "identity".to_owned()));
    let answer = gateway.send(&http::request("POST", "/hooks/stripe", &signed, &body)).await;
    assert_eq!(answer.status, 200, "identity is no encoding");
}

#[tokio::test]
async fn a_head_over_the_limit_is_431() {
    let gateway = Gateway::start(LIMITED).await;
    let large = "canary".repeat(6 << 10);
    let answer = gateway.send(&http::request("POST", "/hooks/stripe", &fields(&[("X-Large", &large)]), b"{}")).await;
    assert_refused(&gateway, &answer, 431, "headers-too-large").await;
    assert_eq!(rejected(&gateway).await, ["headers-too-large"]);
}

/// Requests that must all be told the same.
fn unproven(gateway: &Gateway) -> Vec<(&'static str, Fields)> {
    let body = stripe_body("evt_canary", "invoice.paid");
    let now = gateway.now_s();
    let value = |time: &str| sender::stripe_signature(STRIPE, time, &body);
    let one = |text: String| fields(&[("Stripe-Signature", &text)]);
    let right = format!("t={now},v1={}", value(&now.to_string()));
    vec![
        ("none", Fields::new()),
        ("empty", one(String::new())),
        ("garbage", one("canary".to_owned())),
        ("another secret", sender::stripe("whsec_another0123456789", now, &body)),
        ("another body", sender::stripe(STRIPE, now, b"{}")),
        ("stale", sender::stripe(STRIPE, now - 301, &body)),
        ("future", sender::stripe(STRIPE, now + 301, &body)),
        ("no time", one(format!("v1={}", value(&now.to_string())))),
        ("cut", one(right[..right.len() - 32].to_owned())),
        ("another version", one(format!("t={now},v0={}", value(&now.to_string())))),
        ("twice", fields(&[("Stripe-Signature", &right), ("Stripe-Signature", &right)])),
        ("too many", one(format!("t={now}{}", ",v1=00".repeat(17)))),
    ]
}

#[tokio::test]
async fn every_unproven_delivery_is_told_the_same_401_and_the_cause_is_in_the_log_alone() {
    let gateway = Gateway::start(SOURCES).await;
    let body = stripe_body("evt_canary", "invoice.paid");
    let mut first: Option<Answer> = None;
    for (cause, signed) in unproven(&gateway) {
        let answer = gateway.send(&http::request("POST", "/hooks/stripe", &signed, &body)).await;
        assert_eq!(answer.status, 401, "{cause}");
        assert_refused(&gateway, &answer, 401, "not-authentic").await;
        let answer = answer.without_date();
        assert_eq!(first.get_or_insert_with(|| answer.clone()), &answer, "{cause} is told apart");
        gateway.clock.advance(Duration::from_millis(100));
    }
    let reasons = rejected(&gateway).await;
    assert_eq!(reasons.len(), unproven(&gateway).len());
    for reason in ["signature-missing", "signature-malformed", "signature-mismatch"] {
        assert!(reasons.iter().any(|have| have == reason), "{reason} among {reasons:?}");
    }
}

#[tokio::test]
async fn an_unknown_and_a_known_id_under_a_wrong_signature_are_told_the_same() {
    let gateway = Gateway::start(SOURCES).await;
    gateway.accept("evt_known", "invoice.paid").await;
    let mut answers = Vec::new();
    for id in ["evt_known", "evt_other"] {
        let body = stripe_body(id, "invoice.paid");
        let signed = sender::stripe("whsec_another0123456789", gateway.now_s(), &body);
        answers.push(gateway.send(&http::request("POST", "/hooks/stripe", &signed, &body)).await.without_date());
    }
    assert_eq!(answers[0].status, 401);
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn the_signed_time_may_be_off_by_300_seconds_either_way_and_no_more() {
    let gateway = Gateway::start(SOURCES).await;
    for (index, (off, status)) in
        [(299, 200), (300, 200), (301, 401), (-299, 200), (-300, 200), (-301, 401)].into_iter().enumerate()
    {
        let body = stripe_body(&format!("evt_{index}"), "invoice.paid");
        let signed = sender::stripe(STRIPE, gateway.now_s() + off, &body);
        let answer = gateway.send(&http::request("POST", "/hooks/stripe", &signed, &body)).await;
        assert_eq!(answer.status, status, "{off} s");
    }
}

#[tokio::test]
async fn a_proven_body_without_a_readable_id_is_400() {
    let gateway = Gateway::start(SOURCES).await;
    let cases: [(&[u8], &str); 7] = [
        (b"canary", "malformed-body"),
        (b"{\"id\":\"evt_canary\"", "malformed-body"),
        (b"{\"id\":\"evt_canary\",\"id\":\"evt_b\"}", "malformed-body"),
        (b"", "malformed-body"),
        (b"{\"canary\":1}", "event-id-missing"),
        (b"{\"id\":null}", "event-id-missing"),
        (b"{\"id\":\"\"}", "event-id-missing"),
    ];
    for (body, code) in cases {
        let answer = gateway.send(&gateway.stripe(body)).await;
        assert_refused(&gateway, &answer, 400, code).await;
        gateway.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(rejected(&gateway).await, cases.map(|(_, code)| code));
}

#[tokio::test]
async fn an_unreadable_type_is_no_refusal() {
    let gateway = Gateway::start(SOURCES).await;
    assert_eq!(gateway.send(&gateway.stripe(b"{\"id\":\"evt_1\",\"type\":{}}")).await.status, 200);
    assert_eq!(gateway.event("stripe", "evt_1").await["event_type"], "unknown");
}

#[tokio::test]
async fn a_source_without_a_secret_is_503_while_the_others_serve() {
    let gateway = Gateway::start(LIMITED).await;
    let body = b"{\"canary\":1}";
    // With no key, with the empty key, and with another source's key: none is let in.
    for secret in ["", " ", GITHUB] {
        let request = http::request("POST", "/hooks/pending", &sender::github(secret, "canary-1", "push", body), body);
        assert_refused(&gateway, &gateway.send(&request).await, 503, "source-not-ready").await;
    }
    assert_eq!(rejected(&gateway).await, ["source-not-ready"; 3]);
    assert_eq!(gateway.send(&gateway.github("one", "push", b"{}")).await.status, 200, "another source serves");
}

#[tokio::test]
async fn at_most_ten_rejected_deliveries_a_second_and_source_are_logged() {
    let gateway = Gateway::start(SOURCES).await;
    let bad = |path: &str| http::request("POST", path, &Fields::new(), b"{}");
    for _ in 0..2 {
        for path in ["/hooks/stripe", "/hooks/github"] {
            for _ in 0..25 {
                assert_eq!(gateway.send(&bad(path)).await.status, 401);
            }
        }
        gateway.clock.advance(Duration::from_secs(1));
    }
    gateway.write_log().await;
    for source in ["stripe", "github"] {
        let page = gateway.get(&format!("deliveries?source={source}&limit=1000")).await;
        assert_eq!(page["deliveries"].as_array().map(Vec::len), Some(20), "10 in each of two seconds");
    }
    gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(gateway.deliveries().await[0]["verdict"], "first", "what is taken is logged beside them");
}

#[tokio::test]
async fn one_source_takes_half_of_the_byte_budget_and_another_still_answers() {
    let sources = SOURCES.replace("provider =", "body_limit = \"32KiB\"\nprovider =");
    let gateway = Gateway::start(&format!("[limits]\nbodies_in_hand = \"64KiB\"\nbody_deadline = \"3s\"\n{sources}")).await;
    let padded = |id: &str| format!("{{\"id\":\"{id}\",\"pad\":\"{}\"}}", "x".repeat(20 << 10)).into_bytes();
    let other = gateway.held_database();
    let mut first = Connection::to(gateway.public).await;
    first.send(&gateway.stripe(&padded("evt_1"))).await;
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    let second = gateway.send(&gateway.stripe(&padded("evt_2"))).await;
    assert_refused(&gateway, &second, 503, "overloaded").await;
    let mut third = Connection::to(gateway.public).await;
    third.send(&gateway.github("one", "push", &padded("x"))).await;
    gateway.clock.sleeper(Duration::from_secs(8), Duration::from_secs(8)).await;
    other.execute_batch("ROLLBACK").expect("the lock is ours");
    assert_eq!(third.answer().await.status, 200, "the other source has its own half");
    assert_eq!(first.answer().await.status, 200);
    let again = gateway.send(&gateway.stripe(&padded("evt_2"))).await;
    assert_eq!(again.status, 200, "the bytes were given back");
    let told = gateway.deliveries().await;
    assert!(told.iter().all(|row| row["verdict"] == "first"), "our want of room is counted, not logged: {told:?}");
}

#[tokio::test]
async fn a_body_that_still_waits_for_the_store_counts_though_its_sender_was_answered() {
    let sources = SOURCES.replace("provider =", "body_limit = \"32KiB\"\nprovider =");
    let config = format!("[limits]\nbodies_in_hand = \"64KiB\"\nbody_deadline = \"3s\"\n{sources}");
    let (gateway, store) = Gateway::start_balky(&config).await;
    let padded = |id: &str| format!("{{\"id\":\"{id}\",\"pad\":\"{}\"}}", "x".repeat(20 << 10)).into_bytes();
    store.keep_claims();
    let mut first = Connection::to(gateway.public).await;
    first.send(&gateway.stripe(&padded("evt_1"))).await;
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    gateway.clock.advance(ANSWER_DEADLINE);
    assert_eq!(problem(&first.answer().await), "store-busy");
    let second = gateway.send(&gateway.stripe(&padded("evt_2"))).await;
    assert_refused(&gateway, &second, 503, "overloaded").await;
    store.release_claims();
    let third = gateway.send(&gateway.stripe(&padded("evt_3"))).await;
    assert_eq!(third.status, 200, "the bytes were given back: {}", third.text());
}

#[tokio::test]
async fn a_malformed_request_is_4xx_or_hung_up_on_and_harms_nobody() {
    let gateway = Gateway::start(SOURCES).await;
    let corpus: [&[u8]; 14] = [
        b"canary\r\n\r\n",
        b"POST /hooks/stripe\r\n\r\n",
        b"POST /hooks/stripe HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: canary\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nX\0: y\r\n\r\n",
        b"POST /hooks/stripe HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in corpus {
        let shown = String::from_utf8_lossy(bytes).escape_debug().to_string();
        let mut connection = Connection::to(gateway.public).await;
        connection.send(bytes).await;
        connection.no_more().await;
        if let Some(answer) = crate::helpers::soon(&shown, connection.try_answer()).await {
            assert!((400..500).contains(&answer.status), "{shown}: {answer:?}");
            assert!(!answer.text().contains("canary"), "{shown}: {answer:?}");
        }
    }
    assert_eq!(gateway.rows("event"), 0);
    gateway.accept("evt_1", "invoice.paid").await;
}

#[tokio::test]
async fn on_a_disk_without_room_claims_stop_and_readyz_says_so() {
    let gateway = Gateway::start(&format!("[store]\nmin_free = \"900PiB\"\n{SOURCES}")).await;
    for request in [gateway.stripe(&stripe_body("evt_1", "invoice.paid")), gateway.github("one", "push", b"{}")] {
        let answer = gateway.send(&request).await;
        assert_refused(&gateway, &answer, 503, "storage-full").await;
        assert_eq!(answer.header("retry-after"), Some("60"));
    }
    assert_eq!(rejected(&gateway).await, Vec::<String>::new(), "our fault is counted, not logged");
    let ready = gateway.ask("GET", "/readyz", &Fields::new(), b"").await;
    assert_eq!((ready.status, ready.json()), (503, serde_json::json!({ "ready": false, "reason": "storage-full" })));
    let alive = gateway.ask("GET", "/healthz", &Fields::new(), b"").await;
    assert_eq!(alive.status, 200);
}

#[tokio::test]
async fn a_commit_that_fails_is_503_and_the_retry_finds_out() {
    let gateway = Gateway::start(SOURCES).await;
    let other = gateway.beside();
    // Somebody forbids the last statement of a claim, so that what came before it must not stay.
    other
        .execute_batch("CREATE TRIGGER stop BEFORE INSERT ON payload BEGIN SELECT RAISE(ABORT, 'canary'); END")
        .expect("a trigger");
    let request = gateway.stripe(&stripe_body("evt_1", "invoice.paid"));
    let answer = gateway.send(&request).await;
    assert_refused(&gateway, &answer, 503, "store-unavailable").await;
    let after: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("a number");
    assert!((5..=7).contains(&after), "{after}");
    other.execute_batch("DROP TRIGGER stop").expect("it is there");
    let retry = gateway.send(&request).await;
    assert_eq!((retry.status, retry.header("idempotent-replayed")), (200, None), "nothing of the failed one stayed");
}

#[tokio::test]
async fn a_refused_body_is_never_read_as_a_request() {
    let gateway = Gateway::start(LIMITED).await;
    let inner = gateway.github("smuggled", "push", b"{}");
    let outer: [(&str, &str, Fields, u16); 5] = [
        ("POST", "/hooks/unknown", Fields::new(), 404),
        ("POST", "/hooks/retired", Fields::new(), 410),
        ("PUT", "/hooks/stripe", Fields::new(), 405),
        ("POST", "/hooks/stripe", fields(&[("Content-Encoding", "gzip")]), 415),
        ("POST", "/nowhere", Fields::new(), 404),
    ];
    for (method, path, with, status) in outer {
        let mut connection = Connection::to(gateway.public).await;
        connection.send(&http::request(method, path, &with, &inner)).await;
        assert_eq!(connection.answer().await.status, status, "{path}");
        // Whether the connection is kept is the gateway's to say; the next answer is to the next request.
        connection.send(&http::request("GET", "/healthz", &Fields::new(), b"")).await;
        connection.no_more().await;
        if let Some(answer) = crate::helpers::soon("an answer or the end", connection.try_answer()).await {
            assert_eq!(answer.text(), "ok\n", "{path}");
        }
        assert!(connection.is_closed().await, "{path}: one answer a request");
    }
    let mut over = http::head("POST", "/hooks/stripe", &Fields::new());
    over.extend(b"Content-Length: 1025\r\n\r\n");
    let mut connection = Connection::to(gateway.public).await;
    connection.send(&[over, inner].concat()).await;
    assert_eq!(connection.answer().await.status, 413);
    assert!(connection.is_closed().await);
    assert_eq!(gateway.rows("event"), 0);
}

/// A head whose body comes in chunks, and the first of them.
fn chunked_begin(method: &str, path: &str, with: &Fields, chunk: &[u8]) -> Vec<u8> {
    let mut begin = http::chunked(method, path, with, chunk, chunk.len());
    begin.truncate(begin.len() - "0\r\n\r\n".len());
    begin
}

#[tokio::test]
async fn a_refused_body_without_an_end_holds_no_connection() {
    let gateway = Gateway::start(LIMITED).await;
    let (none, gzip) = (Fields::new(), fields(&[("Content-Encoding", "gzip")]));
    let (large, foreign) = (fields(&[("X-Large", &"x".repeat(40 << 10))]), fields(&[("Host", "example.com")]));
    let cases = [
        (gateway.public, "POST", "/hooks/unknown", &none, 404),
        (gateway.public, "PUT", "/hooks/stripe", &none, 405),
        (gateway.public, "POST", "/hooks/retired", &none, 410),
        (gateway.public, "POST", "/hooks/stripe", &none, 413),
        (gateway.public, "POST", "/hooks/stripe", &gzip, 415),
        (gateway.public, "POST", "/hooks/stripe", &large, 431),
        (gateway.public, "POST", "/nowhere", &none, 404),
        (gateway.public, "POST", "/healthz", &none, 200),
        (gateway.admin, "POST", "/healthz", &none, 405),
        (gateway.admin, "GET", "/healthz", &none, 200),
        (gateway.admin, "GET", "/nowhere", &none, 404),
        (gateway.admin, "GET", "/healthz", &foreign, 403),
    ];
    let all = cases.map(|(to, method, path, with, status)| async move {
        let mut connection = Connection::to(to).await;
        connection.send(&chunked_begin(method, path, with, &[b'x'; 2048])).await;
        assert_eq!(connection.answer().await.status, status, "{method} {path}");
        let ended = connection.drips_until_closed(b"1\r\nx\r\n", Duration::from_millis(20)).await;
        assert!(ended, "{method} {path}: one answer a request");
    });
    futures_util::future::join_all(all).await;

    let mut slow = Connection::to(gateway.public).await;
    slow.send(&chunked_begin("POST", "/hooks/stripe", &none, b"x")).await;
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    gateway.clock.advance(ANSWER_DEADLINE);
    assert_eq!(slow.answer().await.status, 408);
    assert!(slow.drips_until_closed(b"1\r\nx\r\n", Duration::from_millis(20)).await);
}

#[tokio::test]
async fn who_sends_a_whole_body_to_the_wrong_place_can_read_the_whole_answer() {
    let gateway = Gateway::start(LIMITED).await;
    let requests = [
        http::request("POST", "/hooks/unknown", &Fields::new(), &[b'x'; 900]),
        http::chunked("POST", "/hooks/unknown", &Fields::new(), &[b'x'; 900], 100),
        http::chunked("POST", "/hooks/unknown", &Fields::new(), &vec![b'x'; 900 << 10], 8 << 10),
    ];
    for request in requests {
        let mut connection = Connection::to(gateway.public).await;
        // The last bytes come once the answer is on its way: they must not turn it into a reset.
        let (most, last) = request.split_at(request.len() - 3);
        connection.send(most).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, problem(&answer).as_str()), (404, "unknown-source"));
        connection.send(last).await;
        match answer.header("connection") {
            Some("close") => assert!(connection.is_closed().await),
            kept => {
                assert_eq!(kept, None);
                connection.send(&http::request("GET", "/healthz", &Fields::new(), b"")).await;
                assert_eq!(connection.answer().await.text(), "ok\n");
            }
        }
    }
}

#[tokio::test]
async fn who_asks_before_it_sends_too_much_is_told_413() {
    let gateway = Gateway::start(LIMITED).await;
    let mut connection = Connection::to(gateway.public).await;
    let mut head = http::head("POST", "/hooks/stripe", &fields(&[("Expect", "100-continue")]));
    head.extend(b"Content-Length: 1025\r\n\r\n");
    connection.send(&head).await;
    let mut answer = connection.answer().await;
    if answer.status == 100 {
        answer = connection.answer().await;
    }
    assert_refused(&gateway, &answer, 413, "body-too-large").await;
}

#[tokio::test]
async fn too_many_or_too_long_header_fields_are_431() {
    let gateway = Gateway::start(SOURCES).await;
    for (count, bytes) in [(200, 10), (3, 100 << 10)] {
        let many: Fields = (0..count).map(|n| (format!("X-Canary-{n}"), "c".repeat(bytes))).collect();
        let answer = gateway.send(&http::request("POST", "/hooks/stripe", &many, b"{}")).await;
        assert_eq!(answer.status, 431, "{count} fields of {bytes} bytes: {answer:?}");
        assert!(!answer.text().to_lowercase().contains("canary"));
    }
    assert_eq!(gateway.rows("event"), 0);
}

#[tokio::test]
async fn more_deliveries_a_second_than_the_source_takes_are_429_and_the_next_second_takes_again() {
    let sources = SOURCES.replacen("provider =", "rate_limit = 2\nprovider =", 1);
    let gateway = Gateway::start(&sources).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.accept("evt_2", "invoice.paid").await;
    let third = gateway.send(&gateway.stripe(&stripe_body("evt_3", "invoice.paid"))).await;
    assert_eq!((third.status, problem(&third).as_str(), third.header("retry-after")), (429, "rate-limited", Some("1")));
    assert_eq!(gateway.rows("event"), 2, "what is turned away becomes no event");
    let other = gateway.send(&gateway.github("one", "push", b"{}")).await;
    assert_eq!(other.status, 200, "another source has no such limit");
    gateway.clock.advance(Duration::from_secs(1));
    gateway.accept("evt_3", "invoice.paid").await;
}
