//! What the writer is asked to do: commands that can be run again, each with somebody who waits for its answer.

use std::time::Duration;

use rusqlite::{Connection, Params};

use super::names::Names;
use super::severity::{Severity, severity};
use super::shared::LedgerTime;
use super::sql;
use super::turns::Turns;
use crate::flaws::{Flaw, planted};
use crate::ledger::LedgerError;
use crate::model::HandlerName;
use crate::sync::oneshot;

/// Why a command did not do what it was to do.
#[derive(Debug)]
pub(super) enum Fault {
    /// A statement failed.
    Sql(rusqlite::Error),
    /// The command itself says no, before it has written anything.
    No(LedgerError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::No(error)
    }
}

/// The open transaction, as a command sees it.
pub(super) struct Tx<'a> {
    /// The writer's connection.
    pub conn: &'a Connection,
    /// The numbers of names.
    pub names: &'a mut Names,
    /// Whose turn it is at each handler.
    pub turns: &'a mut Turns,
    /// The ledger's own time.
    pub now_us: i64,
    /// The wall clock: for retention alone.
    pub wall_us: i64,
    /// What time it is by now, for who is to stop in time.
    pub time: &'a LedgerTime,
    /// Handlers that are to hear of the commit.
    pub wakes: &'a mut Vec<HandlerName>,
    /// Test only: where the flaw `unique-constraint-ignored` reads.
    pub beside: Option<&'a Connection>,
}

impl Tx<'_> {
    /// Runs a statement that gives no rows and says how many it changed.
    pub(super) fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.conn.prepare_cached(sql)?.execute(params)
    }
}

/// One change and who waits for it.
pub(super) trait Command: Send {
    /// Makes the change in the open transaction. It is run again in another one where that was rolled back.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault>;

    /// It was not done, and will not be.
    fn fail(&mut self, error: LedgerError);

    /// Tells who waits, after the commit.
    fn answer(self: Box<Self>);
}

/// A command made of a function and the other end of a reply.
pub(super) struct Job<T, W> {
    work: W,
    done: Option<Result<T, LedgerError>>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<T, W> Job<T, W>
where
    T: Send,
    W: FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send,
{
    pub(super) const fn new(work: W, reply: oneshot::Sender<Result<T, LedgerError>>) -> Self {
        Self { work, done: None, reply }
    }
}

impl<T, W> Command for Job<T, W>
where
    T: Send,
    W: FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.done = Some(Ok((self.work)(tx)?));
        Ok(())
    }

    fn fail(&mut self, error: LedgerError) {
        self.done = Some(Err(error));
    }

    fn answer(self: Box<Self>) {
        if let Some(done) = self.done {
            // Who asked may have gone away; the change stands.
            drop(self.reply.send(done));
        }
    }
}

/// A command in the queue.
pub(super) struct Order {
    /// What to do.
    pub command: Box<dyn Command>,
    /// Who it is for.
    pub kind: Kind,
    /// How often its group was rolled back.
    pub rollbacks: u8,
}

/// What may be told to who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A claim: told of every trouble, as its sender comes again. Waits for a locked database up to this monotonic time.
    Claim {
        /// The monotonic time.
        until: Duration,
    },
    /// Anything else: waits through a locked database and a full disk, and is run again after a rollback.
    Other,
    /// A batch of the purge: told of every trouble, as there is another time for it.
    Background,
}

impl Kind {
    /// Whether it is told of trouble at once rather than run again.
    pub(super) const fn hears_of_trouble(self) -> bool {
        matches!(self, Self::Claim { .. } | Self::Background)
    }
}

/// Whether a command can be undone alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Savepoints {
    None,
    Each,
}

/// Whether the commands are through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ran {
    All,
    /// One failed that cannot be undone alone.
    NotAll,
}

impl Order {
    /// Runs the command, and undoes it alone where only it failed and that can be done.
    pub(super) fn run(&mut self, tx: &mut Tx<'_>, savepoints: Savepoints) -> rusqlite::Result<Ran> {
        let guarded = savepoints == Savepoints::Each;
        if guarded {
            tx.execute(sql::SAVEPOINT, [])?;
        }
        let wakes = tx.wakes.len();
        let told = match self.command.run(tx) {
            Ok(()) if guarded => return tx.execute(sql::RELEASE, []).map(|_| Ran::All),
            Ok(()) => return Ok(Ran::All),
            // Nothing was written before it said no.
            Err(Fault::No(error)) => error,
            // In autocommit SQLite has rolled back the whole group; else what is not the statement's own fault ends it too.
            Err(Fault::Sql(error)) if tx.conn.is_autocommit() || severity(&error) != Severity::Statement => return Err(error),
            Err(Fault::Sql(_)) if !guarded && !planted(Flaw::SavepointMissing) => return Ok(Ran::NotAll),
            Err(Fault::Sql(error)) => LedgerError::RolledBack(error.to_string()),
        };
        tx.wakes.truncate(wakes);
        if guarded {
            tx.execute(sql::UNDO, [])?;
            tx.execute(sql::RELEASE, [])?;
            tx.names.undone();
        }
        self.command.fail(told);
        Ok(Ran::All)
    }

    /// Tells that it was not done. Only who hears of trouble does so of a full disk or a locked database: others have waited through
    /// them, and end so only with the store itself.
    pub(super) fn refuse(mut self, error: LedgerError) {
        let told = match (self.kind, error) {
            (Kind::Other, error @ (LedgerError::Full | LedgerError::Busy)) => LedgerError::RolledBack(error.to_string()),
            (_, error) => error,
        };
        self.command.fail(told);
        self.command.answer();
    }
}
