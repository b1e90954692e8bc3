//! Pages of deliveries: the log's rows and the first deliveries that only the events know of.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::command::Fault;
use super::operator_sql::has_dead_task;
use super::row::delivery_report;
use super::sql;
use crate::ledger::DeliveryFilter;
use crate::model::{DeliveryId, DeliveryPage, DeliveryReport, EventState, Timestamp, TypeGlob, Verdict};

/// One of the two places that a delivery is known in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Log,
    Events,
}

impl Place {
    fn column(self, name: &str) -> String {
        match (self, name) {
            (Self::Events, "delivery_id") => "e.key".into(),
            (Self::Events, name) => format!("e.{name}"),
            (Self::Log, name) => format!("d.{name}"),
        }
    }
}

/// Conditions with their values.
#[derive(Default)]
struct Conditions {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, text: impl Into<String>, value: impl Into<Value>) {
        self.texts.push(text.into());
        self.values.push(value.into());
    }

    fn of(place: Place, filter: &DeliveryFilter) -> Self {
        let mut all = Self::default();
        if let Some(source) = &filter.source {
            all.add("s.name = ?", source.as_str().to_owned());
        }
        if let Some(id) = &filter.event_id {
            all.add(format!("{} = ?", place.column("event_id")), id.as_str().to_owned());
        }
        if let Some(pattern) = &filter.event_type {
            all.add_type(pattern);
        }
        if let (Place::Log, Some(verdict)) = (place, filter.verdict) {
            all.add("d.verdict = ?", verdict.as_str().to_owned());
        }
        if let Some(state) = filter.state {
            if state == EventState::Dead {
                // Few are, and they have an index of their own: the others are passed by before more is asked of them.
                let event = if place == Place::Log { "d.event" } else { "e.id" };
                all.texts.push(has_dead_task(event));
            }
            all.add(sql::STANDS.as_str(), state.as_str().to_owned());
        }
        if let Some(handler) = &filter.handler {
            all.add(sql::HANDLED, handler.as_str().to_owned());
        }
        if let Some(since) = filter.since {
            all.add(format!("{} >= ?", place.column("received_at_us")), since.0);
        }
        if let Some(before) = filter.before {
            all.add(format!("{} < ?", place.column("delivery_id")), before.0.as_bytes().to_vec());
        }
        if let Some(after) = filter.after {
            all.add(format!("{} > ?", place.column("delivery_id")), after.0.as_bytes().to_vec());
        }
        all
    }

    /// The rule of [`TypeGlob`] in SQLite's words.
    fn add_type(&mut self, pattern: &str) {
        let Ok(glob) = TypeGlob::parse(pattern) else {
            // No type has such a name.
            return self.add("?", 0);
        };
        let (text, values) = type_condition(&glob);
        self.texts.push(text.to_owned());
        self.values.extend(values.into_iter().map(Value::from));
    }
}

/// The condition that the type of the event `e` matches, with its values.
pub(super) fn type_condition(glob: &TypeGlob) -> (&'static str, Vec<String>) {
    if glob.has_star() {
        return ("e.event_type GLOB ?", vec![sqlite_glob(glob)]);
    }
    ("(e.event_type = ? OR e.event_type GLOB ?)", vec![glob.as_str().to_owned(), format!("{}.*", sqlite_glob(glob))])
}

/// In SQLite `?` and `[` are special too.
fn sqlite_glob(glob: &TypeGlob) -> String {
    let mut text = String::with_capacity(glob.as_str().len());
    for character in glob.as_str().chars() {
        match character {
            '?' => text.push_str("[?]"),
            '[' => text.push_str("[[]"),
            plain => text.push(plain),
        }
    }
    text
}

/// See [`crate::ledger::Ledger::deliveries`].
pub(super) fn page(conn: &Connection, filter: &DeliveryFilter, dropped: u64) -> Result<DeliveryPage, Fault> {
    let mut rows = rows(conn, Place::Log, filter)?;
    if filter.verdict.is_none_or(|verdict| verdict == Verdict::First) {
        rows.extend(self::rows(conn, Place::Events, filter)?);
    }
    // Of a row that both know the log's comes first, as the sort is stable, and stays.
    if filter.after.is_some() {
        rows.sort_by_key(|row| row.delivery_id);
    } else {
        rows.sort_by_key(|row| std::cmp::Reverse(row.delivery_id));
    }
    rows.dedup_by_key(|row| row.delivery_id);
    let more = rows.len() > filter.limit;
    rows.truncate(filter.limit);
    let next: Option<DeliveryId> = rows.last().map(|row| row.delivery_id).filter(|_| more);
    let log_since = conn.prepare_cached(sql::LOG_SINCE)?.query_row([], |row| row.get(0)).optional()?.map(Timestamp);
    Ok(DeliveryPage { deliveries: rows, next, dropped, log_since })
}

/// One more than the page has, to know whether there is another.
fn rows(conn: &Connection, place: Place, filter: &DeliveryFilter) -> rusqlite::Result<Vec<DeliveryReport>> {
    let Conditions { texts, mut values } = Conditions::of(place, filter);
    let select = if place == Place::Log { sql::LOGGED.as_str() } else { sql::FIRSTS.as_str() };
    let condition = if texts.is_empty() { String::new() } else { format!(" WHERE {}", texts.join(" AND ")) };
    let direction = if filter.after.is_some() { "ASC" } else { "DESC" };
    let statement = format!("{select}{condition} ORDER BY {} {direction} LIMIT ?", place.column("delivery_id"));
    values.push(Value::Integer(i64::try_from(filter.limit.saturating_add(1)).unwrap_or(i64::MAX)));
    let mut statement = conn.prepare_cached(&statement)?;
    let rows = statement.query_map(params_from_iter(values), delivery_report)?;
    rows.collect()
}

/// Most repeats that an event's story tells. A sender with a captured delivery can make any number of them.
const REPEATS_MAX: usize = 1000;

/// The newest deliveries of one event and its first one, oldest first.
pub(super) fn of_event(conn: &Connection, event: i64) -> rusqlite::Result<Vec<DeliveryReport>> {
    let logged = format!("{} WHERE d.event = ?1 ORDER BY d.delivery_id DESC LIMIT {REPEATS_MAX}", sql::LOGGED.as_str());
    let mut rows: Vec<DeliveryReport> =
        conn.prepare_cached(&logged)?.query_map([event], delivery_report)?.collect::<Result<_, _>>()?;
    let first = format!("{} WHERE e.id = ?1", sql::FIRSTS.as_str());
    rows.push(conn.prepare_cached(&first)?.query_row([event], delivery_report)?);
    // The log's row of the first one knows more than the event does, so it goes before.
    rows.sort_by_key(|row| (row.delivery_id, row.status.is_none()));
    rows.dedup_by_key(|row| row.delivery_id);
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_reads_a_pattern_as_we_do() {
        let conn = Connection::open_in_memory().expect("memory");
        let patterns = ["a", "a.b", "*", "a*", "*b", "a.*", "a?c", "[ab]", "a[*", "a*c*"];
        let types = ["a", "a.b", "ab", "a.b.c", "abc", "a?c", "[ab]", "[ab].x", "a[x", "A", "axcxc"];
        for pattern in patterns {
            let mut condition = Conditions::default();
            condition.add_type(pattern);
            for event_type in types {
                let statement = format!("SELECT {} FROM (SELECT '{event_type}' AS event_type) e", condition.texts[0]);
                let ours = TypeGlob::parse(pattern).expect("a pattern").matches(event_type);
                let theirs: bool =
                    conn.query_row(&statement, params_from_iter(condition.values.clone()), |row| row.get(0)).expect("a row");
                assert_eq!(ours, theirs, "{pattern} on {event_type}");
            }
        }
    }
}
