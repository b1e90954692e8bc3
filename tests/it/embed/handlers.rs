//! What a closure gets, and what comes of what it returns.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use hookgate::{Event, Handler, HandlerError};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Program, next, s, scripted, task};
use crate::helpers::gateway::NEW_YEAR;
use crate::helpers::target::Gate;

/// Moves the clock to the task that is due between `from` and `to`.
async fn pass(program: &Program, from: Duration, to: Duration) {
    let due = program.clock.sleeper(from, to).await;
    program.clock.advance(due);
}

#[tokio::test]
async fn an_error_is_tried_again_by_the_schedule_under_one_key_until_it_is_ok() {
    let script = [
        Err(HandlerError::Retry("no\nroute \u{1b}[31m".to_owned())),
        Err(HandlerError::RetryAfter("busy".to_owned(), s(600))),
        Err(HandlerError::from(std::io::Error::other("reset"))),
    ];
    let (mut calls, work) = scripted(script);
    let program = Program::start(|builder| builder.handler("billing", ["invoice.*"], work)).await;
    program.accept("evt_1", "invoice.paid").await;
    let mut keys = vec![next(&mut calls).await.idempotency_key().to_owned()];
    for (attempt, from, to) in [(2, s(4), s(6)), (3, s(600), s(600)), (4, s(96), s(144))] {
        pass(&program, from, to).await;
        let event = next(&mut calls).await;
        assert_eq!(event.attempt(), attempt);
        keys.push(event.idempotency_key().to_owned());
    }
    assert_eq!(keys, ["stripe/evt_1/billing"; 4]);
    let left = program.end().await;
    let task = task(left.path(), "evt_1").await;
    let attempts: Vec<_> = task.attempts.iter().map(|attempt| (attempt.outcome.as_str(), attempt.error.as_deref())).collect();
    let told = [("failed", Some("no route  [31m")), ("failed", Some("busy")), ("failed", Some("reset")), ("succeeded", None)];
    assert_eq!((task.state.as_str(), attempts), ("done", told.to_vec()));
}

#[tokio::test]
async fn a_final_error_is_dead_at_once_until_it_is_redriven() {
    let (mut calls, work) = scripted([Err(HandlerError::Final("no such customer".to_owned()))]);
    let program = Program::start(|builder| builder.handler("billing", ["*"], work)).await;
    program.accept("evt_1", "invoice.paid").await;
    assert_eq!((next(&mut calls).await.attempt(), program.clock.now_s()), (1, NEW_YEAR.unix_s()));
    let left = program.end().await;
    let dead = task(left.path(), "evt_1").await;
    assert_eq!((dead.state.as_str(), dead.reason.map(|reason| reason.as_str())), ("dead", Some("handler-refused")));
    assert_eq!((dead.attempts[0].outcome.as_str(), dead.attempts[0].error.as_deref()), ("refused", Some("no such customer")));

    let (mut calls, work) = scripted([]);
    let clock = Arc::new(crate::helpers::clock::WatchedClock::at(NEW_YEAR));
    let program = Program::start_in(left, clock, |builder| builder.handler("billing", ["*"], work)).await;
    let key = program.event("evt_1").await["key"].as_str().expect("a key").to_owned();
    assert_eq!(program.ask("POST", &format!("/api/v1/events/{key}/redrive")).await.json()["tasks"], json!(1));
    let event = next(&mut calls).await;
    assert_eq!((event.attempt(), event.redrives(), event.idempotency_key()), (2, 1, "stripe/evt_1/billing"));
    let left = program.end().await;
    assert_eq!(task(left.path(), "evt_1").await.state.as_str(), "done");
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt_also_before_there_is_a_future() {
    let (tell, mut calls) = mpsc::unbounded_channel();
    let work = move |event: Event| {
        tell.send(event.attempt()).ok();
        assert_ne!(event.attempt(), 1, "before the future");
        async move {
            assert_ne!(event.attempt(), 2, "inside it");
            Ok(())
        }
    };
    let handler = Handler::new("billing", work).retry([s(10), s(20)]);
    let program = Program::start(|builder| builder.handler_with(handler)).await;
    program.accept("evt_1", "invoice.paid").await;
    assert_eq!(next(&mut calls).await, 1);
    pass(&program, s(8), s(12)).await;
    assert_eq!(next(&mut calls).await, 2);
    pass(&program, s(16), s(24)).await;
    assert_eq!(next(&mut calls).await, 3);
    let left = program.end().await;
    let task = task(left.path(), "evt_1").await;
    let outcomes: Vec<_> = task.attempts.iter().map(|attempt| (attempt.outcome.as_str(), attempt.error.as_deref())).collect();
    let panicked = ("broken", Some("the handler panicked"));
    assert_eq!(outcomes, [panicked, panicked, ("succeeded", None)]);
}

/// Tells when it is dropped.
struct Guard(mpsc::UnboundedSender<&'static str>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.send("dropped").ok();
    }
}

#[tokio::test]
async fn at_its_deadline_the_future_is_dropped_and_the_attempt_has_timed_out() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (show, mut shown) = mpsc::unbounded_channel();
    let work = move |event: Event| {
        let guard = Guard(tell.clone());
        drop(show.send(event));
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    };
    let handler = Handler::new("slow", work).timeout(s(7)).retry([]);
    let program = Program::start(|builder| builder.handler_with(handler)).await;
    program.accept("evt_1", "invoice.paid").await;
    let event = next(&mut shown).await;
    assert_eq!(program.clock.sleeper(s(7), s(7)).await, s(7));
    assert_eq!(event.remaining(), s(7));
    program.clock.advance(s(7) - Duration::from_millis(1));
    assert_eq!((event.remaining(), told.try_recv().ok()), (Duration::from_millis(1), None));
    program.clock.advance(Duration::from_millis(1));
    assert_eq!(next(&mut told).await, "dropped");
    assert_eq!(event.remaining(), Duration::ZERO);
    let left = program.end().await;
    let task = task(left.path(), "evt_1").await;
    assert_eq!((task.state.as_str(), task.attempts[0].outcome.as_str()), ("dead", "timed-out"));
}

#[tokio::test]
async fn no_more_calls_are_in_hand_than_the_handler_allows() {
    const EVENTS: usize = 6;
    let gate = Gate::closed();
    let [in_hand, most] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let (tell, mut entered) = mpsc::unbounded_channel();
    let work = {
        let (gate, in_hand, most) = (gate.clone(), Arc::clone(&in_hand), Arc::clone(&most));
        move |_: Event| {
            let (gate, in_hand) = (gate.clone(), Arc::clone(&in_hand));
            most.fetch_max(in_hand.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tell.send(()).ok();
            async move {
                gate.pass().await;
                in_hand.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        }
    };
    // Another handler gets the same events: once it has them all, they are all there to be called.
    let (mut others, other) = scripted([]);
    let narrow = Handler::new("narrow", work).concurrency(2);
    let program = Program::start(|builder| builder.handler_with(narrow).handler("wide", ["*"], other)).await;
    for number in 0..EVENTS {
        program.accept(&format!("evt_{number}"), "invoice.paid").await;
        next(&mut others).await;
    }
    for number in 0..EVENTS {
        next(&mut entered).await;
        if number > 0 {
            gate.let_through(1);
        }
    }
    gate.let_through(1);
    drop(program.end().await);
    assert_eq!((most.load(Ordering::SeqCst), in_hand.load(Ordering::SeqCst)), (2, 0));
}

#[tokio::test]
async fn an_event_tells_all_that_a_service_would_be_told() {
    let (mut calls, work) = scripted([]);
    let program = Program::start(|builder| builder.handler("billing", ["invoice.*"], work)).await;
    let answer = program.accept(r#"evt"1\2"#, "invoice.paid").await;
    assert_eq!(answer.header("hookgate-event-id"), Some(r#"stripe/evt"1\2"#));
    program.accept("evt_2", "customer.created").await;
    let event = next(&mut calls).await;
    assert_eq!((event.source(), event.provider(), event.id()), ("stripe", "stripe", r#"evt"1\2"#));
    assert_eq!((event.event_type(), event.attempt(), event.redrives()), ("invoice.paid", 1, 0));
    assert_eq!(event.idempotency_key(), r#"stripe/evt"1\2/billing"#, "as it is meant, without escapes");
    assert_eq!(event.json::<serde_json::Value>().expect("JSON")["type"], json!("invoice.paid"));
    assert!(event.json::<Vec<u8>>().is_err());
    assert!(event.body().starts_with(b"{"));
    assert_eq!(event.header("Content-Type"), Some(&b"application/json; charset=utf-8"[..]));
    assert!(event.header("stripe-signature").is_some() && event.header("host").is_none());
    assert_eq!(event.received_at(), SystemTime::UNIX_EPOCH + s(NEW_YEAR.unix_s().unsigned_abs()));
    assert_eq!(event.clone().delivery_id(), event.delivery_id());
    let shown = format!("{event:?}");
    assert!(shown.contains("invoice.paid") && !shown.contains("pending_webhooks") && !shown.contains("v1="), "{shown}");
    let left = program.end().await;
    let story = super::story(left.path(), "evt_2").await;
    assert_eq!((story.state.as_str(), story.tasks.len()), ("done", 0), "no handler wanted it");
}
