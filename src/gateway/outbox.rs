//! The way from a committed event to its handlers: one worker a handler, woken by commits and due times, never polling.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::decide::{RetryPolicy, settle};
use super::notice::{AttemptNotice, Notice, Tell};
use crate::clock::Clock;
use crate::handler::{Call, Handler};
use crate::ledger::{Attempt, Lease, Leased, Ledger, LedgerError, Settled, Settlement, Unreadable, Work};
use crate::model::{HandlerName, Outcome, Reason, Timestamp};

/// A lease outlives the call's deadline by this, so that a result has time to be recorded.
const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// A call ends this long before its lease, whatever kept it from beginning.
const RECORD_MARGIN: Duration = Duration::from_secs(1);
/// How long a worker waits after the store could not answer it.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Longest `Idempotency-Key` that is sent as it is.
const KEY_BYTES_MAX: usize = 255;

/// A handler and how it is to be called.
pub struct Worker {
    /// Its name.
    pub name: HandlerName,
    /// The handler.
    pub handler: Arc<dyn Handler>,
    /// What is done about failures.
    pub policy: RetryPolicy,
    /// How long a call may take.
    pub timeout: Duration,
    /// Calls at a time.
    pub concurrency: usize,
}

/// What all workers share.
pub struct Outbox {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    tell: Tell,
    stop: watch::Sender<bool>,
    workers: tokio::sync::Mutex<JoinSet<()>>,
}

impl Outbox {
    /// An outbox without workers.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, tell: Tell) -> Self {
        Self { ledger, clock, tell, stop: watch::Sender::new(false), workers: tokio::sync::Mutex::new(JoinSet::new()) }
    }

    /// Starts a worker on the present runtime.
    pub async fn start(self: &Arc<Self>, worker: Worker) {
        self.workers.lock().await.spawn(Arc::clone(self).run(Arc::new(worker)));
    }

    /// Leases nothing more, and waits until the calls in hand have ended and are recorded. Dropping the future leaves them their
    /// leases.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let mut workers = self.workers.lock().await;
        while workers.join_next().await.is_some() {}
    }

    async fn run(self: Arc<Self>, worker: Arc<Worker>) {
        let slots = Arc::new(Semaphore::new(worker.concurrency));
        let mut stop = self.stop.subscribe();
        let mut calls = JoinSet::new();
        loop {
            let free = tokio::select! {
                free = free_slots(&slots) => free,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            // A lease counts from some moment after this one, so what ends before counts from here.
            let asked = self.clock.monotonic();
            let leased = self.ledger.lease_tasks(&worker.name, free.len(), worker.timeout + LEASE_MARGIN).await;
            let Some(leased) = self.unless_failed(&worker, leased).await else { break };
            for unreadable in leased.unreadable {
                calls.spawn(Arc::clone(&self).bury(Arc::clone(&worker), unreadable));
            }
            for (work, slot) in leased.work.into_iter().zip(free) {
                calls.spawn(Arc::clone(&self).attempt(Arc::clone(&worker), work, slot, asked));
            }
            while let Some(ended) = calls.try_join_next() {
                tell_of_panic(&worker, &ended);
            }
            tokio::select! {
                () = self.due(&worker, leased.next_due.map(|wait| asked + wait)) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        while let Some(ended) = calls.join_next().await {
            tell_of_panic(&worker, &ended);
        }
    }

    /// Ready once a task of this handler may be due.
    async fn due(&self, worker: &Worker, next_due: Option<Duration>) {
        let Some(deadline) = next_due else { return self.ledger.task_made(&worker.name).await };
        tokio::select! {
            biased;
            () = self.clock.sleep_until(deadline) => {}
            () = self.ledger.task_made(&worker.name) => {}
        }
    }

    /// None once the store has failed for good; nothing leased, and a pause, where it could not answer this time.
    async fn unless_failed(&self, worker: &Worker, leased: Result<Leased, LedgerError>) -> Option<Leased> {
        match leased {
            Ok(leased) => Some(leased),
            Err(LedgerError::Failed(_)) => None,
            Err(error) => {
                tracing::warn!(handler.name = %worker.name, error.code = error.code(), "tasks could not be leased: {error}");
                self.clock.sleep_until(self.clock.monotonic() + STORE_PAUSE).await;
                Some(Leased { work: Vec::new(), unreadable: Vec::new(), next_due: Some(Duration::ZERO) })
            }
        }
    }

    /// One call: offered, judged, recorded. The slot is free once the call has ended: what is leased next need not wait for this
    /// result's commit.
    async fn attempt(self: Arc<Self>, worker: Arc<Worker>, work: Work, slot: OwnedSemaphorePermit, asked: Duration) {
        let (source, event_id, attempt, tries) = (work.source.clone(), work.event_id.clone(), work.attempt, work.tries);
        let started = self.clock.monotonic();
        let ends = (started + worker.timeout).min(asked + worker.timeout + LEASE_MARGIN - RECORD_MARGIN);
        let (lease, call) = call(&worker, work, ends.saturating_sub(started), self.clock.wall());
        let outcome = self.offer(&worker, call, ends).await;
        let duration = self.clock.monotonic().saturating_sub(started);
        drop(slot);
        let settlement = settle(tries, &outcome, &worker.policy, fastrand::f64() * 2.0 - 1.0);
        let settled = self.ledger.settle_task(lease, Attempt { duration, outcome: outcome.clone() }, settlement).await;
        match settled {
            Ok(Settled::Recorded) => {}
            Ok(Settled::LeaseLost) => {
                tracing::warn!(handler.name = %worker.name, event.id = %event_id, "the lease was lost: the result is dropped");
            }
            Err(error) => {
                tracing::warn!(handler.name = %worker.name, event.id = %event_id, error.code = error.code(),
                    "the result could not be recorded, the handler will be called again: {error}");
            }
        }
        let at = self.clock.wall();
        let handler = worker.name.clone();
        (self.tell)(&Notice::Attempt(AttemptNotice { at, handler, source, event_id, attempt, outcome, settlement, duration }));
    }

    /// A task whose event the store cannot give back ends dead, where an operator sees it.
    async fn bury(self: Arc<Self>, worker: Arc<Worker>, unreadable: Unreadable) {
        tracing::error!(handler.name = %worker.name, "a task is given up: {}", unreadable.reason);
        let attempt = Attempt { duration: Duration::ZERO, outcome: Outcome::Broken(unreadable.reason) };
        let settled = self.ledger.settle_task(unreadable.lease, attempt, Settlement::Dead(Reason::Unreadable)).await;
        if let Err(error) = settled {
            tracing::warn!(handler.name = %worker.name, error.code = error.code(), "that could not be recorded: {error}");
        }
    }

    /// The handler's own word, or that there was none in time. A panic is a failed attempt, also one that comes before there is a
    /// future.
    async fn offer(&self, worker: &Worker, call: Call, ends: Duration) -> Outcome {
        if ends <= self.clock.monotonic() {
            return Outcome::Unsent("no time was left for the call: the store was too slow".to_owned());
        }
        let called = AssertUnwindSafe(async { worker.handler.call(call).await }).catch_unwind();
        tokio::select! {
            biased;
            outcome = called => outcome.unwrap_or_else(|_panic| Outcome::Broken("the handler panicked".to_owned())),
            () = self.clock.sleep_until(ends) => Outcome::TimedOut,
        }
    }
}

/// Nobody else hears of it: the task keeps its lease, and is called again after that.
fn tell_of_panic(worker: &Worker, ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(handler.name = %worker.name, "a call's task ended by a bug: {error}");
    }
}

/// Every slot that is free, at least one.
async fn free_slots(slots: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    let mut free = Vec::new();
    free.extend(Arc::clone(slots).acquire_owned().await);
    while let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
        free.push(slot);
    }
    free
}

fn call(worker: &Worker, work: Work, timeout: Duration, now: Timestamp) -> (Lease, Call) {
    let idempotency_key = idempotency_key(&work, &worker.name);
    let call = Call {
        handler: worker.name.clone(),
        source: work.source,
        provider: work.provider,
        event_id: work.event_id,
        event_type: work.event_type,
        delivery_id: work.key,
        received_at: work.received_at,
        attempt: work.attempt,
        redrives: work.redrives,
        idempotency_key,
        headers: work.headers,
        body: work.body,
        timeout,
        now,
    };
    (work.lease, call)
}

/// `source/event_id/handler`: the same at each attempt and each redrive. Each handler's own, as each has its own effect.
fn idempotency_key(work: &Work, handler: &HandlerName) -> Arc<str> {
    let key = format!("{}/{}/{handler}", work.source, work.event_id);
    if key.len() > KEY_BYTES_MAX { format!("sha256:{}", sha256_hex(key.as_bytes())).into() } else { key.into() }
}

fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(bytes))
}
