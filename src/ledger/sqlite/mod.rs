//! The store on SQLite: one file, one writer thread with group commits, a few readers.
//!
//! Blocking stays inside: the writer has a thread of its own and reads run where blocking is allowed. No transaction is open
//! across an await.

mod claim;
mod command;
mod disk;
mod journal;
mod listing;
mod lock;
mod migrate;
mod names;
mod open;
mod operate;
mod read;
mod redrive;
mod row;
mod settings;
mod severity;
mod shared;
mod sql;
mod task;
mod turns;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags};

use super::{
    Attempt, Claim, DeliveryFilter, EventName, Journal, Lease, Leased, Ledger, LedgerError, Note, Patience, Plan, Redrive,
    Redriven, Reply, Settled, Settlement, StoreState,
};
use crate::clock::Clock;
use crate::flaws::{Flaw, planted};
use crate::model::{DeliveryPage, EventReport, HandlerName, SourceName, Timestamp};
use crate::sync::{Mutex, lock as locked};
use crate::verify::Admitted;
use command::Fault;
use names::Names;
use shared::{LedgerTime, Shared};
use turns::Turns;
use writer::Writer;

pub use lock::{Holder, read_holder};
pub use settings::{NewDatabase, OpenError, SqliteSettings};

type Pool = r2d2::Pool<SqliteConnectionManager>;

/// Connections for who looks: operators, and the comparison of conflicting repeats.
const READERS: u32 = 4;
/// Connections for the workers, so that no listing keeps an event from its handler.
const WORKERS: u32 = 2;

/// Events, tasks and the delivery log in one SQLite database.
pub struct SqliteLedger {
    path: PathBuf,
    created: bool,
    shared: Arc<Shared>,
    lock: Arc<lock::LockFile>,
    readers: Mutex<Option<Pool>>,
    workers: Mutex<Option<Pool>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for SqliteLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteLedger").field("path", &self.path).field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl SqliteLedger {
    /// Opens the database for a gateway: takes the lock, recovers, brings the schema up to date and keeps the work in hand.
    /// `sources` are the configured ones with their providers.
    ///
    /// # Errors
    /// Whatever makes it unsafe to answer a delivery from it.
    pub fn open(settings: SqliteSettings, clock: Arc<dyn Clock>, sources: &[(SourceName, String)]) -> Result<Self, OpenError> {
        let time = LedgerTime::start(clock);
        let opened = open::open(&settings, sources, time.now())?;
        let readers = pool(&opened.path, READERS, settings.busy_timeout)?;
        let workers = pool(&opened.path, WORKERS, settings.busy_timeout)?;
        Self::start(opened, [readers, workers], time, settings.queue)
    }

    fn start(opened: open::Opened, pools: [Pool; 2], time: LedgerTime, places: usize) -> Result<Self, OpenError> {
        let beside = if planted(Flaw::UniqueConstraintIgnored) { Some(Connection::open(&opened.path)?) } else { None };
        let state = if opened.full { StoreState::Full } else { StoreState::Ready };
        let looked_at = time.monotonic();
        let shared = Arc::new(Shared::new(places, time, state, opened.disk));
        let lock = Arc::new(opened.lock);
        let writer = Writer {
            conn: opened.conn,
            names: Names::default(),
            turns: Turns::default(),
            shared: Arc::clone(&shared),
            lock: Arc::clone(&lock),
            beside,
            looked_at,
            last_tries: 0,
            wal_warned_at: Duration::ZERO,
        };
        let thread = thread::Builder::new()
            .name("ledger-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::Io { path: opened.path.clone(), error })?;
        let [readers, workers] = pools;
        Ok(Self {
            path: opened.path,
            created: opened.created,
            shared,
            lock,
            readers: Mutex::new(Some(readers)),
            workers: Mutex::new(Some(workers)),
            writer: Mutex::new(Some(thread)),
        })
    }

    /// Opens the database for a command while no gateway runs: under the same lock, and never a new one.
    ///
    /// # Errors
    /// As [`SqliteLedger::open`].
    pub fn open_offline(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let settings = SqliteSettings { new_database: NewDatabase::Required, ..SqliteSettings::at(path) };
        Self::open(settings, clock, &[])
    }

    /// Whether the database was made by this start.
    #[must_use]
    pub const fn created(&self) -> bool {
        self.created
    }

    /// Where the database is, in its one spelling.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes into the lock file where the admin listener is, so that commands find it.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn set_admin_address(&self, address: String) -> std::io::Result<()> {
        self.lock.set_admin(address)
    }

    /// A read for people.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.read_by(&self.readers, read).await
    }

    /// Runs a read where it may block, in one transaction of its own. Damage is final, whoever finds it.
    async fn read_by<T: Send + 'static>(
        &self,
        pool: &Mutex<Option<Pool>>,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let pool = locked(pool).clone().ok_or_else(|| self.shared.gone())?;
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            let mut conn = pool.get().map_err(|error| LedgerError::RolledBack(error.to_string()))?;
            let in_one = || -> Result<T, Fault> { read(&*conn.transaction()?) };
            in_one().map_err(|fault| match fault {
                Fault::No(error) => error,
                Fault::Sql(error) if severity::is_final_for_reader(&error) => shared.fail(&error),
                Fault::Sql(error) => LedgerError::RolledBack(error.to_string()),
            })
        });
        done.await.unwrap_or_else(|error| Err(LedgerError::RolledBack(error.to_string())))
    }
}

fn pool(path: &Path, most: u32, busy_timeout: Duration) -> Result<Pool, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let manager =
        SqliteConnectionManager::file(path).with_flags(flags).with_init(move |conn| open::prepare_reader(conn, busy_timeout));
    let pool = r2d2::Pool::builder()
        .max_size(most)
        .min_idle(Some(0))
        .test_on_check_out(false)
        .connection_timeout(busy_timeout.max(Duration::from_secs(1)))
        .build(manager);
    pool.map_err(|error| OpenError::Io { path: path.to_owned(), error: std::io::Error::other(error) })
}

impl Ledger for SqliteLedger {
    fn claim(&self, admitted: Admitted, plan: Plan, patience: Patience) -> Reply<'_, Claim> {
        let body_bytes = admitted.body().len();
        let row = claim::Row::new(admitted, plan);
        Box::pin(self.shared.claim(body_bytes, patience, move |tx| claim::claim(tx, &row)))
    }

    /// The bodies are read after the commit, away from the writer. Should that fail, the leases end by themselves.
    fn lease_tasks(&self, handler: &HandlerName, limit: usize, lease_for: Duration) -> Reply<'_, Leased> {
        let handler = handler.clone();
        Box::pin(async move {
            let (taken, next_due) = self.shared.ask(move |tx| task::lease(tx, &handler, limit, lease_for)).await?;
            if taken.is_empty() {
                return Ok(Leased { work: Vec::new(), unreadable: Vec::new(), next_due });
            }
            let all = move |conn: &Connection| {
                Ok(taken.into_iter().map(|taken| task::work(conn, taken)).collect::<Result<Vec<_>, _>>()?)
            };
            let mut leased = Leased { work: Vec::new(), unreadable: Vec::new(), next_due };
            for read in self.read_by(&self.workers, all).await? {
                match read {
                    Ok(work) => leased.work.push(work),
                    Err(unreadable) => leased.unreadable.push(unreadable),
                }
            }
            Ok(leased)
        })
    }

    fn settle_task(&self, lease: Lease, attempt: Attempt, settlement: Settlement) -> Reply<'_, Settled> {
        Box::pin(self.shared.ask(move |tx| task::settle(tx, &lease, &attempt, settlement)))
    }

    fn redrive(&self, event: EventName, redrive: Redrive) -> Reply<'_, Redriven> {
        Box::pin(self.shared.ask(move |tx| redrive::redrive(tx, &event, &redrive)))
    }

    fn pause(&self, handler: &HandlerName, paused: bool) -> Reply<'_, bool> {
        let handler = handler.clone();
        Box::pin(self.shared.ask(move |tx| operate::pause(tx, &handler, paused)))
    }

    fn paused(&self) -> Reply<'_, Vec<(HandlerName, Timestamp)>> {
        Box::pin(self.read(read::paused))
    }

    fn name_providers(&self, sources: Vec<(SourceName, String)>) -> Reply<'_, ()> {
        Box::pin(self.shared.ask(move |tx| operate::name_providers(tx, &sources)))
    }

    fn find(&self, event: EventName) -> Reply<'_, Option<EventReport>> {
        Box::pin(self.read(move |conn| read::find(conn, &event)))
    }

    fn body(&self, event: EventName) -> Reply<'_, Option<Option<Bytes>>> {
        Box::pin(self.read(move |conn| read::body(conn, &event)))
    }

    fn deliveries(&self, filter: DeliveryFilter) -> Reply<'_, DeliveryPage> {
        let dropped = self.dropped();
        Box::pin(self.read(move |conn| listing::page(conn, &filter, dropped)))
    }

    fn unhandled(&self, known: Vec<HandlerName>) -> Reply<'_, Vec<(HandlerName, u64)>> {
        Box::pin(self.read(move |conn| read::unhandled(conn, &known)))
    }

    fn task_made(&self, handler: &HandlerName) -> BoxFuture<'static, ()> {
        self.shared.wakes.wait(handler)
    }

    fn state(&self) -> StoreState {
        self.shared.state.borrow().clone()
    }

    fn has_room(&self) -> bool {
        self.shared.queue.has_room()
    }

    fn failed(&self) -> BoxFuture<'static, String> {
        let mut state = self.shared.state.subscribe();
        Box::pin(async move {
            let reason = match state.wait_for(|now| matches!(now, StoreState::Failed(_))).await.as_deref() {
                Ok(StoreState::Failed(reason)) => Some(reason.clone()),
                _ => None,
            };
            match reason {
                Some(reason) => reason,
                // The store was closed in order.
                None => std::future::pending().await,
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.queue.close();
            let readers = [locked(&self.readers).take(), locked(&self.workers).take()];
            let writer = locked(&self.writer).take();
            let ended = tokio::task::spawn_blocking(move || {
                // The writer is the last to close, as only the last one's checkpoint empties the WAL.
                drop(readers);
                writer.map(JoinHandle::join)
            });
            if let Ok(Some(Err(_))) | Err(_) = ended.await {
                tracing::error!("the writer panicked");
            }
        })
    }
}

impl Journal for SqliteLedger {
    fn note(&self, note: Note) {
        if !self.shared.queue.push_note(note) {
            self.shared.drop_notes(1);
        }
    }

    fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for SqliteLedger {
    /// As [`Ledger::close`], where nobody called it.
    fn drop(&mut self) {
        self.shared.queue.close();
        drop([locked(&self.readers).take(), locked(&self.workers).take()]);
        if let Some(writer) = locked(&self.writer).take()
            && writer.join().is_err()
        {
            tracing::error!("the writer panicked");
        }
    }
}
