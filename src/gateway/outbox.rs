//! The way from a committed event to its handlers: one worker a handler, woken by commits and due times, never polling.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::breaker::{Change, Health};
use super::decide::{RetryPolicy, settle};
use super::lane::{Lane, Room, Slot, Wanted};
use super::notice::{AttemptNotice, HandlerChange, HandlerNotice, Notice, Tell};
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
    /// After so many failures in a row it is left alone but for probes; zero is never.
    pub breaker_failures: u32,
}

/// How a handler stands in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Calls that have not ended.
    pub in_hand: usize,
    /// Failures in a row.
    pub failures: u32,
    /// Whether an operator has paused it.
    pub paused: bool,
    /// Where it is left alone for its failures: when it is tried next, from now.
    pub probe_in: Option<Duration>,
}

/// What all workers share.
pub struct Outbox {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    tell: Tell,
    stop: watch::Sender<bool>,
    runtime: Handle,
    lanes: Mutex<BTreeMap<HandlerName, Arc<Lane>>>,
    workers: tokio::sync::Mutex<JoinSet<()>>,
}

impl Outbox {
    /// An outbox without handlers, whose workers run on the present runtime.
    #[must_use]
    pub fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, tell: Tell) -> Self {
        Self {
            ledger,
            clock,
            tell,
            stop: watch::Sender::new(false),
            runtime: Handle::current(),
            lanes: Mutex::default(),
            workers: tokio::sync::Mutex::new(JoinSet::new()),
        }
    }

    /// From now on these handlers are called, but for those that are paused, and no other. Calls in hand end as they began; a handler
    /// that was there keeps its breaker and the count of its calls.
    pub async fn set(self: &Arc<Self>, workers: Vec<Worker>, paused: &[HandlerName]) {
        let mut running = self.workers.lock().await;
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, lane) in lanes.iter() {
            if workers.iter().all(|worker| worker.name != *name) {
                lane.wanted.send_modify(|wanted| wanted.worker = None);
            }
        }
        for worker in workers {
            let lane = Arc::clone(lanes.entry(worker.name.clone()).or_insert_with_key(|name| {
                let lane = Arc::new(Lane::new(name.clone()));
                running.spawn_on(Arc::clone(self).run(Arc::clone(&lane)), &self.runtime);
                lane
            }));
            let paused = paused.contains(&worker.name);
            if worker.breaker_failures == 0 {
                lane.reset();
            }
            lane.wanted.send_replace(Wanted { worker: Some(Arc::new(worker)), paused });
        }
    }

    /// Stops calling a handler, or goes on. A handler that goes on is taken to be well.
    pub fn pause(&self, handler: &HandlerName, paused: bool) {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lane) = lanes.get(handler) else { return };
        let changed = lane.wanted.send_if_modified(|wanted| std::mem::replace(&mut wanted.paused, paused) != paused);
        let closed = !paused && lane.reset().is_some();
        if changed || closed {
            self.tell_change(handler, if paused { HandlerChange::Paused } else { HandlerChange::Resumed });
        }
    }

    /// How a handler stands; none where it is not called at all.
    #[must_use]
    pub fn standing(&self, handler: &HandlerName) -> Option<Standing> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.get(handler)?;
        let wanted = lane.wanted.borrow();
        wanted.worker.as_ref()?;
        let (failures, probe_at) = lane.breaker_state();
        let now = self.clock.monotonic();
        let probe_in = probe_at.map(|at| at.saturating_sub(now));
        Some(Standing { in_hand: lane.in_hand(), failures, paused: wanted.paused, probe_in })
    }

    /// Leases nothing more, and waits until the calls in hand have ended and are recorded. Dropping the future leaves them their
    /// leases.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let mut workers = self.workers.lock().await;
        while workers.join_next().await.is_some() {}
    }

    /// One lane's worker, until the stop. A lease is never given up half way: nobody would know of it.
    async fn run(self: Arc<Self>, lane: Arc<Lane>) {
        let mut stop = self.stop.subscribe();
        let mut wanted = lane.wanted.subscribe();
        let mut calls = JoinSet::new();
        loop {
            let (worker, room) = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                ready = self.room(&lane, &mut wanted) => ready,
            };
            let Some(next_due) = self.lease(&lane, &worker, room, &mut calls).await else { break };
            while let Some(ended) = calls.try_join_next() {
                tell_of_panic(&lane.name, &ended);
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                _ = wanted.changed() => {}
                () = lane.breaker_moved() => {}
                () = self.due(&lane.name, next_due, room) => {}
            }
        }
        while let Some(ended) = calls.join_next().await {
            tell_of_panic(&lane.name, &ended);
        }
    }

    /// Whom to call, and how much may be leased, once that is anything.
    async fn room(&self, lane: &Lane, wanted: &mut watch::Receiver<Wanted>) -> (Arc<Worker>, Room) {
        loop {
            let now = wanted.borrow_and_update().clone();
            let Some(worker) = now.worker.filter(|_| !now.paused) else {
                // The lane is ours as well, so its sender is there.
                drop(wanted.changed().await);
                continue;
            };
            match lane.room(&worker, self.clock.monotonic()) {
                Room::Taken => tokio::select! {
                    () = lane.freed() => {}
                    () = lane.breaker_moved() => {}
                    _ = wanted.changed() => {}
                },
                room => return (worker, room),
            }
        }
    }

    /// Leases what there is room for and has it called. Says when the next task is due, by the monotonic clock; none once the store
    /// has failed for good.
    async fn lease(
        self: &Arc<Self>,
        lane: &Arc<Lane>,
        worker: &Arc<Worker>,
        room: Room,
        calls: &mut JoinSet<()>,
    ) -> Option<Option<Duration>> {
        let most = match room {
            Room::Slots(free) => free,
            Room::Probe => 1,
            Room::NotBefore(_) | Room::Taken => 0,
        };
        // A lease counts from some moment after this one, so what ends before counts from here.
        let asked = self.clock.monotonic();
        let lease_for = worker.timeout + worker.handler.grace() + LEASE_MARGIN;
        let leased = self.ledger.lease_tasks(&lane.name, most, lease_for).await;
        let leased = self.unless_failed(worker, leased).await?;
        for unreadable in leased.unreadable {
            calls.spawn(Arc::clone(self).bury(Arc::clone(worker), unreadable));
        }
        for work in leased.work {
            let slot = lane.take(room == Room::Probe);
            calls.spawn(Arc::clone(self).attempt(Arc::clone(worker), work, slot, asked));
        }
        Some(leased.next_due.map(|wait| asked + wait))
    }

    /// Ready once a task of this handler may be due and may be called.
    async fn due(&self, handler: &HandlerName, next_due: Option<Duration>, room: Room) {
        match (room, next_due) {
            // What comes meanwhile must wait as well.
            (Room::NotBefore(at), Some(due)) if due <= at => self.clock.sleep_until(at).await,
            (_, None) => self.ledger.task_made(handler).await,
            (_, Some(due)) => tokio::select! {
                biased;
                () = self.clock.sleep_until(due) => {}
                () = self.ledger.task_made(handler) => {}
            },
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
    async fn attempt(self: Arc<Self>, worker: Arc<Worker>, work: Work, slot: Slot, asked: Duration) {
        let (source, event_id, attempt, tries) = (work.source.clone(), work.event_id.clone(), work.attempt, work.tries);
        let started = self.clock.monotonic();
        let ends = (started + worker.timeout).min(asked + worker.timeout + LEASE_MARGIN - RECORD_MARGIN);
        let (lease, call) = call(&worker, work, ends.saturating_sub(started), self.clock.wall());
        let outcome = self.offer(&worker, call, ends).await;
        let duration = self.clock.monotonic().saturating_sub(started);
        let settlement = settle(tries, &outcome, &worker.policy, fastrand::f64() * 2.0 - 1.0);
        if let Some(change) = slot.ended(health(&outcome, settlement), worker.breaker_failures, self.clock.monotonic()) {
            self.tell_change(&worker.name, change.into());
        }
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

    fn tell_change(&self, handler: &HandlerName, change: HandlerChange) {
        (self.tell)(&Notice::Handler(HandlerNotice { at: self.clock.wall(), handler: handler.clone(), change }));
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
            () = self.clock.sleep_until(ends + worker.handler.grace()) => Outcome::TimedOut,
        }
    }
}

/// Nobody else hears of it: the task keeps its lease, and is called again after that.
fn tell_of_panic(handler: &HandlerName, ended: &Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(handler.name = %handler, "a call's task ended by a bug: {error}");
    }
}

/// What a call says about its handler. One that we could not make says nothing.
const fn health(outcome: &Outcome, settlement: Settlement) -> Health {
    match (outcome, settlement) {
        (_, Settlement::Done) => Health::Well,
        (Outcome::Unsent(_), _) | (_, Settlement::GivenBack) => Health::Unknown,
        (_, Settlement::RetryIn(_) | Settlement::Dead(_)) => Health::Ill,
    }
}

impl From<Change> for HandlerChange {
    fn from(change: Change) -> Self {
        match change {
            Change::Opened(probe_in) => Self::Failing { probe_in },
            Change::Closed => Self::Recovered,
        }
    }
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
