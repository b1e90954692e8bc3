//! A call ends before its lease does, whatever the store took its time for: P4.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hookgate::clock::{Clock, ManualClock};
use hookgate::gateway::{Notice, Outbox, RetryPolicy, Worker};
use hookgate::handler::{Call, Handler};
use hookgate::ledger::{
    Attempt, Batch, BatchDone, Claim, DeliveryFilter, Discard, Discarded, EventName, Lease, Leased, Ledger, Patience, Plan,
    Redrive, Redriven, Reply, Settled, Settlement, StoreState,
};
use hookgate::model::{DeliveryPage, EventReport, HandlerName, Outcome, SourceName, StatsReport, Timestamp};
use hookgate::verify::Admitted;
use tokio::sync::mpsc;

use crate::helpers::evidence::{BEGIN, admitted, handler, plan};
use crate::helpers::soon;
use crate::helpers::store::{PATIENCE, directory, open_sqlite, pair, settings};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A store that takes its time between a lease and telling of it.
struct Slow {
    store: Arc<dyn Ledger>,
    clock: Arc<ManualClock>,
    takes: Duration,
}

impl Ledger for Slow {
    fn lease_tasks(&self, handler: &HandlerName, limit: usize, lease_for: Duration) -> Reply<'_, Leased> {
        let leased = self.store.lease_tasks(handler, limit, lease_for);
        Box::pin(async move {
            let leased = leased.await?;
            if !leased.work.is_empty() {
                self.clock.advance(self.takes);
            }
            Ok(leased)
        })
    }

    fn claim(&self, admitted: Admitted, plan: Plan, patience: Patience) -> Reply<'_, Claim> {
        self.store.claim(admitted, plan, patience)
    }
    fn settle_task(&self, lease: Lease, attempt: Attempt, settlement: Settlement) -> Reply<'_, Settled> {
        self.store.settle_task(lease, attempt, settlement)
    }
    fn redrive(&self, event: EventName, redrive: Redrive) -> Reply<'_, Redriven> {
        self.store.redrive(event, redrive)
    }
    fn discard(&self, event: EventName, discard: Discard) -> Reply<'_, Discarded> {
        self.store.discard(event, discard)
    }
    fn batch(&self, batch: Batch) -> Reply<'_, BatchDone> {
        self.store.batch(batch)
    }
    fn stats(&self, source: Option<SourceName>, since: Option<Timestamp>) -> Reply<'_, StatsReport> {
        self.store.stats(source, since)
    }
    fn find(&self, event: EventName) -> Reply<'_, Option<EventReport>> {
        self.store.find(event)
    }
    fn body(&self, event: EventName) -> Reply<'_, Option<Option<Bytes>>> {
        self.store.body(event)
    }
    fn deliveries(&self, filter: DeliveryFilter) -> Reply<'_, DeliveryPage> {
        self.store.deliveries(filter)
    }
    fn unhandled(&self, known: Vec<HandlerName>) -> Reply<'_, Vec<(HandlerName, u64)>> {
        self.store.unhandled(known)
    }
    fn task_made(&self, handler: &HandlerName) -> BoxFuture<'static, ()> {
        self.store.task_made(handler)
    }
    fn state(&self) -> StoreState {
        self.store.state()
    }
    fn failed(&self) -> BoxFuture<'static, String> {
        self.store.failed()
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}

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
    let slow = Arc::new(Slow { store: Arc::clone(&store), clock: Arc::clone(&clock), takes });
    let tell = Arc::new(move |notice: &Notice| drop(attempted.send(notice.clone())));
    let outbox = Arc::new(Outbox::new(slow, clock as Arc<dyn Clock>, tell));
    let policy = RetryPolicy { delays: vec![TIMEOUT], final_statuses: Vec::new() };
    let worker = Worker { name: handler("mail"), handler: Arc::new(Watch(given)), policy, timeout: TIMEOUT, concurrency: 1 };
    outbox.start(worker).await;
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
