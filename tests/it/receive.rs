//! What a sender is told of a delivery that passes, and when.

use hookgate::gateway::{Answer, Head, Problem, Sender};
use hookgate::model::{Delivery, Headers};
use serde_json::json;

use crate::helpers::gateway::{ANSWER_DEADLINE, GITHUB, Gateway, SOURCES, handler, problem, stripe_body};
use crate::helpers::http::{self, Connection};
use crate::helpers::sender;
use crate::helpers::soon;
use crate::helpers::target::Target;

#[tokio::test]
async fn a_signed_stripe_delivery_is_acknowledged_stored_and_handed_on_once() {
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), ""))).await;
    let answer = gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(gateway.rows("event"), 1, "another connection sees it as soon as it is acknowledged");
    assert_eq!(gateway.rows("payload"), 1, "with its body");
    assert_eq!(answer.header("hookgate-event-id"), Some("stripe/evt_1"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("idempotent-replayed"), None);
    let call = target.call().await;
    assert_eq!(call.body, stripe_body("evt_1", "invoice.paid"));
    assert_eq!(gateway.attempt().await.attempt, 1);
    let event = gateway.event("stripe", "evt_1").await;
    assert_eq!(event["state"], "done");
    assert_eq!(event["tasks"][0]["attempts"].as_array().map(Vec::len), Some(1), "{event}");
    assert_eq!(target.count(), 1);
}

#[tokio::test]
async fn a_signed_github_delivery_is_acknowledged_stored_and_handed_on_once() {
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("deploy", &target.url(), ""))).await;
    let body = br#"{"action":"opened","number":7}"#;
    let answer = gateway.send(&gateway.github("72d3162e-cc78-11e3-81ab-4c9367dc0958", "pull_request", body)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("hookgate-event-id"), Some("github/72d3162e-cc78-11e3-81ab-4c9367dc0958"));
    assert_eq!(gateway.rows("event"), 1);
    assert_eq!(target.call().await.get("hookgate-event-type"), "pull_request.opened");
    assert_eq!(gateway.attempt().await.attempt, 1);
    assert_eq!(target.count(), 1);
    let log = gateway.deliveries().await;
    assert_eq!(log.len(), 1);
    for (name, value) in
        [("verdict", json!("first")), ("status", json!(200)), ("state", json!("done")), ("provider", json!("github"))]
    {
        assert_eq!(log[0][name], value, "{name}");
    }
}

#[tokio::test]
async fn no_2xx_is_sent_before_the_commit() {
    // A shorter deadline for bodies, so that who sleeps until the answer's is the claim.
    let gateway = Gateway::start(&format!("[limits]\nbody_deadline = \"3s\"\n{SOURCES}")).await;
    let other = gateway.held_database();
    let mut sender = Connection::to(gateway.public).await;
    sender.send(&gateway.stripe(&stripe_body("evt_1", "invoice.paid"))).await;
    // It is in the claim now, and waits for the database.
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    gateway.clock.advance(ANSWER_DEADLINE);
    let answer = sender.answer().await;
    assert_eq!((answer.status, problem(&answer).as_str(), answer.header("retry-after")), (503, "store-busy", Some("2")));
    other.execute_batch("ROLLBACK").expect("the lock is ours");
    let answer = gateway.send(&gateway.stripe(&stripe_body("evt_1", "invoice.paid"))).await;
    assert_eq!(answer.status, 200, "the retry finds out");
}

#[tokio::test]
async fn a_body_of_several_mebibytes_is_proven_stored_and_handed_on_byte_for_byte() {
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("deploy", &target.url(), ""))).await;
    let body: Vec<u8> = (0..5_u32 << 20).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).expect("a byte")).collect();
    let mut spoilt = body.clone();
    spoilt[3 << 20] ^= 1;
    let signed = sender::github(GITHUB, "one", "push", &body);
    assert_eq!(gateway.send(&http::request("POST", "/hooks/github", &signed, &spoilt)).await.status, 401, "one bit is changed");
    assert_eq!(gateway.send(&http::chunked("POST", "/hooks/github", &signed, &body, 100_000)).await.status, 200);
    assert!(target.call().await.body == body);
    assert_eq!(gateway.event("github", "one").await["body_bytes"], 5 << 20);
    gateway.attempt().await;
}

#[tokio::test]
async fn deliveries_of_many_connections_are_each_answered_as_their_own() {
    let gateway = Gateway::start(SOURCES).await;
    let requests: Vec<_> = (0..100).map(|n| gateway.stripe(&stripe_body(&format!("evt_{n}"), "invoice.paid"))).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| gateway.send(request))).await;
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!((answer.status, answer.header("hookgate-event-id")), (200, Some(format!("stripe/evt_{n}").as_str())));
    }
    assert_eq!(gateway.rows("event"), 100);
}

#[tokio::test]
async fn requests_of_one_connection_are_answered_in_their_order() {
    let gateway = Gateway::start(SOURCES).await;
    let mut connection = Connection::to(gateway.public).await;
    let all: Vec<u8> = (0..10).flat_map(|n| gateway.stripe(&stripe_body(&format!("evt_{n}"), "invoice.paid"))).collect();
    connection.send(&all).await;
    for n in 0..10 {
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.header("hookgate-event-id")), (200, Some(format!("stripe/evt_{n}").as_str())));
    }
}

#[tokio::test]
async fn any_of_several_secrets_proves_a_delivery_and_the_log_says_which() {
    let two = "secrets = [{ literal = \"newest-secret-0123456789\" }, { literal = \"canaryGithub0123456789abcdef\" }]";
    let gateway = Gateway::start(&format!("[sources.github]\nprovider = \"github\"\n{two}\n")).await;
    let mut prints = Vec::new();
    for (id, secret) in [("one", GITHUB), ("two", "newest-secret-0123456789")] {
        let request = http::request("POST", "/hooks/github", &sender::github(secret, id, "push", b"{}"), b"{}");
        assert_eq!(gateway.send(&request).await.status, 200, "{id}");
        prints.push(gateway.event("github", id).await["secret"].as_str().expect("a fingerprint").to_owned());
    }
    assert_ne!(prints[0], prints[1]);
    let request = http::request("POST", "/hooks/github", &sender::github("another", "three", "push", b"{}"), b"{}");
    assert_eq!(gateway.send(&request).await.status, 401);
}

#[tokio::test]
async fn freshness_goes_by_the_wall_clock_as_it_is_now() {
    let gateway = Gateway::start(SOURCES).await;
    let request = gateway.stripe(&stripe_body("evt_1", "invoice.paid"));
    let then = hookgate::clock::Clock::wall(&*gateway.clock);
    for (wall, status) in [
        (then.plus(std::time::Duration::from_secs(301)), 401),
        (then.minus(std::time::Duration::from_secs(301)), 401),
        (then, 200),
    ] {
        gateway.clock.set_wall(wall);
        assert_eq!(gateway.send(&request).await.status, status, "{wall}");
    }
}

#[tokio::test]
async fn a_check_that_does_not_come_to_its_end_is_our_fault_and_503() {
    let gateway = Gateway::start(SOURCES).await;
    let receiver = gateway.running.receiver();
    let sender = Sender { peer: None, forwarded_for: &Vec::new };
    let head = Head { source: "github", method: "POST", header_bytes: 0, content_length: None, content_encoding: None, sender };
    let entry = receiver.enter(head).await.unwrap_or_else(|told| panic!("{told:?}"));
    let delivery = Delivery {
        id: entry.id,
        method: "POST".into(),
        headers: Headers::new(),
        // Too large to be checked where it came in.
        body: vec![b'x'; 1 << 20].into(),
        received_at: entry.received_at,
    };
    // Work that is handed to a runtime that has ended is given up.
    let ended = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let handle = ended.handle().clone();
    ended.shutdown_background();
    let mut receiving = std::pin::pin!(receiver.receive(entry, delivery));
    let told = std::future::poll_fn(|cx| {
        let _inside = handle.enter();
        receiving.as_mut().poll(cx)
    });
    let told = soon("an answer", told).await;
    assert!(matches!(told, Answer::Problem(Problem::Overloaded)), "{told:?}");
    let notice = gateway.delivery().await;
    assert_eq!((notice.status, notice.verdict, notice.reason), (503, None, Some("check-failed")));
    assert_eq!(gateway.deliveries().await.len(), 0, "nothing was found out about it");
}
