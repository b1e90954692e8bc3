//! A call ends before its lease does, whatever the store took its time for: P4.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hookgate::clock::{Clock, ManualClock};
use hookgate::gateway::{Notice, Outbox, RetryPolicy, Worker};
use hookgate::handler::{Call, Handler};
use hookgate::ledger::Ledger;
use hookgate::model::{EventReport, Outcome};
use tokio::sync::mpsc;

use crate::helpers::balky::Balky;
use crate::helpers::evidence::{BEGIN, admitted, handler, plan};
use crate::helpers::soon;
use crate::helpers::store::{PATIENCE, directory, open_sqlite, pair, settings};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Tells how much time it was given.
struct Watch(mpsc::UnboundedSender<Duration>);

impl Handler for Watch {
    fn call(&self, call: Call) -> BoxFuture<'_, Outcome> {
        self.0.send(call.timeout).expect("the test listens");
        Box::pin(std::future::ready(Outcome::Answered { status: 200, retry_after: None }))
    }
    fn target(&self) -> String {
        "here".to_owned()
    }
}

/// One event, on a store that takes so long to tell of its lease: what the handler was given, and what became of it.
async fn called_after(takes: Duration) -> (Option<Duration>, EventReport) {
    let directory = directory();
    let clock = Arc::new(ManualClock::at(BEGIN));
    let store: Arc<dyn Ledger> = Arc::new(open_sqlite(settings(directory.path()), &clock).expect("it opens"));
    let (given, mut told) = mpsc::unbounded_channel();
    let (attempted, mut attempts) = mpsc::unbounded_channel();
    let late = Arc::clone(&clock);
    let slow = Balky::slow(
        Arc::clone(&store),
        Box::new(move |leased| {
            if !leased.work.is_empty() {
                late.advance(takes)
            }
        }),
    );
    let slow = Arc::new(slow);
    let tell = Arc::new(move |notice: &Notice| drop(attempted.send(notice.clone())));
    let outbox = Arc::new(Outbox::new(slow, clock as Arc<dyn Clock>, tell));
    let policy = RetryPolicy { delays: vec![TIMEOUT], final_statuses: Vec::new() };
    let worker = Worker {
        name: handler("mail"),
        handler: Arc::new(Watch(given)),
        policy,
        timeout: TIMEOUT,
        concurrency: 1,
        breaker_failures: 0,
    };
    outbox.set(vec![worker], &[]).await;
    store.claim(admitted("shop", "evt_1", 1), plan("", &["mail"]), PATIENCE).await.expect("it is taken");
    soon("the attempt", attempts.recv()).await.expect("it ends");
    outbox.stop().await;
    let report = store.find(pair("evt_1")).await.expect("a read").expect("an event");
    (told.try_recv().ok(), report)
}

#[tokio::test]
async fn a_call_is_given_its_whole_timeout_where_the_store_is_quick() {
    assert_eq!(called_after(Duration::ZERO).await.0, Some(TIMEOUT));
    assert_eq!(called_after(Duration::from_secs(1)).await.0, Some(TIMEOUT), "the lease lasts two seconds longer");
}

#[tokio::test]
async fn a_call_that_begins_late_ends_a_second_before_its_lease() {
    assert_eq!(called_after(Duration::from_secs(3)).await.0, Some(Duration::from_secs(28)));
    assert_eq!(called_after(Duration::from_secs(21)).await.0, Some(Duration::from_secs(10)));
}

#[tokio::test]
async fn no_call_is_made_when_its_lease_is_nearly_over() {
    let (given, report) = called_after(Duration::from_secs(31)).await;
    assert_eq!(given, None);
    let attempt = &report.tasks[0].attempts[0];
    assert_eq!(attempt.outcome, "unsent");
    assert!(attempt.error.as_deref().is_some_and(|error| error.contains("too slow")), "{attempt:?}");
}
