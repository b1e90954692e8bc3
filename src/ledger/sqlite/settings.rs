//! Where the database is, how it is opened, and why it was not.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::ErrorCode;

use super::disk::Disk;
use super::lock::Holder;
use super::migrate::MigrateError;
use super::severity::{Severity, is_damage, is_no_room_for_shm, severity};

/// What to do where there is no database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewDatabase {
    /// Make one, unless the lock file remembers that there was one.
    Allowed,
    /// Make one in any case: the operator knows that the old one is lost.
    Replace,
    /// Refuse: there must be one.
    Required,
}

/// Where the database is and how it is opened.
#[derive(Clone, Debug)]
pub struct SqliteSettings {
    /// The database file. Other files stand beside it, named as it is and a suffix.
    pub path: PathBuf,
    /// How long a start or a reader waits for another process.
    pub busy_timeout: Duration,
    /// Claims stop when less than this many bytes are free.
    pub min_free: u64,
    /// Most claims that wait for the writer.
    pub queue: usize,
    /// What to do where there is no database.
    pub new_database: NewDatabase,
    /// Where the admin listener is, if that is known already.
    pub admin: Option<String>,
}

impl SqliteSettings {
    /// The defaults for a database at `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            busy_timeout: Duration::from_secs(2),
            min_free: 64 << 20,
            queue: 4096,
            new_database: NewDatabase::Allowed,
            admin: None,
        }
    }
}

/// Why a database was not opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("another hookgate process{} has {path} open: stop it first, or wait for its end", held_by(.holder.as_ref()))]
    Locked {
        /// The database.
        path: PathBuf,
        /// Who has it, as far as it said.
        holder: Option<Holder>,
    },
    /// There is no such directory, or it is no directory.
    #[error("the directory of {0} does not exist: make it, or correct the path")]
    DirectoryMissing(PathBuf),
    /// The directory is on a network file system.
    #[error("{path} is on a network file system ({kind}): locks and flushes do not hold there, use a local disk")]
    NetworkFileSystem {
        /// The database.
        path: PathBuf,
        /// Which one.
        kind: &'static str,
    },
    /// The file has a second name.
    #[error("{0} has a second name (a hard link), under which another gateway could open it: copy it, and open the copy")]
    HardLinked(PathBuf),
    /// The lock file remembers a database that is not here.
    #[error(
        "the database at {path} is {what}: restore it (and remove a -wal and -shm that are not its own), or begin anew with `--new-database` and lose what it knew"
    )]
    Lost {
        /// The database.
        path: PathBuf,
        /// What is here instead.
        what: &'static str,
    },
    /// There is none and one was required.
    #[error(
        "there is no database at {0}: correct the path, or let a first start of `serve` make it (with `require_database` that takes `--new-database`)"
    )]
    NoDatabase(PathBuf),
    /// Its schema is newer than this program.
    #[error("the database is newer than this program (schema {found}, known up to {known}): use the newer program")]
    TooNew {
        /// Its schema's version.
        found: u32,
        /// The newest that we know.
        known: u32,
    },
    /// A migration was changed after it was applied.
    #[error("migration {0} is not the one that was applied to the database: use a published program")]
    MigrationChanged(String),
    /// The file is another program's.
    #[error("{0} is another program's database: correct the path")]
    NotOurs(PathBuf),
    /// The database does not hold what was written.
    #[error("the database is damaged ({0}): restore a backup")]
    Damaged(String),
    /// Another process holds it locked, though no gateway.
    #[error("another program has the database locked: close it and start again")]
    Busy,
    /// Not even the start could be written.
    #[error("the disk is full: free some space and start again")]
    DiskFull,
    /// The SQLite that this was built with is too old.
    #[error("SQLite {0} can lose commits: 3.51.3 or newer is needed")]
    SqliteTooOld(&'static str),
    /// SQLite said something else.
    #[error("the database cannot be used ({0})")]
    Sql(rusqlite::Error),
    /// The operating system said something else.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl OpenError {
    /// Whether the store is merely out of reach: taken, missing, on the wrong disk. Else it is damaged, lost or too new.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Locked { .. }
                | Self::DirectoryMissing(_)
                | Self::NetworkFileSystem { .. }
                | Self::NoDatabase(_)
                | Self::HardLinked(_)
                | Self::Busy
                | Self::Io { .. }
        )
    }

    /// A stable word for logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "database-locked",
            Self::DirectoryMissing(_) => "directory-missing",
            Self::NetworkFileSystem { .. } => "network-file-system",
            Self::HardLinked(_) => "hard-linked",
            Self::Lost { .. } => "database-lost",
            Self::NoDatabase(_) => "no-database",
            Self::TooNew { .. } => "database-too-new",
            Self::MigrationChanged(_) => "migration-changed",
            Self::NotOurs(_) => "database-not-ours",
            Self::Damaged(_) => "database-damaged",
            Self::Busy => "database-busy",
            Self::DiskFull => "disk-full",
            Self::SqliteTooOld(_) => "sqlite-too-old",
            Self::Sql(_) => "database-unusable",
            Self::Io { .. } => "database-io",
        }
    }
}

impl OpenError {
    /// Whether a write failed or the database is damaged, so that all of it must be looked at before it is trusted again.
    pub(super) fn is_failure(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sql(error) => severity(error) == Severity::Final,
            _ => false,
        }
    }

    /// Before anything is written the -shm is made, and a full disk is told of as an I/O error there.
    pub(super) fn on(self, disk: &Disk) -> Self {
        match self {
            Self::Sql(error) if is_no_room_for_shm(&error) && disk.is_brimful() => Self::DiskFull,
            other => other,
        }
    }
}

fn held_by(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" (pid {})", holder.pid)).unwrap_or_default()
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            _ if is_damage(&error) => Self::Damaged(error.to_string()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Sql(error),
        }
    }
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Newer { found, known } => Self::TooNew { found, known },
            MigrateError::Changed(name) => Self::MigrationChanged(name),
            MigrateError::Sql(error) => error.into(),
        }
    }
}
