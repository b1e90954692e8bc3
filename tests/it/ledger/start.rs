//! SQLite's own: which database is opened, by whom, and which is not.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hookgate::clock::ManualClock;
use hookgate::ledger::sqlite::{Holder, NewDatabase, OpenError, SqliteLedger, SqliteSettings, read_holder};
use hookgate::ledger::{Ledger, LedgerError};

use crate::helpers::evidence::{BEGIN, admitted, plan};
use crate::helpers::store::{PATIENCE, directory, open_sqlite, pair, settings};

fn open(settings: SqliteSettings) -> Result<SqliteLedger, OpenError> {
    open_sqlite(settings, &Arc::new(ManualClock::at(BEGIN)))
}

fn with(directory: &Path, new_database: NewDatabase) -> SqliteSettings {
    SqliteSettings { new_database, ..settings(directory) }
}

/// Made, closed, and so remembered by its lock file.
fn make(directory: &Path) {
    assert!(open(settings(directory)).expect("a first start").created());
}

fn lose(directory: &Path) {
    for file in ["hookgate.db", "hookgate.db-wal", "hookgate.db-shm"] {
        drop(fs::remove_file(directory.join(file)));
    }
}

#[test]
fn a_second_gateway_is_refused_by_any_spelling_and_told_who_has_it() {
    let directory = directory();
    let real = directory.path().join("real");
    fs::create_dir(&real).expect("a directory");
    std::os::unix::fs::symlink(&real, directory.path().join("link")).expect("a link");
    let store = open(settings(&real)).expect("it opens");
    std::os::unix::fs::symlink(store.path(), directory.path().join("file-link.db")).expect("a link");
    let spellings = [
        real.join("hookgate.db"),
        directory.path().join("link/hookgate.db"),
        real.join("../link/../real/./hookgate.db"),
        directory.path().join("file-link.db"),
    ];
    for path in spellings {
        let refused = open(SqliteSettings { path: path.clone(), ..settings(&real) }).expect_err("somebody has it");
        let OpenError::Locked { holder: Some(holder), .. } = &refused else { panic!("{refused}") };
        assert_eq!(holder.pid, std::process::id());
        assert!(refused.to_string().contains(&format!("(pid {})", std::process::id())), "{refused}");
        assert_eq!(read_holder(&path).map(|holder| holder.pid), Some(std::process::id()), "{}", path.display());
    }
}

#[tokio::test]
async fn the_lock_file_says_where_the_admin_listener_is_while_it_is() {
    let directory = directory();
    let path = directory.path().join("hookgate.db");
    assert_eq!(read_holder(&path), None);
    let store = open(SqliteSettings { admin: Some("127.0.0.1:1".into()), ..settings(directory.path()) }).expect("it opens");
    let holder = |admin: &str| Some(Holder { pid: std::process::id(), admin: Some(admin.into()) });
    assert_eq!(read_holder(&path), holder("127.0.0.1:1"));
    store.set_admin_address("127.0.0.1:28080".into()).expect("it is written");
    assert_eq!(read_holder(&path), holder("127.0.0.1:28080"));
    let clock = Arc::new(ManualClock::at(BEGIN));
    let offline = SqliteLedger::open_offline(&path, Arc::<ManualClock>::clone(&clock));
    assert!(matches!(offline, Err(OpenError::Locked { .. })));
    store.close().await;
    assert_eq!(read_holder(&path), None);
    drop(store);
    assert!(!SqliteLedger::open_offline(&path, clock).expect("nobody has it").created());
}

#[test]
fn a_command_makes_no_database() {
    let directory = directory();
    let path = directory.path().join("hookgate.db");
    let refused = SqliteLedger::open_offline(&path, Arc::new(ManualClock::at(BEGIN))).expect_err("there is none");
    assert!(matches!(refused, OpenError::NoDatabase(_)), "{refused}");
    assert!(matches!(open(with(directory.path(), NewDatabase::Required)), Err(OpenError::NoDatabase(_))));
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 0, "no lock file either");
    make(directory.path());
    assert!(!open(with(directory.path(), NewDatabase::Required)).expect("there is one").created());
}

#[tokio::test]
async fn a_lost_database_is_not_begun_anew_in_silence() {
    let directory = directory();
    make(directory.path());
    lose(directory.path());
    for new_database in [NewDatabase::Allowed, NewDatabase::Required] {
        let refused = open(with(directory.path(), new_database)).expect_err("it is lost");
        assert!(matches!(refused, OpenError::Lost { what: "missing", .. }), "{refused}");
        assert!(refused.to_string().contains("--new-database"), "{refused}");
    }
    fs::write(directory.path().join("hookgate.db"), "").expect("an empty file");
    let refused = open(settings(directory.path())).expect_err("it is lost");
    assert!(matches!(refused, OpenError::Lost { what: "empty", .. }), "{refused}");
    assert!(open(with(directory.path(), NewDatabase::Replace)).expect("the operator knows").created());
    assert!(!open(settings(directory.path())).expect("the new one is remembered").created());
}

#[test]
fn another_database_in_its_place_is_refused() {
    let (ours, theirs) = (directory(), directory());
    make(ours.path());
    let clock = Arc::new(ManualClock::at(BEGIN));
    drop(open_sqlite(settings(theirs.path()), &clock).expect("another first start"));
    fs::copy(theirs.path().join("hookgate.db"), ours.path().join("hookgate.db")).expect("a copy");
    let refused = open(settings(ours.path())).expect_err("it is another one");
    assert!(matches!(refused, OpenError::Lost { .. }), "{refused}");
    assert!(!open(with(ours.path(), NewDatabase::Replace)).expect("the operator knows").created());
}

#[test]
fn a_torn_lock_file_still_tells_that_there_was_a_database() {
    let directory = directory();
    make(directory.path());
    fs::write(directory.path().join("hookgate.db.lock"), r#"{"database":"0199"#).expect("half a word");
    assert!(!open(settings(directory.path())).expect("the database is there").created());
    fs::write(directory.path().join("hookgate.db.lock"), r#"{"database":"0199"#).expect("half a word");
    lose(directory.path());
    assert!(matches!(open(settings(directory.path())), Err(OpenError::Lost { .. })));
}

#[test]
fn an_empty_file_is_a_first_start_where_nothing_is_remembered() {
    let directory = directory();
    fs::write(directory.path().join("hookgate.db"), "").expect("an empty file");
    assert!(open(settings(directory.path())).expect("a first start").created());
}

#[test]
fn a_newer_schema_is_refused() {
    let directory = directory();
    make(directory.path());
    let conn = rusqlite::Connection::open(directory.path().join("hookgate.db")).expect("a connection");
    conn.execute_batch("INSERT INTO migration VALUES (999, '0999_later.sql', '', 0)").expect("a newer program's row");
    drop(conn);
    let refused = open(settings(directory.path())).expect_err("it is newer");
    assert!(matches!(refused, OpenError::TooNew { found: 999, .. }), "{refused}");
}

#[test]
fn another_programs_file_is_refused() {
    let directory = directory();
    let path = directory.path().join("hookgate.db");
    let conn = rusqlite::Connection::open(&path).expect("a connection");
    conn.execute_batch("CREATE TABLE theirs (x)").expect("their table");
    drop(conn);
    assert!(matches!(open(settings(directory.path())), Err(OpenError::NotOurs(_))));
    fs::write(&path, "no database at all, and long enough to be looked at: ".repeat(30)).expect("a text");
    assert!(matches!(open(settings(directory.path())), Err(OpenError::Damaged(_))));
    let nowhere = SqliteSettings::at(directory.path().join("nowhere/hookgate.db"));
    assert!(matches!(open(nowhere), Err(OpenError::DirectoryMissing(_))));
}

#[tokio::test]
async fn a_start_has_everything_on_disk_before_it_answers() {
    let directory = directory();
    let wal = directory.path().join("hookgate.db-wal");
    let store = open(settings(directory.path())).expect("a first start");
    store.claim(admitted("shop", "evt_1", 1), plan("", &["mail"]), PATIENCE).await.expect("a claim");
    assert!(fs::metadata(&wal).expect("a WAL").len() > 0);
    // What a kill leaves behind: the files as they are, with the WAL not yet in the database.
    let killed = self::directory();
    for file in ["hookgate.db", "hookgate.db-wal", "hookgate.db.lock"] {
        // By another process: closing a file of our own would drop SQLite's locks on it.
        let copied = Command::new("cp").arg(directory.path().join(file)).arg(killed.path()).status();
        assert!(copied.expect("a copy").success());
    }
    let again = open(settings(killed.path())).expect("it recovers");
    assert_eq!(fs::metadata(killed.path().join("hookgate.db-wal")).expect("a WAL").len(), 0, "all of it is in the database");
    assert!(again.find(pair("evt_1")).await.expect("a read").is_some());
}

#[test]
fn a_marked_database_is_checked_whole_and_then_opened() {
    let directory = directory();
    make(directory.path());
    let marker = directory.path().join("hookgate.db.failed");
    fs::write(&marker, "disk I/O error").expect("a marker");
    open(settings(directory.path())).expect("it is sound");
    assert!(!marker.exists());
}

#[tokio::test]
async fn a_database_that_is_removed_or_replaced_while_open_is_final() {
    type Change = fn(&Path);
    let changes: [Change; 3] = [
        |path| fs::remove_file(path).expect("a file"),
        |path| fs::rename(path, path.with_extension("moved")).expect("a file"),
        |path| {
            let other = path.with_extension("other");
            fs::write(&other, "another file").expect("a file");
            fs::rename(&other, path).expect("a file");
        },
    ];
    for change in changes {
        let directory = directory();
        let clock = Arc::new(ManualClock::at(BEGIN));
        let store = open_sqlite(settings(directory.path()), &clock).expect("it opens");
        store.claim(admitted("shop", "evt_1", 1), plan("", &[]), PATIENCE).await.expect("all is well");
        change(&directory.path().join("hookgate.db"));
        clock.advance(Duration::from_secs(1));
        let claim = store.claim(admitted("shop", "evt_2", 2), plan("", &[]), PATIENCE).await;
        assert!(matches!(claim, Err(LedgerError::Failed(_))), "{claim:?}");
    }
}

#[test]
fn a_database_with_a_second_name_is_refused() {
    let directory = directory();
    make(directory.path());
    fs::hard_link(directory.path().join("hookgate.db"), directory.path().join("second.db")).expect("a link");
    assert_eq!(open(settings(directory.path())).expect_err("it is refused").code(), "hard-linked");
}

#[tokio::test]
async fn a_start_that_refuses_leaves_the_database_as_it_was() {
    let [ours, others, here] = [directory(), directory(), directory()];
    make(others.path());
    let store = open(settings(ours.path())).expect("it opens");
    for number in 1..20 {
        let id = format!("evt_{number}");
        store.claim(admitted("shop", &id, number), plan("", &["mail"]), PATIENCE).await.expect("it is taken");
    }
    // What a kill leaves: a lock file and a -wal of ours. Then somebody puts another database in the place.
    for file in ["hookgate.db-wal", "hookgate.db.lock"] {
        fs::copy(ours.path().join(file), here.path().join(file)).expect("a file");
    }
    let database = here.path().join("hookgate.db");
    fs::copy(others.path().join("hookgate.db"), &database).expect("a file");
    let before = fs::read(&database).expect("a file");
    open(settings(here.path())).expect_err("it is not the one that was here");
    assert!(fs::read(&database).expect("a file") == before, "not a byte of it was changed");
}
