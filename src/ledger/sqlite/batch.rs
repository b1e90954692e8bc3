//! A deed on the next events of a filter, in one transaction.

use super::command::{Fault, Tx};
use super::operator_sql as sql;
use super::select::{self, Conditions};
use super::{discard, redrive};
use crate::ledger::{Batch, Deed, EventDone, EventFacts, LedgerError, Skip, Stays};
use crate::model::TaskState;

/// Does it with each of these events. See [`crate::ledger::Ledger::batch`].
pub(super) fn run(tx: &mut Tx<'_>, events: &[i64], batch: &Batch) -> Result<Vec<EventDone>, Fault> {
    let conditions = Conditions::of(&batch.filter, &batch.aim);
    let wakes = tx.wakes.len();
    if batch.stays == Stays::No {
        tx.execute(sql::TRIAL, [])?;
    }
    let mut done = Vec::with_capacity(events.len());
    for event in events {
        // What was changed since it was found is not what was asked for.
        let Some(facts) = select::facts(tx.conn, *event, &conditions)? else { continue };
        let tasks = one(tx, *event, &facts, batch)?;
        done.push(EventDone { facts, tasks });
    }
    if batch.stays == Stays::No {
        tx.execute(sql::UNDO_TRIAL, [])?;
        tx.execute(sql::END_TRIAL, [])?;
        tx.names.undone();
        tx.wakes.truncate(wakes);
    }
    Ok(done)
}

fn one(tx: &mut Tx<'_>, event: i64, facts: &EventFacts, batch: &Batch) -> Result<Result<u64, Skip>, Fault> {
    let deed = match (batch.judge)(facts) {
        Ok(deed) => deed,
        Err(skip) => return Ok(Err(skip)),
    };
    let (tasks, handler) = match &deed {
        Deed::Redrive(how) => (redrive::redrive_event(tx, event, how).map(|done| done.tasks), &how.handler),
        Deed::Discard(how) => (discard::discard_event(tx, event, how).map(|done| done.tasks), &how.handler),
    };
    match tasks {
        Ok(0) => {
            let chosen = |(name, _): &&(_, _)| handler.as_ref().is_none_or(|only| only == name);
            let runs = facts.tasks.iter().filter(chosen).any(|(_, state)| *state == TaskState::Running);
            Ok(Err(if runs { Skip::TaskRunning } else { Skip::NothingToDo }))
        }
        Ok(tasks) => Ok(Ok(tasks)),
        // Each says no before it has written anything.
        Err(Fault::No(LedgerError::BodyPurged)) => Ok(Err(Skip::BodyPurged)),
        Err(Fault::No(LedgerError::TaskRunning)) => Ok(Err(Skip::TaskRunning)),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::ledger::sqlite::{SqliteLedger, SqliteSettings};
    use crate::ledger::{Aim, Discard, EventFilter};
    use crate::model::{EventState, Timestamp, Who, Why};

    const EVENT: &str = "INSERT INTO event (key, source_id, event_id, event_type, id_from, check_id, received_at_us, body_digest, \
         body_bytes, ack_status, ack_body) VALUES (zeroblob(16), ?1, 'evt_1', 'a', '', '', 0, zeroblob(32), 0, 200, x'')";
    const TASK: &str = "INSERT INTO task (event, source_id, handler_id, state) VALUES (1, ?1, ?2, 'dead')";

    #[tokio::test]
    async fn what_was_changed_since_it_was_found_is_not_what_was_asked_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = SqliteSettings { min_free: 0, ..SqliteSettings::at(directory.path().join("hookgate.db")) };
        let store = SqliteLedger::open(settings, Arc::new(ManualClock::at(Timestamp(0))), &[]).expect("it opens");
        let discard = Discard {
            handler: None,
            force: true,
            known: Arc::new([]),
            by: Who::parse("ada").expect("a name"),
            why: Why::parse("x").expect("a reason"),
        };
        let batch = Batch {
            filter: EventFilter { state: Some(EventState::Dead), ..EventFilter::default() },
            aim: Aim::Discard { force: true, known: Arc::new([]) },
            judge: Arc::new(move |_| Ok(Deed::Discard(discard.clone()))),
            stays: Stays::Yes,
            cursor: None,
            limit: 9,
        };
        let made = store.shared.ask(|tx| {
            tx.execute("INSERT INTO source (name, provider) VALUES ('shop', '')", [])?;
            tx.execute("INSERT INTO handler (name) VALUES ('mail')", [])?;
            Ok((tx.execute(EVENT, [1])?, tx.execute(TASK, [1, 1])?))
        });
        made.await.expect("an event");
        let asked = batch.clone();
        let (found, next) = store.read(move |conn| select::next(conn, &asked)).await.expect("a read");
        assert_eq!((&found[..], next), (&[1][..], None));
        let redriven = store.shared.ask(|tx| Ok(tx.execute("UPDATE task SET state = 'pending', due_at_us = 0", [])?));
        assert_eq!(redriven.await, Ok(1));
        let done = store.shared.ask(move |tx| run(tx, &found, &batch)).await.expect("a batch");
        assert!(done.is_empty(), "it waits by now, and only dead ones were meant: {done:?}");
    }
}
