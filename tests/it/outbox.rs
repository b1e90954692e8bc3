//! From the commit to the handler: every accepted event is offered until the handler answers 2xx or the task is dead.

use std::time::Duration;

use hookgate::config::{HandlerKind, HandlerSettings};
use hookgate::ledger::Settlement;
use hookgate::model::{HandlerName, Outcome, Reason};
use serde_json::{Value, json};

use crate::helpers::gateway::{Gateway, Home, SOURCES, handler, stripe_body};
use crate::helpers::target::{Gate, Reply, Target};

/// A call's limit in these tests: with its margin of two seconds it meets no delay of the schedule.
const TIMEOUT: &str = "timeout = \"10s\"";
/// How long a lease of such a call lasts.
const LEASE: Duration = Duration::from_secs(12);

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A gateway with one handler.
async fn with(target: &Target, more: &str) -> Gateway {
    Gateway::start(&config(target, more)).await
}

fn config(target: &Target, more: &str) -> String {
    format!("{SOURCES}{}", handler("billing", &target.url(), &format!("{TIMEOUT}\n{more}")))
}

/// A fifth less and a fifth more.
fn around(seconds: u64) -> (Duration, Duration) {
    (s(seconds) * 4 / 5, s(seconds) * 6 / 5)
}

async fn the_task(gateway: &Gateway) -> Value {
    let event = gateway.event("stripe", "evt_1").await;
    assert_eq!(event["tasks"].as_array().map(Vec::len), Some(1), "{event}");
    event["tasks"][0].clone()
}

#[tokio::test]
async fn a_handler_that_is_down_for_three_attempts_gets_the_event_on_the_fourth() {
    let target = Target::start([Reply::status(503), Reply::bytes(""), Reply::status(404)]).await;
    let gateway = with(&target, "").await;
    gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(gateway.attempt().await.outcome.status(), Some(503));
    for (attempt, delay) in [(2, 5), (3, 30), (4, 120)] {
        let (from, to) = around(delay);
        let due = gateway.clock.sleeper(from, to).await;
        gateway.clock.advance(due - Duration::from_micros(1));
        assert_eq!(gateway.clock.sleeper(Duration::ZERO, s(1)).await, Duration::from_micros(1), "still asleep");
        assert_eq!(target.count(), attempt - 1, "not before it is due");
        gateway.clock.advance(Duration::from_micros(1));
        assert_eq!(gateway.attempt().await.attempt, u32::try_from(attempt).unwrap());
    }
    let mut deliveries = Vec::new();
    for attempt in 1..=4 {
        let call = target.call().await;
        assert_eq!(call.get("hookgate-attempt"), attempt.to_string());
        assert_eq!(call.get("hookgate-event-id"), "stripe/evt_1");
        assert_eq!(call.get("idempotency-key"), "\"stripe/evt_1/billing\"");
        assert_eq!(call.body, stripe_body("evt_1", "invoice.paid"));
        deliveries.push(call.get("hookgate-delivery-id").to_owned());
    }
    deliveries.dedup();
    assert_eq!(deliveries.len(), 1, "our id of the first delivery, each time");
    let task = the_task(&gateway).await;
    assert_eq!(task["state"], "done");
    let told: Vec<_> =
        task["attempts"].as_array().unwrap().iter().map(|row| (row["number"].clone(), row["status"].clone())).collect();
    assert_eq!(told, [(json!(1), json!(503)), (json!(2), Value::Null), (json!(3), json!(404)), (json!(4), json!(200))]);
    assert_eq!(gateway.event("stripe", "evt_1").await["state"], "done");
}

#[tokio::test]
async fn a_handler_that_stays_down_leaves_the_event_dead_after_fifteen_attempts_and_visible() {
    const HOUR: u64 = 3600;
    let target = Target::start(vec![Reply::status(500); 15]).await;
    // The breaker's probes are nearer than the last delays, and this clock stops at the first sleeper that it is asked for.
    let gateway = with(&target, "breaker_failures = 0").await;
    gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(gateway.attempt().await.attempt, 1);
    let first = [5, 30, 120, 600, 1800, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR];
    let delays: Vec<u64> = first.into_iter().chain([12 * HOUR; 5]).collect();
    for (index, delay) in delays.iter().enumerate() {
        assert_eq!(gateway.event("stripe", "evt_1").await["state"], "accepted", "{index}");
        let (from, to) = around(*delay);
        let attempt = gateway.next_attempt(from, to).await;
        assert_eq!(usize::try_from(attempt.attempt).unwrap(), index + 2);
        if index + 1 == delays.len() {
            assert_eq!(attempt.settlement, Settlement::Dead(Reason::AttemptsExhausted));
        }
    }
    let task = the_task(&gateway).await;
    assert_eq!((&task["state"], &task["reason"], &task["due_at"]), (&json!("dead"), &json!("attempts-exhausted"), &Value::Null));
    assert_eq!(task["attempts"].as_array().map(Vec::len), Some(15), "the whole history is kept");
    let dead = gateway.get("deliveries?state=dead").await;
    assert_eq!(dead["deliveries"][0]["event_id"], "evt_1");
    assert_eq!(dead["deliveries"][0]["attempts"], 15);
    let event = gateway.event("stripe", "evt_1").await;
    assert_eq!((&event["state"], &event["body_kept"]), (&json!("dead"), &json!(true)));
    assert_eq!(target.count(), 15);
}

#[tokio::test]
async fn an_acknowledged_delivery_stays_acknowledged_whatever_its_handler_does() {
    let target = Target::start([Reply::status(410)]).await;
    let gateway = with(&target, "").await;
    let first = gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    assert_eq!(gateway.event("stripe", "evt_1").await["state"], "dead");
    let repeat = gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(repeat.header("idempotent-replayed"), Some("true"));
    assert_eq!((repeat.status, repeat.body), (first.status, first.body));
    assert_eq!(gateway.rows("attempt"), 1, "a repeat of a dead event calls nobody");
}

#[tokio::test]
async fn a_410_or_a_final_status_is_dead_at_once() {
    for (status, dead) in [(410, true), (422, true), (421, false)] {
        let target = Target::start([Reply::status(status)]).await;
        let gateway = with(&target, "final_statuses = [422]").await;
        gateway.accept("evt_1", "invoice.paid").await;
        let attempt = gateway.attempt().await;
        assert_eq!(attempt.settlement == Settlement::Dead(Reason::HandlerRefused), dead, "{status}");
        let task = the_task(&gateway).await;
        assert_eq!(task["state"], if dead { "dead" } else { "pending" }, "{status}");
        assert_eq!(task["reason"], if dead { json!("handler-refused") } else { Value::Null });
    }
}

#[tokio::test]
async fn retry_after_is_honoured_up_to_an_hour() {
    // 2026-01-01 is where the clock begins. At 10 minutes purging begins, so somebody else sleeps until then.
    let cases = [("120", s(120)), ("7200", s(3600)), ("Thu, 01 Jan 2026 00:11:40 GMT", s(700))];
    for (retry_after, due) in cases {
        let target = Target::start([Reply::with(503, &[("Retry-After", retry_after)])]).await;
        let gateway = with(&target, "").await;
        gateway.accept("evt_1", "invoice.paid").await;
        assert_eq!(gateway.attempt().await.settlement, Settlement::RetryIn(due), "{retry_after}");
        assert_eq!(gateway.next_attempt(due, due).await.settlement, Settlement::Done);
    }
}

#[tokio::test]
async fn a_redirect_is_a_failed_attempt_and_its_target_is_never_called() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Target::start([]).await;
        let target = Target::start([Reply::with(status, &[("Location", &elsewhere.url())])]).await;
        let gateway = with(&target, "").await;
        gateway.accept("evt_1", "invoice.paid").await;
        let attempt = gateway.attempt().await;
        assert_eq!(attempt.outcome.status(), Some(status));
        assert!(matches!(attempt.settlement, Settlement::RetryIn(_)), "{status}: {:?}", attempt.settlement);
        gateway.next_attempt(s(4), s(6)).await;
        assert_eq!((target.count(), elsewhere.count()), (2, 0), "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_as_it_should_is_a_failed_attempt() {
    let too_long = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", (1 << 20) + 1, "x".repeat((1 << 20) + 1));
    let shapes: Vec<(&str, Reply)> = vec![
        ("no byte", Reply::bytes("")),
        ("half a status line", Reply::bytes("HTTP/1.1 20")),
        ("the status line alone", Reply::bytes("HTTP/1.1 200 OK\r\n")),
        ("half a header", Reply::bytes("HTTP/1.1 200 OK\r\nContent-Len")),
        ("no body", Reply::bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")),
        ("half the body", Reply::bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")),
        ("half a chunk", Reply::bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")),
        ("no last chunk", Reply::bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")),
        ("no chunk", Reply::bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")),
        ("two lengths", Reply::bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")),
        ("no HTTP", Reply::bytes("hello\r\n\r\n")),
        ("no end", Reply::Endless),
        ("more than 1 MiB", Reply::Bytes(too_long.into_bytes())),
    ];
    let target = Target::start([]).await;
    let gateway = with(&target, "").await;
    for (index, (shape, reply)) in shapes.into_iter().enumerate() {
        target.will([reply]);
        gateway.accept(&format!("evt_{index}"), "invoice.paid").await;
        let attempt = gateway.attempt().await;
        assert!(matches!(attempt.outcome, Outcome::Broken(_)), "{shape}: {:?}", attempt.outcome);
        assert!(matches!(attempt.settlement, Settlement::RetryIn(_)), "{shape}: {:?}", attempt.settlement);
        let again = gateway.next_attempt(s(4), s(6)).await;
        assert_eq!((again.attempt, again.settlement), (2, Settlement::Done), "{shape}");
    }
}

#[tokio::test]
async fn a_complete_answer_up_to_1_mib_is_an_answer() {
    let long = format!("HTTP/1.1 201 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}", 1 << 20, "x".repeat(1 << 20));
    let target = Target::start([Reply::bytes(&long), Reply::bytes("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")]).await;
    let gateway = with(&target, "").await;
    for (id, status) in [("evt_1", 201), ("evt_2", 204)] {
        gateway.accept(id, "invoice.paid").await;
        let attempt = gateway.attempt().await;
        assert_eq!((attempt.outcome.status(), attempt.settlement), (Some(status), Settlement::Done));
    }
}

#[tokio::test]
async fn a_handler_that_is_not_reached_is_a_failed_attempt() {
    let gone = Target::start([]).await;
    let url = gone.url();
    drop(gone);
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &url, TIMEOUT))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    let attempt = gateway.attempt().await;
    assert!(matches!(&attempt.outcome, Outcome::Broken(why) if why.contains("not reached")), "{:?}", attempt.outcome);
    assert_eq!(the_task(&gateway).await["state"], "pending");
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_is_tried_again() {
    let gate = Gate::closed();
    let target = Target::start([Reply::After(gate.clone(), Box::new(Reply::status(200)))]).await;
    let gateway = with(&target, "").await;
    gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(target.call().await.get("hookgate-deadline"), "10", "told to the handler in seconds");
    gateway.clock.sleeper(s(10), s(10)).await;
    gateway.clock.advance(s(10));
    let attempt = gateway.attempt().await;
    assert_eq!(attempt.outcome, Outcome::TimedOut);
    assert_eq!(the_task(&gateway).await["attempts"][0]["outcome"], "timed-out");
    assert_eq!(gateway.next_attempt(s(4), s(6)).await.settlement, Settlement::Done);
    gate.let_through(1);
}

#[tokio::test]
async fn a_panic_of_a_handler_is_a_failed_attempt() {
    let home = Home::new();
    let mut settings = home.settings(SOURCES);
    settings.handlers.push(HandlerSettings {
        name: HandlerName::parse("panics").expect("a name"),
        sources: None,
        events: Vec::new(),
        kind: HandlerKind::Printer,
        timeout: s(10),
        concurrency: 8,
        retry: vec![s(5)],
        final_statuses: Vec::new(),
        breaker_failures: 10,
    });
    let print = |call: &hookgate::handler::Call| assert_ne!(call.attempt, 1, "this handler panics at first, as it should here");
    let gateway = Gateway::start_with(home, settings, std::sync::Arc::new(print)).await;
    gateway.accept("evt_1", "invoice.paid").await;
    let attempt = gateway.attempt().await;
    assert!(matches!(attempt.outcome, Outcome::Broken(_)), "{:?}", attempt.outcome);
    assert_eq!(gateway.next_attempt(s(4), s(6)).await.settlement, Settlement::Done);
}

#[tokio::test]
async fn two_handlers_of_one_event_neither_wait_for_nor_repeat_each_other() {
    let gate = Gate::closed();
    let slow = Target::start([Reply::After(gate.clone(), Box::new(Reply::status(200)))]).await;
    let failing = Target::start([Reply::status(500)]).await;
    let quick = Target::start([]).await;
    let tables = [("slow", &slow), ("failing", &failing), ("quick", &quick)];
    let tables: String = tables.iter().map(|(name, target)| handler(name, &target.url(), TIMEOUT)).collect();
    let gateway = Gateway::start(&format!("{SOURCES}{tables}")).await;
    gateway.accept("evt_1", "invoice.paid").await;
    let mut ended = vec![gateway.attempt().await.handler.to_string(), gateway.attempt().await.handler.to_string()];
    ended.sort();
    assert_eq!(ended, ["failing", "quick"], "neither waits for the slow one");
    let again = gateway.next_attempt(s(4), s(6)).await;
    assert_eq!((again.handler.as_str(), again.settlement), ("failing", Settlement::Done));
    assert_eq!(gateway.event("stripe", "evt_1").await["state"], "accepted", "one is not done");
    gate.let_through(1);
    assert_eq!(gateway.attempt().await.handler.as_str(), "slow");
    assert_eq!(gateway.event("stripe", "evt_1").await["state"], "done");
    assert_eq!((slow.count(), failing.count(), quick.count()), (1, 2, 1));
    let keys = [slow.call().await, failing.call().await, quick.call().await].map(|call| call.get("idempotency-key").to_owned());
    assert_eq!(keys, ["slow", "failing", "quick"].map(|name| format!("\"stripe/evt_1/{name}\"")), "a key for each");
}

#[tokio::test]
async fn a_serial_handler_never_has_two_calls_at_once() {
    let gate = Gate::closed();
    let slow = || Reply::After(gate.clone(), Box::new(Reply::status(200)));
    let target = Target::start([slow(), slow(), slow(), slow(), slow()]).await;
    let gateway = with(&target, "concurrency = 1").await;
    for n in 0..5 {
        gateway.accept(&format!("evt_{n}"), "invoice.paid").await;
    }
    gate.let_through(5);
    for _ in 0..5 {
        assert_eq!(gateway.attempt().await.attempt, 1);
    }
    assert_eq!((target.count(), target.most_at_once()), (5, 1));
}

#[tokio::test]
async fn a_handler_has_as_many_calls_at_once_as_its_concurrency_and_no_more() {
    let gate = Gate::closed();
    let slow = || Reply::After(gate.clone(), Box::new(Reply::status(200)));
    let target = Target::start([slow(), slow(), slow(), slow(), slow(), slow()]).await;
    let gateway = with(&target, "concurrency = 3").await;
    for n in 0..6 {
        gateway.accept(&format!("evt_{n}"), "invoice.paid").await;
    }
    for _ in 0..3 {
        target.call().await;
    }
    gate.let_through(6);
    for _ in 0..6 {
        gateway.attempt().await;
    }
    assert_eq!((target.count(), target.most_at_once()), (6, 3));
}

#[tokio::test]
async fn deliveries_are_acknowledged_while_their_handler_hangs() {
    let gate = Gate::closed();
    let slow = || Reply::After(gate.clone(), Box::new(Reply::status(200)));
    let target = Target::start((0..20).map(|_| slow())).await;
    let gateway = with(&target, "concurrency = 2").await;
    for n in 0..20 {
        gateway.accept(&format!("evt_{n}"), "invoice.paid").await;
    }
    gate.let_through(20);
    for _ in 0..20 {
        gateway.attempt().await;
    }
    assert_eq!(target.count(), 20);
}

#[tokio::test]
async fn a_waiting_retry_outlives_a_restart_and_waits_no_longer_than_its_delay() {
    let target = Target::start([Reply::with(503, &[("Retry-After", "300")])]).await;
    let config = config(&target, "");
    let gateway = Gateway::start(&config).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    let home = gateway.stop().await;
    // Meanwhile somebody sets the clock back by ten days.
    let home = Home { wall: home.wall.minus(s(864_000)), ..home };
    let gateway = Gateway::start_in(home, &config).await;
    let again = gateway.next_attempt(Duration::ZERO, s(300)).await;
    assert_eq!((again.attempt, again.settlement), (2, Settlement::Done));
    for attempt in ["1", "2"] {
        let call = target.call().await;
        assert_eq!((call.get("hookgate-attempt"), call.get("idempotency-key")), (attempt, "\"stripe/evt_1/billing\""));
    }
}

#[tokio::test]
async fn a_call_in_hand_at_a_stop_is_made_again_after_its_full_lease() {
    let gate = Gate::closed();
    let target = Target::start([Reply::After(gate.clone(), Box::new(Reply::status(200)))]).await;
    let config = config(&target, "");
    let mut gateway = Gateway::start(&config).await;
    gateway.accept("evt_1", "invoice.paid").await;
    target.call().await;
    gateway.leave_calls();
    let home = gateway.stop().await;
    let gateway = Gateway::start_in(home, &config).await;
    assert_eq!(the_task(&gateway).await["state"], "running");
    let again = gateway.next_attempt(LEASE, LEASE).await;
    assert_eq!((again.attempt, again.settlement), (2, Settlement::Done));
    let task = the_task(&gateway).await;
    assert_eq!((&task["attempts"][0]["outcome"], &task["attempts"][1]["outcome"]), (&json!("lost"), &json!("answered")));
    gate.let_through(1);
}

#[tokio::test]
async fn an_orderly_stop_waits_for_calls_in_hand_and_records_them() {
    let gate = Gate::closed();
    let target = Target::start([Reply::After(gate.clone(), Box::new(Reply::status(200)))]).await;
    let config = config(&target, "");
    let gateway = Gateway::start(&config).await;
    gateway.accept("evt_1", "invoice.paid").await;
    target.call().await;
    gate.let_through(1);
    let home = gateway.stop().await;
    let gateway = Gateway::start_in(home, &config).await;
    let task = the_task(&gateway).await;
    assert_eq!((&task["state"], &task["attempts"][0]["status"]), (&json!("done"), &json!(200)));
    assert_eq!(target.count(), 1);
}

#[tokio::test]
async fn setting_the_wall_clock_moves_no_retry_and_no_deadline() {
    for (forward, by) in [(true, s(864_000)), (false, s(864_000)), (true, s(3600)), (false, s(60))] {
        let gate = Gate::closed();
        let target = Target::start([Reply::status(500), Reply::After(gate.clone(), Box::new(Reply::status(200)))]).await;
        let gateway = with(&target, "retry = [\"2m\"]").await;
        gateway.accept("evt_1", "invoice.paid").await;
        gateway.attempt().await;
        let (from, to) = around(120);
        let due = gateway.clock.sleeper(from, to).await;
        let wall = hookgate::clock::Clock::wall(&*gateway.clock);
        gateway.clock.set_wall(if forward { wall.plus(by) } else { wall.minus(by) });
        gateway.clock.advance(due - Duration::from_micros(1));
        gateway.write_log().await;
        assert_eq!(target.count(), 1, "not before its delay");
        gateway.clock.advance(Duration::from_micros(1));
        target.call().await;
        target.call().await;
        gateway.clock.sleeper(s(10), s(10)).await;
        gateway.clock.set_wall(wall);
        gateway.clock.advance(s(10));
        assert_eq!(gateway.attempt().await.outcome, Outcome::TimedOut, "at its deadline");
        gate.let_through(1);
    }
}
