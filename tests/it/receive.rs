//! What a sender is told of a delivery that passes, and when.

use serde_json::json;

use crate::helpers::gateway::{ANSWER_DEADLINE, Gateway, SOURCES, handler, problem, stripe_body};
use crate::helpers::http::Connection;
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
    let other = gateway.beside();
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock is free");
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
