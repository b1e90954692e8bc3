//! Discard: an operator ends what is left of an event.

use rusqlite::params;

use super::command::{Fault, Tx};
use super::row::parsed;
use super::{operator_sql as sql, sql as common};
use super::{purge, read};
use crate::ledger::{Discard, Discarded, EventName, LedgerError, Verb};
use crate::model::TaskState;

/// See [`crate::ledger::Ledger::discard`].
pub(super) fn discard(tx: &mut Tx<'_>, name: &EventName, how: &Discard) -> Result<Discarded, Fault> {
    let event = read::resolve(tx.conn, name)?.ok_or(LedgerError::NotFound)?;
    discard_event(tx, event, how)
}

/// The same for an event in hand.
pub(super) fn discard_event(tx: &mut Tx<'_>, event: i64, how: &Discard) -> Result<Discarded, Fault> {
    let mut chosen = tasks(tx, event)?;
    for task in &mut chosen {
        task.known = how.known.contains(&tx.names.handler_name(tx.conn, task.handler)?);
    }
    if let Some(only) = &how.handler {
        let only = tx.names.find_handler(tx.conn, only)?;
        chosen.retain(|task| Some(task.handler) == only);
    }
    if chosen.iter().any(|task| task.state == TaskState::Running && task.due_at_us.is_some_and(|ends_at| ends_at > tx.now_us)) {
        return Err(LedgerError::TaskRunning.into());
    }
    let mut tasks = 0;
    for task in chosen.iter().filter(|task| task.state == TaskState::Dead || how.force || !task.known) {
        if task.state == TaskState::Running {
            lose(tx, event, task.handler)?;
        }
        let to = Verb::Discard.transition().to.as_str();
        let changed = tx.execute(&sql::DISCARD, params![task.id, to, tx.wall_us, how.by.as_str(), how.why.as_str()])?;
        tasks += u64::try_from(changed).unwrap_or(0);
    }
    if tasks > 0 {
        purge::ended_well(tx, tx.wall_us, event)?;
    }
    Ok(Discarded { tasks })
}

/// A task as it was before.
struct Task {
    id: i64,
    handler: i64,
    state: TaskState,
    due_at_us: Option<i64>,
    known: bool,
}

fn tasks(tx: &Tx<'_>, event: i64) -> rusqlite::Result<Vec<Task>> {
    let mut statement = tx.conn.prepare_cached(sql::TASKS_OF_EVENT)?;
    let rows = statement.query_map([event], |row| {
        Ok(Task {
            id: row.get(0)?,
            handler: row.get(1)?,
            state: parsed(row, 2, str::parse)?,
            due_at_us: row.get(3)?,
            known: false,
        })
    })?;
    rows.collect()
}

/// A running task whose lease has ended waits again, its attempt recorded as lost. Where its handler is not there any more nobody
/// else would do that.
pub(super) fn lose(tx: &Tx<'_>, event: i64, handler: i64) -> rusqlite::Result<()> {
    let mut statement = tx.conn.prepare_cached(&sql::LOSE)?;
    let lost = statement.query_map(params![event, handler, tx.now_us], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let lost: Vec<(i64, u32, i64)> = lost.collect::<rusqlite::Result<_>>()?;
    lost.into_iter().try_for_each(|lost| tx.execute(common::ADD_LOST_ATTEMPT, lost).map(drop))
}
