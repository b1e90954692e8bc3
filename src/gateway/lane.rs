//! A handler's lane: what it is called with, its slots, its breaker, and whether an operator has paused it. It outlives reloads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::breaker::{Breaker, Change, Health, Leave};
use super::outbox::Worker;
use crate::model::HandlerName;

/// What a lane is to do.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    /// Whom to call; none where the handler is not configured any more.
    pub(super) worker: Option<Arc<Worker>>,
    /// An operator's pause.
    pub(super) paused: bool,
}

/// See the module.
pub(super) struct Lane {
    pub(super) name: HandlerName,
    pub(super) wanted: watch::Sender<Wanted>,
    in_hand: AtomicUsize,
    freed: Notify,
    breaker: Mutex<Breaker>,
    breaker_moved: Notify,
}

/// What may be leased now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// So many calls.
    Slots(usize),
    /// One call, to see whether the handler is well again.
    Probe,
    /// None before this monotonic time.
    NotBefore(Duration),
    /// None until a call ends.
    Taken,
}

impl Lane {
    pub(super) fn new(name: HandlerName) -> Self {
        Self {
            name,
            wanted: watch::Sender::new(Wanted::default()),
            in_hand: AtomicUsize::new(0),
            freed: Notify::new(),
            breaker: Mutex::default(),
            breaker_moved: Notify::new(),
        }
    }

    /// How much may be leased at this monotonic time. Only the lane's own worker takes slots, so what is free stays free.
    pub(super) fn room(&self, worker: &Worker, now: Duration) -> Room {
        let free = worker.concurrency.saturating_sub(self.in_hand());
        if free == 0 {
            return Room::Taken;
        }
        match self.breaker().leave(now) {
            Leave::All => Room::Slots(free),
            Leave::Probe => Room::Probe,
            Leave::NotBefore(at) => Room::NotBefore(at),
            Leave::Probing => Room::Taken,
        }
    }

    /// Takes a slot for a call.
    pub(super) fn take(self: &Arc<Self>, probe: bool) -> Slot {
        self.in_hand.fetch_add(1, Ordering::Relaxed);
        if probe {
            self.breaker().probe();
        }
        Slot { lane: Arc::clone(self), probe }
    }

    /// Ready once a slot has been given back.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Ready once the breaker has changed.
    pub(super) async fn breaker_moved(&self) {
        self.breaker_moved.notified().await;
    }

    /// Calls in hand.
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::Relaxed)
    }

    /// Failures in a row, and when the next probe is due where the breaker is open.
    pub(super) fn breaker_state(&self) -> (u32, Option<Duration>) {
        self.breaker().state()
    }

    /// An operator says that the handler is well again.
    pub(super) fn reset(&self) -> Option<Change> {
        let change = self.breaker().reset();
        self.breaker_moved.notify_one();
        change
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's slot, given back once the call has ended or is dropped.
pub(super) struct Slot {
    lane: Arc<Lane>,
    probe: bool,
}

impl Slot {
    /// The call has ended so: the breaker hears of it, and the slot is free.
    pub(super) fn ended(mut self, health: Health, most_failures: u32, now: Duration) -> Option<Change> {
        // The next probe may begin at once, and is not to be taken for gone with this one.
        let was_probe = std::mem::take(&mut self.probe);
        let change = self.lane.breaker().ended(health, was_probe, most_failures, now);
        if change.is_some() || was_probe {
            self.lane.breaker_moved.notify_one();
        }
        change
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.probe {
            self.lane.breaker().probe_gone();
        }
        self.lane.in_hand.fetch_sub(1, Ordering::Relaxed);
        self.lane.freed.notify_one();
    }
}
