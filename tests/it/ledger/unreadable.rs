//! SQLite's own: what cannot be read back is told, and harms nothing beside it.

use std::fs;
use std::sync::Arc;

use hookgate::clock::ManualClock;
use hookgate::ledger::{Claim, Ledger, LedgerError, Settlement, StoreState};
use hookgate::model::{Reason, TaskState};

use crate::helpers::evidence::{BEGIN, admitted_with, handler, plan};
use crate::helpers::store::{LEASE, PATIENCE, attempt, directory, open_sqlite, pair, settings};

#[tokio::test]
async fn a_task_whose_event_cannot_be_read_back_ends_dead_and_stops_no_other() {
    let directory = directory();
    let settings = settings(directory.path());
    let store = open_sqlite(settings.clone(), &Arc::new(ManualClock::at(BEGIN))).expect("it opens");
    for (number, id) in (1..).zip(["evt_1", "evt_2", "evt_3"]) {
        let claim = store.claim(admitted_with("shop", id, number, b""), plan("", &["mail"]), PATIENCE).await;
        assert!(matches!(claim, Ok(Claim::First)));
    }
    let beside = rusqlite::Connection::open(&settings.path).expect("it opens");
    beside.execute("DELETE FROM payload WHERE event = (SELECT id FROM event WHERE event_id = 'evt_2')", []).expect("a row");
    let leased = store.lease_tasks(&handler("mail"), 3, LEASE).await.expect("it answers");
    let got: Vec<_> = leased.work.iter().map(|work| work.event_id.as_str()).collect();
    assert_eq!(got, ["evt_1", "evt_3"]);
    let [unreadable] = <[_; 1]>::try_from(leased.unreadable).expect("one");
    assert!(unreadable.reason.contains("missing"), "{}", unreadable.reason);
    let buried = store.settle_task(unreadable.lease, attempt(), Settlement::Dead(Reason::Unreadable)).await;
    buried.expect("it is recorded");
    let report = store.find(pair("evt_2")).await.expect("a read").expect("an event");
    assert_eq!((report.tasks[0].state, report.tasks[0].reason), (TaskState::Dead, Some(Reason::Unreadable)));
}

#[tokio::test]
async fn damage_that_a_reader_finds_is_final_and_the_next_start_checks_everything() {
    let directory = directory();
    let settings = settings(directory.path());
    let clock = Arc::new(ManualClock::at(BEGIN));
    let store = open_sqlite(settings.clone(), &clock).expect("it opens");
    let padding = vec![b'x'; 100 << 10];
    let claim = store.claim(admitted_with("shop", "evt_1", 1, &padding), plan("", &[]), PATIENCE).await;
    assert!(matches!(claim, Ok(Claim::First)));
    store.close().await;
    drop(store);
    // Every page in the middle of the body begins with the number of the next one: none of them leads anywhere now.
    let mut bytes = fs::read(&settings.path).expect("the file");
    let of_body = |page: &&mut [u8]| page[4..].iter().all(|byte| *byte == b'x');
    let broken = bytes.chunks_mut(8192).filter(of_body).map(|page| page[..4].copy_from_slice(&[0x7f; 4])).count();
    assert!(broken > 5, "the body's pages were found");
    fs::write(&settings.path, &bytes).expect("the file");

    let store = open_sqlite(settings.clone(), &clock).expect("its first and last pages are well");
    assert!(matches!(store.body(pair("evt_1")).await, Err(LedgerError::Failed(_))));
    assert!(matches!(store.state(), StoreState::Failed(_)));
    let claim = store.claim(admitted_with("shop", "evt_2", 2, b""), plan("", &[]), PATIENCE).await;
    assert!(matches!(claim, Err(LedgerError::Failed(_))), "nothing is taken any more");
    drop(store);
    let error = open_sqlite(settings, &clock).expect_err("the marker has it looked at whole");
    assert_eq!(error.code(), "database-damaged");
}
