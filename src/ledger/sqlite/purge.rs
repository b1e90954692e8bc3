//! Retention: what was kept long enough goes, a little at a time. By the wall clock, as ages are counted from what it showed.
//!
//! An event moves through two queues. Whatever may have made it done puts a hint into `done`; a hint that is old enough is judged by
//! the event's tasks, and taken out in any case: events that are open or dead are never in the way of others. With its body gone the
//! event is in `tombstone`, and leaves it with its row.

mod sql;

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::command::{Fault, Tx};
use super::journal::row_bytes;
use super::row::{duration, micros};
use super::sql::LOG_SINCE;
use crate::ledger::{Purged, Retention};

/// How long each part of a batch may take, its commit not counted: claims wait meanwhile.
const PART_TIME: Duration = Duration::from_millis(2);

/// A task of this event ended well, at this wall clock time, or it never had one.
pub(super) fn ended_well(tx: &Tx<'_>, at_us: i64, event: i64) -> rusqlite::Result<()> {
    tx.execute(sql::ADD_DONE, [at_us, event]).map(drop)
}

/// See [`crate::ledger::Ledger::purge`].
pub(super) fn purge(tx: &mut Tx<'_>, retention: &Retention, limit: usize) -> Result<Purged, Fault> {
    let mut purged = Purged::default();
    let body_for = retention.body.min(retention.dedupe);
    bodies(tx, before(tx, body_for), limit, &mut purged)?;
    events(tx, before(tx, retention.dedupe), limit, &mut purged)?;
    let log_bytes = i64::try_from(retention.log_bytes).unwrap_or(i64::MAX);
    log(tx, before(tx, retention.log), log_bytes, limit.saturating_mul(2), &mut purged)?;
    if !purged.more {
        let oldest = [(sql::OLDEST_DONE, body_for), (sql::OLDEST_TOMBSTONE, retention.dedupe), (LOG_SINCE, retention.log)];
        for (statement, kept_for) in oldest {
            let at: Option<i64> = tx.conn.prepare_cached(statement)?.query_row([], |row| row.get(0)).optional()?;
            let due_in = at.map(|at| duration(at.saturating_add(micros(kept_for)).saturating_sub(tx.wall_us)));
            purged.next_due = purged.next_due.into_iter().chain(due_in).min();
        }
    }
    Ok(purged)
}

/// What is of this time or earlier was kept for so long.
fn before(tx: &Tx<'_>, kept_for: Duration) -> i64 {
    tx.wall_us.saturating_sub(micros(kept_for))
}

/// What one part of a batch may still do.
struct Budget {
    rows: usize,
    until: Duration,
}

impl Budget {
    fn begin(tx: &Tx<'_>, rows: usize) -> Self {
        Self { rows, until: tx.time.monotonic().saturating_add(PART_TIME) }
    }

    /// Takes a row of it, if there is one left.
    fn take(&mut self, tx: &Tx<'_>) -> bool {
        let left = self.rows > 0 && tx.time.monotonic() < self.until;
        self.rows = self.rows.saturating_sub(1);
        left
    }
}

/// The oldest entries of a queue, up to `before`, and one more than may be taken.
fn oldest(tx: &Tx<'_>, statement: &str, before: i64, limit: usize) -> rusqlite::Result<Vec<(i64, i64)>> {
    let limit = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut statement = tx.conn.prepare_cached(statement)?;
    let entries = statement.query_map([before, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    entries.collect()
}

/// Where an event stands, for retention.
enum Standing {
    /// It is accepted or dead: whatever ends that makes a new hint.
    Kept,
    /// It is done since this time.
    DoneAt(i64),
}

fn standing(tx: &Tx<'_>, event: i64) -> rusqlite::Result<Option<Standing>> {
    let found = tx
        .conn
        .prepare_cached(sql::STANDING)?
        .query_row([event], |row| Ok(if row.get(0)? { Standing::Kept } else { Standing::DoneAt(row.get(1)?) }));
    found.optional()
}

/// Bodies of events that were done before. An event that has been done anew since gets its new time.
fn bodies(tx: &Tx<'_>, before: i64, limit: usize, purged: &mut Purged) -> rusqlite::Result<()> {
    let mut budget = Budget::begin(tx, limit);
    for (hinted_at, event) in oldest(tx, sql::DONE_BEFORE, before, limit)? {
        if !budget.take(tx) {
            purged.more = true;
            return Ok(());
        }
        tx.execute(sql::FORGET_DONE, [hinted_at, event])?;
        match standing(tx, event)? {
            None | Some(Standing::Kept) => {}
            Some(Standing::DoneAt(at)) if at > before => ended_well(tx, at, event)?,
            Some(Standing::DoneAt(at)) => {
                purged.bodies += tx.execute(sql::FORGET_PAYLOAD, [event])? as u64;
                tx.execute(sql::ADD_TOMBSTONE, [at, event])?;
            }
        }
    }
    Ok(())
}

/// Events without a body that were done before, with all that is left of them. Rows of the log that are about one stay, and are about
/// none then.
fn events(tx: &Tx<'_>, before: i64, limit: usize, purged: &mut Purged) -> rusqlite::Result<()> {
    let mut budget = Budget::begin(tx, limit);
    for (ended_at, event) in oldest(tx, sql::TOMBSTONES_BEFORE, before, limit)? {
        if !budget.take(tx) || !forget_deliveries(tx, event, &mut budget)? {
            purged.more = true;
            return Ok(());
        }
        tx.execute(sql::FORGET_TOMBSTONE, [ended_at, event])?;
        if matches!(standing(tx, event)?, Some(Standing::DoneAt(_))) {
            tx.execute(sql::FORGET_ATTEMPTS, [event])?;
            tx.execute(sql::FORGET_TASKS, [event])?;
            purged.events += tx.execute(sql::FORGET_EVENT, [event])? as u64;
        }
    }
    Ok(())
}

/// Says whether no row of the log is about the event any more. A sender can have made any number of them.
fn forget_deliveries(tx: &Tx<'_>, event: i64, budget: &mut Budget) -> rusqlite::Result<bool> {
    let most = budget.rows + 1;
    let changed = tx.execute(sql::PART_DELIVERIES, params![event, i64::try_from(most).unwrap_or(i64::MAX)])?;
    budget.rows = budget.rows.saturating_sub(changed);
    Ok(changed < most)
}

/// The oldest rows of the log: those of before, and as many as make it larger than it may be.
fn log(tx: &Tx<'_>, before: i64, bytes_max: i64, limit: usize, purged: &mut Purged) -> rusqlite::Result<()> {
    let bytes: i64 = tx.conn.prepare_cached(sql::LOG_BYTES)?.query_row([], |row| row.get(0))?;
    let mut left = bytes;
    let mut budget = Budget::begin(tx, limit);
    let mut statement = tx.conn.prepare_cached(sql::OLDEST_DELIVERIES)?;
    let rows = statement.query_map([i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX)], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    let rows: Vec<([u8; 16], i64, i64)> = rows.collect::<rusqlite::Result<_>>()?;
    for (delivery, received_at, texts) in &rows {
        if *received_at > before && left <= bytes_max {
            break;
        }
        if !budget.take(tx) {
            purged.more = true;
            break;
        }
        purged.deliveries += tx.execute(sql::FORGET_DELIVERY, [delivery])? as u64;
        left -= row_bytes(*texts);
    }
    if rows.is_empty() {
        // What the sum was off by.
        left = 0;
    }
    if left != bytes {
        tx.execute(sql::SET_LOG_BYTES, [left.max(0)])?;
    }
    Ok(())
}
