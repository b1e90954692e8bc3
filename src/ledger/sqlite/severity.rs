//! How bad an error of SQLite is. Result codes decide: a full disk during a flush comes as an I/O error, and is one.

use rusqlite::{ErrorCode, ffi};

/// How bad a failed statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// It alone failed.
    Statement,
    /// Another process has the database.
    Busy,
    /// The disk is full.
    Full,
    /// Nothing of this process may be written any more.
    Final,
}

pub(super) fn severity(error: &rusqlite::Error) -> Severity {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Severity::Busy,
        Some(ErrorCode::DiskFull) => Severity::Full,
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen,
        ) => Severity::Final,
        _ => Severity::Statement,
    }
}

/// Whether what a reader met means that nothing here can be trusted any more. One that cannot open a file may merely have none left.
pub(super) fn is_final_for_reader(error: &rusqlite::Error) -> bool {
    is_damage(error) || error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

/// Whether an error found while opening means that the database is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether the file that readers and writer share in memory could not be made long enough. It holds nothing that lasts.
pub(super) fn is_no_room_for_shm(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE)
}
