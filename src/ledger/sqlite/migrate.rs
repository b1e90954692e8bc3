//! Brings the schema up to date: forward only, all in one transaction, each file once.

use hex::encode;
use rusqlite::Connection;
use sha2::{Digest, Sha256};

/// One file of `migrations/sqlite`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Migration {
    pub version: u32,
    pub name: &'static str,
    pub sql: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration { version: $version, name: $name, sql: include_str!(concat!("../../../migrations/sqlite/", $name)) }
    };
}

/// Every migration, oldest first.
pub(super) const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_names.sql"),
    migration!(2, "0002_events.sql"),
    migration!(3, "0003_tasks.sql"),
    migration!(4, "0004_deliveries.sql"),
    migration!(5, "0005_purge.sql"),
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migration (
    -- Its number.
    version INTEGER PRIMARY KEY,
    -- Its file.
    name TEXT NOT NULL,
    -- Hex SHA-256 of the file as applied.
    sha256 TEXT NOT NULL,
    -- When, microseconds since the Unix epoch.
    applied_at_us INTEGER NOT NULL
) STRICT";

/// Why the schema is not what we know.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    #[error("its schema is version {found}, this program knows {known}")]
    Newer { found: u32, known: u32 },
    #[error("migration {0} is not the one that was applied")]
    Changed(String),
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
}

/// Applies what is missing.
pub(super) fn migrate(conn: &mut Connection, now_us: i64) -> Result<(), MigrateError> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute_batch(TABLE)?;
    let applied: Vec<(u32, String)> = tx
        .prepare("SELECT version, sha256 FROM migration ORDER BY version")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let known = MIGRATIONS.last().map_or(0, |last| last.version);
    if let Some((found, _)) = applied.last().filter(|(found, _)| *found > known) {
        return Err(MigrateError::Newer { found: *found, known });
    }
    for migration in MIGRATIONS {
        let sha256 = encode(Sha256::digest(migration.sql));
        match applied.iter().find(|(version, _)| *version == migration.version) {
            Some((_, before)) if *before == sha256 => {}
            Some(_) => return Err(MigrateError::Changed(migration.name.to_owned())),
            None => {
                tx.execute_batch(migration.sql)?;
                tx.execute(
                    "INSERT INTO migration (version, name, sha256, applied_at_us) VALUES (?1, ?2, ?3, ?4)",
                    (migration.version, migration.name, sha256, now_us),
                )?;
            }
        }
    }
    tx.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
            .collect();
        files.sort();
        let listed: Vec<_> = MIGRATIONS.iter().map(|migration| migration.name).collect();
        assert_eq!(files, listed);
        for (at, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(migration.version).expect("small"), at + 1);
            assert!(migration.name.starts_with(&format!("{:04}_", migration.version)), "{}", migration.name);
        }
    }

    #[test]
    fn a_second_run_changes_nothing_and_a_changed_file_is_refused() {
        let mut conn = Connection::open_in_memory().expect("memory");
        migrate(&mut conn, 1).expect("a first run");
        migrate(&mut conn, 2).expect("a second run");
        let rows: i64 =
            conn.query_row("SELECT count(*) FROM migration WHERE applied_at_us = 1", [], |row| row.get(0)).expect("rows");
        assert_eq!(usize::try_from(rows), Ok(MIGRATIONS.len()));
        conn.execute("UPDATE migration SET sha256 = 'other' WHERE version = 2", []).expect("a change");
        assert!(matches!(migrate(&mut conn, 3), Err(MigrateError::Changed(name)) if name == "0002_events.sql"));
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut conn = Connection::open_in_memory().expect("memory");
        migrate(&mut conn, 1).expect("a first run");
        conn.execute("INSERT INTO migration VALUES (9, '0009_later.sql', '', 1)", []).expect("a row");
        assert!(matches!(migrate(&mut conn, 2), Err(MigrateError::Newer { found: 9, known: 5 })));
    }
}
