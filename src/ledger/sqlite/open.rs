//! The start: lock, checks, recovery, schema, work in hand. Nothing is answered before all of it is on the disk.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use uuid::{NoContext, Uuid};

use super::disk::{Disk, beside};
use super::lock::{LockFile, NotLocked, Remembered};
use super::migrate::migrate;
use super::names::Names;
use super::settings::{NewDatabase, OpenError, SqliteSettings};
use super::sql;
use crate::flaws::{Flaw, planted};
use crate::model::{SourceName, Timestamp};

/// Older ones have the bug that a reset WAL can lose a commit.
const SQLITE_MIN: i32 = 3_051_003;
/// One try of `BEGIN` on a locked database, inside SQLite. The writer decides how often.
pub(super) const BEGIN_PATIENCE: Duration = Duration::from_millis(20);
/// Statements that stay prepared on a connection.
const STATEMENTS_KEPT: usize = 64;

/// Checkpoints are the writer's own matter, see there.
const WRITER_PRAGMAS: &str = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 16777216; \
     PRAGMA cache_size = -65536; PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = OFF; \
     PRAGMA temp_store = MEMORY; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;";
const READER_PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -8192; PRAGMA mmap_size = 0; \
     PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;";

/// What a start found and made.
pub(super) struct Opened {
    pub path: PathBuf,
    pub conn: Connection,
    pub disk: Disk,
    pub lock: LockFile,
    /// Whether the database is new.
    pub created: bool,
    /// Whether there is too little room for claims.
    pub full: bool,
}

/// The one spelling of a path, so that two of them meet at one lock.
pub(super) fn canonical(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            Ok(fs::canonicalize(directory.unwrap_or_else(|| Path::new(".")))?.join(name))
        }
        found => found,
    }
}

/// Everything of the start but the threads.
pub(super) fn open(settings: &SqliteSettings, sources: &[(SourceName, String)], wall: Timestamp) -> Result<Opened, OpenError> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(OpenError::SqliteTooOld(rusqlite::version()));
    }
    let path = canonical(&settings.path).map_err(|_missing| OpenError::DirectoryMissing(settings.path.clone()))?;
    let at_path = |error| OpenError::Io { path: path.clone(), error };
    let mut disk = Disk::of(&path, settings.min_free);
    if let Some(kind) = disk.network().map_err(at_path)? {
        return Err(OpenError::NetworkFileSystem { path, kind });
    }
    if settings.new_database == NewDatabase::Required && is_nowhere(&path) {
        return Err(OpenError::NoDatabase(path));
    }
    let (lock, remembered) = LockFile::take(&path).map_err(|error| match error {
        NotLocked::Held(holder) => OpenError::Locked { path: path.clone(), holder },
        NotLocked::Io(error) => at_path(error),
    })?;
    let expected = Expected { path: &path, remembered, new_database: settings.new_database };
    let exists = expected.check_file(fs::metadata(&path).ok().map(|file| file.len()))?;
    if !exists {
        create_private(&path).map_err(at_path)?;
    }
    // Lock and WAL go by the name: under a second one a second gateway would write the same file unhindered.
    if fs::metadata(&path).is_ok_and(|file| file.nlink() > 1) {
        return Err(OpenError::HardLinked(path));
    }
    let try_it = || {
        let connected = connect(&path, settings.busy_timeout);
        let ready = connected.and_then(|mut conn| prepare(&mut conn, &expected, &disk, sources, wall).map(|ready| (conn, ready)));
        ready.map_err(|error| error.on(&disk))
    };
    let mut full = false;
    let (conn, Ready { id, created }) = match try_it() {
        Err(OpenError::DiskFull) if disk.release_reserve() => {
            full = true;
            try_it()
        }
        tried => tried,
    }
    .inspect_err(|error| {
        if error.is_failure() {
            // The next start looks at all of it. Best effort: the reason is told now.
            drop(disk.mark_failed(&error.to_string()));
        }
    })?;
    lock.sign(id, settings.admin.clone()).map_err(at_path)?;
    if created {
        // The names of the new files are on disk with their directory only.
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all()).map_err(at_path)?;
    }
    full |= disk.is_short();
    if let Err(error) = disk.keep_reserve() {
        tracing::error!(%error, "there is no room for the reserve: no claims are taken until there is");
        full = true;
    }
    conn.busy_timeout(BEGIN_PATIENCE)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    disk.remember_files();
    Ok(Opened { path, conn, disk, lock, created, full })
}

/// Neither a database nor a lock file that would tell of one: who may make none is to leave no lock file either.
fn is_nowhere(path: &Path) -> bool {
    let is_absent = |path: &Path| fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    is_absent(path) && is_absent(&beside(path, ".lock"))
}

/// What should be there, by the lock file and the operator.
struct Expected<'a> {
    path: &'a Path,
    remembered: Remembered,
    new_database: NewDatabase,
}

impl Expected<'_> {
    /// Whether to open what is there; else a first start makes it.
    fn check_file(&self, bytes: Option<u64>) -> Result<bool, OpenError> {
        match bytes {
            Some(1..) => Ok(true),
            None => self.check_first_start("missing"),
            Some(0) => self.check_first_start("empty"),
        }
    }

    fn check_first_start(&self, what: &'static str) -> Result<bool, OpenError> {
        match (self.new_database, self.remembered) {
            (NewDatabase::Replace, _) | (NewDatabase::Allowed, Remembered::Nothing) => Ok(false),
            (NewDatabase::Required, Remembered::Nothing) => Err(OpenError::NoDatabase(self.path.to_owned())),
            (_, Remembered::Database(_) | Remembered::Torn) => Err(self.lost(what)),
        }
    }

    fn check_id(&self, found: Uuid) -> Result<(), OpenError> {
        match self.remembered {
            Remembered::Database(id) if id != found && self.new_database != NewDatabase::Replace => {
                Err(self.lost("another one than was here before"))
            }
            _ => Ok(()),
        }
    }

    fn lost(&self, what: &'static str) -> OpenError {
        OpenError::Lost { path: self.path.to_owned(), what }
    }
}

/// The database holds bodies, so it is its owner's alone; SQLite gives the files beside it the same mode. It is closed again before
/// SQLite opens it: a file handle of ours that closed later would take SQLite's locks with it.
fn create_private(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

fn connect(path: &Path, busy_timeout: Duration) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(busy_timeout)?;
    // A start that refuses must leave everything as it was: a -wal that belongs to another database would be moved into this one.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // It counts only before the first table.
    conn.execute_batch("PRAGMA page_size = 8192;")?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let ours: bool =
        conn.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'migration')", [], |row| row.get(0))?;
    if tables > 0 && !ours {
        return Err(OpenError::NotOurs(path.to_owned()));
    }
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::Damaged(format!("its journal mode stays {mode}")));
    }
    conn.execute_batch(WRITER_PRAGMAS)?;
    Ok(conn)
}

/// A connection that cannot write, for readers.
pub(super) fn prepare_reader(conn: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    conn.busy_timeout(busy_timeout)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.execute_batch(READER_PRAGMAS)
}

struct Ready {
    id: Uuid,
    created: bool,
}

/// Checks, schema, and work in hand.
fn prepare(
    conn: &mut Connection,
    expected: &Expected<'_>,
    disk: &Disk,
    sources: &[(SourceName, String)],
    wall: Timestamp,
) -> Result<Ready, OpenError> {
    check_whole_if_marked(conn, disk)?;
    migrate(conn, wall.0)?;
    for ends in sql::ENDS {
        conn.query_row(ends, [], |_| Ok(())).optional()?;
    }
    if planted(Flaw::UniqueConstraintIgnored) {
        conn.execute_batch(sql::DROP_IDENTITY)?;
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: Option<String> = tx.query_row(sql::DATABASE_ID, [], |row| row.get(0)).optional()?;
    let id = match &found {
        Some(text) => Uuid::try_parse(text).map_err(|error| OpenError::Damaged(error.to_string()))?,
        None => new_id(wall),
    };
    match &found {
        Some(_) => expected.check_id(id)?,
        // A schema without an id is a first start that did not come to its end; it must still be one.
        None => expected.check_first_start("empty").map(|_first| ())?,
    }
    tx.execute(sql::SET_DATABASE_ID, [id.to_string()])?;
    keep_work_in_hand(&tx, sources, wall)?;
    tx.commit()?;
    // What was recovered may be in the page cache alone. A repeat of it must not be answered before it is on the disk.
    checkpoint(conn)?;
    Ok(Ready { id, created: found.is_none() })
}

/// Leases keep their full length from now, delays are at most their own length, and sources have their present provider.
fn keep_work_in_hand(conn: &Connection, sources: &[(SourceName, String)], wall: Timestamp) -> rusqlite::Result<()> {
    conn.execute(sql::KEEP_LEASES, [wall.0])?;
    let handlers: Vec<i64> = conn.prepare(sql::HANDLERS)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let sources_known: Vec<i64> =
        conn.prepare(sql::SOURCES)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut clamp = conn.prepare(&sql::CLAMP_DELAYS)?;
    for handler in handlers {
        for source in &sources_known {
            clamp.execute([handler, *source, wall.0])?;
        }
    }
    let mut names = Names::default();
    for (source, provider) in sources {
        names.source(conn, source)?;
        conn.execute(sql::SET_PROVIDER, (source.as_str(), provider))?;
    }
    Ok(())
}

fn new_id(wall: Timestamp) -> Uuid {
    let seconds = u64::try_from(wall.unix_s()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, 0))
}

fn check_whole_if_marked(conn: &Connection, disk: &Disk) -> Result<(), OpenError> {
    if !disk.is_marked() {
        return Ok(());
    }
    tracing::warn!(
        "the last stop was by a failed write or by damage: checking the whole database, a minute for each 10 GiB or so"
    );
    let told: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if told != "ok" {
        return Err(OpenError::Damaged(told));
    }
    disk.unmark().map_err(|error| OpenError::Io { path: conn.path().unwrap_or_default().into(), error })
}

/// Moves the whole WAL into the database and flushes that.
pub(super) fn checkpoint(conn: &Connection) -> Result<(), OpenError> {
    let busy: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy { Err(OpenError::Busy) } else { Ok(()) }
}

/// How many pages the WAL has.
pub(super) fn wal_frames(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?.query_row([], |row| row.get(1))
}

/// Moves what it can of the WAL, waiting for nobody.
pub(super) fn checkpoint_now(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))
}
