//! An operator hands events to handlers again: nothing is lost, nothing is handed on twice for one word.

use std::time::Duration;

use hookgate::model::HandlerName;
use serde_json::{Value, json};

use crate::helpers::gateway::{Gateway, SOURCES, handler, problem};
use crate::helpers::sender::Fields;
use crate::helpers::target::{Gate, Reply, Target};

const NO_RETRY: &str = "timeout = \"10s\"\nretry = []";

async fn with_dead(target: &Target) -> Gateway {
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), NO_RETRY))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    assert_eq!(gateway.event("stripe", "evt_1").await["state"], "dead");
    gateway
}

async fn states(gateway: &Gateway) -> Vec<(String, String)> {
    let event = gateway.event("stripe", "evt_1").await;
    let text = |value: &Value| value.as_str().expect("a word").to_owned();
    event["tasks"].as_array().expect("a list").iter().map(|task| (text(&task["handler"]), text(&task["state"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(handler, state)| ((*handler).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test]
async fn a_dead_event_is_called_again_with_the_same_ids_and_a_schedule_begun_anew() {
    let target = Target::start([Reply::status(500), Reply::status(500), Reply::status(500)]).await;
    let config = format!("{SOURCES}{}", handler("billing", &target.url(), "timeout = \"10s\"\nretry = [\"1m\"]"));
    let gateway = Gateway::start(&config).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    gateway.next_attempt(Duration::from_secs(48), Duration::from_secs(72)).await;
    assert_eq!(states(&gateway).await, pairs(&[("billing", "dead")]));
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({})).await, 1);
    let third = gateway.attempt().await;
    assert_eq!(third.attempt, 3, "the number goes on");
    let fourth = gateway.next_attempt(Duration::from_secs(48), Duration::from_secs(72)).await;
    assert_eq!(fourth.attempt, 4, "the schedule began anew: one more retry");
    assert_eq!(states(&gateway).await, pairs(&[("billing", "done")]));
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(target.call().await);
    }
    for (call, redrive) in calls.iter().zip([None, None, Some("1"), Some("1")]) {
        assert_eq!(call.header("hookgate-redrive"), redrive);
        assert_eq!(call.get("idempotency-key"), calls[0].get("idempotency-key"));
        assert_eq!(call.get("hookgate-delivery-id"), calls[0].get("hookgate-delivery-id"));
        assert_eq!(call.body, calls[0].body);
    }
    assert_eq!(gateway.event("stripe", "evt_1").await["tasks"][0]["redrives"], 1);
}

#[tokio::test]
async fn two_redrives_of_one_dead_task_make_one() {
    let gate = Gate::closed();
    let target = Target::start([Reply::status(500), Reply::After(gate.clone(), Box::new(Reply::status(200)))]).await;
    let gateway = with_dead(&target).await;
    let again = || gateway.redrive("stripe", "evt_1", json!({}));
    let (one, two, three) = tokio::join!(again(), again(), again());
    assert_eq!(one + two + three, 1);
    assert_eq!(again().await, 0, "nor while the call is in hand");
    gate.let_through(1);
    assert_eq!(gateway.attempt().await.attempt, 2);
    assert_eq!(again().await, 0, "nor of a done one without force");
    assert_eq!(target.count(), 2);
}

#[tokio::test]
async fn a_done_task_is_called_again_by_force_alone() {
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), NO_RETRY))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({})).await, 0);
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({ "force": true })).await, 1);
    assert_eq!(gateway.attempt().await.attempt, 2);
    assert_eq!(target.count(), 2);
}

#[tokio::test]
async fn a_named_handlers_task_alone_is_redriven() {
    let [one, two] = [Target::start([Reply::status(500)]).await, Target::start([Reply::status(500)]).await];
    let tables = format!("{}{}", handler("one", &one.url(), NO_RETRY), handler("two", &two.url(), NO_RETRY));
    let gateway = Gateway::start(&format!("{SOURCES}{tables}")).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    gateway.attempt().await;
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({ "handler": "two" })).await, 1);
    assert_eq!(gateway.attempt().await.handler.as_str(), "two");
    assert_eq!(states(&gateway).await, pairs(&[("one", "dead"), ("two", "done")]));
    assert_eq!(gateway.event("stripe", "evt_1").await["state"], "dead", "one of its tasks still is");
    let key = gateway.event("stripe", "evt_1").await["key"].as_str().expect("a key").to_owned();
    let path = format!("/api/v1/events/{key}/redrive");
    let answer = gateway.ask("POST", &path, &Fields::new(), br#"{"handler":"never-was"}"#).await;
    assert_eq!((answer.status, problem(&answer).as_str()), (404, "no-task"));
    assert_eq!((one.count(), two.count()), (1, 2));
}

#[tokio::test]
async fn an_event_without_a_handler_gets_those_that_match_by_now() {
    let gateway = Gateway::start(SOURCES).await;
    gateway.accept("evt_1", "invoice.paid").await;
    let key = gateway.event("stripe", "evt_1").await["key"].as_str().expect("a key").to_owned();
    let answer = gateway.ask("POST", &format!("/api/v1/events/{key}/redrive"), &Fields::new(), b"").await;
    assert_eq!((answer.status, problem(&answer).as_str()), (409, "unwanted"), "there is still none");
    let home = gateway.stop().await;
    let [wants, does_not] = [Target::start([]).await, Target::start([]).await];
    let tables = format!(
        "{}{}",
        handler("wants", &wants.url(), "events = [\"invoice.*\"]"),
        handler("does-not", &does_not.url(), "events = [\"charge.*\"]")
    );
    let gateway = Gateway::start_in(home, &format!("{SOURCES}{tables}")).await;
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({})).await, 1);
    assert_eq!(gateway.attempt().await.handler.as_str(), "wants");
    assert_eq!(gateway.event("stripe", "evt_1").await["state"], "done");
    assert_eq!((wants.count(), does_not.count()), (1, 0));
}

#[tokio::test]
async fn a_task_whose_handler_is_gone_is_not_made_due_for_nobody() {
    let old = Target::start([Reply::status(410)]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("old", &old.url(), NO_RETRY))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    let new = Target::start([]).await;
    let gateway = Gateway::start_in(gateway.stop().await, &format!("{SOURCES}{}", handler("new", &new.url(), ""))).await;
    let key = gateway.event("stripe", "evt_1").await["key"].as_str().expect("a key").to_owned();
    let answer = gateway.ask("POST", &format!("/api/v1/events/{key}/redrive"), &Fields::new(), b"").await;
    assert_eq!((answer.status, problem(&answer).as_str()), (409, "handler-vanished"));
    assert_eq!(gateway.event("stripe", "evt_1").await["state"], "dead", "it stays what it was");
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({ "handler": "old", "to_handler": "new" })).await, 1);
    assert_eq!(gateway.attempt().await.handler.as_str(), "new");
}

#[tokio::test]
async fn to_handler_makes_a_task_for_another_handler() {
    let [one, two] = [Target::start([]).await, Target::start([]).await];
    let tables = format!("{}{}", handler("one", &one.url(), ""), handler("two", &two.url(), "events = [\"charge.*\"]"));
    let gateway = Gateway::start(&format!("{SOURCES}{tables}")).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({ "to_handler": "two" })).await, 1);
    assert_eq!(gateway.attempt().await.handler.as_str(), "two");
    assert_eq!(two.call().await.get("idempotency-key"), "\"stripe/evt_1/two\"", "a key of its own");
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({ "to_handler": "two" })).await, 0, "it has one");
    assert_eq!((one.count(), two.count()), (1, 1));
}

#[tokio::test]
async fn tasks_of_a_vanished_handler_wait_are_told_and_can_be_moved() {
    let old = Target::start([Reply::status(500)]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("old", &old.url(), "timeout = \"10s\""))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    let home = gateway.stop().await;
    let new = Target::start([]).await;
    let gateway = Gateway::start_in(home, &format!("{SOURCES}{}", handler("new", &new.url(), "timeout = \"10s\""))).await;
    let known: Vec<HandlerName> = gateway.running.routes().handlers().cloned().collect();
    let unhandled = gateway.running.ledger().unhandled(known).await.expect("a read");
    assert_eq!(unhandled, [(HandlerName::parse("old").unwrap(), 1)], "what the start warns of");
    gateway.clock.advance(Duration::from_secs(864_000));
    gateway.write_log().await;
    assert_eq!(states(&gateway).await, pairs(&[("old", "pending")]), "never dropped, never failed, however long it waits");
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({ "handler": "old", "to_handler": "new" })).await, 1);
    assert_eq!(gateway.attempt().await.handler.as_str(), "new");
    assert_eq!(states(&gateway).await, pairs(&[("new", "done")]));
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({ "handler": "old", "to_handler": "new" })).await, 0);
    assert_eq!((old.count(), new.count()), (1, 1));
}

#[tokio::test]
async fn a_redrive_that_cannot_be_done_says_why_and_does_nothing() {
    let target = Target::start([Reply::status(500)]).await;
    let gateway = with_dead(&target).await;
    let key = gateway.event("stripe", "evt_1").await["key"].as_str().unwrap().to_owned();
    let nobody = "019b0000-0000-7000-8000-000000000000";
    let cases = [
        (nobody, "{}", 404, "not-found"),
        (key.as_str(), "{\"to_handler\":\"nobody\"}", 404, "unknown-handler"),
        (&key, "{", 400, "bad-request"),
        (&key, "[]", 400, "bad-request"),
        (&key, "force", 400, "bad-request"),
        (&key, "{\"forse\":true}", 400, "bad-request"),
        (&key, "{\"force\":1}", 400, "bad-request"),
        (&key, "{\"handler\":\"Not A Name\"}", 400, "bad-request"),
        (&key, "{\"to_handler\":7}", 400, "bad-request"),
    ];
    for (key, how, status, code) in cases {
        let answer = gateway.ask("POST", &format!("/api/v1/events/{key}/redrive"), &Fields::new(), how.as_bytes()).await;
        assert_eq!((answer.status, problem(&answer).as_str()), (status, code), "{how}");
    }
    gateway.beside().execute("DELETE FROM payload", []).expect("the table is there");
    let answer = gateway.ask("POST", &format!("/api/v1/events/{key}/redrive"), &Fields::new(), b"{}").await;
    assert_eq!((answer.status, problem(&answer).as_str()), (409, "body-purged"));
    assert_eq!(states(&gateway).await, pairs(&[("billing", "dead")]));
    assert_eq!(target.count(), 1);
}

#[tokio::test]
async fn an_empty_body_redrives_by_the_defaults() {
    let target = Target::start([Reply::status(500)]).await;
    let gateway = with_dead(&target).await;
    let key = gateway.event("stripe", "evt_1").await["key"].as_str().unwrap().to_owned();
    let answer = gateway.ask("POST", &format!("/api/v1/events/{key}/redrive"), &Fields::new(), b"").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "v": 1, "tasks": 1 })));
    assert_eq!(gateway.attempt().await.attempt, 2);
}
