//! Deeds on all events that a filter names.

use std::sync::Arc;

use hookgate::ledger::{Aim, BATCH_MAX, Batch, BatchDone, Deed, Discard, EventFilter, Redrive, Settlement, Skip, Stays};
use hookgate::model::{EventState, Reason, Timestamp, TypeGlob};

use crate::helpers::evidence::{BEGIN, delivery, event, handler, source};
use crate::helpers::store::{Stand, discard};

super::promises! {
    batches_together_are_every_event_once_oldest_first,
    what_comes_after_the_first_batch_is_in_none,
    a_cursor_of_somebodys_own_making_ends_with_the_events,
    a_trial_changes_nothing,
    every_condition_must_hold,
    an_event_that_cannot_be_done_is_skipped_and_the_rest_done,
    nothing_is_looked_at_that_the_deed_could_not_change,
    a_batch_is_bounded,
}

const DEAD: Settlement = Settlement::Dead(Reason::AttemptsExhausted);

fn redriving(filter: EventFilter, redrive: Redrive) -> Batch {
    let aim = Aim::Redrive { to_handler: redrive.to_handler.clone(), force: redrive.force };
    let judge = Arc::new(move |_: &_| Ok(Deed::Redrive(redrive.clone())));
    Batch { filter, aim, judge, stays: Stays::Yes, cursor: None, limit: 100 }
}

fn discarding(filter: EventFilter, discard: Discard) -> Batch {
    let aim = Aim::Discard { force: discard.force, known: Arc::clone(&discard.known) };
    let judge = Arc::new(move |_: &_| Ok(Deed::Discard(discard.clone())));
    Batch { filter, aim, judge, stays: Stays::Yes, cursor: None, limit: 100 }
}

async fn run(stand: &Stand, batch: &Batch) -> BatchDone {
    stand.store.batch(batch.clone()).await.expect("a batch")
}

fn told(done: &BatchDone) -> Vec<(&str, Result<u64, Skip>)> {
    done.events.iter().map(|event| (event.facts.event_id.as_str(), event.tasks)).collect()
}

fn dead() -> EventFilter {
    EventFilter { state: Some(EventState::Dead), ..EventFilter::default() }
}

/// Events `evt_1` to `evt_{count}`, each with a dead task of `mail`.
async fn with_dead(stand: &Stand, count: u64) {
    for number in 1..=count {
        stand.claim(&format!("evt_{number}"), number, &["mail"]).await;
        let lease = stand.lease_one("mail").await;
        stand.settle(lease, DEAD).await;
    }
}

async fn batches_together_are_every_event_once_oldest_first(stand: Stand) {
    with_dead(&stand, 5).await;
    for filter in [dead(), EventFilter { source: Some(source("shop")), ..EventFilter::default() }] {
        let mut batch = Batch { limit: 2, stays: Stays::No, ..redriving(filter, Redrive::default()) };
        let (mut ids, mut sizes) = (Vec::new(), Vec::new());
        loop {
            let done = run(&stand, &batch).await;
            ids.extend(done.events.iter().map(|event| event.facts.event_id.to_string()));
            sizes.push(done.events.len());
            batch.cursor = done.next;
            if done.next.is_none() {
                break;
            }
        }
        assert_eq!(ids, ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5"]);
        assert_eq!(sizes, [2, 2, 1]);
    }
}

async fn what_comes_after_the_first_batch_is_in_none(stand: Stand) {
    with_dead(&stand, 2).await;
    let mut batch = Batch { limit: 1, ..redriving(dead(), Redrive::default()) };
    batch.cursor = run(&stand, &batch).await.next;
    stand.claim("late", 9, &["audit"]).await;
    let lease = stand.lease_one("audit").await;
    stand.settle(lease, DEAD).await;
    let done = run(&stand, &batch).await;
    assert_eq!((told(&done), done.next), (vec![("evt_2", Ok(1))], None));
    assert_eq!(stand.report("late").await.state, EventState::Dead);
}

async fn a_cursor_of_somebodys_own_making_ends_with_the_events(stand: Stand) {
    with_dead(&stand, 2).await;
    for filter in [dead(), EventFilter { source: Some(source("shop")), ..EventFilter::default() }] {
        let cursor = "1-9223372036854775807".parse().ok();
        let batch = Batch { cursor, stays: Stays::No, ..redriving(filter, Redrive::default()) };
        let done = run(&stand, &batch).await;
        assert_eq!((told(&done), done.next), (vec![("evt_2", Ok(1))], None));
    }
}

async fn a_trial_changes_nothing(stand: Stand) {
    with_dead(&stand, 2).await;
    let moved = Redrive { handler: Some(handler("mail")), to_handler: Some(handler("never-was")), ..Redrive::default() };
    let filter = EventFilter { handler: Some(handler("mail")), ..EventFilter::default() };
    let before = [stand.report("evt_1").await, stand.report("evt_2").await];
    for batch in [redriving(filter.clone(), moved.clone()), discarding(filter.clone(), discard(None, false, &[]))] {
        let trial = Batch { stays: Stays::No, ..batch };
        for _ in 0..2 {
            assert_eq!(told(&run(&stand, &trial).await), [("evt_1", Ok(1)), ("evt_2", Ok(1))]);
        }
    }
    assert_eq!([stand.report("evt_1").await, stand.report("evt_2").await], before);
    assert!(!stand.is_woken("never-was").await, "nobody is called");
    let real = redriving(filter, moved);
    assert_eq!(told(&run(&stand, &real).await), [("evt_1", Ok(1)), ("evt_2", Ok(1))], "as it was foreseen");
    assert!(stand.is_woken("never-was").await);
    assert_eq!(stand.lease("never-was", 9).await.work.len(), 2);
    assert_eq!(told(&run(&stand, &real).await), [], "once");
}

async fn every_condition_must_hold(stand: Stand) {
    with_dead(&stand, 3).await;
    stand.claim("waits", 4, &["mail"]).await;
    let none: [&str; 0] = [];
    let cases: [(EventFilter, &[&str]); 12] = [
        (EventFilter::default(), &["evt_1", "evt_2", "evt_3", "waits"]),
        (EventFilter { source: Some(source("shop")), ..EventFilter::default() }, &["evt_1", "evt_2", "evt_3", "waits"]),
        (EventFilter { source: Some(source("other")), ..EventFilter::default() }, &none),
        (EventFilter { event_id: Some(event("evt_2")), ..EventFilter::default() }, &["evt_2"]),
        (EventFilter { event_id: Some(event("evt_2")), ..dead() }, &["evt_2"]),
        (EventFilter { event_id: Some(event("waits")), ..dead() }, &none),
        (EventFilter { event_type: TypeGlob::parse("order").ok(), ..dead() }, &["evt_1", "evt_2", "evt_3"]),
        (EventFilter { event_type: TypeGlob::parse("*.lost").ok(), ..dead() }, &none),
        (EventFilter { state: Some(EventState::Accepted), ..EventFilter::default() }, &["waits"]),
        (EventFilter { handler: Some(handler("audit")), ..EventFilter::default() }, &none),
        (EventFilter { handler: Some(handler("never-was")), ..EventFilter::default() }, &none),
        (EventFilter { since: Some(Timestamp(BEGIN.0 + 3)), ..EventFilter::default() }, &["evt_3", "waits"]),
    ];
    for (filter, expected) in cases {
        let batch = Batch { stays: Stays::No, ..discarding(filter.clone(), discard(None, true, &["mail"])) };
        let done = run(&stand, &batch).await;
        assert_eq!(told(&done).iter().map(|(id, _)| *id).collect::<Vec<_>>(), expected, "{filter:?}");
    }
    let facts = &run(&stand, &Batch { stays: Stays::No, ..redriving(dead(), Redrive::default()) }).await.events[0].facts;
    assert_eq!((facts.key, facts.state), (delivery(1), EventState::Dead));
    assert_eq!((facts.event_type.as_str(), facts.tasks.len()), ("order.paid", 1));
}

async fn an_event_that_cannot_be_done_is_skipped_and_the_rest_done(stand: Stand) {
    with_dead(&stand, 3).await;
    stand.claim("runs", 4, &["mail", "audit"]).await;
    let _lease = stand.lease_one("audit").await;
    let refused = Arc::new(|facts: &hookgate::ledger::EventFacts| {
        if facts.event_id.as_str() == "evt_2" {
            return Err(Skip::HandlerVanished);
        }
        Ok(Deed::Discard(discard(None, true, &["mail", "audit"])))
    });
    let all = EventFilter { source: Some(source("shop")), ..EventFilter::default() };
    let batch = Batch { judge: refused, ..discarding(all, discard(None, true, &["mail", "audit"])) };
    let expected = [("evt_1", Ok(1)), ("evt_2", Err(Skip::HandlerVanished)), ("evt_3", Ok(1)), ("runs", Err(Skip::TaskRunning))];
    assert_eq!(told(&run(&stand, &batch).await), expected);
    for (id, state) in [("evt_1", EventState::Done), ("evt_2", EventState::Dead), ("runs", EventState::Accepted)] {
        assert_eq!(stand.report(id).await.state, state, "{id}");
    }
}

async fn nothing_is_looked_at_that_the_deed_could_not_change(stand: Stand) {
    with_dead(&stand, 1).await;
    stand.claim("done", 2, &["mail"]).await;
    let lease = stand.lease_one("mail").await;
    stand.settle(lease, Settlement::Done).await;
    stand.claim("bare", 3, &[]).await;
    stand.claim("waits", 4, &["gone"]).await;
    let all = || EventFilter { source: Some(source("shop")), ..EventFilter::default() };
    let ids = async |batch: Batch| {
        let done = run(&stand, &Batch { stays: Stays::No, ..batch }).await;
        done.events.iter().map(|event| event.facts.event_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(redriving(all(), Redrive::default())).await, ["evt_1", "bare"]);
    assert_eq!(ids(redriving(all(), Redrive { force: true, ..Redrive::default() })).await, ["evt_1", "done", "bare"]);
    let to = Redrive { to_handler: Some(handler("mail")), ..Redrive::default() };
    assert_eq!(ids(redriving(all(), to)).await, ["evt_1", "bare", "waits"], "those without such a task, and the dead one");
    assert_eq!(ids(discarding(all(), discard(None, false, &["mail", "gone"]))).await, ["evt_1"]);
    assert_eq!(ids(discarding(all(), discard(None, false, &["mail"]))).await, ["evt_1", "waits"]);
    assert_eq!(ids(discarding(all(), discard(None, true, &["mail", "gone"]))).await, ["evt_1", "waits"]);
}

async fn a_batch_is_bounded(stand: Stand) {
    let more = BATCH_MAX as u64 + 1;
    for number in 1..=more {
        stand.claim(&format!("evt_{number}"), number, &["gone"]).await;
    }
    let all = EventFilter { handler: Some(handler("gone")), ..EventFilter::default() };
    let mut batch = Batch { limit: usize::MAX, ..discarding(all, discard(None, false, &[])) };
    let first = run(&stand, &batch).await;
    assert_eq!(first.events.len(), BATCH_MAX);
    batch.cursor = first.next;
    let second = run(&stand, &batch).await;
    assert_eq!((second.events.len(), second.next), (1, None));
}
