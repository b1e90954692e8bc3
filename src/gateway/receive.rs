//! THE request path: from a delivery's head to its answer, in the order of the specification.
//!
//! Cheap and unauthenticated checks come first; nothing is written before the claim, and the claim takes only what passed the
//! check. An answer of 2xx exists only for what is on stable storage.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::OwnedSemaphorePermit;
use uuid::ContextV7;

use super::address::Sender;
use super::decide::{Difference, compare};
use super::notice::Tell;
use super::scribe::{Scribe, Seen};
use super::{Held, Load, Problem, Routes, Source, SourceSettings};
use crate::clock::Clock;
use crate::ledger::{Claim, EventName, Found, Journal, Ledger, LedgerError, Patience, Plan, StoreState};
use crate::model::{Ack, Delivery, DeliveryId, Reason, Timestamp, Verdict};
use crate::verify::{Admitted, Refusal, RefusalKind};

/// Bodies over this are verified off the async threads: a MAC over 25 MiB takes some 20 ms.
const INLINE_BODY_BYTES_MAX: usize = 256 << 10;
/// What is told of a delivery whose check panicked or was given up: a fault of ours.
const CHECK_FAILED: &str = "check-failed";
/// What the log says of a repeat whose body is not the first one's, where the two could not be compared.
const NOT_COMPARED: &str = "not-compared";

/// What the request path goes by. A reload replaces it whole.
#[derive(Debug)]
pub struct ReceiverSettings {
    /// The configured sources.
    pub sources: Vec<SourceSettings>,
    /// What every handler hears.
    pub routes: Routes,
    /// Most requests in hand.
    pub in_flight: usize,
    /// Most bytes of bodies in hand.
    pub bodies_in_hand: u64,
    /// How long a claim waits for a locked database, where the sender comes again by itself.
    pub busy_timeout: Duration,
    /// Largest head in bytes.
    pub header_limit: usize,
    /// How long a body may take.
    pub body_deadline: Duration,
}

/// The same, ready for requests.
struct Table {
    sources: HashMap<Box<str>, Arc<Source>>,
    routes: Routes,
    busy_timeout: Duration,
    header_limit: usize,
    body_deadline: Duration,
}

/// The request path.
pub struct Receiver {
    table: ArcSwap<Table>,
    load: Load,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    scribe: Scribe,
    ids: Mutex<ContextV7>,
}

/// A request's head, as far as it decides anything before the body is read.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The last part of the path, as it stands.
    pub source: &'a str,
    /// The method.
    pub method: &'a str,
    /// Bytes of all its fields.
    pub header_bytes: usize,
    /// `Content-Length`, where there is one.
    pub content_length: Option<u64>,
    /// Every `Content-Encoding`, joined.
    pub content_encoding: Option<&'a str>,
    /// Where it comes from.
    pub sender: Sender<'a>,
}

/// A request that may send its body.
pub struct Entry {
    /// Its source.
    pub source: Arc<Source>,
    /// Our id of the delivery.
    pub id: DeliveryId,
    /// The wall clock when its head had been read.
    pub received_at: Timestamp,
    /// The account for its body's bytes.
    pub held: Held,
    pub(super) started: Duration,
    busy_timeout: Duration,
    header_limit: usize,
    body_deadline: Duration,
}

impl Entry {
    /// Largest body that is read.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        self.source.settings.body_limit
    }
}

/// What a request is told.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The event is ours: the recorded acknowledgement.
    Acked {
        /// Status, recorded headers and body.
        ack: Ack,
        /// `SOURCE/EVENT_ID`.
        event: String,
        /// Whether it was recorded for an earlier delivery.
        replayed: bool,
    },
    /// It was not taken.
    Problem(Problem),
    /// It was not taken for its method; these are.
    Allow(Vec<String>),
}

impl Receiver {
    /// Assembles it.
    #[must_use]
    pub fn new(
        settings: ReceiverSettings,
        ledger: Arc<dyn Ledger>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        tell: Tell,
    ) -> Self {
        let load = Load::new(settings.in_flight, settings.bodies_in_hand);
        let table = ArcSwap::from_pointee(Table::new(settings, &load, &HashMap::new()));
        let scribe = Scribe::new(journal, Arc::clone(&clock), tell);
        Self { table, load, ledger, clock, scribe, ids: Mutex::new(ContextV7::new()) }
    }

    /// From the next request on it goes by these. Requests in hand go on with the source that they came to, and get the handlers of
    /// the moment of their claim.
    pub fn set(&self, settings: ReceiverSettings) {
        self.load.set(settings.in_flight, settings.bodies_in_hand);
        let table = Table::new(settings, &self.load, &self.table.load().sources);
        self.table.store(Arc::new(table));
    }

    /// What every handler hears.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.table.load().routes.clone()
    }

    /// Steps 1 to 5: everything that the head decides. The body has not been read.
    ///
    /// # Errors
    /// The answer, where it ends here.
    pub async fn enter(&self, head: Head<'_>) -> Result<Entry, Answer> {
        let entry = {
            let table = self.table.load();
            self.open(&table, self.source(&table, head)?)
        };
        if let Some(problem) = self.store_problem() {
            return Err(self.turn_away(&entry, problem));
        }
        if entry.source.taken.as_ref().is_some_and(|rate| !rate.pass(entry.started)) {
            return Err(self.turn_away(&entry, Problem::RateLimited));
        }
        if self.is_shed(&entry) {
            return Err(self.turn_away(&entry, Problem::Overloaded));
        }
        // Without a place now no byte of the body is read; who does not come again waits for one. It is not kept meanwhile: a
        // stranger who sends slowly would hold it.
        if self.place(&entry).await.is_none() {
            return Err(self.turn_away(&entry, Problem::Overloaded));
        }
        if let Some(problem) = head_problem(&entry, head) {
            return Err(self.turn_away(&entry, problem));
        }
        Ok(entry)
    }

    /// Steps 1 and 2.
    fn source<'a>(&self, table: &'a Table, head: Head<'_>) -> Result<&'a Arc<Source>, Answer> {
        let (problem, answer) = match table.sources.get(head.source) {
            None => (Problem::UnknownSource, Answer::Problem(Problem::UnknownSource)),
            Some(source) if source.settings.retired => (Problem::Retired, Answer::Problem(Problem::Retired)),
            Some(source) if let Err(from) = source.settings.admit(head.sender) => {
                self.scribe.stray(head, Problem::AddressNotAllowed, from);
                return Err(Answer::Problem(Problem::AddressNotAllowed));
            }
            Some(source) if source.settings.methods.iter().any(|method| method == head.method) => return Ok(source),
            Some(source) => (Problem::MethodNotAllowed, Answer::Allow(source.settings.methods.clone())),
        };
        self.scribe.stray(head, problem, None);
        Err(answer)
    }

    /// Ends a request whose body could not be read.
    pub fn abandon(&self, entry: &Entry, problem: Problem) -> Answer {
        self.turn_away(entry, problem)
    }

    /// Steps 7 to 10, on a whole delivery.
    pub async fn receive(&self, entry: Entry, delivery: Delivery) -> Answer {
        let Some(_place) = self.place(&entry).await else { return self.turn_away(&entry, Problem::Overloaded) };
        match self.verify(&entry.source, delivery).await {
            Some(Ok(admitted)) => self.claim(&entry, admitted).await,
            Some(Err(refusal)) => self.refuse(&entry, &refusal),
            None => self.scribe.turn_away(&entry, Problem::Overloaded, CHECK_FAILED),
        }
    }

    /// Step 10, and the answer: who is first is decided by the insert alone.
    async fn claim(&self, entry: &Entry, admitted: Admitted) -> Answer {
        let seen = Seen::of(&admitted);
        let plan = self.plan(&entry.source, &admitted);
        let reason = plan.reason;
        let ack = plan.ack.clone();
        let claim = self.ledger.claim(admitted, plan, self.patience(entry));
        match self.within(entry, claim).await {
            Some(Ok(Claim::First)) => self.scribe.first(entry, &seen, ack, reason),
            Some(Ok(Claim::Found(found))) => self.found(entry, &seen, found).await,
            Some(Err(error)) => self.turn_away(entry, problem_of(&error)),
            None => self.turn_away(entry, Problem::StoreBusy),
        }
    }

    /// Steps 7 and 9. None where the check did not come to its end: nothing was found out about the delivery.
    async fn verify(&self, source: &Arc<Source>, delivery: Delivery) -> Option<Result<Admitted, Refusal>> {
        let now = self.clock.wall();
        if delivery.body.len() <= INLINE_BODY_BYTES_MAX {
            return Some(source.settings.verifier.verify(&delivery, now));
        }
        let verifier = Arc::clone(&source.settings.verifier);
        off_thread(move || verifier.verify(&delivery, now)).await
    }

    fn plan(&self, source: &Source, admitted: &Admitted) -> Plan {
        let event_type = admitted.event_type();
        let (handlers, reason) = if source.ignores(event_type) {
            (Arc::from([]), Some(Reason::Ignored))
        } else {
            let handlers = self.table.load().routes.matching(source.name(), event_type);
            let reason = handlers.is_empty().then_some(Reason::NoHandler);
            (handlers, reason)
        };
        Plan { ack: source.settings.ack.clone(), handlers, reason }
    }

    /// A repeat. The first body stays the truth; whether other bytes under the same id are a conflict is found out by comparing.
    /// What could not be compared is answered from the record: a refusal must be certain.
    async fn found(&self, entry: &Entry, seen: &Seen, found: Found) -> Answer {
        if found.body_digest == seen.body_digest {
            return self.scribe.repeat(entry, seen, found, Verdict::Duplicate, None);
        }
        match self.within(entry, self.compare(&entry.source, seen, &found)).await.flatten() {
            Some(Difference::Conflict) if entry.source.settings.reject_mismatch => self.scribe.conflict(entry, seen, found.key),
            Some(Difference::Conflict) => self.scribe.repeat(entry, seen, found, Verdict::Conflict, None),
            Some(Difference::Harmless) => self.scribe.repeat(entry, seen, found, Verdict::Duplicate, None),
            None => self.scribe.repeat(entry, seen, found, Verdict::Duplicate, Some(NOT_COMPARED)),
        }
    }

    /// None where the first body is gone or could not be read.
    async fn compare(&self, source: &Arc<Source>, seen: &Seen, found: &Found) -> Option<Difference> {
        let first = self.ledger.body(EventName::Delivery(found.key)).await.ok()??;
        let (first, repeat, source) = (first?, seen.body.clone(), Arc::clone(source));
        off_thread(move || compare(&first, &repeat, &source.settings.volatile)).await
    }

    /// Step 7 or 9 said no. The cause goes to the log alone.
    fn refuse(&self, entry: &Entry, refusal: &Refusal) -> Answer {
        let problem = match refusal.kind() {
            RefusalKind::NotReady => Problem::SourceNotReady,
            RefusalKind::Unproven => Problem::NotAuthentic(entry.source.settings.reject_status),
            RefusalKind::Unreadable if *refusal == Refusal::EventIdMissing => Problem::EventIdMissing,
            RefusalKind::Unreadable => Problem::MalformedBody,
        };
        self.scribe.turn_away(entry, problem, refusal.code())
    }

    /// A place among the requests in hand: now, or for a sender that does not come again, before the answer is due.
    async fn place(&self, entry: &Entry) -> Option<OwnedSemaphorePermit> {
        match self.load.try_enter() {
            None if !entry.source.settings.sender_retries => self.within(entry, self.load.enter()).await.flatten(),
            at_once => at_once,
        }
    }

    fn turn_away(&self, entry: &Entry, problem: Problem) -> Answer {
        self.scribe.turn_away(entry, problem, problem.code())
    }

    fn open(&self, table: &Table, source: &Arc<Source>) -> Entry {
        let received_at = self.clock.wall();
        Entry {
            source: Arc::clone(source),
            id: self.new_id(received_at),
            received_at,
            held: self.load.body(&source.share),
            started: self.clock.monotonic(),
            busy_timeout: table.busy_timeout,
            header_limit: table.header_limit,
            body_deadline: table.body_deadline,
        }
    }

    fn new_id(&self, at: Timestamp) -> DeliveryId {
        let micros = u64::try_from(at.0).unwrap_or(0);
        let nanos = u32::try_from(micros % 1_000_000 * 1_000).unwrap_or(0);
        let context = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        DeliveryId(uuid::Uuid::new_v7(uuid::Timestamp::from_unix(&*context, micros / 1_000_000, nanos)))
    }

    fn store_problem(&self) -> Option<Problem> {
        match self.ledger.state() {
            StoreState::Ready => None,
            StoreState::Full => Some(Problem::StorageFull),
            StoreState::Failed(_) => Some(Problem::StoreFailed),
        }
    }

    /// Whether the claim would be turned away for want of a place in the queue: told before a byte of the body is read.
    fn is_shed(&self, entry: &Entry) -> bool {
        entry.source.settings.sender_retries && !self.ledger.has_room()
    }

    /// How long a claim may wait: a sender that comes again is told to; one that does not waits with us.
    fn patience(&self, entry: &Entry) -> Patience {
        let left = self.left(entry);
        if entry.source.settings.sender_retries {
            Patience { queue: Duration::ZERO, busy: entry.busy_timeout.min(left) }
        } else {
            Patience { queue: left, busy: left }
        }
    }

    fn left(&self, entry: &Entry) -> Duration {
        let spent = self.clock.monotonic().saturating_sub(entry.started);
        entry.source.settings.answer_deadline.saturating_sub(spent)
    }

    /// The future's result, if it comes before the answer deadline.
    async fn within<T>(&self, entry: &Entry, future: impl Future<Output = T>) -> Option<T> {
        let deadline = entry.started + entry.source.settings.answer_deadline;
        tokio::select! {
            biased;
            result = future => Some(result),
            () = self.clock.sleep_until(deadline) => None,
        }
    }

    /// When a body must be there: a provider that has given up hears no answer.
    #[must_use]
    pub fn body_due(&self, entry: &Entry) -> Duration {
        entry.started + entry.body_deadline.min(entry.source.settings.answer_deadline)
    }

    /// The clocks.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}

impl Table {
    /// Sources that were there before keep what counts on: bytes in hand, and rates.
    fn new(settings: ReceiverSettings, load: &Load, before: &HashMap<Box<str>, Arc<Source>>) -> Self {
        let source = |settings: SourceSettings| {
            let source = match before.get(settings.name.as_str()) {
                Some(before) => before.renewed(settings, load),
                None => Source::new(settings, load),
            };
            (source.name().as_str().into(), Arc::new(source))
        };
        let ReceiverSettings { sources, routes, busy_timeout, header_limit, body_deadline, .. } = settings;
        Self { sources: sources.into_iter().map(source).collect(), routes, busy_timeout, header_limit, body_deadline }
    }
}

/// Steps 4 and 5.
fn head_problem(entry: &Entry, head: Head<'_>) -> Option<Problem> {
    let too_long = head.content_length.is_some_and(|length| length > entry.body_limit() as u64);
    let encoded = head.content_encoding.is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
    if head.header_bytes > entry.header_limit {
        Some(Problem::HeadersTooLarge)
    } else if too_long {
        Some(Problem::BodyTooLarge)
    } else {
        encoded.then_some(Problem::UnsupportedEncoding)
    }
}

/// Does this off the async threads. None where it panicked, or was given up as the process ends.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

const fn problem_of(error: &LedgerError) -> Problem {
    match error {
        LedgerError::Overloaded => Problem::Overloaded,
        LedgerError::Busy => Problem::StoreBusy,
        LedgerError::Full => Problem::StorageFull,
        LedgerError::Failed(_) => Problem::StoreFailed,
        LedgerError::RolledBack(_) | LedgerError::NotFound | LedgerError::Ambiguous | LedgerError::BodyPurged => {
            Problem::StoreUnavailable
        }
    }
}
