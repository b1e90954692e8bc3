//! The events that a filter names and a deed could change, found on a reader and found again in the transaction of the deed.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::command::Fault;
use super::listing::type_condition;
use super::operator_sql as sql;
use super::row::{delivery_id, parsed};
use super::sql::{HANDLED, STANDS};
use crate::ledger::{Aim, Batch, Cursor, EventFacts, EventFilter, Verb};
use crate::model::{EventId, EventState, HandlerName, SourceName};

/// So many numbers of events are looked at in one read, so that no read keeps the WAL from being used again for long.
const RANGE: i64 = 20_000;

/// What must hold of the event `e` of the source `s`.
pub(super) struct Conditions {
    text: String,
    values: Vec<Value>,
}

impl Conditions {
    pub(super) fn of(filter: &EventFilter, aim: &Aim) -> Self {
        let mut all = Self { text: String::new(), values: Vec::new() };
        if let Some(source) = &filter.source {
            all.add("s.name = ?", [source.as_str().to_owned().into()]);
        }
        if let Some(id) = &filter.event_id {
            all.add(sql::NAMED, [id.as_str().to_owned().into()]);
        }
        if let Some(glob) = &filter.event_type {
            let (text, values) = type_condition(glob);
            all.add(text, values.into_iter().map(Value::from));
        }
        if let Some(since) = filter.since {
            all.add("e.received_at_us >= ?", [since.0.into()]);
        }
        if let Some(state) = filter.state {
            all.add(&STANDS, [state.as_str().to_owned().into()]);
        }
        if let Some(handler) = &filter.handler {
            all.add(HANDLED, [handler.as_str().to_owned().into()]);
        }
        all.add_aim(aim, name_value(filter.handler.as_ref()));
        all
    }

    /// The conditions, each after an `AND`.
    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn add(&mut self, text: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push_str(" AND ");
        self.text.push_str(text);
        self.values.extend(values);
    }

    fn add_aim(&mut self, aim: &Aim, handler: Value) {
        let verb = |force: &bool| if *force { Verb::ForceRedrive } else { Verb::Redrive };
        match aim {
            Aim::Redrive { to_handler: None, force } => self.add(&sql::redrivable(verb(force), *force), [handler]),
            Aim::Redrive { to_handler: Some(_), force } if handler != Value::Null => {
                self.add(&sql::movable(verb(force)), [handler]);
            }
            Aim::Redrive { to_handler: Some(to), force } => {
                let to = name_value(Some(to));
                self.add(&sql::makable(verb(force)), [to.clone(), to]);
            }
            Aim::Discard { force: true, .. } => self.add(&sql::discardable(true), [handler]),
            Aim::Discard { force: false, known } => {
                let names: Vec<&str> = known.iter().map(HandlerName::as_str).collect();
                let names = serde_json::to_string(&names).unwrap_or_default();
                self.add(&sql::discardable(false), [names.into(), handler]);
            }
        }
    }
}

fn name_value(name: Option<&HandlerName>) -> Value {
    name.map_or(Value::Null, |name| name.as_str().to_owned().into())
}

/// The numbers of the next events, and where to go on. One range of numbers at most: there may be none, and yet more to come.
pub(super) fn next(conn: &Connection, batch: &Batch) -> Result<(Vec<i64>, Option<Cursor>), Fault> {
    let newest: i64 = conn.prepare_cached(sql::NEWEST_EVENT)?.query_row([], |row| row.get(0))?;
    let Cursor { after, upto } = batch.cursor.unwrap_or(Cursor { after: 0, upto: newest });
    // Anybody can write a cursor that goes on for ever.
    let upto = upto.min(newest);
    let dead_alone = batch.filter.state == Some(EventState::Dead);
    let (events, in_order) = if dead_alone { (sql::DEAD_EVENTS, sql::DEAD_IN_ORDER) } else { (sql::EVENTS, sql::IN_ORDER) };
    // What an index finds is found at once.
    let at_once = dead_alone || batch.filter.event_id.is_some();
    let end = if at_once { upto } else { upto.min(after.saturating_add(RANGE)) };
    let conditions = Conditions::of(&batch.filter, &batch.aim);
    let mut values: Vec<Value> = vec![after.into(), end.into()];
    values.extend(conditions.values);
    values.push(i64::try_from(batch.limit).unwrap_or(i64::MAX).into());
    let mut statement = conn.prepare_cached(&format!("{events}{}{in_order}", conditions.text))?;
    let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    let found: Vec<i64> = rows.collect::<Result<_, _>>()?;
    let looked_at = found.last().filter(|_| found.len() >= batch.limit).copied().unwrap_or(end);
    let next = (looked_at < upto).then_some(Cursor { after: looked_at, upto });
    Ok((found, next))
}

/// An event as it is now, if the conditions still hold of it.
pub(super) fn facts(conn: &Connection, event: i64, conditions: &Conditions) -> rusqlite::Result<Option<EventFacts>> {
    let mut statement = conn.prepare_cached(&format!("{}{}", *sql::FACTS, conditions.text))?;
    let values = std::iter::once(Value::from(event)).chain(conditions.values.iter().cloned());
    let found = statement.query_row(params_from_iter(values), |row| {
        Ok(EventFacts {
            key: delivery_id(row, 0)?,
            source: parsed(row, 1, SourceName::parse)?,
            event_id: parsed(row, 2, EventId::parse)?,
            event_type: row.get(3)?,
            state: parsed(row, 4, str::parse)?,
            tasks: Vec::new(),
        })
    });
    let Some(mut facts) = found.optional()? else { return Ok(None) };
    let mut statement = conn.prepare_cached(super::sql::TASKS)?;
    let tasks = statement.query_map([event], |row| Ok((parsed(row, 1, HandlerName::parse)?, parsed(row, 2, str::parse)?)))?;
    facts.tasks = tasks.collect::<Result<_, _>>()?;
    Ok(Some(facts))
}
