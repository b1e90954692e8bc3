//! SQLite's own: what a group of changes does when one of them fails, the database is locked or the disk is short.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use hookgate::clock::ManualClock;
use hookgate::ledger::sqlite::SqliteSettings;
use hookgate::ledger::{
    Attempt, Claim, DeliveryFilter, Journal, Ledger, LedgerError, Patience, Redrive, Settled, Settlement, StoreState,
};
use hookgate::model::{Outcome, Verdict};

use crate::helpers::evidence::{BEGIN, admitted, delivery, handler, plan};
use crate::helpers::store::{Intruder, LEASE, PATIENCE, directory, note, open_sqlite, pair, settings, tried_in_vain};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(BEGIN))
}

#[tokio::test]
async fn the_unique_constraint_decides_within_one_group() {
    let directory = directory();
    let store = open_sqlite(settings(directory.path()), &clock()).expect("it opens");
    let intruder = Intruder::at(store.path().to_owned());
    let mut claims: Vec<_> =
        (0..100).map(|number| store.claim(admitted("shop", "evt_1", number), plan("", &["mail"]), PATIENCE)).collect();
    assert!(claims.iter_mut().all(|claim| claim.now_or_never().is_none()), "all wait");
    tried_in_vain(&store).await;
    drop(intruder);
    let claims = join_all(claims).await;
    assert!(matches!(claims[0], Ok(Claim::First)), "they are served in order");
    for claim in &claims[1..] {
        let Ok(Claim::Found(found)) = claim else { panic!("{claim:?}") };
        assert_eq!(found.key, delivery(0));
    }
    let leased = store.lease_tasks(&handler("mail"), 200, LEASE).await.expect("leases");
    assert_eq!(leased.work.len(), 1);
}

#[tokio::test]
async fn a_claim_that_fails_leaves_nothing_and_its_group_commits() {
    let directory = directory();
    let store = open_sqlite(settings(directory.path()), &clock()).expect("it opens");
    let intruder = Intruder::at(store.path().to_owned());
    // A handler cannot have two tasks of one event: the statement fails after the event and one task were inserted.
    let plans = [plan("", &["mail"]), plan("", &["audit", "mail", "mail"]), plan("", &["mail"])];
    let mut claims: Vec<_> = (1..)
        .zip(plans)
        .map(|(number, plan)| store.claim(admitted("shop", &format!("evt_{number}"), number), plan, PATIENCE))
        .collect();
    assert!(claims.iter_mut().all(|claim| claim.now_or_never().is_none()), "all wait");
    tried_in_vain(&store).await;
    drop(intruder);
    let claims = join_all(claims).await;
    assert!(matches!(claims[0], Ok(Claim::First)));
    assert!(matches!(claims[1], Err(LedgerError::RolledBack(_))), "{:?}", claims[1]);
    assert!(matches!(claims[2], Ok(Claim::First)));
    assert_eq!(store.find(pair("evt_2")).await, Ok(None), "nothing of it is there");
    assert_eq!(store.lease_tasks(&handler("audit"), 9, LEASE).await.expect("leases").work.len(), 0);
    assert!(store.task_made(&handler("audit")).now_or_never().is_none(), "nobody is woken for it");
    assert_eq!(store.lease_tasks(&handler("mail"), 9, LEASE).await.expect("leases").work.len(), 2);
    let again = store.claim(admitted("shop", "evt_2", 9), plan("", &["audit"]), PATIENCE).await;
    assert!(matches!(again, Ok(Claim::First)), "the provider's retry is a first delivery");
}

#[tokio::test]
async fn a_locked_database_is_waited_for_as_long_as_patience_lasts() {
    let directory = directory();
    let clock = clock();
    let store = open_sqlite(settings(directory.path()), &clock).expect("it opens");
    let intruder = Intruder::at(store.path().to_owned());
    let mut claim = store.claim(admitted("shop", "evt_1", 1), plan("", &["mail"]), PATIENCE);
    assert!((&mut claim).now_or_never().is_none());
    let mut patient = store.claim(admitted("shop", "evt_2", 2), plan("", &[]), Patience { busy: LEASE, ..PATIENCE });
    assert!((&mut patient).now_or_never().is_none());
    let mut redrive = store.redrive(pair("evt_2"), Redrive::default());
    assert!((&mut redrive).now_or_never().is_none());
    tried_in_vain(&store).await;
    assert!((&mut claim).now_or_never().is_none(), "its patience lasts");
    clock.advance(PATIENCE.busy);
    assert!(matches!(claim.await, Err(LedgerError::Busy)));
    assert!((&mut patient).now_or_never().is_none(), "another one's lasts longer");
    assert!((&mut redrive).now_or_never().is_none(), "what is no claim waits through");
    assert_eq!(store.state(), StoreState::Ready);
    intruder.0.execute_batch("ROLLBACK").expect("the lock is free");
    assert!(matches!(patient.await, Ok(Claim::First)));
    assert!(redrive.await.is_ok());
    assert_eq!(store.find(pair("evt_1")).await, Ok(None));
    let told: String = intruder.0.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    assert_eq!(told, "ok");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_or_waits_for_a_place() {
    let directory = directory();
    let clock = clock();
    let store = open_sqlite(SqliteSettings { queue: 1, ..settings(directory.path()) }, &clock).expect("it opens");
    let intruder = Intruder::at(store.path().to_owned());
    let claim = |number: u64, queue| {
        let patience = Patience { queue, ..PATIENCE };
        store.claim(admitted("shop", &format!("evt_{number}"), number), plan("", &["mail"]), patience)
    };
    assert!(store.has_room());
    let mut held = claim(1, Duration::ZERO);
    assert!((&mut held).now_or_never().is_none());
    assert!(!store.has_room());
    assert!(matches!(claim(2, Duration::ZERO).await, Err(LedgerError::Overloaded)));
    let mut gives_up = claim(3, Duration::from_secs(1));
    let mut waits = claim(4, Duration::from_secs(9));
    assert!((&mut gives_up).now_or_never().is_none());
    assert!((&mut waits).now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    assert!(matches!(gives_up.await, Err(LedgerError::Overloaded)));
    drop(intruder);
    assert!(matches!(held.await, Ok(Claim::First)));
    assert!(matches!(waits.await, Ok(Claim::First)));
}

#[tokio::test]
async fn a_short_disk_stops_claims_and_nothing_else() {
    let directory = directory();
    let clock = clock();
    let store = open_sqlite(settings(directory.path()), &clock).expect("it opens");
    store.claim(admitted("shop", "evt_1", 1), plan("", &["mail"]), PATIENCE).await.expect("a claim");
    let leased = store.lease_tasks(&handler("mail"), 1, LEASE).await.expect("leases");
    store.close().await;
    drop(store);

    let never = SqliteSettings { min_free: u64::MAX, ..settings(directory.path()) };
    let store = open_sqlite(never, &clock).expect("it opens all the same");
    assert_eq!(store.state(), StoreState::Full);
    let claim = store.claim(admitted("shop", "evt_2", 2), plan("", &["mail"]), PATIENCE).await;
    assert!(matches!(claim, Err(LedgerError::Full)));
    let lease = leased.work.into_iter().next().expect("one").lease;
    let attempt = Attempt { duration: Duration::ZERO, outcome: Outcome::TimedOut };
    assert_eq!(store.settle_task(lease, attempt, Settlement::Done).await, Ok(Settled::Recorded));
    store.note(note(2, 1, "evt_1", Verdict::Duplicate));
    store.close().await;
    drop(store);

    let store = open_sqlite(settings(directory.path()), &clock).expect("it opens");
    assert_eq!(store.state(), StoreState::Ready, "there is room");
    let page = store.deliveries(DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.expect("a page");
    assert_eq!(page.deliveries.len(), 2, "the log went on, and was written before the end");
}

#[tokio::test]
async fn damage_is_final_and_the_next_start_looks_at_everything() {
    let directory = directory();
    let clock = clock();
    let store = open_sqlite(settings(directory.path()), &clock).expect("it opens");
    store.claim(admitted("shop", "evt_1", 1), plan("", &["mail"]), PATIENCE).await.expect("a claim");
    let other = rusqlite::Connection::open(store.path()).expect("another connection");
    let damage = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'event_key'; \
        PRAGMA schema_version = 99;";
    other.execute_batch(damage).expect("damage");
    drop(other);
    let claim = store.claim(admitted("shop", "evt_2", 2), plan("", &["mail"]), PATIENCE).await;
    let Err(LedgerError::Failed(reason)) = claim else { panic!("{claim:?}") };
    assert_eq!(store.failed().await, reason);
    assert_eq!(store.state(), StoreState::Failed(reason.clone()));
    let redrive = store.redrive(pair("evt_1"), Redrive::default()).await;
    assert_eq!(redrive.expect_err("nothing is taken"), LedgerError::Failed(reason));
    store.note(note(2, 1, "evt_1", Verdict::Duplicate));
    store.close().await;
    assert_eq!(store.dropped(), 1);
    drop(store);
    let marker = directory.path().join("hookgate.db.failed");
    assert!(marker.exists());
    let refused = open_sqlite(settings(directory.path()), &clock).expect_err("it is damaged");
    assert_eq!(refused.code(), "database-damaged");
}

#[tokio::test]
async fn a_redrive_of_a_purged_body_is_refused() {
    let directory = directory();
    let store = open_sqlite(settings(directory.path()), &clock()).expect("it opens");
    store.claim(admitted("shop", "evt_1", 1), plan("", &[]), PATIENCE).await.expect("a claim");
    let other = rusqlite::Connection::open(store.path()).expect("another connection");
    other.execute_batch("DELETE FROM payload").expect("a purge");
    let redrive = Redrive { matching: vec![handler("mail")], ..Redrive::default() };
    assert_eq!(store.redrive(pair("evt_1"), redrive).await.map(|done| done.tasks), Err(LedgerError::BodyPurged));
    assert_eq!(store.body(pair("evt_1")).await, Ok(Some(None)));
    assert!(!store.find(pair("evt_1")).await.expect("a read").expect("it is there").body_kept);
}

#[tokio::test]
async fn a_repeat_and_an_idle_handler_write_nothing() {
    let directory = directory();
    let store = open_sqlite(settings(directory.path()), &clock()).expect("it opens");
    store.claim(admitted("shop", "evt_1", 1), plan("", &[]), PATIENCE).await.expect("a claim");
    let written = || fs::metadata(directory.path().join("hookgate.db-wal")).expect("a WAL").len();
    let before = written();
    assert!(before > 0);
    for number in 2..5 {
        let claim = store.claim(admitted("shop", "evt_1", number), plan("", &["mail"]), PATIENCE).await;
        assert!(matches!(claim, Ok(Claim::Found(_))));
        assert!(store.lease_tasks(&handler("mail"), 9, LEASE).await.expect("leases").work.is_empty());
    }
    assert_eq!(written(), before);
}
