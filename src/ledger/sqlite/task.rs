//! Leases and what becomes of them.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::command::{Fault, Tx};
use super::row::{bytes, delivery_id, duration, headers, micros, parsed};
use super::sql;
use super::turns::Share;
use crate::flaws::{Flaw, planted};
use crate::ledger::{Attempt, Lease, Settled, Settlement, Unreadable, Verb, Work};
use crate::model::{EventId, HandlerName, Outcome, Reason, SourceName, TaskState, Timestamp};

/// One lease takes no further task once the bodies have so many bytes.
const LEASED_BYTES: u64 = 8 << 20;
/// How an attempt ended that nobody told the end of.
const LOST: &str = "lost";

/// A leased task before its event is read.
#[derive(Debug)]
pub(super) struct Taken {
    task: i64,
    claim_seq: i64,
    event: i64,
    attempt: u32,
    tries: u32,
    redrives: u32,
}

/// A due task as it was before.
struct Due {
    id: i64,
    event: i64,
    state: TaskState,
    attempts: u32,
    tries: u32,
    redrives: u32,
    claim_seq: i64,
    leased_at_us: Option<i64>,
    body_bytes: u64,
}

/// See [`crate::ledger::Ledger::lease_tasks`]. Where nothing is due nothing is written.
pub(super) fn lease(
    tx: &mut Tx<'_>,
    handler: &HandlerName,
    limit: usize,
    lease_for: Duration,
) -> Result<(Vec<Taken>, Option<Duration>), Fault> {
    let Some(handler) = tx.names.find_handler(tx.conn, handler)? else { return Ok((Vec::new(), None)) };
    let lease_us = micros(lease_for);
    let due = due(tx, handler, limit)?;
    let mut taken = Vec::with_capacity(due.len());
    let mut body_bytes = 0_u64;
    for task in due {
        // The bodies are in memory until their handlers have answered.
        if body_bytes >= LEASED_BYTES {
            break;
        }
        body_bytes = body_bytes.saturating_add(task.body_bytes);
        if task.state == TaskState::Running {
            let began_at = task.leased_at_us.unwrap_or(tx.now_us);
            tx.execute(
                sql::ADD_ATTEMPT,
                params![task.id, task.attempts, began_at, None::<i64>, LOST, None::<u16>, None::<&str>],
            )?;
        }
        let ends_at = tx.now_us.saturating_add(lease_us);
        let changed = tx.execute(&sql::LEASE, params![task.id, task.claim_seq, ends_at, lease_us, tx.now_us])?;
        if changed != 1 {
            return Err(rusqlite::Error::StatementChangedRows(changed).into());
        }
        taken.push(Taken {
            task: task.id,
            claim_seq: task.claim_seq + 1,
            event: task.event,
            attempt: task.attempts + 1,
            tries: task.tries + 1,
            redrives: task.redrives,
        });
    }
    let next = waiting(tx, handler)?.into_iter().map(|(_, due_at)| due_at).min();
    Ok((taken, next.map(|due_at| duration(due_at.saturating_sub(tx.now_us)))))
}

/// The sources that have open tasks for a handler, and when the first of each is due.
fn waiting(tx: &Tx<'_>, handler: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
    tx.conn.prepare_cached(&sql::TURNS)?.query_map([handler], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Due tasks of every source in its turn, of each the longest due first. A source with fewer than its share leaves slots free: more
/// is due then, and the next question follows at once.
fn due(tx: &mut Tx<'_>, handler: i64, limit: usize) -> rusqlite::Result<Vec<Due>> {
    let now_us = tx.now_us;
    let sources: Vec<i64> =
        waiting(tx, handler)?.into_iter().filter(|(_, due_at)| *due_at <= now_us).map(|(source, _)| source).collect();
    let mut shares = Vec::new();
    for share in tx.turns.shares(handler, &sources, limit) {
        shares.push(due_of(tx, handler, share)?.into_iter());
    }
    // One of each in turn, as a lease may end before its limit.
    let mut due = Vec::new();
    while let longest @ 1.. = shares.iter().map(ExactSizeIterator::len).max().unwrap_or(0) {
        due.reserve(longest);
        due.extend(shares.iter_mut().filter_map(Iterator::next));
    }
    Ok(due)
}

fn due_of(tx: &Tx<'_>, handler: i64, share: Share) -> rusqlite::Result<Vec<Due>> {
    let most = i64::try_from(share.most).unwrap_or(i64::MAX);
    let mut statement = tx.conn.prepare_cached(&sql::DUE)?;
    let rows = statement.query_map(params![handler, share.source, tx.now_us, most], |row| {
        Ok(Due {
            id: row.get(0)?,
            event: row.get(1)?,
            state: parsed(row, 2, str::parse)?,
            attempts: row.get(3)?,
            tries: row.get(4)?,
            redrives: row.get(5)?,
            claim_seq: row.get(6)?,
            leased_at_us: row.get(7)?,
            body_bytes: u64::try_from(row.get::<_, i64>(8)?).unwrap_or(0),
        })
    })?;
    rows.collect()
}

/// Reads what a handler is to be told of a leased task, or why that is not there. An error is the store's own.
pub(super) fn work(conn: &Connection, taken: Taken) -> rusqlite::Result<Result<Work, Unreadable>> {
    let Taken { task, claim_seq, event, attempt, tries, redrives } = taken;
    let mut statement = conn.prepare_cached(sql::WORK)?;
    let read = statement.query_row([event], |row| {
        Ok(Work {
            source: parsed(row, 0, SourceName::parse)?,
            provider: row.get(1)?,
            event_id: parsed(row, 2, EventId::parse)?,
            event_type: row.get(3)?,
            key: delivery_id(row, 4)?,
            received_at: Timestamp(row.get(5)?),
            attempt,
            tries,
            redrives,
            headers: parsed(row, 6, headers)?,
            body: bytes(row, 7)?,
            lease: Lease { task, claim_seq },
        })
    });
    let reason = match read.optional() {
        Ok(Some(work)) => return Ok(Ok(work)),
        Ok(None) => "its event or body is missing from the store".to_owned(),
        Err(error) if error.sqlite_error_code().is_some() => return Err(error),
        Err(error) => format!("its event cannot be read back: {error}"),
    };
    Ok(Err(Unreadable { lease: Lease { task, claim_seq }, reason }))
}

/// An event's body, while it is kept.
pub(super) fn body(conn: &Connection, event: i64) -> rusqlite::Result<Option<Bytes>> {
    conn.prepare_cached(sql::BODY)?.query_row([event], |row| bytes(row, 0)).optional()
}

/// What a settled task was.
struct Was {
    handler: i64,
    attempts: u32,
    leased_at_us: Option<i64>,
}

/// See [`crate::ledger::Ledger::settle_task`].
pub(super) fn settle(tx: &mut Tx<'_>, lease: &Lease, attempt: &Attempt, settlement: Settlement) -> Result<Settled, Fault> {
    let Some(was) = move_task(tx, lease, settlement)? else { return Ok(Settled::LeaseLost) };
    let took_us = micros(attempt.duration);
    // The call began when it says, but not before its lease: the length is the caller's measure.
    let began_at = tx.now_us.saturating_sub(took_us).max(was.leased_at_us.unwrap_or(i64::MIN));
    tx.execute(
        sql::ADD_ATTEMPT,
        params![
            lease.task,
            was.attempts,
            began_at,
            took_us,
            attempt.outcome.code(),
            attempt.outcome.status(),
            error_text(&attempt.outcome)
        ],
    )?;
    if matches!(settlement, Settlement::RetryIn(_)) {
        let handler = tx.names.handler_name(tx.conn, was.handler)?;
        tx.wakes.push(handler);
    }
    Ok(Settled::Recorded)
}

fn error_text(outcome: &Outcome) -> Option<&str> {
    outcome.error()
}

/// One conditional statement. It changes one row, or the lease is not ours any more.
fn move_task(tx: &Tx<'_>, lease: &Lease, settlement: Settlement) -> rusqlite::Result<Option<Was>> {
    let (verb, statement, delay_us, reason): (_, &str, _, Option<Reason>) = match settlement {
        Settlement::Done => (Verb::Finish, &sql::FINISH, None, None),
        Settlement::RetryIn(delay) => (Verb::Retry, &sql::RETRY, Some(micros(delay)), None),
        Settlement::Dead(reason) => (Verb::Bury, &sql::BURY, None, Some(reason)),
    };
    let statement = if planted(Flaw::FencingMissing) { sql::SETTLE_UNFENCED } else { statement };
    let due_at = delay_us.map(|delay_us| tx.now_us.saturating_add(delay_us));
    let ended_at = if delay_us.is_none() { Some(tx.now_us) } else { None };
    let moved = params![
        lease.task,
        lease.claim_seq,
        verb.transition().to.as_str(),
        due_at,
        delay_us.unwrap_or(0),
        reason.map(Reason::as_str),
        ended_at,
    ];
    let mut statement = tx.conn.prepare_cached(statement)?;
    let mut rows =
        statement.query_map(moved, |row| Ok(Was { handler: row.get(0)?, attempts: row.get(1)?, leased_at_us: row.get(2)? }))?;
    let first = rows.next().transpose()?;
    // The statement is through, with all that it changes, only once it has no further row.
    match rows.next().transpose()? {
        None => Ok(first),
        Some(_) => Err(rusqlite::Error::StatementChangedRows(2)),
    }
}
