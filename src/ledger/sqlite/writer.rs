//! The one thread that writes: takes whatever waits, commits it, and only then answers.
//!
//! A failed write or flush is final for the process: the kernel may have dropped the dirty pages and would call the next flush
//! fine. A full disk is not: claims stop, a reserve is given up so that everything else can go on.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::command::{Kind, Order, Ran, Savepoints, Tx};
use super::lock::LockFile;
use super::names::Names;
use super::severity::{Severity, severity};
use super::shared::Shared;
use super::turns::Turns;
use super::{journal, sql};
use crate::ledger::{LedgerError, Note, StoreState};
use crate::model::HandlerName;
use crate::sync::{Entry, Popped};

type Group = crate::sync::Group<Order, Note>;

/// How often free space is asked for: while the disk is full, and at most so while it is not.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A command other than a claim is given up once its group was rolled back so often.
const ROLLBACKS_MAX: u8 = 3;
/// A WAL of so many pages, 4 MiB, is checkpointed. A longer one would make longer pauses.
const WAL_FRAMES: i64 = 500;
/// After a rolled-back group, so that a lasting trouble is not tried in a tight loop.
const REST: Duration = Duration::from_millis(50);
/// A WAL of so many pages, 64 MiB, is not the work of one busy moment.
const WAL_FRAMES_ALARM: i64 = 8192;
/// How often that is said.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// How often a locked database is tried once the queue is closed. Each takes [`super::open::BEGIN_PATIENCE`].
const LAST_TRIES: u32 = 100;

/// The thread's own.
pub(super) struct Writer {
    pub conn: Connection,
    pub names: Names,
    pub turns: Turns,
    pub shared: Arc<Shared>,
    pub lock: Arc<LockFile>,
    /// Test only: where the flaw `unique-constraint-ignored` reads.
    pub beside: Option<Connection>,
    pub looked_at: Duration,
    pub last_tries: u32,
    /// When it was said last that the WAL grows.
    pub wal_warned_at: Duration,
}

impl Writer {
    /// Until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let guard = FailOnPanic(Arc::clone(&self.shared));
        loop {
            let look_again = (*self.shared.state.borrow() == StoreState::Full).then_some(LOOK_EVERY);
            match self.shared.queue.pop_group(look_again) {
                Popped::Group(group) => self.serve(group),
                Popped::Nothing => self.look_for_room(),
                Popped::Closed => break,
            }
        }
        drop(guard);
        self.end();
    }

    fn serve(&mut self, mut group: Group) {
        self.look_at_disk();
        if let StoreState::Failed(reason) = &*self.shared.state.borrow() {
            return self.refuse_all(group, &LedgerError::Failed(reason.clone()));
        }
        if let Err(error) = self.shared.check_claims() {
            group.entries = refuse_claims(group.entries, &error);
        }
        match self.begin_and_run(&mut group) {
            Ok(wakes) => {
                self.committed(group, wakes);
                self.checkpoint();
            }
            Err(Over::NotBegun) => self.wait_for_database(group),
            Err(Over::Sql(error)) => self.group_over(group, &error),
        }
    }

    /// One transaction. Savepoints cost a copy of each page that a command touches, so they are set only once they are needed: a
    /// group in which a command failed is rolled back and run again with one for each.
    fn begin_and_run(&mut self, group: &mut Group) -> Result<Vec<HandlerName>, Over> {
        for savepoints in [Savepoints::None, Savepoints::Each] {
            self.begin()?;
            let mut wakes = Vec::new();
            if self.run_all(group, savepoints, &mut wakes)? == Ran::All {
                self.conn.prepare_cached(sql::COMMIT)?.execute([])?;
                return Ok(wakes);
            }
            self.conn.prepare_cached(sql::ROLLBACK)?.execute([])?;
            self.names.rolled_back();
        }
        // With savepoints every command is through, well or not.
        Err(Over::Sql(rusqlite::Error::InvalidQuery))
    }

    fn begin(&mut self) -> Result<(), Over> {
        match self.conn.prepare_cached(sql::BEGIN).and_then(|mut begin| begin.execute([])) {
            Ok(_) => {
                self.last_tries = 0;
                Ok(())
            }
            Err(error) if severity(&error) == Severity::Busy => Err(Over::NotBegun),
            Err(error) => Err(Over::Sql(error)),
        }
    }

    /// Runs each command. An error is the whole group's.
    fn run_all(&mut self, group: &mut Group, savepoints: Savepoints, wakes: &mut Vec<HandlerName>) -> rusqlite::Result<Ran> {
        let (conn, now_us) = (&self.conn, self.shared.time.now_us());
        let mut tx = Tx { conn, names: &mut self.names, turns: &mut self.turns, now_us, wakes, beside: self.beside.as_ref() };
        for entry in &mut group.entries {
            if entry.item.run(&mut tx, savepoints)? == Ran::NotAll {
                return Ok(Ran::NotAll);
            }
        }
        for note in &group.notes {
            // A note is one statement, which is undone by itself.
            match journal::write(&mut tx, note) {
                Ok(()) => {}
                Err(error) if severity(&error) == Severity::Statement && !conn.is_autocommit() => {
                    self.shared.drop_notes(1);
                    tracing::warn!(%error, "a row of the delivery log could not be written");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Ran::All)
    }

    /// Answers all together and then wakes: a reply before the commit would promise what is not there.
    fn committed(&mut self, group: Group, mut wakes: Vec<HandlerName>) {
        self.names.committed();
        group.entries.into_iter().for_each(|entry| entry.item.command.answer());
        wakes.sort_unstable();
        wakes.dedup();
        wakes.iter().for_each(|handler| self.shared.wakes.wake(handler));
    }

    /// Keeps the WAL short. Not left to SQLite: that would checkpoint before the answers, and would pass over an error of it.
    fn checkpoint(&mut self) {
        let made = super::open::wal_frames(&self.conn).and_then(|frames| {
            let made = if frames >= WAL_FRAMES { super::open::checkpoint_now(&self.conn) } else { Ok(()) };
            made.map(|()| frames)
        });
        let error = match made {
            Ok(frames) if frames >= WAL_FRAMES_ALARM => return self.warn_of_wal(frames),
            Ok(_) => return,
            Err(error) => error,
        };
        match severity(&error) {
            Severity::Final => self.fail(Group { entries: Vec::new(), notes: Vec::new() }, &error),
            Severity::Full => drop(self.become_full()),
            // A long reader, perhaps. The next commit tries again.
            Severity::Busy | Severity::Statement => tracing::debug!(%error, "no checkpoint was made"),
        }
    }

    /// A reader that never ends keeps the WAL from being used again: it grows until the reader is gone.
    fn warn_of_wal(&mut self, frames: i64) {
        let now = self.shared.time.monotonic();
        if now >= self.wal_warned_at + WARN_EVERY {
            self.wal_warned_at = now;
            tracing::warn!(wal.frames = frames, "the database's -wal grows: another program reads the database and does not end");
        }
    }

    /// Nothing of the group is in the database. Claims are told so; the others are run again, as nobody sends them anew.
    fn group_over(&mut self, mut group: Group, error: &rusqlite::Error) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch(sql::ROLLBACK)
        {
            return self.fail(group, &error);
        }
        self.names.rolled_back();
        let severity = severity(error);
        let told = match severity {
            Severity::Final => return self.fail(group, error),
            Severity::Full => LedgerError::Full,
            Severity::Busy | Severity::Statement => LedgerError::RolledBack(error.to_string()),
        };
        tracing::warn!(%error, "a group of changes was rolled back");
        group.entries = refuse_claims(group.entries, &told);
        if severity == Severity::Full {
            let released = self.become_full();
            if !released {
                self.shared.queue.rest(LOOK_EVERY);
            }
        } else {
            self.shared.drop_notes(group.notes.len());
            group.notes.clear();
            group.entries.iter_mut().for_each(|entry| entry.item.rollbacks += 1);
            let worn: Vec<_> = group.entries.extract_if(.., |entry| entry.item.rollbacks >= ROLLBACKS_MAX).collect();
            worn.into_iter().for_each(|entry| entry.item.refuse(told.clone()));
            self.shared.queue.rest(REST);
        }
        if self.shared.queue.is_closed() {
            return self.refuse_all(group, &told);
        }
        self.shared.queue.requeue(group);
    }

    /// The group goes back to the front, without the claims that have waited long enough; more may join it meanwhile.
    fn wait_for_database(&mut self, mut group: Group) {
        let now = self.shared.time.monotonic();
        let out = |entry: &mut Entry<Order>| matches!(entry.item.kind, Kind::Claim { until } if until <= now);
        let late: Vec<_> = group.entries.extract_if(.., out).collect();
        late.into_iter().for_each(|entry| entry.item.refuse(LedgerError::Busy));
        if self.shared.queue.is_closed() {
            self.last_tries += 1;
            if self.last_tries > LAST_TRIES {
                return self.refuse_all(group, &LedgerError::Busy);
            }
        }
        self.shared.queue.requeue(group);
    }

    fn refuse_all(&self, group: Group, error: &LedgerError) {
        group.entries.into_iter().for_each(|entry| entry.item.refuse(error.clone()));
        self.shared.drop_notes(group.notes.len());
    }

    /// Final: see the module.
    fn fail(&self, group: Group, error: &rusqlite::Error) {
        let told = self.shared.fail(error);
        self.refuse_all(group, &told);
    }

    /// Says whether it gave up the reserve, which makes another try worth while.
    fn become_full(&self) -> bool {
        let before = self.shared.state.send_replace(StoreState::Full);
        if before != StoreState::Full {
            tracing::error!("the disk is full: no claims are taken until there is room");
        }
        self.shared.disk.release_reserve()
    }

    fn look_at_disk(&mut self) {
        let now = self.shared.time.monotonic();
        if now.saturating_sub(self.looked_at) < LOOK_EVERY {
            return;
        }
        self.looked_at = now;
        if let Some(path) = self.shared.disk.replaced_file() {
            self.shared.fail_for(format!("{} was removed or replaced while it was open", path.display()));
            return;
        }
        let state = self.shared.state.borrow().clone();
        match state {
            StoreState::Ready if self.shared.disk.is_short() => {
                self.shared.state.send_replace(StoreState::Full);
                tracing::error!("the disk has less free than `min_free`: no claims are taken until there is room");
            }
            StoreState::Full => self.look_for_room(),
            StoreState::Ready | StoreState::Failed(_) => {}
        }
    }

    fn look_for_room(&self) {
        let full = *self.shared.state.borrow() == StoreState::Full;
        if full && self.shared.disk.has_room() && self.shared.disk.keep_reserve().is_ok() {
            self.shared.state.send_replace(StoreState::Ready);
            tracing::info!("there is room on the disk again: claims are taken");
        }
    }

    fn end(self) {
        let failed = matches!(&*self.shared.state.borrow(), StoreState::Failed(_));
        if failed {
            // Closing would checkpoint, and nothing may be written after a failed write.
            drop(self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
        } else if let Err(error) = super::open::checkpoint(&self.conn) {
            tracing::warn!(%error, "the last checkpoint was not made; the next start makes it");
        }
        self.conn.flush_prepared_statement_cache();
        if let Err((_, error)) = self.conn.close() {
            tracing::warn!(%error, "the database did not close");
        }
        if let Err(error) = self.lock.release() {
            tracing::warn!(%error, "the lock file could not be written; the lock ends with the process");
        }
    }
}

/// Why a group is not in the database.
#[derive(Debug)]
enum Over {
    /// Another process has the database.
    NotBegun,
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Over {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn refuse_claims(entries: Vec<Entry<Order>>, error: &LedgerError) -> Vec<Entry<Order>> {
    let (claims, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| matches!(entry.item.kind, Kind::Claim { .. }));
    claims.into_iter().for_each(|entry| entry.item.refuse(error.clone()));
    others
}

/// A writer that panics leaves nobody to answer: the store has failed then, and says so.
struct FailOnPanic(Arc<Shared>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state.send_replace(StoreState::Failed("the writer panicked".into()));
            self.0.queue.close();
            while let Popped::Group(group) = self.0.queue.pop_group(None) {
                let error = self.0.gone();
                group.entries.into_iter().for_each(|entry| entry.item.refuse(error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
