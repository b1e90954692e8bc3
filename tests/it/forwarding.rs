//! What a handler is told: the body as received, headers by the rules, a signature that it can verify; and which handler it is.

use std::time::Duration;

use crate::helpers::gateway::{GITHUB, Gateway, SOURCES, STRIPE, handler, stripe_body};
use crate::helpers::http;
use crate::helpers::sender::{self, fields};
use crate::helpers::target::{Call, Reply, Target};

const STANDARD: &str = "whsec_c3RhbmRhcmQtd2ViaG9va3Mta2V5LWZvci10ZXN0cw==";

async fn with(target: &Target, more: &str) -> Gateway {
    Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), more))).await
}

/// A rightly signed GitHub push with these fields besides.
fn github_with(body: &[u8], more: &[(&str, &str)]) -> Vec<u8> {
    let mut signed = sender::github(GITHUB, "one", "push", body);
    signed.extend(fields(more));
    http::request("POST", "/hooks/github", &signed, body)
}

/// Whether a Standard Webhooks library would take this call: the signature of id, time and body, and a time close to now.
fn assert_standard_signature(call: &Call, secret: &str, now_s: i64) {
    let (id, time) = (call.get("webhook-id"), call.get("webhook-timestamp"));
    let expected = sender::standard_webhooks_signature(secret, id, time, &call.body);
    assert_eq!(call.get("webhook-signature"), format!("v1,{expected}"));
    assert_eq!(time, now_s.to_string());
}

#[tokio::test]
async fn the_body_arrives_byte_for_byte() {
    let every_byte: Vec<u8> = (0..=255).collect();
    let bodies: [&[u8]; 6] = [
        &every_byte,
        b"{ \"b\" : 1,\r\n\t\"a\":1.0e2 }  \n",
        "{\"n\":\"\u{e9}\\u00e9\"}".as_bytes(),
        b"\xef\xbb\xbf{}",
        b"",
        b"payload=%7B%7D",
    ];
    let target = Target::start([]).await;
    let gateway = with(&target, "").await;
    for (index, body) in bodies.into_iter().enumerate() {
        let answer = gateway.send(&gateway.github(&format!("id-{index}"), "push", body)).await;
        assert_eq!(answer.status, 200, "{index}");
        let call = target.call().await;
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/hook"));
        assert_eq!(call.body, body, "{index}");
    }
}

#[tokio::test]
async fn a_chunked_delivery_arrives_as_one_body_with_its_length() {
    let target = Target::start([]).await;
    let gateway = with(&target, "").await;
    let body = stripe_body("evt_1", "invoice.paid");
    let request = http::chunked("POST", "/hooks/stripe", &sender::stripe(STRIPE, gateway.now_s(), &body), &body, 7);
    assert_eq!(gateway.send(&request).await.status, 200);
    let call = target.call().await;
    assert_eq!(call.body, body);
    assert_eq!((call.get("content-length"), call.header("transfer-encoding")), (body.len().to_string().as_str(), None));
}

#[tokio::test]
async fn a_call_says_what_it_is_about() {
    let target = Target::start([]).await;
    let gateway = with(&target, "timeout = \"2500ms\"").await;
    gateway.accept("evt_1", "invoice.paid").await;
    let call = target.call().await;
    let key = gateway.event("stripe", "evt_1").await["key"].as_str().unwrap().to_owned();
    let expected = [
        ("hookgate-event-id", "stripe/evt_1"),
        ("hookgate-source", "stripe"),
        ("hookgate-provider", "stripe"),
        ("hookgate-event-type", "invoice.paid"),
        ("hookgate-delivery-id", key.as_str()),
        ("hookgate-attempt", "1"),
        ("hookgate-received-at", "2026-01-01T00:00:00.000Z"),
        ("hookgate-deadline", "2.5"),
        ("idempotency-key", "\"stripe/evt_1/billing\""),
        ("content-type", "application/json; charset=utf-8"),
    ];
    for (name, value) in expected {
        assert_eq!(call.get(name), value, "{name}");
    }
    assert_eq!(call.header("hookgate-redrive"), None);
    assert_eq!(call.header("hookgate-body-redacted"), None);
}

#[tokio::test]
async fn by_default_a_handler_gets_what_the_preset_names_the_content_type_and_the_agent() {
    let target = Target::start([]).await;
    let gateway = with(&target, "").await;
    let body = b"{}";
    let more = [("User-Agent", "GitHub-Hookshot/1"), ("X-Custom", "no"), ("X-GitHub-Hook-ID", "7"), ("Accept", "*/*")];
    assert_eq!(gateway.send(&github_with(body, &more)).await.status, 200);
    let call = target.call().await;
    assert_eq!(call.get("user-agent"), "GitHub-Hookshot/1");
    assert_eq!(call.get("content-type"), "application/json");
    assert_eq!(call.get("x-github-event"), "push");
    assert_eq!(call.get("x-github-delivery"), "one");
    assert!(call.header("x-hub-signature-256").is_some());
    for name in ["x-custom", "x-github-hook-id", "accept-encoding", "cookie"] {
        assert_eq!(call.header(name), None, "{name}");
    }
    assert_ne!(call.get("host"), "localhost", "the handler's own host");
}

#[tokio::test]
async fn forward_headers_names_all_that_a_handler_gets() {
    let target = Target::start([]).await;
    let gateway = with(&target, "forward_headers = [\"X-Custom\", \"X-Twice\"]").await;
    let more = [("X-Custom", "yes"), ("X-Twice", "a"), ("X-Twice", "b"), ("User-Agent", "Hookshot")];
    assert_eq!(gateway.send(&github_with(b"{}", &more)).await.status, 200);
    let call = target.call().await;
    assert_eq!(call.get("x-custom"), "yes");
    let twice: Vec<_> = call.headers.iter().filter(|(name, _)| name == "x-twice").map(|(_, value)| value.as_str()).collect();
    assert_eq!(twice, ["a", "b"]);
    for name in ["x-github-event", "x-hub-signature-256"] {
        assert_eq!(call.header(name), None, "{name}");
    }
    assert_ne!(call.header("user-agent"), Some("Hookshot"));
}

#[tokio::test]
async fn credentials_of_the_sender_are_neither_stored_nor_forwarded() {
    let target = Target::start([]).await;
    let gateway = with(&target, "").await;
    let more = [
        ("Authorization", "Bearer leaked-credential"),
        ("Cookie", "sid=leaked-credential"),
        ("Proxy-Authorization", "leaked-credential"),
    ];
    assert_eq!(gateway.send(&github_with(b"{}", &more)).await.status, 200);
    let call = target.call().await;
    assert!(!format!("{:?}", call.headers).contains("leaked-credential"));
    let kept: String = gateway.beside().query_row("SELECT headers FROM payload", [], |row| row.get(0)).expect("a row");
    assert!(!kept.contains("leaked-credential"), "{kept}");
}

#[tokio::test]
async fn what_a_sender_says_in_our_own_names_does_not_reach_a_handler() {
    let target = Target::start([]).await;
    let gateway =
        with(&target, "forward_headers = [\"Hookgate-Redrive\", \"Hookgate-Forged\", \"Idempotency-Key\", \"X-Custom\"]").await;
    let more = [
        ("Hookgate-Redrive", "7"),
        ("Hookgate-Forged", "yes"),
        ("Hookgate-Attempt", "9"),
        ("Hookgate-Event-Id", "stripe/evt_forged"),
        ("Idempotency-Key", "forged"),
        ("X-Custom", "yes"),
    ];
    assert_eq!(gateway.send(&github_with(b"{}", &more)).await.status, 200);
    let call = target.call().await;
    assert_eq!(call.get("idempotency-key"), "\"github/one/billing\"");
    assert_eq!((call.get("hookgate-attempt"), call.get("hookgate-event-id")), ("1", "github/one"));
    assert_eq!((call.header("hookgate-redrive"), call.header("hookgate-forged")), (None, None));
    assert_eq!(call.get("x-custom"), "yes");
}

#[tokio::test]
async fn hop_by_hop_fields_end_here() {
    let target = Target::start([]).await;
    let gateway = with(&target, "forward_headers = [\"X-Custom\"]").await;
    let more = [
        ("Connection", "keep-alive, X-Custom"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Trailer", "X-T"),
        ("X-Custom", "yes"),
    ];
    assert_eq!(gateway.send(&github_with(b"{}", &more)).await.status, 200);
    let call = target.call().await;
    for name in ["keep-alive", "te", "trailer", "transfer-encoding", "upgrade"] {
        assert_eq!(call.header(name), None, "{name}");
    }
    assert!(!call.header("connection").unwrap_or_default().to_lowercase().contains("x-custom"));
}

#[tokio::test]
async fn no_field_of_the_connection_reaches_a_handler_though_the_preset_names_it() {
    const OWN: &str = r#"
[[providers.own.check]]
kind = "hmac"
algorithm = "sha256"
signature = { from = "header:X-Sig", encoding = "hex" }
message = "{header:Host}.{body}"

[providers.own.event]
id = ["{header:X-Id}", "{header:Transfer-Encoding}"]
type = ["{header:TE}.{header:Keep-Alive}.{header:Upgrade}.{header:Trailer}.{header:Connection}"]

[sources.own]
provider = "own"
secrets = [{ literal = "0123456789abcdef" }]
"#;
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{OWN}{}", handler("all", &target.url(), ""))).await;
    let body = b"{\"n\":1}";
    let signature = sender::tag(ring::hmac::HMAC_SHA256, b"0123456789abcdef", &[b"sender.example.", body]);
    let signed = fields(&[
        ("Host", "sender.example"),
        ("X-Sig", &sender::hex_text(&signature)),
        ("TE", "trailers"),
        ("Keep-Alive", "a"),
        ("Upgrade", "b"),
        ("Trailer", "c"),
        ("Connection", "close"),
    ]);
    let answer = gateway.send(&http::chunked("POST", "/hooks/own", &signed, body, 3)).await;
    assert_eq!((answer.status, answer.header("hookgate-event-id")), (200, Some("own/chunked")), "{}", answer.text());
    let call = target.call().await;
    assert_eq!(call.get("hookgate-event-type"), "trailers.a.b.c.close", "they were read");
    assert_eq!((call.body.as_slice(), call.get("content-length")), (&body[..], "7"));
    assert_eq!(call.get("host"), target.address.to_string());
    for name in ["transfer-encoding", "keep-alive", "te", "trailer", "upgrade", "connection"] {
        assert_eq!(call.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_handlers_own_headers_are_sent_with_every_call() {
    let target = Target::start([Reply::status(500)]).await;
    let own = "headers = { Authorization = { literal = \"Bearer of-the-handler\" }, X-Team = \"billing\", Content-Type = \"text/x-own\" }";
    let gateway = with(&target, &format!("timeout = \"10s\"\n{own}")).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    gateway.next_attempt(Duration::from_secs(4), Duration::from_secs(6)).await;
    for _ in 0..2 {
        let call = target.call().await;
        assert_eq!(call.get("authorization"), "Bearer of-the-handler");
        assert_eq!(call.get("x-team"), "billing");
        assert_eq!(call.get("content-type"), "text/x-own", "in place of the delivery's");
    }
}

#[tokio::test]
async fn each_call_carries_a_standard_webhooks_signature_of_its_own_time() {
    let target = Target::start([Reply::status(500)]).await;
    let gateway = with(&target, &format!("timeout = \"10s\"\nsign_with = {{ literal = \"{STANDARD}\" }}")).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    let first = target.call().await;
    assert_eq!(first.get("webhook-id"), "stripe/evt_1");
    assert_standard_signature(&first, STANDARD, gateway.now_s());
    gateway.next_attempt(Duration::from_secs(4), Duration::from_secs(6)).await;
    let second = target.call().await;
    assert_eq!(second.get("webhook-id"), "stripe/evt_1");
    assert_standard_signature(&second, STANDARD, gateway.now_s());
    assert_ne!(first.get("webhook-timestamp"), second.get("webhook-timestamp"), "the delay is over 4 s");
}

#[tokio::test]
async fn without_sign_with_the_key_is_made_once_and_kept_beside_the_database() {
    let target = Target::start([]).await;
    let config = format!("{SOURCES}{}", handler("billing", &target.url(), ""));
    let gateway = Gateway::start(&config).await;
    gateway.accept("evt_1", "invoice.paid").await;
    let path = gateway.database().with_extension("db.signing-key");
    let key = std::fs::read_to_string(&path).expect("the key is there");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("the key is there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_standard_signature(&target.call().await, &key, gateway.now_s());
    gateway.attempt().await;
    let home = gateway.stop().await;
    let gateway = Gateway::start_in(home, &config).await;
    gateway.accept("evt_2", "invoice.paid").await;
    assert_standard_signature(&target.call().await, &key, gateway.now_s());
}

#[tokio::test]
async fn the_senders_own_standard_webhooks_fields_are_replaced_by_ours() {
    let source = format!("[sources.acme]\nprovider = \"standard-webhooks\"\nsecrets = [{{ literal = \"{STANDARD}\" }}]\n");
    let target = Target::start([]).await;
    let ours = "whsec_b3Vycy1hbmQtbm9ib2R5LWVsc2VzLWtleQ==";
    let table = handler("billing", &target.url(), &format!("sign_with = {{ literal = \"{ours}\" }}"));
    let gateway = Gateway::start(&format!("{source}{table}")).await;
    let body = b"{\"type\":\"user.created\"}";
    let request =
        http::request("POST", "/hooks/acme", &sender::standard_webhooks(STANDARD, "msg_1", gateway.now_s(), body), body);
    assert_eq!(gateway.send(&request).await.status, 200);
    let call = target.call().await;
    assert_eq!(call.get("webhook-id"), "acme/msg_1");
    assert_standard_signature(&call, ours, gateway.now_s());
}

#[tokio::test]
async fn resign_makes_the_providers_signature_anew_at_each_attempt_with_the_newest_secret() {
    let target = Target::start([Reply::status(500)]).await;
    let newest = "whsec_newestSecret0123456789";
    let two = format!("secrets = [{{ literal = \"{newest}\" }}, {{ literal = \"{STRIPE}\" }}]");
    let sources = format!("[sources.stripe]\nprovider = \"stripe\"\n{two}\n");
    let table = handler("billing", &target.url(), "timeout = \"10s\"\nresign = true\nretry = [\"1h\"]");
    let gateway = Gateway::start(&format!("{sources}{table}")).await;
    // The provider still signs with the old one.
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    let first_at = gateway.now_s();
    gateway.next_attempt(Duration::from_secs(2880), Duration::from_secs(4320)).await;
    for at in [first_at, gateway.now_s()] {
        let call = target.call().await;
        let expected = sender::stripe_signature(newest, &at.to_string(), &call.body);
        assert_eq!(call.get("stripe-signature"), format!("t={at},v1={expected}"));
        assert_eq!(call.header("webhook-signature"), None, "one signature of ours");
    }
}

#[tokio::test]
async fn resign_signs_as_github_and_as_standard_webhooks_too() {
    let source = format!("\n[sources.acme]\nprovider = \"standard-webhooks\"\nsecrets = [{{ literal = \"{STANDARD}\" }}]\n");
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{source}{}", handler("all", &target.url(), "resign = true"))).await;
    let body = b"{\"type\":\"user.created\"}";
    assert_eq!(gateway.send(&gateway.github("one", "push", body)).await.status, 200);
    let call = target.call().await;
    assert_eq!(call.get("x-hub-signature-256"), sender::github(GITHUB, "one", "push", body)[3].1);
    gateway.clock.advance(Duration::from_secs(7));
    let request =
        http::request("POST", "/hooks/acme", &sender::standard_webhooks(STANDARD, "msg_1", gateway.now_s(), body), body);
    assert_eq!(gateway.send(&request).await.status, 200);
    let call = target.call().await;
    assert_eq!(call.get("webhook-id"), "msg_1", "the id that the provider signs");
    assert_standard_signature(&call, STANDARD, gateway.now_s());
}

#[tokio::test]
async fn an_idempotency_key_is_a_structured_string_and_a_long_one_its_digest() {
    let target = Target::start([]).await;
    let gateway = with(&target, "").await;
    gateway.accept(r#"evt"1\2"#, "invoice.paid").await;
    let call = target.call().await;
    assert_eq!(call.get("idempotency-key"), r#""stripe/evt\"1\\2/billing""#);
    assert_eq!(call.get("hookgate-event-id"), r#"stripe/evt"1\2"#);
    let long = "e".repeat(250);
    gateway.accept(&long, "invoice.paid").await;
    let whole = format!("stripe/{long}/billing");
    let digest = sender::hex_text(ring::digest::digest(&ring::digest::SHA256, whole.as_bytes()).as_ref());
    assert_eq!(target.call().await.get("idempotency-key"), format!("\"sha256:{digest}\""));
}

#[tokio::test]
async fn an_event_goes_to_every_handler_that_hears_its_source_and_wants_its_type() {
    let [all, billing, code] = [Target::start([]).await, Target::start([]).await, Target::start([]).await];
    let tables = [
        handler("all", &all.url(), ""),
        handler("billing", &billing.url(), "sources = [\"stripe\"]\nevents = [\"invoice.*\", \"charge\"]"),
        handler("code", &code.url(), "sources = [\"github\"]\nevents = [\"pull_request\"]"),
    ];
    let gateway = Gateway::start(&format!("{SOURCES}{}", tables.concat())).await;
    let wanted = [("invoice.paid", 2), ("charge.refunded", 2), ("invoice", 1), ("invoices.paid", 1), ("pull_request", 1)];
    for (index, (event_type, handlers)) in wanted.into_iter().enumerate() {
        gateway.accept(&format!("evt_{index}"), event_type).await;
        let event = gateway.event("stripe", &format!("evt_{index}")).await;
        assert_eq!(event["tasks"].as_array().map(Vec::len), Some(handlers), "{event_type}");
    }
    for (index, (name, body, handlers)) in
        [("pull_request", r#"{"action":"opened"}"#, 2), ("pull_request_review", r#"{"action":"opened"}"#, 1), ("push", "{}", 1)]
            .into_iter()
            .enumerate()
    {
        gateway.send(&gateway.github(&format!("id-{index}"), name, body.as_bytes())).await;
        let event = gateway.event("github", &format!("id-{index}")).await;
        assert_eq!(event["tasks"].as_array().map(Vec::len), Some(handlers), "{name}");
    }
    for _ in 0..11 {
        gateway.attempt().await;
    }
    assert_eq!((all.count(), billing.count(), code.count()), (8, 2, 1));
}

#[tokio::test]
async fn an_event_that_no_handler_wants_is_acknowledged_stored_and_shown_as_such() {
    let target = Target::start([]).await;
    let gateway = with(&target, "events = [\"charge.*\"]").await;
    gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(gateway.delivery().await.reason, Some("no-handler"), "said on the terminal");
    let event = gateway.event("stripe", "evt_1").await;
    assert_eq!((&event["state"], &event["reason"], &event["body_kept"]), (&"done".into(), &"no-handler".into(), &true.into()));
    assert_eq!(event["tasks"], serde_json::json!([]));
    assert_eq!(gateway.deliveries().await[0]["reason"], "no-handler");
    assert_eq!(target.count(), 0);
}

#[tokio::test]
async fn an_ignored_type_is_acknowledged_stored_and_called_ignored() {
    let target = Target::start([]).await;
    let sources = SOURCES.replacen("provider = \"stripe\"", "provider = \"stripe\"\nignore = [\"ping\", \"test.*\"]", 1);
    let gateway = Gateway::start(&format!("{sources}{}", handler("all", &target.url(), ""))).await;
    for (id, event_type, tasks) in [("evt_1", "ping", 0), ("evt_2", "test.thing", 0), ("evt_3", "pinged", 1)] {
        gateway.accept(id, event_type).await;
        let event = gateway.event("stripe", id).await;
        assert_eq!(event["tasks"].as_array().map(Vec::len), Some(tasks), "{event_type}");
        assert_eq!(
            event["reason"],
            if tasks == 0 { serde_json::json!("ignored") } else { serde_json::Value::Null },
            "{event_type}"
        );
    }
    gateway.attempt().await;
    assert_eq!(target.count(), 1);
}

#[tokio::test]
async fn a_handler_that_is_added_later_gets_later_events() {
    let gateway = Gateway::start(SOURCES).await;
    gateway.accept("evt_1", "invoice.paid").await;
    let home = gateway.stop().await;
    let target = Target::start([]).await;
    let gateway = Gateway::start_in(home, &format!("{SOURCES}{}", handler("billing", &target.url(), ""))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.accept("evt_2", "invoice.paid").await;
    assert_eq!(target.call().await.get("hookgate-event-id"), "stripe/evt_2");
    gateway.attempt().await;
    assert_eq!(gateway.event("stripe", "evt_1").await["tasks"], serde_json::json!([]));
    assert_eq!(target.count(), 1);
}
