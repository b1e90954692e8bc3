//! What the writer's thread and everybody else have in common.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::command::{Fault, Job, Kind, Order, Tx};
use super::disk::Disk;
use super::row::micros;
use crate::clock::Clock;
use crate::ledger::{LedgerError, Note, Patience, StoreState};
use crate::model::{HandlerName, Timestamp};
use crate::sync::{Entry, Queue, Refused, Wakes, oneshot, watch};

/// Most notes that wait for the writer.
const NOTES_MAX: usize = 8192;

/// The ledger's own time: the wall clock at open, and then what has passed. Setting the wall clock moves no task.
pub(super) struct LedgerTime {
    clock: Arc<dyn Clock>,
    wall_at_open_us: i64,
    opened: Duration,
}

impl LedgerTime {
    pub(super) fn start(clock: Arc<dyn Clock>) -> Self {
        let (wall_at_open_us, opened) = (clock.wall().0, clock.monotonic());
        Self { clock, wall_at_open_us, opened }
    }

    pub(super) fn now_us(&self) -> i64 {
        self.wall_at_open_us.saturating_add(micros(self.monotonic().saturating_sub(self.opened)))
    }

    pub(super) fn wall_us(&self) -> i64 {
        self.clock.wall().0
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.now_us())
    }

    pub(super) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// See the module.
pub(super) struct Shared {
    pub queue: Queue<Order, Note>,
    pub wakes: Wakes<HandlerName>,
    pub time: LedgerTime,
    pub state: watch::Sender<StoreState>,
    pub dropped: AtomicU64,
    pub disk: Disk,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(places: usize, time: LedgerTime, state: StoreState, disk: Disk) -> Self {
        Self {
            queue: Queue::new(places, NOTES_MAX),
            wakes: Wakes::new(),
            time,
            state: watch::channel(state).0,
            dropped: AtomicU64::new(0),
            disk,
        }
    }

    /// Final for the process, whoever found it: after a failed write the kernel may call the next flush fine, and what is damaged
    /// must not be answered from. Says what everybody is told from now on.
    pub(super) fn fail(&self, error: &rusqlite::Error) -> LedgerError {
        self.fail_for(error.to_string())
    }

    /// The same for a reason that SQLite does not know of.
    pub(super) fn fail_for(&self, reason: String) -> LedgerError {
        let before = self.state.send_replace(StoreState::Failed(reason.clone()));
        if !matches!(before, StoreState::Failed(_)) {
            tracing::error!(reason, "the store has failed: nothing more is taken; restart to recover from disk");
            if let Err(error) = self.disk.mark_failed(&reason) {
                tracing::warn!(%error, "the marker of the failure could not be written");
            }
        }
        LedgerError::Failed(reason)
    }

    /// Whether claims are taken, as an error where they are not.
    pub(super) fn check_claims(&self) -> Result<(), LedgerError> {
        match &*self.state.borrow() {
            StoreState::Ready => Ok(()),
            StoreState::Full => Err(LedgerError::Full),
            StoreState::Failed(reason) => Err(LedgerError::Failed(reason.clone())),
        }
    }

    /// Asks the writer for a claim.
    pub(super) async fn claim<T: Send + 'static>(
        &self,
        body_bytes: usize,
        patience: Patience,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.check_claims()?;
        let began = self.time.monotonic();
        let place = match self.queue.try_place() {
            Err(Refused::Full) if !patience.queue.is_zero() => {
                self.queue.place(self.time.clock.sleep_until(began.saturating_add(patience.queue))).await
            }
            at_once => at_once,
        };
        let place = match place {
            Ok(place) => place,
            Err(Refused::Full) => return Err(LedgerError::Overloaded),
            Err(Refused::Closed) => return Err(self.gone()),
        };
        let kind = Kind::Claim { until: began.saturating_add(patience.busy) };
        let (reply, answer) = oneshot::channel();
        let order = Order { command: Box::new(Job::new(work, reply)), kind, rollbacks: 0 };
        self.queue.push(Entry::bounded(order, body_bytes, place)).map_err(|_entry| self.gone())?;
        answer.await.unwrap_or_else(|_gone| Err(self.gone()))
    }

    /// Asks the writer for anything else.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let order = Order { command: Box::new(Job::new(work, reply)), kind: Kind::Other, rollbacks: 0 };
        self.queue.push(Entry::unbounded(order)).map_err(|_entry| self.gone())?;
        answer.await.unwrap_or_else(|_gone| Err(self.gone()))
    }

    /// Asks the writer for something that has time: it goes alone, between the groups of others.
    pub(super) async fn ask_between<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let order = Order { command: Box::new(Job::new(work, reply)), kind: Kind::Background, rollbacks: 0 };
        self.queue.push_between(Entry::unbounded(order)).map_err(|_entry| self.gone())?;
        answer.await.unwrap_or_else(|_gone| Err(self.gone()))
    }

    /// Nobody is there to do it.
    pub(super) fn gone(&self) -> LedgerError {
        match &*self.state.borrow() {
            StoreState::Failed(reason) => LedgerError::Failed(reason.clone()),
            StoreState::Ready | StoreState::Full => LedgerError::Failed("it is closed".into()),
        }
    }

    pub(super) fn drop_notes(&self, notes: usize) {
        self.dropped.fetch_add(u64::try_from(notes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
