//! Groups that end badly. The commands here are the tests' own, so that each can fail as it likes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use rusqlite::{Connection, ffi};
use tempfile::TempDir;

use crate::clock::ManualClock;
use crate::ledger::sqlite::command::{Fault, Tx};
use crate::ledger::sqlite::shared::LedgerTime;
use crate::ledger::sqlite::{SqliteLedger, SqliteSettings, open, pool};
use crate::ledger::{Journal, Ledger, LedgerError, Patience, StoreState};
use crate::model::Timestamp;

const PATIENCE: Patience = Patience { queue: Duration::ZERO, busy: Duration::from_secs(2) };

fn start(directory: &Path, change: impl FnOnce(&Connection)) -> SqliteLedger {
    let settings = SqliteSettings { min_free: 0, ..SqliteSettings::at(directory.join("hookgate.db")) };
    let time = LedgerTime::start(Arc::new(ManualClock::at(Timestamp(0))));
    let opened = open::open(&settings, &[], time.now()).expect("it opens");
    change(&opened.conn);
    let pools = [1, 1].map(|most| pool(&opened.path, most, settings.busy_timeout).expect("readers"));
    SqliteLedger::start(opened, pools, time, settings.queue).expect("a thread")
}

fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

/// Writes a fact that tells later whether it was committed.
fn put(name: &'static str) -> impl FnMut(&mut Tx<'_>) -> Result<(), Fault> + Send + 'static {
    move |tx| {
        tx.execute("INSERT INTO meta (name, value) VALUES (?1, '')", [name])?;
        Ok(())
    }
}

fn facts(store: &SqliteLedger) -> Vec<String> {
    let conn = Connection::open(store.path()).expect("another connection");
    let mut names = conn.prepare("SELECT name FROM meta WHERE name <> 'database-id' ORDER BY name").expect("a statement");
    names.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("rows")
}

fn failure(code: i32) -> Fault {
    Fault::Sql(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
}

/// Holds the write lock until what was handed over so far is one group.
async fn held_until_all_wait(store: &SqliteLedger, intruder: Connection) {
    let now = Patience { busy: Duration::ZERO, ..PATIENCE };
    assert_eq!(store.shared.claim(0, now, put("probe")).await, Err(LedgerError::Busy));
    drop(intruder);
}

fn intruder(store: &SqliteLedger) -> Connection {
    let conn = Connection::open(store.path()).expect("another connection");
    conn.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    conn
}

#[tokio::test]
async fn a_rolled_back_group_is_told_to_claims_and_run_again_for_the_rest() {
    let directory = directory();
    let store = start(directory.path(), |_| {});
    let intruder = intruder(&store);
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let mut innocent = Box::pin(store.shared.claim(0, PATIENCE, put("innocent")));
    let mut result = Box::pin(store.shared.ask(move |tx| {
        counted.fetch_add(1, Ordering::Relaxed);
        put("result")(tx)
    }));
    // As SQLite does by itself when memory or the disk ends.
    let mut guilty = Box::pin(store.shared.claim(0, PATIENCE, |tx: &mut Tx<'_>| -> Result<(), Fault> {
        tx.conn.execute_batch("ROLLBACK")?;
        Err(failure(ffi::SQLITE_NOMEM))
    }));
    assert!((&mut innocent).now_or_never().is_none() && (&mut result).now_or_never().is_none());
    assert!((&mut guilty).now_or_never().is_none());
    held_until_all_wait(&store, intruder).await;
    assert!(matches!(innocent.await, Err(LedgerError::RolledBack(_))));
    assert!(matches!(guilty.await, Err(LedgerError::RolledBack(_))));
    assert_eq!(result.await, Ok(()));
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(facts(&store), ["result"]);
    assert_eq!(store.state(), StoreState::Ready);
}

#[tokio::test]
async fn a_command_that_always_ends_its_group_is_given_up() {
    let directory = directory();
    let store = start(directory.path(), |_| {});
    let told = store.shared.ask(|tx: &mut Tx<'_>| -> Result<(), Fault> {
        tx.conn.execute_batch("ROLLBACK")?;
        Err(failure(ffi::SQLITE_NOMEM))
    });
    assert!(matches!(told.await, Err(LedgerError::RolledBack(_))));
    assert_eq!(store.shared.ask(put("next")).await, Ok(()));
}

#[tokio::test]
async fn a_failed_write_is_final() {
    let directory = directory();
    let store = start(directory.path(), |_| {});
    store.shared.ask(put("before")).await.expect("a change");
    for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE] {
        let told = store.shared.claim(0, PATIENCE, move |tx: &mut Tx<'_>| {
            put("during")(tx)?;
            Err::<(), _>(failure(code))
        });
        assert!(matches!(told.await, Err(LedgerError::Failed(_))));
    }
    assert!(matches!(store.shared.ask(put("after")).await, Err(LedgerError::Failed(_))));
    assert!(store.failed().now_or_never().is_some());
    store.close().await;
    assert_eq!(facts(&store), ["before"]);
    assert!(directory.path().join("hookgate.db.failed").exists());
}

#[tokio::test]
async fn a_full_disk_stops_claims_gives_up_the_reserve_and_ends_by_itself() {
    let directory = directory();
    let store = start(directory.path(), |conn| {
        let pages: i64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a count");
        let most: i64 =
            conn.query_row(&format!("PRAGMA max_page_count = {}", pages + 10), [], |row| row.get(0)).expect("a limit");
        assert_eq!(most, pages + 10);
    });
    let reserve = directory.path().join("hookgate.db.reserve");
    assert_eq!(std::fs::metadata(&reserve).expect("a reserve").len(), 16 << 20);
    let mut states = store.shared.state.subscribe();
    let mut runs = 0;
    let result = store.shared.ask(move |tx: &mut Tx<'_>| {
        runs += 1;
        // There is room for it only once something was given up.
        let bytes = if runs == 1 { 1 << 20 } else { 10 };
        tx.execute("INSERT INTO meta (name, value) VALUES ('result', hex(zeroblob(?1)))", [bytes])?;
        Ok(tx.now_us)
    });
    assert_eq!(result.await, Ok(0), "it waits through");
    assert_eq!(store.state(), StoreState::Full);
    assert!(!reserve.exists(), "given up");
    assert_eq!(store.shared.claim(0, PATIENCE, put("claim")).await, Err(LedgerError::Full));
    states.wait_for(|state| *state == StoreState::Ready).await.expect("there is room");
    assert!(reserve.exists());
    assert_eq!(store.shared.claim(0, PATIENCE, put("claim")).await, Ok(()));
    let big = store.shared.claim(0, PATIENCE, |tx: &mut Tx<'_>| {
        tx.execute("INSERT INTO meta (name, value) VALUES ('big', hex(zeroblob(1000000)))", [])?;
        Ok(())
    });
    assert_eq!(big.await, Err(LedgerError::Full));
    assert_eq!(facts(&store), ["claim", "result"]);
}

#[tokio::test]
async fn a_writer_that_panics_has_failed() {
    let directory = directory();
    let store = start(directory.path(), |_| {});
    let told = store.shared.ask(|_: &mut Tx<'_>| -> Result<(), Fault> { panic!("a bug") });
    assert!(matches!(told.await, Err(LedgerError::Failed(_))));
    assert_eq!(store.failed().await, "the writer panicked");
    assert!(matches!(store.shared.ask(put("after")).await, Err(LedgerError::Failed(_))));
}

#[tokio::test]
async fn an_orderly_end_writes_what_waits() {
    let directory = directory();
    let store = start(directory.path(), |_| {});
    let intruder = intruder(&store);
    let mut last = Box::pin(store.shared.ask(put("last")));
    assert!((&mut last).now_or_never().is_none());
    let mut close = store.close();
    assert!((&mut close).now_or_never().is_none());
    drop(intruder);
    close.await;
    assert_eq!(last.await, Ok(()));
    assert_eq!(facts(&store), ["last"]);
    assert_eq!(std::fs::metadata(directory.path().join("hookgate.db-wal")).map_or(0, |wal| wal.len()), 0);
    assert_eq!(store.dropped(), 0);
}

#[tokio::test]
async fn the_wal_stays_short() {
    let directory = directory();
    let store = start(directory.path(), |_| {});
    for number in 0..100 {
        // 25 pages and a few for each.
        let big = store.shared.ask(move |tx: &mut Tx<'_>| {
            tx.execute("INSERT INTO meta (name, value) VALUES ('big ' || ?1, hex(zeroblob(100000)))", [number])?;
            Ok(())
        });
        big.await.expect("a change");
    }
    let pages = std::fs::metadata(directory.path().join("hookgate.db-wal")).expect("a WAL").len() / 8192;
    assert!((500..600).contains(&pages), "{pages}");
}
