//! Counts by source and by handler, on a reader. What is open or dead is found by its own index; only deliveries and the calls of
//! handlers are counted row by row.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::command::Fault;
use super::row::{count, parsed};
use super::{operator_sql as sql, sql as common};
use crate::ledger::LedgerError;
use crate::model::{
    DeliveryCounts, EventCounts, HandlerName, HandlerStats, REPORT_VERSION, SourceName, SourceStats, StatsReport, TaskState,
    Timestamp, Verdict,
};

/// See [`crate::ledger::Ledger::stats`].
pub(super) fn stats(
    conn: &Connection,
    source: Option<&SourceName>,
    since: Option<Timestamp>,
    dropped: u64,
) -> Result<StatsReport, Fault> {
    let only: Option<i64> = match source {
        None => None,
        Some(name) => {
            let id = conn.prepare_cached(common::SOURCE)?.query_row([name.as_str()], |row| row.get(0)).optional()?;
            Some(id.ok_or(LedgerError::NotFound)?)
        }
    };
    let since_us = since.map(|since| since.0);
    let since_key = since.map(|since| first_key_at(since).as_bytes().to_vec());
    let sources = sources(conn, only, &since_key, since_us)?;
    let handlers = handlers(conn, only, &since_key, since_us)?;
    let log_since = conn.prepare_cached(common::LOG_SINCE)?.query_row([], |row| row.get(0)).optional()?.map(Timestamp);
    Ok(StatsReport { v: REPORT_VERSION, sources, handlers, dropped, log_since })
}

/// Before every delivery id of this time or later: ids begin with their time.
fn first_key_at(time: Timestamp) -> uuid::Uuid {
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(time.0 / 1000).unwrap_or(0), &[0; 10]).into_uuid()
}

type SinceKey = Option<Vec<u8>>;

fn sources(conn: &Connection, only: Option<i64>, key: &SinceKey, us: Option<i64>) -> Result<Vec<SourceStats>, Fault> {
    let mut all: BTreeMap<i64, SourceStats> = each(conn, sql::SOURCES, [only], |row| {
        let stats = SourceStats {
            v: REPORT_VERSION,
            source: parsed(row, 1, SourceName::parse)?,
            provider: row.get(2)?,
            events: EventCounts::default(),
            deliveries: DeliveryCounts::default(),
            oldest_dead_at: None,
            oldest_waiting_at: None,
        };
        Ok((row.get(0)?, stats))
    })?
    .into_iter()
    .collect();
    let read = |row: &Row<'_>| Ok((row.get(0)?, count(row, 1)?));
    let events: Vec<(i64, u64)> = match key {
        Some(key) => each(conn, sql::COUNT_EVENTS_SINCE, params![only, key, us], read)?,
        None => each(conn, sql::COUNT_EVENTS, [only], read)?,
    };
    for (source, events) in events {
        all.entry(source).and_modify(|stats| stats.events.done = events);
    }
    for open in [true, false] {
        let statement: &str = if open { &sql::COUNT_WAITING } else { &sql::COUNT_DEAD };
        let rows = each(conn, statement, params![only, key, us], |row| {
            Ok((row.get(0)?, count(row, 1)?, row.get::<_, Option<i64>>(2)?.map(Timestamp)))
        })?;
        for (source, events, oldest) in rows {
            all.entry(source).and_modify(|stats| {
                // The rest is done.
                stats.events.done = stats.events.done.saturating_sub(events);
                if open {
                    (stats.events.accepted, stats.oldest_waiting_at) = (events, oldest);
                } else {
                    (stats.events.dead, stats.oldest_dead_at) = (events, oldest);
                }
            });
        }
    }
    let read = |row: &Row<'_>| Ok((row.get(0)?, parsed(row, 1, str::parse)?, count(row, 2)?));
    let deliveries: Vec<(i64, Verdict, u64)> = match key {
        Some(key) => each(conn, sql::COUNT_DELIVERIES_SINCE, params![only, key, us], read)?,
        None => each(conn, sql::COUNT_DELIVERIES, [only], read)?,
    };
    for (source, verdict, deliveries) in deliveries {
        all.entry(source).and_modify(|stats| *stats.deliveries.of_mut(verdict) = deliveries);
    }
    let mut all: Vec<SourceStats> = all.into_values().collect();
    all.sort_by(|one, other| one.source.cmp(&other.source));
    Ok(all)
}

fn handlers(conn: &Connection, only: Option<i64>, key: &SinceKey, us: Option<i64>) -> Result<Vec<HandlerStats>, Fault> {
    let named = |row: &Row<'_>| parsed(row, 1, HandlerName::parse).map(|name| (name.clone(), HandlerStats::new(name)));
    let mut all: BTreeMap<HandlerName, HandlerStats> = each(conn, common::HANDLERS, [], named)?.into_iter().collect();
    let read = |row: &Row<'_>| {
        Ok((parsed(row, 0, HandlerName::parse)?, parsed(row, 1, str::parse::<TaskState>)?, count(row, 2)?, count(row, 3)?))
    };
    let rows = if only.is_some() || key.is_some() {
        each(conn, sql::COUNT_TASKS_OF, params![only, key, us], read)?
    } else {
        each(conn, sql::COUNT_TASKS, [], read)?
    };
    for (handler, state, tasks, attempts) in rows {
        let stats = all.entry(handler.clone()).or_insert_with(|| HandlerStats::new(handler));
        stats.attempts += attempts;
        let place = match state {
            TaskState::Pending => &mut stats.tasks.waiting,
            TaskState::Running => &mut stats.tasks.running,
            TaskState::Done => &mut stats.tasks.done,
            TaskState::Dead => &mut stats.tasks.dead,
            TaskState::Discarded => &mut stats.tasks.discarded,
        };
        *place = tasks;
    }
    Ok(all.into_values().collect())
}

fn each<T>(
    conn: &Connection,
    statement: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare_cached(statement)?.query_map(params, read)?.collect()
}
