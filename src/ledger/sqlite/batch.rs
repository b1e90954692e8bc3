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
