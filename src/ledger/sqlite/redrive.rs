//! What operators do with events.

use rusqlite::{Params, params};

use super::command::{Fault, Tx};
use super::{read, sql};
use crate::ledger::{EventName, LedgerError, Redrive, Redriven};
use crate::model::HandlerName;

/// See [`crate::ledger::Ledger::redrive`].
pub(super) fn redrive(tx: &mut Tx<'_>, name: &EventName, how: &Redrive) -> Result<Redriven, Fault> {
    let event = read::resolve(tx.conn, name)?.ok_or(LedgerError::NotFound)?;
    let (tasked, body_kept) = tx
        .conn
        .prepare_cached(sql::TASKED)?
        .query_row(params![event, None::<i64>], |row| Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(2)?)))?;
    if !body_kept {
        return Err(LedgerError::BodyPurged.into());
    }
    let tasks = match &how.to_handler {
        Some(to) => send_to(tx, event, to, how)?,
        None if tasked => anew(tx, event, how.handler.as_ref(), how.force)?,
        None => {
            let wanted = |handler: &&HandlerName| how.handler.as_ref().is_none_or(|only| only == *handler);
            how.matching.iter().filter(wanted).try_fold(0, |made, handler| make(tx, event, handler).map(|()| made + 1))?
        }
    };
    Ok(Redriven { tasks })
}

/// Dead tasks, with `force` done ones too, begin their schedule anew.
fn anew(tx: &mut Tx<'_>, event: i64, only: Option<&HandlerName>, force: bool) -> Result<u64, Fault> {
    let only = match only {
        None => None,
        Some(name) => match tx.names.find_handler(tx.conn, name)? {
            None => return Ok(0),
            id => id,
        },
    };
    let statement: &str = if force { &sql::FORCE_REDRIVE } else { &sql::REDRIVE };
    let now_us = tx.now_us;
    change(tx, statement, params![event, now_us, only])
}

/// A task for this handler: its own begins anew where it has one, else the chosen handler's is moved to it, else one is made.
fn send_to(tx: &mut Tx<'_>, event: i64, to: &HandlerName, how: &Redrive) -> Result<u64, Fault> {
    let to_id = tx.names.handler(tx.conn, to)?;
    let has_one: bool = tx.conn.prepare_cached(sql::TASKED)?.query_row(params![event, to_id], |row| row.get(1))?;
    if has_one {
        return anew(tx, event, Some(to), how.force);
    }
    let Some(chosen) = &how.handler else { return make(tx, event, to).map(|()| 1) };
    let Some(chosen) = tx.names.find_handler(tx.conn, chosen)? else { return Ok(0) };
    let statement: &str = if how.force { &sql::FORCE_MOVE } else { &sql::MOVE };
    let now_us = tx.now_us;
    change(tx, statement, params![event, now_us, chosen, to_id])
}

fn make(tx: &mut Tx<'_>, event: i64, handler: &HandlerName) -> Result<(), Fault> {
    let id = tx.names.handler(tx.conn, handler)?;
    let source: i64 = tx.conn.prepare_cached(sql::SOURCE_OF_EVENT)?.query_row([event], |row| row.get(0))?;
    tx.execute(sql::ADD_TASK, params![event, source, id, tx.now_us])?;
    tx.wakes.push(handler.clone());
    Ok(())
}

/// Runs a statement that gives the handler of each task that it changed.
fn change(tx: &mut Tx<'_>, statement: &str, params: impl Params) -> Result<u64, Fault> {
    let changed: Vec<i64> = tx.conn.prepare_cached(statement)?.query_map(params, |row| row.get(0))?.collect::<Result<_, _>>()?;
    for handler in &changed {
        let name = tx.names.handler_name(tx.conn, *handler)?;
        tx.wakes.push(name);
    }
    Ok(u64::try_from(changed.len()).unwrap_or(u64::MAX))
}
