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
use crate::ledger::{Attempt, Leased, Ledger, LedgerError, Settled, Work};
use crate::model::{HandlerName, Outcome};

/// A lease outlives the call's deadline by this, so that a result has time to be recorded.
const LEASE_MARGIN: Duration = Duration::from_secs(2);
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
            let leased = self.ledger.lease_tasks(&worker.name, free.len(), worker.timeout + LEASE_MARGIN).await;
            let Some(leased) = self.unless_failed(&worker, leased).await else { break };
            for (work, slot) in leased.work.into_iter().zip(free) {
                calls.spawn(Arc::clone(&self).attempt(Arc::clone(&worker), work, slot));
            }
            while calls.try_join_next().is_some() {}
            tokio::select! {
                () = self.due(&worker, leased.next_due) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        while calls.join_next().await.is_some() {}
    }

    /// Ready once a task of this handler may be due.
    async fn due(&self, worker: &Worker, next_due: Option<Duration>) {
        match next_due {
            Some(Duration::ZERO) => {}
            Some(wait) => {
                let deadline = self.clock.monotonic() + wait;
                tokio::select! {
                    () = self.ledger.task_made(&worker.name) => {}
                    () = self.clock.sleep_until(deadline) => {}
                }
            }
            None => self.ledger.task_made(&worker.name).await,
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
                Some(Leased { work: Vec::new(), next_due: Some(Duration::ZERO) })
            }
        }
    }

    /// One call: offered, judged, recorded. The slot is free once the call has ended.
    async fn attempt(self: Arc<Self>, worker: Arc<Worker>, work: Work, slot: OwnedSemaphorePermit) {
        let call = call(&worker, &work, self.clock.wall());
        let started = self.clock.monotonic();
        let outcome = self.offer(&worker, call, started).await;
        let duration = self.clock.monotonic().saturating_sub(started);
        let settlement = settle(work.tries, &outcome, &worker.policy, fastrand::f64() * 2.0 - 1.0);
        let settling = self.ledger.settle_task(work.lease, Attempt { duration, outcome: outcome.clone() }, settlement);
        // The call has ended. The next lease goes into the commit of this result instead of waiting for it.
        drop(slot);
        match settling.await {
            Ok(Settled::Recorded) => {}
            Ok(Settled::LeaseLost) => {
                tracing::warn!(handler.name = %worker.name, event.id = %work.event_id, "the lease was lost: the result is dropped");
            }
            Err(error) => {
                tracing::warn!(handler.name = %worker.name, event.id = %work.event_id, error.code = error.code(),
                    "the result could not be recorded, the handler will be called again: {error}");
            }
        }
        (self.tell)(&Notice::Attempt(AttemptNotice {
            at: self.clock.wall(),
            handler: worker.name.clone(),
            source: work.source,
            event_id: work.event_id,
            attempt: work.attempt,
            outcome,
            settlement,
            duration,
        }));
    }

    /// The handler's own word, or that there was none in time. A panic is a failed attempt.
    async fn offer(&self, worker: &Worker, call: Call, started: Duration) -> Outcome {
        // Within the block, as a handler may panic before it gives a future.
        let called = AssertUnwindSafe(async { worker.handler.call(call).await }).catch_unwind();
        tokio::select! {
            biased;
            outcome = called => {
                outcome.unwrap_or_else(|_panic| Outcome::Broken("the handler panicked".to_owned()))
            }
            () = self.clock.sleep_until(started + worker.timeout) => Outcome::TimedOut,
        }
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

fn call(worker: &Worker, work: &Work, now: crate::model::Timestamp) -> Call {
    Call {
        handler: worker.name.clone(),
        source: work.source.clone(),
        provider: Arc::clone(&work.provider),
        event_id: work.event_id.clone(),
        event_type: Arc::clone(&work.event_type),
        delivery_id: work.key,
        received_at: work.received_at,
        attempt: work.attempt,
        redrives: work.redrives,
        idempotency_key: idempotency_key(work, &worker.name),
        headers: work.headers.clone(),
        body: work.body.clone(),
        timeout: worker.timeout,
        now,
    }
}

/// `source/event_id/handler`: the same at each attempt and each redrive. Each handler's own, as each has its own effect.
///
/// A structured-field string needs `"` and `\` escaped; the key is what the string means.
fn idempotency_key(work: &Work, handler: &HandlerName) -> Arc<str> {
    let key = format!("{}/{}/{handler}", work.source, work.event_id);
    let key = if key.len() > KEY_BYTES_MAX { format!("sha256:{}", sha256_hex(key.as_bytes())) } else { key };
    key.replace('\\', "\\\\").replace('"', "\\\"").into()
}

fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(bytes))
}
