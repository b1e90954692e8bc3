//! A handler that fails is left alone, one that an operator pauses too: their events wait, at no cost, and nobody else does.

use std::time::Duration;

use serde_json::{Value, json};

use crate::helpers::cli::Cli;
use crate::helpers::gateway::{Gateway, SOURCES, handler};
use crate::helpers::sender::Fields;
use crate::helpers::target::{Gate, Reply, Target};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn attempts(gateway: &Gateway, id: &str) -> usize {
    gateway.event("stripe", id).await["tasks"][0]["attempts"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_handler_that_fails_in_a_row_is_left_alone_but_for_one_probe_at_a_time() {
    let target = Target::start([500, 500, 500, 500].map(Reply::status)).await;
    let more = "timeout = \"10s\"\nbreaker_failures = 3\nretry = [\"1h\"]";
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), more))).await;
    for number in 1..=3 {
        gateway.accept(&format!("evt_{number}"), "invoice.paid").await;
        assert_eq!(gateway.attempt().await.outcome.status(), Some(500));
    }
    let standing = gateway.handler("billing").await;
    assert_eq!(
        (&standing["state"], &standing["failures"], &standing["probe_in_ms"]),
        (&json!("failing"), &json!(3), &json!(5000))
    );
    for number in 4..=6 {
        gateway.accept(&format!("evt_{number}"), "invoice.paid").await;
    }
    let probe = gateway.clock.sleeper(s(5), s(5)).await;
    gateway.clock.advance(probe - Duration::from_micros(1));
    assert_eq!(gateway.clock.sleeper(Duration::ZERO, s(1)).await, Duration::from_micros(1));
    assert_eq!(target.count(), 3, "nothing before the probe is due");
    gateway.clock.advance(Duration::from_micros(1));
    assert_eq!(gateway.attempt().await.event_id.as_str(), "evt_4", "the longest due is the probe");
    let next = gateway.clock.sleeper(s(10), s(10)).await;
    assert_eq!(target.count(), 4, "one probe, and it failed");
    gateway.clock.advance(next);
    let mut told = vec![gateway.attempt().await.event_id.to_string(), gateway.attempt().await.event_id.to_string()];
    told.sort();
    assert_eq!(told, ["evt_5", "evt_6"], "the probe went well, so all are called");
    assert_eq!(gateway.handler("billing").await["state"], "active");
    for (id, count) in [("evt_4", 1), ("evt_5", 1), ("evt_6", 1)] {
        assert_eq!(attempts(&gateway, id).await, count, "{id}: waiting cost nothing");
    }
}

#[tokio::test]
async fn a_failing_handler_keeps_no_other_waiting_and_no_delivery_unanswered() {
    let (down, up) = (Target::start([Reply::status(500)]).await, Target::start([]).await);
    let tables = handler("down", &down.url(), "breaker_failures = 1") + &handler("up", &up.url(), "");
    let gateway = Gateway::start(&format!("{SOURCES}{tables}")).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    gateway.attempt().await;
    assert_eq!(gateway.handler("down").await["state"], "failing");
    gateway.accept("evt_2", "invoice.paid").await;
    assert_eq!(gateway.attempt().await.handler.as_str(), "up");
    assert_eq!(down.count(), 1);
}

#[tokio::test]
async fn failures_between_which_a_call_goes_well_are_not_in_a_row() {
    let target = Target::start([500, 200, 500, 200, 500].map(Reply::status)).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), "breaker_failures = 2"))).await;
    for number in 1..=5 {
        gateway.accept(&format!("evt_{number}"), "invoice.paid").await;
        gateway.attempt().await;
    }
    assert_eq!(gateway.handler("billing").await["state"], "active");
}

#[tokio::test]
async fn a_paused_handler_is_not_called_until_it_is_resumed_restarts_included() {
    let (target, other) = (Target::start([]).await, Target::start([]).await);
    let config = format!("{SOURCES}{}", handler("billing", &target.url(), "") + &handler("other", &other.url(), ""));
    // The other one gets the same events: what it is called for, the paused one would have been called for.
    let accept_for_the_other = async |gateway: &Gateway, id: &str| {
        gateway.accept(id, "invoice.paid").await;
        assert_eq!(gateway.attempt().await.handler.as_str(), "other", "{id}");
    };
    let gateway = Gateway::start(&config).await;
    assert!(gateway.set_handler("billing", "pause").await);
    assert!(!gateway.set_handler("billing", "pause").await, "it was paused before");
    accept_for_the_other(&gateway, "evt_1").await;
    let gateway = Gateway::start_in(gateway.stop().await, &config).await;
    accept_for_the_other(&gateway, "evt_2").await;
    let standing = gateway.handler("billing").await;
    assert_eq!((&standing["state"], &standing["open_tasks"]), (&json!("paused"), &json!(2)));
    assert!(standing["paused_since"].is_string(), "{standing}");
    gateway.reload(&config).await;
    assert_eq!(gateway.handler("billing").await["state"], "paused", "through a reload too");
    accept_for_the_other(&gateway, "evt_3").await;
    assert_eq!(target.count(), 0);
    assert!(gateway.set_handler("billing", "resume").await);
    assert!(!gateway.set_handler("billing", "resume").await);
    for _ in 0..3 {
        assert_eq!(gateway.attempt().await.handler.as_str(), "billing");
    }
    for id in ["evt_1", "evt_2", "evt_3"] {
        assert_eq!(attempts(&gateway, id).await, 1, "{id}: the pause cost nothing");
    }
}

#[tokio::test]
async fn a_call_in_hand_ends_through_a_pause_and_the_next_is_not_made() {
    let gate = Gate::closed();
    let target = Target::start([Reply::After(gate.clone(), Box::new(Reply::status(200)))]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), "concurrency = 1"))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    target.call().await;
    gateway.accept("evt_2", "invoice.paid").await;
    gateway.set_handler("billing", "pause").await;
    gate.let_through(1);
    assert_eq!(gateway.attempt().await.event_id.as_str(), "evt_1");
    assert_eq!(gateway.event("stripe", "evt_2").await["state"], "accepted");
    gateway.set_handler("billing", "resume").await;
    assert_eq!(gateway.attempt().await.event_id.as_str(), "evt_2");
}

#[tokio::test]
async fn a_resume_calls_a_failing_handler_again_at_once() {
    let target = Target::start([Reply::status(500)]).await;
    let more = "breaker_failures = 1\nretry = [\"1h\"]";
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), more))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    gateway.accept("evt_2", "invoice.paid").await;
    gateway.clock.sleeper(s(5), s(5)).await;
    assert!(!gateway.set_handler("billing", "resume").await, "no operator had paused it");
    assert_eq!(gateway.attempt().await.event_id.as_str(), "evt_2");
    assert_eq!(gateway.handler("billing").await["state"], "active");
}

#[tokio::test]
async fn a_handler_that_there_is_not_cannot_be_paused() {
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", "http://127.0.0.1:9/hook", ""))).await;
    for (path, status) in [("handlers/biling/pause", 404), ("handlers/a%2Fb/pause", 404), ("handlers/BILLING/resume", 404)] {
        let answer = gateway.ask("POST", &format!("/api/v1/{path}"), &Fields::new(), b"").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    let known = gateway.ask("POST", "/api/v1/handlers/biling/pause", &Fields::new(), b"").await;
    assert!(known.text().contains("configured are billing"), "{}", known.text());
    let nobody = Gateway::start(SOURCES).await.ask("POST", "/api/v1/handlers/billing/pause", &Fields::new(), b"").await;
    assert!(nobody.text().contains("configured are none"), "{}", nobody.text());
    let reload = gateway.ask("POST", "/api/v1/reload", &Fields::new(), b"").await;
    assert_eq!((reload.status, reload.json()["type"].clone()), (409, json!("urn:hookgate:problem:no-config-file")));
}

#[test]
fn commands_pause_and_resume_with_a_gateway_and_without_one() {
    let cli = Cli::with_config(&format!("{}{}", SOURCES, handler("billing", "http://127.0.0.1:9/hook", "")));
    let offline = cli.run(&["pause", "billing"]);
    assert!(offline.code == 3 || offline.stderr.contains("no database"), "there is none yet: {}", offline.stderr);
    let serving = cli.serve(&[]);
    assert!(cli.run(&["pause", "billing"]).expect(0).stdout.contains("its events wait"));
    assert_eq!(cli.run(&["handlers", "--json"]).expect(0).json()[0]["state"], "paused");
    cli.run(&["pause", "biling"]).fails(2, &["no handler `biling`", "billing"]);
    cli.run(&["pause", "Not A Name"]).fails(2, &["is no handler"]);
    serving.stop().expect(0);
    let handlers = cli.run(&["handlers"]).expect(0).stdout;
    assert!(handlers.contains("billing") && handlers.contains("paused since"), "{handlers}");
    assert!(handlers.contains("no gateway runs now") && !handlers.contains("nowhere"), "{handlers}");
    let resumed: Vec<Value> = cli.run(&["resume", "billing", "--json"]).expect(0).json();
    assert_eq!((&resumed[0]["changed"], &resumed[0]["paused"]), (&json!(true), &json!(false)));
    cli.run(&["pause", "biling"]).fails(2, &["no handler `biling`", "billing"]);
    let serving = cli.serve(&[]);
    assert_eq!(cli.run(&["handlers", "--json"]).expect(0).json()[0]["state"], "active");
    serving.stop().expect(0);
}
