//! How it ends: in order when it is told to, by itself when nobody holds it, and what is left for the next start.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use hookgate::{Event, Gateway, Handler, Source};
use tokio::sync::mpsc;

use super::{Program, builder, deliver, listen, next, s, scripted, story, task};
use crate::helpers::clock::WatchedClock;
use crate::helpers::gateway::{NEW_YEAR, problem};
use crate::helpers::soon;
use crate::helpers::target::Gate;

/// A handler that tells of each call and ends it once it is let through.
fn gated(gate: &Gate) -> (mpsc::UnboundedReceiver<Event>, Handler) {
    let (tell, told) = mpsc::unbounded_channel();
    let gate = gate.clone();
    let work = move |event| {
        drop(tell.send(event));
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok(())
        }
    };
    (told, Handler::new("billing", work))
}

#[tokio::test]
async fn a_shutdown_waits_for_calls_in_hand_and_records_them() {
    let gate = Gate::closed();
    let (mut calls, handler) = gated(&gate);
    let program = Program::start(|builder| builder.handler_with(handler.concurrency(1))).await;
    program.accept("evt_1", "invoice.paid").await;
    next(&mut calls).await;
    let gateway = program.gateway.clone();
    assert!(gateway.is_ready());
    // A drain is longer than this test: the clock that would end it is the machine's.
    let mut first = tokio::spawn(async move { gateway.shutdown().await });
    let second = program.gateway.clone();
    let mut second = tokio::spawn(async move { second.shutdown().await });
    for number in 2..22 {
        program.accept(&format!("evt_{number}"), "invoice.paid").await;
    }
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none(), "a call is in hand");
    gate.let_through(100);
    soon("the shutdown", first).await.expect("no panic");
    soon("the other one", second).await.expect("no panic");
    assert!(!program.gateway.is_ready());
    assert!(calls.try_recv().is_err(), "what came meanwhile waits for the next start");
    let late = deliver(program.listen, "/hooks/stripe", program.clock.now_s(), "evt_22", "invoice.paid").await;
    assert_eq!(late.status, 503, "{}", late.text());
    assert_eq!(problem(&late), "store-failed");
    let left = program.end().await;
    let task = task(left.path(), "evt_1").await;
    assert_eq!((task.state.as_str(), task.attempts[0].outcome.as_str()), ("done", "succeeded"));
}

#[tokio::test]
async fn what_outlasts_the_drain_is_called_again_after_its_lease_in_the_next_run() {
    let gate = Gate::closed();
    let (mut calls, handler) = gated(&gate);
    let program = Program::start(|builder| builder.drain(s(0)).handler_with(handler.timeout(s(10)))).await;
    program.accept("evt_1", "invoice.paid").await;
    assert_eq!(next(&mut calls).await.attempt(), 1);
    let left = program.end().await;
    assert_eq!(soon("the end of the closure", calls.recv()).await.map(|_| ()), None, "nothing calls it any more");

    let (mut calls, work) = scripted([]);
    let clock = Arc::new(WatchedClock::at(NEW_YEAR));
    let program = Program::start_in(left, clock, |builder| builder.handler("billing", ["*"], work)).await;
    let lease = program.clock.sleeper(s(12), s(12)).await;
    program.clock.advance(lease);
    let event = next(&mut calls).await;
    assert_eq!((event.attempt(), event.idempotency_key()), (2, "stripe/evt_1/billing"));
    let left = program.end().await;
    let task = task(left.path(), "evt_1").await;
    let outcomes: Vec<_> = task.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!(outcomes, ["lost", "succeeded"]);
}

#[tokio::test]
async fn blocking_work_holds_up_no_shutdown_and_goes_on_past_it() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let work = move |_: Event| {
        tell.send("begun").ok();
        // Until nobody holds the other end, on one of the gateway's own threads.
        held.lock().map(|held| held.recv()).ok();
        tell.send("went on").ok();
        std::future::ready(Ok(()))
    };
    let handler = Handler::new("blocking", work);
    let program = Program::start(|builder| builder.drain(Duration::from_millis(1)).handler_with(handler)).await;
    // As many as the gateway has threads.
    for id in ["evt_1", "evt_2"] {
        program.accept(id, "invoice.paid").await;
        assert_eq!(next(&mut told).await, "begun");
    }
    let left = program.end().await;
    let task = task(left.path(), "evt_1").await;
    assert_eq!(task.state.as_str(), "running", "its lease stands");
    drop(release);
    assert_eq!(next(&mut told).await, "went on");
}

/// Waits until nobody has the database open any more.
async fn released(directory: &std::path::Path) {
    let lock = File::open(directory.join("hookgate.db.lock")).expect("the lock file is there");
    let released = tokio::task::spawn_blocking(move || lock.lock().and_then(|()| lock.unlock()));
    soon("the database is let go", released).await.expect("no panic").expect("a lock");
}

/// On one thread only, as actix runs its handlers: what blocked or needed another thread of this runtime would hang.
#[actix_web::test]
async fn the_last_clone_closes_the_database_and_blocks_nobody() {
    let (mut calls, work) = scripted([]);
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(WatchedClock::at(NEW_YEAR));
    let gateway =
        builder(&clock).handler("billing", ["*"], work).open(directory.path().join("hookgate.db")).await.expect("it opens");
    let routes = gateway.routes();
    let (address, handle) = listen(move |config| routes.clone()(config)).await;
    drop(gateway);
    let answer = deliver(address, "/hooks/stripe", clock.now_s(), "evt_1", "invoice.paid").await;
    assert_eq!(answer.status, 200, "the routes hold it");
    next(&mut calls).await;
    soon("the end of the listener", handle.stop(true)).await;
    released(directory.path()).await;
    assert_eq!(story(directory.path(), "evt_1").await.state.as_str(), "done");
}

const fn goes_to_another_thread<T: Send + Sync>(_: &T) {}

#[test]
fn it_opens_and_ends_below_any_executor() {
    let directory = tempfile::tempdir().expect("a directory");
    // Neither a timer nor I/O of tokio is there.
    let bare = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let open = Gateway::builder()
        .source(Source::provider("stripe").secret("whsec_0123456789abcdef"))
        .open(directory.path().join("a.db"));
    let gateway = bare.block_on(async { tokio::spawn(open).await.expect("no panic") }).expect("it opens");
    goes_to_another_thread(&gateway);
    assert!(gateway.is_ready());
    bare.block_on(gateway.shutdown());
    assert!(!gateway.is_ready());
}

#[tokio::test]
async fn a_database_that_is_open_is_not_opened_twice_and_two_databases_are_two_gateways() {
    let [first, second] = [(); 2].map(|()| scripted([]));
    let (mut of_first, mut of_second) = (first.0, second.0);
    let one = Program::start(|builder| builder.handler("billing", ["*"], first.1)).await;
    let two = Program::start(|builder| builder.handler("billing", ["*"], second.1)).await;
    let taken = builder(&one.clock).open(one.directory.path().join("hookgate.db")).await.expect_err("it is open");
    assert_eq!(taken.code(), "database-locked");
    one.accept("evt_1", "invoice.paid").await;
    two.accept("evt_1", "invoice.voided").await;
    assert_eq!(next(&mut of_first).await.event_type(), "invoice.paid");
    assert_eq!(next(&mut of_second).await.event_type(), "invoice.voided");
    drop(one.end().await);
    assert_eq!(two.accept("evt_1", "invoice.voided").await.header("idempotent-replayed"), Some("true"));
    drop(two.end().await);
}
