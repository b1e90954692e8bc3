//! Reading one event, on the readers' connections.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::command::Fault;
use super::row::{attempt_report, count, delivery_id, digest, fingerprint, parsed, parsed_if_any};
use super::{listing, sql, task};
use crate::ledger::{EventName, LedgerError};
use crate::model::{DeliveryId, EventId, EventReport, HandlerName, REPORT_VERSION, SourceName, TaskReport, Timestamp};

/// The number of the event that an operator names.
pub(super) fn resolve(conn: &Connection, name: &EventName) -> Result<Option<i64>, Fault> {
    let one = |sql, params: &[&dyn rusqlite::ToSql]| conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional();
    match name {
        EventName::Pair(source, id) => Ok(one(sql::EVENT_BY_PAIR, &[&source.as_str(), &id.as_str()])?),
        EventName::Delivery(DeliveryId(id)) => match one(sql::EVENT_BY_KEY, &[id.as_bytes()])? {
            None => Ok(one(sql::EVENT_BY_DELIVERY, &[id.as_bytes()])?),
            found => Ok(found),
        },
        EventName::Bare(id) => {
            let mut statement = conn.prepare_cached(sql::EVENT_BY_ID)?;
            let found: Vec<i64> = statement.query_map([id.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
            match found[..] {
                [] => Ok(None),
                [one] => Ok(Some(one)),
                _ => Err(LedgerError::Ambiguous.into()),
            }
        }
    }
}

/// See [`crate::ledger::Ledger::find`].
pub(super) fn find(conn: &Connection, name: &EventName) -> Result<Option<EventReport>, Fault> {
    let Some(event) = resolve(conn, name)? else { return Ok(None) };
    let mut report = conn.prepare_cached(&sql::EVENT)?.query_row([event], event_report)?;
    report.tasks = tasks(conn, event)?;
    report.deliveries = listing::of_event(conn, event)?;
    Ok(Some(report))
}

/// See [`crate::ledger::Ledger::body`].
pub(super) fn body(conn: &Connection, name: &EventName) -> Result<Option<Option<Bytes>>, Fault> {
    match resolve(conn, name)? {
        None => Ok(None),
        Some(event) => Ok(Some(task::body(conn, event)?)),
    }
}

fn event_report(row: &Row<'_>) -> rusqlite::Result<EventReport> {
    Ok(EventReport {
        v: REPORT_VERSION,
        key: delivery_id(row, 0)?.0,
        source: parsed(row, 1, SourceName::parse)?,
        provider: row.get(2)?,
        event_id: parsed(row, 3, EventId::parse)?,
        event_id_received: row.get(4)?,
        id_from: row.get(5)?,
        event_type: row.get(6)?,
        state: parsed(row, 7, str::parse)?,
        reason: parsed_if_any(row, 8, str::parse)?,
        received_at: Timestamp(row.get(9)?),
        check: row.get(10)?,
        secret: fingerprint(row, 11)?,
        body_sha256: digest(row, 12)?.to_string(),
        body_bytes: count(row, 13)?,
        body_kept: row.get(14)?,
        ack_status: row.get(15)?,
        deliveries: Vec::new(),
        tasks: Vec::new(),
    })
}

fn tasks(conn: &Connection, event: i64) -> rusqlite::Result<Vec<TaskReport>> {
    let mut statement = conn.prepare_cached(sql::TASKS)?;
    let rows = statement.query_map([event], |row| {
        let report = TaskReport {
            unhandled: false,
            handler: parsed(row, 1, HandlerName::parse)?,
            state: parsed(row, 2, str::parse)?,
            reason: parsed_if_any(row, 3, str::parse)?,
            due_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
            redrives: row.get(5)?,
            attempts: Vec::new(),
        };
        Ok((row.get::<_, i64>(0)?, report))
    })?;
    let mut attempts = conn.prepare_cached(sql::ATTEMPTS_OF_TASK)?;
    let mut reports = Vec::new();
    for row in rows {
        let (task, mut report) = row?;
        report.attempts = attempts.query_map([task], attempt_report)?.collect::<Result<_, _>>()?;
        reports.push(report);
    }
    Ok(reports)
}

/// See [`crate::ledger::Ledger::unhandled`]. The handlers that are known are not counted.
pub(super) fn unhandled(conn: &Connection, known: &[HandlerName]) -> Result<Vec<(HandlerName, u64)>, Fault> {
    let mut statement = conn.prepare_cached(sql::HANDLERS)?;
    let handlers = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, parsed(row, 1, HandlerName::parse)?)))?;
    let mut open = conn.prepare_cached(sql::OPEN_TASKS)?;
    let mut unhandled = Vec::new();
    for row in handlers {
        let (id, name) = row?;
        if known.contains(&name) {
            continue;
        }
        let tasks: u64 = open.query_row(params![id], |row| count(row, 0))?;
        if tasks > 0 {
            unhandled.push((name, tasks));
        }
    }
    Ok(unhandled)
}

/// See [`crate::ledger::Ledger::paused`].
pub(super) fn paused(conn: &Connection) -> Result<Vec<(HandlerName, Timestamp)>, Fault> {
    let mut statement = conn.prepare_cached(sql::PAUSED)?;
    let rows = statement.query_map([], |row| Ok((parsed(row, 0, HandlerName::parse)?, Timestamp(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
