//! What retention takes, when, and what it never takes.

use std::time::Duration;

use hookgate::ledger::{
    Claim, DeliveryFilter, EventName, Journal, Ledger, LedgerError, Note, Purged, Redrive, Retention, Settled, Settlement,
};
use hookgate::model::{Digest, EventState, Reason, Verdict};

use crate::helpers::evidence::{BEGIN, admitted, delivery, handler, plan};
use crate::helpers::store::{Intruder, LEASE, PATIENCE, Stand, directory, discard, note, open_sqlite, pair, settings};

super::promises! {
    a_body_goes_first_and_then_all_that_is_left_of_its_event,
    a_tombstone_answers_repeats_and_is_not_redriven,
    a_purged_event_is_new_when_it_comes_again,
    what_is_accepted_or_dead_is_never_purged,
    age_counts_from_the_later_of_receipt_and_the_end_of_the_last_task,
    an_event_that_was_done_anew_is_kept_from_then_on,
    a_task_that_ends_after_the_purge_passed_by_is_not_forgotten,
    what_is_discarded_is_kept_from_then_on,
    zero_purges_a_body_at_once,
    a_body_goes_with_its_event_at_the_latest,
    a_wall_clock_set_back_only_delays,
    a_batch_is_small_and_says_that_there_is_more,
    the_next_that_is_due_is_told,
    the_log_goes_by_age_oldest_first,
    the_log_goes_by_size_oldest_first,
    rows_of_the_log_outlive_their_event_and_are_of_none_then,
    any_number_of_rows_about_an_event_are_parted_from_it,
}

const DAY: Duration = Duration::from_secs(86_400);
const YEARS: Duration = DAY.saturating_mul(3_650);
const BODY: Duration = DAY.saturating_mul(7);
const DEDUPE: Duration = DAY.saturating_mul(35);
const KEPT: Retention = Retention { body: BODY, dedupe: DEDUPE, log: YEARS, log_bytes: u64::MAX };
const MICROSECOND: Duration = Duration::from_micros(1);

async fn state(stand: &Stand, event: &str) -> Option<EventState> {
    stand.store.find(pair(event)).await.expect("a read").map(|report| report.state)
}

/// Bodies and events.
fn counts(purged: Purged) -> (u64, u64) {
    (purged.bodies, purged.events)
}

async fn finish(stand: &Stand, handler: &str) {
    let lease = stand.lease_one(handler).await;
    assert_eq!(stand.settle(lease, Settlement::Done).await, Settled::Recorded);
}

async fn a_body_goes_first_and_then_all_that_is_left_of_its_event(stand: Stand) {
    stand.claim("evt_1", 0, &["mail"]).await;
    finish(&stand, "mail").await;
    stand.clock.advance(BODY - MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 0), "not a moment early");
    assert_eq!(state(&stand, "evt_1").await, Some(EventState::Done));
    stand.clock.advance(MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (1, 0));
    let report = stand.report("evt_1").await;
    assert_eq!((report.state, report.body_kept, report.body_bytes), (EventState::Tombstone, false, 29));
    assert_eq!(report.tasks[0].attempts.len(), 1, "its story is still there");
    assert_eq!(stand.store.body(pair("evt_1")).await, Ok(Some(None)));
    stand.clock.advance(DEDUPE - BODY - MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 0));
    stand.clock.advance(MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 1));
    assert_eq!(state(&stand, "evt_1").await, None);
    assert_eq!(stand.purge(KEPT).await, Purged::default(), "nothing is left, nor waits");
}

async fn a_tombstone_answers_repeats_and_is_not_redriven(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    stand.claim("evt_2", 2, &[]).await;
    finish(&stand, "mail").await;
    stand.clock.advance(BODY + DAY);
    assert_eq!(counts(stand.purge(KEPT).await), (2, 0));
    for (event, first) in [("evt_1", 1), ("evt_2", 2)] {
        let Claim::Found(found) = stand.claim(event, 9, &["mail"]).await else { panic!("{event} is known") };
        assert_eq!((found.key, found.ack), (delivery(first), plan(&format!("ack of {first}"), &[]).ack));
        assert_eq!(found.body_digest, admitted("shop", event, first).body_digest());
        let how = Redrive { force: true, ..Redrive::default() };
        assert_eq!(stand.redrive(event, how).await, Err(LedgerError::BodyPurged));
    }
    let tombstones = DeliveryFilter { state: Some(EventState::Tombstone), limit: 9, ..DeliveryFilter::default() };
    let page = stand.store.deliveries(tombstones).await.expect("a page");
    let told: Vec<_> = page.deliveries.iter().map(|row| (row.delivery_id, row.verdict)).collect();
    assert_eq!(told, [(delivery(2), Verdict::First), (delivery(1), Verdict::First)]);
    let done = DeliveryFilter { state: Some(EventState::Done), limit: 9, ..DeliveryFilter::default() };
    assert_eq!(stand.store.deliveries(done).await.expect("a page").deliveries, []);
}

async fn a_purged_event_is_new_when_it_comes_again(mut stand: Stand) {
    stand.claim("evt_1", 0, &["mail"]).await;
    finish(&stand, "mail").await;
    stand.clock.advance(DEDUPE);
    assert_eq!(counts(stand.purge(KEPT).await), (1, 1), "both at once where both are due");
    stand.restart().await;
    assert!(matches!(stand.claim("evt_1", 2, &["mail"]).await, Claim::First));
    let report = stand.report("evt_1").await;
    assert_eq!((report.key, report.state, report.tasks[0].attempts.len()), (delivery(2).0, EventState::Accepted, 0));
    finish(&stand, "mail").await;
    assert_eq!(stand.report("evt_1").await.tasks[0].attempts[0].number, 1);
}

async fn what_is_accepted_or_dead_is_never_purged(stand: Stand) {
    stand.claim("evt_open", 1, &["mail", "later"]).await;
    finish(&stand, "mail").await;
    stand.claim("evt_dead", 2, &["audit", "mail"]).await;
    finish(&stand, "mail").await;
    let lease = stand.lease_one("audit").await;
    stand.settle(lease, Settlement::Dead(Reason::AttemptsExhausted)).await;
    stand.claim("evt_running", 3, &["slow"]).await;
    let _lease = stand.lease_one("slow").await;
    let nothing_kept = Retention { body: Duration::ZERO, dedupe: Duration::ZERO, ..KEPT };
    for _ in 0..3 {
        stand.clock.advance(YEARS);
        assert_eq!(counts(stand.purge(nothing_kept).await), (0, 0));
    }
    for event in ["evt_open", "evt_dead", "evt_running"] {
        assert!(stand.report(event).await.body_kept, "{event}");
    }
    assert_eq!(stand.redrive("evt_dead", Redrive::default()).await, Ok(1), "an operator can still act");
}

async fn age_counts_from_the_later_of_receipt_and_the_end_of_the_last_task(stand: Stand) {
    stand.claim("evt_1", 1, &["mail", "audit"]).await;
    finish(&stand, "mail").await;
    stand.clock.advance(BODY + DAY);
    finish(&stand, "audit").await;
    stand.clock.advance(BODY - DAY);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 0), "old, but done for six days only");
    stand.clock.advance(DAY);
    assert_eq!(counts(stand.purge(KEPT).await), (1, 0));
    stand.clock.advance(DEDUPE - BODY - MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 0));
    stand.clock.advance(MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 1));
}

async fn an_event_that_was_done_anew_is_kept_from_then_on(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    finish(&stand, "mail").await;
    stand.clock.advance(BODY - DAY);
    let force = Redrive { force: true, ..Redrive::default() };
    assert_eq!(stand.redrive("evt_1", force).await, Ok(1));
    finish(&stand, "mail").await;
    stand.clock.advance(BODY - DAY);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 0));
    stand.clock.advance(DAY);
    assert_eq!(counts(stand.purge(KEPT).await), (1, 0));
    stand.clock.advance(DEDUPE - BODY);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 1));
}

async fn a_task_that_ends_after_the_purge_passed_by_is_not_forgotten(stand: Stand) {
    stand.claim("evt_1", 1, &["mail", "audit"]).await;
    finish(&stand, "mail").await;
    let lease = stand.lease_one("audit").await;
    stand.settle(lease, Settlement::Dead(Reason::AttemptsExhausted)).await;
    stand.clock.advance(BODY + DAY);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 0), "it is dead");
    assert_eq!(stand.redrive("evt_1", Redrive::default()).await, Ok(1));
    assert_eq!(counts(stand.purge(KEPT).await), (0, 0), "it is accepted");
    finish(&stand, "audit").await;
    stand.clock.advance(BODY);
    assert_eq!(counts(stand.purge(KEPT).await), (1, 0));
}

async fn what_is_discarded_is_kept_from_then_on(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    let lease = stand.lease_one("mail").await;
    stand.settle(lease, Settlement::Dead(Reason::AttemptsExhausted)).await;
    stand.clock.advance(DEDUPE + DAY);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 0), "it is dead");
    stand.store.discard(pair("evt_1"), discard(None, false, &["mail"])).await.expect("a discard");
    stand.clock.advance(BODY - MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 0));
    stand.clock.advance(MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (1, 0));
    stand.clock.advance(DEDUPE - BODY);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 1));
}

async fn zero_purges_a_body_at_once(stand: Stand) {
    let at_once = Retention { body: Duration::ZERO, ..KEPT };
    stand.claim("evt_1", 0, &[]).await;
    stand.claim("evt_2", 1, &["mail"]).await;
    stand.clock.advance(MICROSECOND);
    assert_eq!(counts(stand.purge(at_once).await), (1, 0));
    finish(&stand, "mail").await;
    assert_eq!(counts(stand.purge(at_once).await), (1, 0));
    for event in ["evt_1", "evt_2"] {
        assert!(matches!(stand.claim(event, 5, &[]).await, Claim::Found(_)), "{event}");
    }
}

async fn a_body_goes_with_its_event_at_the_latest(stand: Stand) {
    stand.claim("evt_1", 0, &[]).await;
    stand.clock.advance(DEDUPE);
    assert_eq!(counts(stand.purge(Retention { body: YEARS, ..KEPT }).await), (1, 1));
}

async fn a_wall_clock_set_back_only_delays(mut stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    finish(&stand, "mail").await;
    stand.clock.set_wall(BEGIN.minus(DAY));
    stand.restart().await;
    stand.claim("evt_2", 2, &["mail"]).await;
    finish(&stand, "mail").await;
    stand.clock.advance(BODY);
    let purged = stand.purge(KEPT).await;
    assert_eq!((counts(purged), purged.next_due), ((0, 0), Some(DAY)), "done for seven days by the clock, received a day later");
    stand.clock.advance(DAY);
    assert_eq!(counts(stand.purge(KEPT).await), (0, 0), "both were received after that");
    stand.clock.advance(MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (1, 0));
    stand.clock.advance(MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (1, 0));
}

async fn a_batch_is_small_and_says_that_there_is_more(stand: Stand) {
    for number in 0..10 {
        let event = format!("evt_{number}");
        stand.claim(&event, number, &["mail"]).await;
        let lease = stand.lease_one("mail").await;
        // Most are dead, and in nobody's way.
        let settlement = if number < 6 { Settlement::Dead(Reason::HandlerRefused) } else { Settlement::Done };
        stand.settle(lease, settlement).await;
    }
    stand.clock.advance(DEDUPE + DAY);
    let batch = |limit| stand.store.purge(KEPT, limit);
    let first = batch(3).await.expect("a batch");
    assert_eq!((counts(first), first.more), ((3, 3), true));
    let second = batch(3).await.expect("a batch");
    assert_eq!((counts(second), second.more, second.next_due), ((1, 1), false, None));
    let stays = DeliveryFilter { limit: 20, ..DeliveryFilter::default() };
    assert_eq!(stand.store.deliveries(stays).await.expect("a page").deliveries.len(), 6);
}

async fn the_next_that_is_due_is_told(stand: Stand) {
    assert_eq!(stand.purge(KEPT).await.next_due, None);
    stand.claim("evt_1", 0, &["mail"]).await;
    assert_eq!(stand.purge(KEPT).await.next_due, None, "nothing is done");
    stand.clock.advance(DAY);
    finish(&stand, "mail").await;
    assert_eq!(stand.purge(KEPT).await.next_due, Some(BODY));
    stand.clock.advance(BODY);
    assert_eq!(stand.purge(KEPT).await.next_due, Some(DEDUPE - BODY));
    stand.store.note(note(3, 0, "evt_1", Verdict::Duplicate));
    stand.lease("nobody", 1).await;
    let short_log = Retention { log: BODY + 2 * DAY, ..KEPT };
    assert_eq!(stand.purge(short_log).await.next_due, Some(DAY + 3 * MICROSECOND));
}

/// The log's rows by their number, oldest first.
async fn logged(stand: &Stand) -> Vec<u128> {
    let all = DeliveryFilter { limit: 1000, ..DeliveryFilter::default() };
    let base = delivery(0).0.as_u128();
    let page = stand.store.deliveries(all).await.expect("a page");
    let logged = page.deliveries.iter().filter(|row| row.status.is_some());
    logged.map(|row| row.delivery_id.0.as_u128() - base).rev().collect()
}

async fn the_log_goes_by_age_oldest_first(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    for number in [4, 2, 1, 3, 5, 9] {
        stand.store.note(note(number, 1, "evt_1", if number == 1 { Verdict::First } else { Verdict::Duplicate }));
    }
    stand.lease("nobody", 1).await;
    assert_eq!(logged(&stand).await, [1, 2, 3, 4, 5, 9]);
    let retention = Retention { log: DAY, ..KEPT };
    stand.clock.advance(DAY + 4 * MICROSECOND);
    let purged = stand.purge(retention).await;
    assert_eq!((purged.deliveries, purged.next_due), (4, Some(MICROSECOND)));
    assert_eq!(logged(&stand).await, [5, 9]);
    let page = stand.store.deliveries(DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.expect("a page");
    assert_eq!(page.log_since, Some(BEGIN.plus(5 * MICROSECOND)), "and says so");
    assert_eq!(page.deliveries.last().map(|row| (row.delivery_id, row.duplicates)), Some((delivery(1), 2)), "the first is known");
    stand.clock.advance(LEASE);
    assert_eq!((stand.purge(retention).await.deliveries, stand.purge(retention).await.next_due), (2, None));
}

async fn the_log_goes_by_size_oldest_first(mut stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    for number in 1..=100 {
        stand.store.note(note(number, 1, "evt_1", Verdict::Duplicate));
    }
    stand.lease("nobody", 1).await;
    let sized = |log_bytes| Retention { log_bytes, ..KEPT };
    assert_eq!(stand.purge(sized(100_000)).await.deliveries, 0, "a row takes less than a thousand bytes");
    stand.restart().await;
    let purged = stand.purge(sized(10_000)).await.deliveries;
    assert!((40..=90).contains(&purged), "{purged}: a row takes 100 to 1000 bytes");
    let left: Vec<u128> = (u128::from(purged) + 1..=100).collect();
    assert_eq!(logged(&stand).await, left, "the oldest are gone");
    assert_eq!(stand.purge(sized(10_000)).await.deliveries, 0, "and no more than needed");
    assert_eq!(stand.purge(sized(0)).await.deliveries, 100 - purged);
    stand.store.note(note(101, 1, "evt_1", Verdict::Duplicate));
    stand.lease("nobody", 1).await;
    assert_eq!(stand.purge(sized(1_000)).await.deliveries, 0, "what is gone is not counted any more");
}

async fn rows_of_the_log_outlive_their_event_and_are_of_none_then(stand: Stand) {
    stand.claim("evt_1", 1, &[]).await;
    stand.store.note(note(1, 1, "evt_1", Verdict::First));
    stand.store.note(note(2, 1, "evt_1", Verdict::Duplicate));
    stand.lease("nobody", 1).await;
    stand.clock.advance(DEDUPE + MICROSECOND);
    assert_eq!(counts(stand.purge(KEPT).await), (1, 1));
    stand.claim("evt_1", 3, &[]).await;
    // Written late, about the one that is gone.
    stand.store.note(note(4, 1, "evt_1", Verdict::Duplicate));
    stand.lease("nobody", 1).await;
    let all = DeliveryFilter { limit: 9, ..DeliveryFilter::default() };
    let page = stand.store.deliveries(all).await.expect("a page");
    let told: Vec<_> =
        page.deliveries.iter().map(|row| (row.delivery_id, row.event_id.is_some(), row.state, row.duplicates)).collect();
    let new = (delivery(3), true, Some(EventState::Done), 0);
    let of_none = |number| (delivery(number), true, None, 0);
    assert_eq!(told, [of_none(4), new, of_none(2), of_none(1)]);
    for number in [1, 2, 4] {
        assert_eq!(stand.store.find(EventName::Delivery(delivery(number))).await, Ok(None), "{number}");
    }
    assert_eq!(stand.report("evt_1").await.deliveries.len(), 1, "the new one has its own alone");
}

async fn any_number_of_rows_about_an_event_are_parted_from_it(stand: Stand) {
    stand.claim("evt_1", 0, &[]).await;
    for number in 1..=20 {
        stand.store.note(note(number, 0, "evt_1", Verdict::Duplicate));
    }
    stand.lease("nobody", 1).await;
    stand.clock.advance(DEDUPE);
    for _ in 0..6 {
        let batch = stand.store.purge(KEPT, 3).await.expect("a batch");
        assert_eq!((batch.events, batch.more), (0, true), "three rows at a time");
        assert!(matches!(stand.claim("evt_1", 30, &[]).await, Claim::Found(_)));
    }
    assert_eq!(counts(stand.purge(KEPT).await), (0, 1));
    assert_eq!(logged(&stand).await.len(), 20);
}

/// As long as GitHub's.
const GITHUB_ID: &str = "01a20beb-f4df-7316-9cd9-b16b8ed8a4f2";

/// What a table and its indexes take on the disk.
fn on_disk(database: &std::path::Path, names: &[&str]) -> f64 {
    let conn = rusqlite::Connection::open(database).expect("the database is there");
    let size = |name: &&str| {
        let sum = "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ?1";
        conn.query_row(sum, [name], |row| row.get::<_, i64>(0)).expect("SQLite counts its pages")
    };
    names.iter().map(size).sum::<i64>() as f64
}

#[tokio::test]
async fn the_size_of_the_log_is_about_what_it_takes_on_the_disk() {
    let directory = directory();
    let clock = std::sync::Arc::new(hookgate::clock::ManualClock::at(BEGIN));
    let store = open_sqlite(settings(directory.path()), &clock).expect("it opens");
    let (rows, mut rng) = (20_000, fastrand::Rng::with_seed(7));
    store.claim(admitted("shop", "evt_1", 0), plan("", &[]), PATIENCE).await.expect("a claim");
    for number in 0..rows {
        // Every third a first delivery with an id that nobody signed, as GitHub's are, the others repeats.
        let mut digest = || Some(Digest(std::array::from_fn(|_| rng.u8(..))));
        let (body_digest, signed_digest) = (digest(), digest());
        let verdict = if number % 3 == 0 { Verdict::First } else { Verdict::Duplicate };
        let guard_replay = verdict == Verdict::First;
        store.note(Note { body_digest, signed_digest, guard_replay, ..note(number, 0, GITHUB_ID, verdict) });
        if number % 1_000 == 999 {
            store.lease_tasks(&handler("nobody"), 1, LEASE).await.expect("the writer goes on");
        }
    }
    assert_eq!(store.dropped(), 0);
    // What is kept by size is what is counted: half of it is half of the rows.
    let database = directory.path().join("hookgate.db");
    let taken = on_disk(&database, &["delivery", "delivery_event", "delivery_signed"]);
    let half = Retention { log_bytes: (taken / 2.0) as u64, ..KEPT };
    let mut purged = store.purge(half, 1_000).await.expect("a purge");
    while purged.more {
        purged = purged.and(store.purge(half, 1_000).await.expect("a purge"));
    }
    let left = 1.0 - purged.deliveries as f64 / rows as f64;
    assert!((0.4..=0.6).contains(&left), "{left} of the rows were left where half of the bytes may be taken");
    store.close().await;
}

#[tokio::test]
async fn a_purge_of_a_locked_database_gives_up_and_whoever_waits_goes_on_waiting() {
    let directory = directory();
    let clock = std::sync::Arc::new(hookgate::clock::ManualClock::at(BEGIN));
    let store = open_sqlite(settings(directory.path()), &clock).expect("it opens");
    store.claim(admitted("shop", "evt_1", 0), plan("", &["mail"]), PATIENCE).await.expect("a claim");
    let other = Intruder::at(directory.path().join("hookgate.db"));
    let mut waiting = store.lease_tasks(&handler("mail"), 1, LEASE);
    let purge = store.purge(KEPT, 3);
    let purged = tokio::select! {
        biased;
        leased = &mut waiting => panic!("leased from a locked database: {leased:?}"),
        purged = purge => purged,
    };
    assert_eq!(purged, Err(LedgerError::Busy));
    drop(other);
    assert_eq!(waiting.await.expect("a lease").work.len(), 1);
    assert_eq!(store.purge(KEPT, 3).await.map(counts), Ok((0, 0)));
    store.close().await;
}
