//! A store that keeps back what a test tells it to, and is an ordinary one in all else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hookgate::ledger::{
    Attempt, Batch, BatchDone, Claim, DeliveryFilter, Discard, Discarded, EventName, Lease, Leased, Ledger, LedgerError,
    Patience, Plan, Purged, Redrive, Redriven, Reply, Retention, Settled, Settlement, StoreState,
};
use hookgate::model::{DeliveryPage, EventReport, HandlerName, SourceName, StatsReport, Timestamp};
use hookgate::verify::Admitted;
use tokio::sync::watch;

use super::soon;

/// What is done with a question for an event's body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// Answered.
    Read,
    /// Not answered at all.
    Stuck,
    /// Answered by an error.
    Broken,
}

/// See the module.
pub(crate) struct Balky {
    ledger: Arc<dyn Ledger>,
    bodies: Mutex<Bodies>,
    bodies_asked: watch::Sender<usize>,
    claims: Mutex<Option<Vec<Admitted>>>,
    full: AtomicBool,
    leased: AfterLease,
}

/// What happens between a lease and word of it.
type AfterLease = Box<dyn Fn(&Leased) + Send + Sync>;

impl Balky {
    /// Still an ordinary one.
    pub(crate) fn over(ledger: Arc<dyn Ledger>) -> Self {
        Self::slow(ledger, Box::new(|_| {}))
    }

    /// One where this happens between a lease and word of it.
    pub(crate) fn slow(ledger: Arc<dyn Ledger>, leased: AfterLease) -> Self {
        Self {
            ledger,
            bodies: Mutex::new(Bodies::Read),
            bodies_asked: watch::channel(0).0,
            claims: Mutex::new(None),
            full: AtomicBool::new(false),
            leased,
        }
    }

    /// From now on.
    pub(crate) fn set_bodies(&self, bodies: Bodies) {
        *lock(&self.bodies) = bodies;
    }

    /// Ready once so many bodies have been asked for.
    pub(crate) async fn bodies_asked(&self, count: usize) {
        let mut asked = self.bodies_asked.subscribe();
        drop(soon("a question for a body", asked.wait_for(|have| *have >= count)).await);
    }

    /// Whether it says from now on that claims find no place. They still do.
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// From now on claims wait, as in a queue that does not move.
    pub(crate) fn keep_claims(&self) {
        *lock(&self.claims) = Some(Vec::new());
    }

    /// What waits is let go, and claims are taken again.
    pub(crate) fn release_claims(&self) {
        *lock(&self.claims) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger for Balky {
    fn claim(&self, admitted: Admitted, plan: Plan, patience: Patience) -> Reply<'_, Claim> {
        if let Some(kept) = &mut *lock(&self.claims) {
            kept.push(admitted);
            return Box::pin(std::future::pending());
        }
        self.ledger.claim(admitted, plan, patience)
    }

    fn lease_tasks(&self, handler: &HandlerName, limit: usize, lease_for: Duration) -> Reply<'_, Leased> {
        let leased = self.ledger.lease_tasks(handler, limit, lease_for);
        Box::pin(async move { leased.await.inspect(|leased| (self.leased)(leased)) })
    }

    fn settle_task(&self, lease: Lease, attempt: Attempt, settlement: Settlement) -> Reply<'_, Settled> {
        self.ledger.settle_task(lease, attempt, settlement)
    }

    fn redrive(&self, event: EventName, redrive: Redrive) -> Reply<'_, Redriven> {
        self.ledger.redrive(event, redrive)
    }

    fn purge(&self, retention: Retention, limit: usize) -> Reply<'_, Purged> {
        self.ledger.purge(retention, limit)
    }

    fn discard(&self, event: EventName, discard: Discard) -> Reply<'_, Discarded> {
        self.ledger.discard(event, discard)
    }

    fn batch(&self, batch: Batch) -> Reply<'_, BatchDone> {
        self.ledger.batch(batch)
    }

    fn stats(&self, source: Option<SourceName>, since: Option<Timestamp>) -> Reply<'_, StatsReport> {
        self.ledger.stats(source, since)
    }

    fn find(&self, event: EventName) -> Reply<'_, Option<EventReport>> {
        self.ledger.find(event)
    }

    fn body(&self, event: EventName) -> Reply<'_, Option<Option<Bytes>>> {
        let bodies = *lock(&self.bodies);
        self.bodies_asked.send_modify(|count| *count += 1);
        match bodies {
            Bodies::Read => self.ledger.body(event),
            Bodies::Stuck => Box::pin(std::future::pending()),
            Bodies::Broken => Box::pin(std::future::ready(Err(LedgerError::RolledBack("a test wants it".into())))),
        }
    }

    fn deliveries(&self, filter: DeliveryFilter) -> Reply<'_, DeliveryPage> {
        self.ledger.deliveries(filter)
    }

    fn pause(&self, handler: &HandlerName, paused: bool) -> Reply<'_, bool> {
        self.ledger.pause(handler, paused)
    }

    fn paused(&self) -> Reply<'_, Vec<(HandlerName, Timestamp)>> {
        self.ledger.paused()
    }

    fn name_providers(&self, sources: Vec<(SourceName, String)>) -> Reply<'_, ()> {
        self.ledger.name_providers(sources)
    }

    fn has_room(&self) -> bool {
        !self.full.load(Ordering::Relaxed) && self.ledger.has_room()
    }

    fn unhandled(&self, known: Vec<HandlerName>) -> Reply<'_, Vec<(HandlerName, u64)>> {
        self.ledger.unhandled(known)
    }

    fn task_made(&self, handler: &HandlerName) -> BoxFuture<'static, ()> {
        self.ledger.task_made(handler)
    }

    fn state(&self) -> StoreState {
        self.ledger.state()
    }

    fn failed(&self) -> BoxFuture<'static, String> {
        self.ledger.failed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.ledger.close()
    }
}
