//! A store on a manual clock that can be closed and opened again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use hookgate::clock::ManualClock;
use hookgate::ledger::sqlite::{OpenError, SqliteLedger, SqliteSettings};
use hookgate::ledger::{
    Attempt, Claim, EventName, Journal, Lease, Leased, Ledger, LedgerError, Note, Patience, Redrive, Settled, Settlement,
};
use hookgate::model::{EventReport, Outcome, Timestamp, Verdict};
use tempfile::TempDir;

use super::evidence::{BEGIN, admitted, delivery, event, handler, plan, source};

/// No waiting for a place, and two seconds for a locked database.
pub(crate) const PATIENCE: Patience = Patience { queue: Duration::ZERO, busy: Duration::from_secs(2) };
/// No waiting at all.
pub(crate) const NO_PATIENCE: Patience = Patience { queue: Duration::ZERO, busy: Duration::ZERO };
/// How long the tests lease for.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// Everything that a store promises.
pub(crate) trait Store: Ledger + Journal {}
impl<T: Ledger + Journal> Store for T {}

/// Opens a store that stays where it is.
type Opener = Box<dyn Fn(Arc<ManualClock>) -> Arc<dyn Store> + Send + Sync>;

/// One store under test.
pub(crate) struct Stand {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<dyn Store>,
    open: Opener,
}

/// A directory for one store. In memory where that is possible: most tests look at what is written, not at when it is flushed.
pub(crate) fn directory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a directory")
}

/// A call that was answered well.
pub(crate) fn attempt() -> Attempt {
    Attempt { duration: Duration::from_millis(5), outcome: Outcome::Answered { status: 200, retry_after: None } }
}

/// Settings for a small store in `directory`.
pub(crate) fn settings(directory: &Path) -> SqliteSettings {
    SqliteSettings { min_free: 0, ..SqliteSettings::at(directory.join("hookgate.db")) }
}

pub(crate) fn open_sqlite(settings: SqliteSettings, clock: &Arc<ManualClock>) -> Result<SqliteLedger, OpenError> {
    let clock: Arc<ManualClock> = Arc::clone(clock);
    SqliteLedger::open(settings, clock, &[(source("shop"), "stripe".into())])
}

impl Stand {
    /// On SQLite.
    pub(crate) fn sqlite() -> Self {
        let directory = directory();
        Self::new(Box::new(move |clock| Arc::new(open_sqlite(settings(directory.path()), &clock).expect("it opens"))))
    }

    fn new(open: Opener) -> Self {
        let clock = Arc::new(ManualClock::at(BEGIN));
        Self { store: open(Arc::clone(&clock)), clock, open }
    }

    /// An orderly stop and a start.
    pub(crate) async fn restart(&mut self) {
        self.store.close().await;
        self.store = (self.open)(Arc::clone(&self.clock));
    }

    /// Claims delivery `number` of an event.
    pub(crate) async fn claim(&self, event_id: &str, number: u64, handlers: &[&str]) -> Claim {
        self.claim_of("shop", event_id, number, handlers).await
    }

    /// Claims delivery `number` of an event of this source.
    pub(crate) async fn claim_of(&self, source: &str, event_id: &str, number: u64, handlers: &[&str]) -> Claim {
        let plan = plan(&format!("ack of {number}"), handlers);
        self.store.claim(admitted(source, event_id, number), plan, PATIENCE).await.expect("a claim")
    }

    pub(crate) async fn lease(&self, handler_name: &str, limit: usize) -> Leased {
        self.store.lease_tasks(&handler(handler_name), limit, LEASE).await.expect("leases")
    }

    /// Leases the one task that is due.
    pub(crate) async fn lease_one(&self, handler_name: &str) -> Lease {
        let mut leased = self.lease(handler_name, 2).await;
        assert_eq!(leased.work.len(), 1, "one task is due");
        leased.work.remove(0).lease
    }

    pub(crate) async fn settle(&self, lease: Lease, settlement: Settlement) -> Settled {
        let outcome = Outcome::Answered { status: if settlement == Settlement::Done { 200 } else { 500 }, retry_after: None };
        let attempt = Attempt { duration: Duration::from_millis(5), outcome };
        self.store.settle_task(lease, attempt, settlement).await.expect("a settlement")
    }

    pub(crate) async fn redrive(&self, event_id: &str, redrive: Redrive) -> Result<u64, LedgerError> {
        self.store.redrive(pair(event_id), redrive).await.map(|done| done.tasks)
    }

    pub(crate) async fn report(&self, event_id: &str) -> EventReport {
        self.store.find(pair(event_id)).await.expect("a read").expect("the event is there")
    }

    /// Whether somebody who waits for work of this handler would hear of some now.
    pub(crate) async fn is_woken(&self, handler_name: &str) -> bool {
        // The answers of a commit come before its wake-ups; the next answer comes after them.
        self.lease("nobody", 1).await;
        self.store.task_made(&handler(handler_name)).now_or_never().is_some()
    }
}

/// An event of the tests' one source.
pub(crate) fn pair(event_id: &str) -> EventName {
    EventName::Pair(source("shop"), event(event_id))
}

/// A row of the log for delivery `number`, about the event whose first delivery was `first`.
pub(crate) fn note(number: u64, first: u64, event_id: &str, verdict: Verdict) -> Note {
    Note {
        delivery_id: delivery(number),
        received_at: Timestamp(BEGIN.0 + i64::try_from(number).expect("a small number")),
        source: source("shop"),
        event: Some((delivery(first), event(event_id))),
        verdict,
        status: 202,
        reason: None,
        body_differs: false,
        duration: Duration::from_micros(900),
        body_digest: None,
        signed_digest: None,
        guard_replay: false,
    }
}

/// Waits until the writer has tried a locked database with everything that was handed over before. What it holds then is one
/// group, as it goes back to the front whole.
pub(crate) async fn tried_in_vain(store: &dyn Store) {
    let probe = store.claim(admitted("shop", "probe", 999_999), plan("", &[]), NO_PATIENCE).await;
    assert_eq!(probe.expect_err("the database is locked"), LedgerError::Busy);
}

/// Another program that holds the write lock until it is dropped.
pub(crate) struct Intruder(pub(crate) rusqlite::Connection);

impl Intruder {
    pub(crate) fn at(path: PathBuf) -> Self {
        let conn = rusqlite::Connection::open(path).expect("another connection");
        conn.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
        Self(conn)
    }
}
