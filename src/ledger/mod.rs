//! The contracts of the store: events and their tasks (`Ledger`), and the delivery log (`Journal`).
//!
//! They speak in transitions, not in rows: `claim`, `lease_tasks`, `settle_task`, `redrive`. Which state may become which is one
//! table ([`TRANSITIONS`]); what needs judgement is decided by the caller and arrives as a [`Settlement`]. No transition takes an
//! instant: they take durations and the store owns the clock. Instants that come back are for display.
//!
//! This room knows nothing of HTTP, handlers, providers and signatures: it sees only [`Admitted`]. SQL appears nowhere else.

mod operator;
mod retention;
pub mod sqlite;
mod transitions;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::model::{
    Ack, DeliveryId, DeliveryPage, Digest, EventId, EventReport, EventState, HandlerName, Headers, Outcome, Reason, SourceName,
    StatsReport, Timestamp, Verdict,
};
use crate::verify::Admitted;

pub use operator::{
    Aim, BATCH_MAX, Batch, BatchDone, Cursor, Deed, Discard, Discarded, EventDone, EventFacts, EventFilter, InvalidCursor, Judge,
    Skip, Stays,
};
pub use retention::{Purged, Retention};
pub use transitions::{TRANSITIONS, Transition, Verb};

/// What is to be recorded with a claim besides the evidence.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The answer that this delivery and every repeat of it get.
    pub ack: Ack,
    /// The handlers that get a task each.
    pub handlers: Arc<[HandlerName]>,
    /// Why there is none, where there is none.
    pub reason: Option<Reason>,
}

/// What a claim found out.
#[derive(Clone, Debug)]
pub enum Claim {
    /// The event is new; it, its body, its acknowledgement and its tasks are on stable storage.
    First,
    /// The event was claimed before, by this row.
    Found(Found),
}

/// The row of an event that was claimed before.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its key: the id of its first delivery.
    pub key: DeliveryId,
    /// The recorded acknowledgement.
    pub ack: Ack,
    /// The first body's digest.
    pub body_digest: Digest,
}

/// The proof that a task is ours for a while. Made by [`Ledger::lease_tasks`], taken by [`Ledger::settle_task`].
///
/// It is fenced: once the lease has been given to somebody else, settling with the old one changes nothing.
#[derive(Debug)]
pub struct Lease {
    task: i64,
    claim_seq: i64,
}

/// A leased task: what its handler is to be told.
pub struct Work {
    /// The proof.
    pub lease: Lease,
    /// The event's source.
    pub source: SourceName,
    /// The source's provider at the last start.
    pub provider: Arc<str>,
    /// The event's id.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: Arc<str>,
    /// The id of its first delivery, the event's key.
    pub key: DeliveryId,
    /// When its first delivery came.
    pub received_at: Timestamp,
    /// Number of this attempt: 1, 2, ... It goes on after a redrive.
    pub attempt: u32,
    /// Number of this attempt in the present schedule: 1, 2, ... It begins anew with a redrive.
    pub tries: u32,
    /// How often the task was redriven.
    pub redrives: u32,
    /// The kept headers.
    pub headers: Headers,
    /// The body as received.
    pub body: Bytes,
}

impl fmt::Debug for Work {
    /// Of the body its length alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lease, source, event_id, attempt, .. } = self;
        let mut told = f.debug_struct("Work");
        told.field("lease", lease).field("source", source).field("event_id", event_id).field("attempt", attempt);
        told.field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// What [`Ledger::lease_tasks`] gives.
#[derive(Debug)]
pub struct Leased {
    /// The tasks, each with a lease of its own, longest due first.
    pub work: Vec<Work>,
    /// Tasks whose event could not be read back: nobody can be called for them.
    pub unreadable: Vec<Unreadable>,
    /// How long until the next task of this handler is due, where one waits: zero where more are due now.
    pub next_due: Option<Duration>,
}

/// A leased task whose event could not be read back.
#[derive(Debug)]
pub struct Unreadable {
    /// The proof, to settle it with.
    pub lease: Lease,
    /// What was wrong, for people.
    pub reason: String,
}

/// What becomes of a task after an attempt. The caller's judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The handler did it.
    Done,
    /// Again after this long.
    RetryIn(Duration),
    /// Given up.
    Dead(Reason),
    /// Due at once, as if it had not been tried: its attempt is recorded, and is none of its schedule.
    GivenBack,
}

/// One finished call, to be kept with its task.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// How long it took.
    pub duration: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// What [`Ledger::settle_task`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The task is as settled.
    Recorded,
    /// The lease had gone to somebody else: nothing was changed, the result is to be dropped.
    LeaseLost,
}

/// Which tasks of an event are to be made due again.
#[derive(Clone, Debug, Default)]
pub struct Redrive {
    /// Only this handler's. Every handler's where it is none.
    pub handler: Option<HandlerName>,
    /// Makes a task for this handler, or moves the chosen dead or waiting one to it.
    pub to_handler: Option<HandlerName>,
    /// Done and discarded tasks too, not only dead ones.
    pub force: bool,
    /// The handlers that match the event by now: an event that had no handler gets tasks for them.
    pub matching: Vec<HandlerName>,
}

/// What [`Ledger::redrive`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redriven {
    /// Tasks that are due now and were not before.
    pub tasks: u64,
}

/// How an operator names an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventName {
    /// By any delivery of it, its first one's id being its key.
    Delivery(DeliveryId),
    /// By source and id.
    Pair(SourceName, EventId),
    /// By id alone, where only one source has it.
    Bare(EventId),
}

/// Which deliveries a listing shows. Every given condition must hold.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Of this source.
    pub source: Option<SourceName>,
    /// Of this event id.
    pub event_id: Option<EventId>,
    /// Of a type that matches this glob (`*` is any run of characters).
    pub event_type: Option<String>,
    /// Of this verdict.
    pub verdict: Option<Verdict>,
    /// Whose event is in this state now.
    pub state: Option<EventState>,
    /// Whose event has a task of this handler.
    pub handler: Option<HandlerName>,
    /// Received at this time or later.
    pub since: Option<Timestamp>,
    /// Only those older than this one: the next page, newest first.
    pub before: Option<DeliveryId>,
    /// Only those newer than this one, oldest first: what a follower asks for.
    pub after: Option<DeliveryId>,
    /// At most so many.
    pub limit: usize,
}

/// What a store can refuse or fail with. Each has one answer to a delivery and one remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The queue to the writer is full. Nothing was done; try again.
    #[error("the store's queue is full")]
    Overloaded,
    /// Another process held the database longer than patience allowed. Nothing was done; try again.
    #[error("the database is locked by another process")]
    Busy,
    /// The disk is full. Claims stop until there is room; results of attempts are still taken.
    #[error("the disk is full: free some space, claims resume by themselves")]
    Full,
    /// A write or a flush failed, or the database is damaged. Final for this process: nothing more is taken.
    #[error("the store has failed for good ({0}); restart to recover from disk")]
    Failed(String),
    /// The statement or its group was rolled back. Nothing of it is in the store.
    #[error("the store rolled the change back ({0})")]
    RolledBack(String),
    /// There is no such event.
    #[error("no such event")]
    NotFound,
    /// A bare id that several sources have.
    #[error("several sources have this event id: name it as SOURCE/EVENT_ID")]
    Ambiguous,
    /// The body has been purged, so no handler can get it.
    #[error("the event's body has been purged")]
    BodyPurged,
    /// A task that is to be discarded is in a handler's hands.
    #[error("a task of the event runs: try again once its handler has answered, or its lease has ended")]
    TaskRunning,
}

impl LedgerError {
    /// A stable word for answers, logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Busy => "store-busy",
            Self::Full => "storage-full",
            Self::Failed(_) => "store-failed",
            Self::RolledBack(_) => "store-unavailable",
            Self::NotFound => "not-found",
            Self::Ambiguous => "ambiguous-id",
            Self::BodyPurged => "body-purged",
            Self::TaskRunning => "task-running",
        }
    }
}

/// Whether the store takes claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It does.
    Ready,
    /// Not while the disk is full, or has less than the set minimum free.
    Full,
    /// Never again in this process.
    Failed(String),
}

/// How long a claim may wait for the store.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a place in the queue; zero refuses at once when it is full.
    pub queue: Duration,
    /// For a database that another process has locked.
    pub busy: Duration,
}

/// The answer of a store, later.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, LedgerError>>;

/// Events and their tasks.
///
/// Every method that changes something answers only once the change is on stable storage. A method that answers with an error
/// has changed nothing that anybody can see, with two exceptions: after [`LedgerError::Failed`] the outcome is known at the next
/// start, and after [`LedgerError::Busy`] or a dropped reply a claim already handed over may still be committed.
pub trait Ledger: Send + Sync {
    /// Makes the event ours, if nobody has claimed `(source, event_id)` before: the row, its body, its acknowledgement and one
    /// pending task for each handler of the plan, due now, all in one commit. Who is first is decided by the insert alone.
    ///
    /// After a crash: before the commit nothing is there and the provider's retry is a first delivery; after it everything is
    /// there, and the retry finds the recorded acknowledgement.
    ///
    /// # Errors
    /// `Overloaded`, `Busy`, `Full`, `Failed`, `RolledBack`.
    fn claim(&self, admitted: Admitted, plan: Plan, patience: Patience) -> Reply<'_, Claim>;

    /// Leases up to `limit` due tasks of one handler for `lease_for` each, raising their attempt number; fewer where their bodies
    /// together are large. A task is due when it is pending and its delay has passed, or when it is running and its lease has ended.
    /// A lease counts from a moment after the question and before the answer.
    ///
    /// After a crash: the lease stands. It ends its full length after the next start, and the attempt is recorded as lost.
    ///
    /// # Errors
    /// `Failed`, `RolledBack`.
    fn lease_tasks(&self, handler: &HandlerName, limit: usize, lease_for: Duration) -> Reply<'_, Leased>;

    /// Records an attempt and what becomes of its task, if the lease is still the newest.
    ///
    /// After a crash before the commit the attempt is as if it had not answered: see [`Ledger::lease_tasks`].
    ///
    /// # Errors
    /// `Failed`, `RolledBack`. It waits through a locked database and a full disk.
    fn settle_task(&self, lease: Lease, attempt: Attempt, settlement: Settlement) -> Reply<'_, Settled>;

    /// Makes dead tasks of an event due now, with the same ids, attempt numbers going on and the schedule begun anew.
    /// Idempotent: a second redrive of the same dead task finds it pending and changes nothing.
    ///
    /// # Errors
    /// `NotFound`, `Ambiguous`, `BodyPurged`, `Failed`, `RolledBack`.
    fn redrive(&self, event: EventName, redrive: Redrive) -> Reply<'_, Redriven>;

    /// Purges what is older than it is kept for, by the wall clock: at most `limit` bodies, as many events and twice as many rows of the
    /// log, fewer where they take more than a few milliseconds. Bodies of done events go first, then, `retention.dedupe` after the
    /// event was done, all that is left of it; a repeat is a new event from then on. Nothing of an event that is accepted or dead
    /// goes. It is done between the commits of others, and again and again until nothing is left.
    ///
    /// After a crash: the batch is there or not.
    ///
    /// # Errors
    /// `Busy`, `Full`, `Failed`, `RolledBack`.
    fn purge(&self, retention: Retention, limit: usize) -> Reply<'_, Purged>;

    /// Ends dead tasks of an event, and open ones that nobody will be called for, with who wants it and why; with `force` waiting
    /// ones too. The body stays, so that a redrive by force can take it back. Idempotent: what is discarded stays as it is.
    ///
    /// # Errors
    /// `NotFound`, `Ambiguous`, `TaskRunning` where one of the chosen tasks runs, `Failed`, `RolledBack`.
    fn discard(&self, event: EventName, discard: Discard) -> Reply<'_, Discarded>;

    /// Redrives or discards the next events that a filter names, as they are in the batch's one transaction. What can be done with
    /// an event is done; of the others it is told why not. Claims wait for one batch at most.
    ///
    /// After a crash: the batch is there as a whole, or nothing of it.
    ///
    /// # Errors
    /// `Failed`, `RolledBack`.
    fn batch(&self, batch: Batch) -> Reply<'_, BatchDone>;

    /// Counts by source and by handler; of events first received at `since` or later, where that is given, and of one source.
    ///
    /// # Errors
    /// `NotFound` where nobody knows of the source, `RolledBack` where it could not be read.
    fn stats(&self, source: Option<SourceName>, since: Option<Timestamp>) -> Reply<'_, StatsReport>;

    /// Remembers that a handler is paused, or is not any more. A pause outlives restarts. Whether that changes anything is told.
    ///
    /// # Errors
    /// `Failed`, `RolledBack`.
    fn pause(&self, handler: &HandlerName, paused: bool) -> Reply<'_, bool>;

    /// The handlers that are paused, and since when.
    ///
    /// # Errors
    /// `RolledBack` where it could not be read.
    fn paused(&self) -> Reply<'_, Vec<(HandlerName, Timestamp)>>;

    /// The providers that sources have by now, which handlers are told.
    ///
    /// # Errors
    /// `Failed`, `RolledBack`.
    fn name_providers(&self, sources: Vec<(SourceName, String)>) -> Reply<'_, ()>;

    /// One event's whole story, if there is such an event.
    ///
    /// # Errors
    /// `Ambiguous`, `RolledBack` where it could not be read.
    fn find(&self, event: EventName) -> Reply<'_, Option<EventReport>>;

    /// An event's body: `Some(None)` where it has been purged.
    ///
    /// # Errors
    /// `Ambiguous`, `RolledBack` where it could not be read.
    fn body(&self, event: EventName) -> Reply<'_, Option<Option<Bytes>>>;

    /// A page of deliveries. A first delivery is always among them, also where the log lost its row.
    ///
    /// # Errors
    /// `RolledBack` where it could not be read.
    fn deliveries(&self, filter: DeliveryFilter) -> Reply<'_, DeliveryPage>;

    /// Open tasks of handlers that are not among `known`, by handler: nobody will call them.
    ///
    /// # Errors
    /// `RolledBack` where it could not be read.
    fn unhandled(&self, known: Vec<HandlerName>) -> Reply<'_, Vec<(HandlerName, u64)>>;

    /// Ready once a commit may have made a task of this handler due earlier than the last [`Ledger::lease_tasks`] said. Such a commit
    /// is never missed: a call that comes after it is ready as soon as its group has been answered. Costs nothing while nothing
    /// happens.
    fn task_made(&self, handler: &HandlerName) -> BoxFuture<'static, ()>;

    /// Whether claims are taken, known without asking the disk.
    fn state(&self) -> StoreState;

    /// Whether a claim would find a place in the queue now.
    fn has_room(&self) -> bool;

    /// Ready once the store has failed for good, with the reason.
    fn failed(&self) -> BoxFuture<'static, String>;

    /// Writes what is still queued, checkpoints, and closes. Nothing is taken afterwards.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A row of the delivery log, before it is one.
#[derive(Clone, Debug)]
pub struct Note {
    /// Our id of the delivery.
    pub delivery_id: DeliveryId,
    /// When its head had been read.
    pub received_at: Timestamp,
    /// Its source.
    pub source: SourceName,
    /// The event it is about, by key and id; none where it was rejected.
    pub event: Option<(DeliveryId, EventId)>,
    /// What it turned out to be.
    pub verdict: Verdict,
    /// The status that it was answered.
    pub status: u16,
    /// Why, where that needs a reason.
    pub reason: Option<&'static str>,
    /// Whether its body was not the first one's.
    pub body_differs: bool,
    /// From the head to the answer.
    pub duration: Duration,
    /// SHA-256 of the raw body, where it was read.
    pub body_digest: Option<Digest>,
    /// See [`Admitted::signed_digest`].
    pub signed_digest: Option<Digest>,
    /// Whether to look for the same signed content under another id: of a first delivery whose id is not signed.
    pub guard_replay: bool,
}

/// The delivery log: best effort, bounded, never waited for on the request path.
pub trait Journal: Send + Sync {
    /// Hands a row over, to be written with whatever is written next, at most 100 ms later. Where the queue is full the row is
    /// dropped and counted. After a crash the last moments may be missing.
    fn note(&self, note: Note);

    /// How many rows were dropped since the start.
    fn dropped(&self) -> u64;
}
