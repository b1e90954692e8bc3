//! What operators ask of the admin API beyond one redrive, as its bodies and query strings have it. The CLI asks in the same words.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::query::{InvalidQuery, object, parsed};
use crate::gateway::{BulkDeed, BulkDone, BulkRequest, DiscardRequest, RedriveRequest};
use crate::ledger::{Cursor, EventDone, EventFilter, Skip, Stays};
use crate::model::{EventId, EventReport, EventState, HandlerName, REPORT_VERSION, SourceName, Timestamp, TypeGlob, Who, Why};

/// Events of one answer unless asked otherwise.
const LIMIT: usize = 1000;
/// Most events of one answer.
const LIMIT_MAX: usize = 10_000;

/// `POST events/{key}/discard`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscardBody {
    /// Only this handler's task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<HandlerName>,
    /// Waiting tasks too.
    pub force: bool,
    /// Why.
    pub reason: Option<String>,
    /// Who asks.
    pub by: Option<String>,
}

impl DiscardBody {
    /// What a body says.
    ///
    /// # Errors
    /// It is not the JSON that is wanted.
    pub(super) fn read(body: &[u8]) -> serde_json::Result<Self> {
        object(body)
    }

    /// What it asks for.
    ///
    /// # Errors
    /// Who or why is missing or cannot be kept.
    pub fn request(self) -> Result<DiscardRequest, InvalidQuery> {
        let why = needed("reason", self.reason, "why is it discarded?", Why::parse)?;
        let by = needed("by", self.by, "who discards it?", Who::parse)?;
        Ok(DiscardRequest { handler: self.handler, force: self.force, by, why })
    }
}

fn needed<T, E: std::fmt::Display>(
    name: &'static str,
    text: Option<String>,
    question: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, InvalidQuery> {
    parsed(name, text, |text| parse(&text))?.ok_or_else(|| InvalidQuery::new(name, format!("is needed: {question}")))
}

/// What a discard did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct DiscardReport {
    /// Version of this shape.
    pub v: u8,
    /// Tasks that are discarded now and were not before.
    pub tasks: u64,
}

/// `POST events/redrive` and `POST events/discard`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BulkBody {
    /// Of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Of this event id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Of a type that matches this glob.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// `accepted`, `done` or `dead`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// With a task of this handler, and only that task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// First received at this RFC 3339 time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Of a redrive: makes a task for this handler, or moves the chosen one to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_handler: Option<String>,
    /// Of a redrive: done and discarded tasks too. Of a discard: waiting ones too.
    pub force: bool,
    /// Of a discard: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a discard: who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Tell of each event.
    pub list: bool,
    /// Where the answer before ended: its `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// At most so many events, 10,000 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl BulkBody {
    /// What a body says.
    ///
    /// # Errors
    /// It is not the JSON that is wanted.
    pub(super) fn read(body: &[u8]) -> serde_json::Result<Self> {
        object(body)
    }

    /// What it asks for, of a redrive.
    ///
    /// # Errors
    /// The first field that is missing, not of a redrive, or cannot be understood.
    pub fn redrive(self) -> Result<BulkRequest, InvalidQuery> {
        for (name, given) in [("reason", &self.reason), ("by", &self.by)] {
            if given.is_some() {
                return Err(InvalidQuery::new(name, "is not of a redrive".to_owned()));
            }
        }
        let handler = handler_of("handler", self.handler.as_deref())?;
        let to_handler = handler_of("to_handler", self.to_handler.as_deref())?;
        let deed = BulkDeed::Redrive(RedriveRequest { handler, to_handler, force: self.force });
        self.of(deed)
    }

    /// What it asks for, of a discard.
    ///
    /// # Errors
    /// The first field that is missing, not of a discard, or cannot be understood.
    pub fn discard(self) -> Result<BulkRequest, InvalidQuery> {
        if self.to_handler.is_some() {
            return Err(InvalidQuery::new("to_handler", "is not of a discard".to_owned()));
        }
        let handler = handler_of("handler", self.handler.as_deref())?;
        let body = DiscardBody { handler, force: self.force, reason: self.reason.clone(), by: self.by.clone() };
        let deed = BulkDeed::Discard(body.request()?);
        self.of(deed)
    }

    fn of(self, deed: BulkDeed) -> Result<BulkRequest, InvalidQuery> {
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(InvalidQuery::new("limit", format!("is 1 to {LIMIT_MAX}")));
        }
        let filter = EventFilter {
            source: parsed("source", self.source, |text| SourceName::parse(&text))?,
            event_id: parsed("event_id", self.event_id, |text| EventId::parse(&text))?,
            event_type: parsed("type", self.event_type, |text| TypeGlob::parse(&text))?,
            state: parsed("state", self.state, |text| EventState::from_str(&text))?,
            handler: handler_of("handler", self.handler.as_deref())?,
            since: parsed("since", self.since, |text| Timestamp::parse_rfc3339(&text).ok_or(super::query::NO_TIME))?,
        };
        if is_empty(&filter) {
            let how = "is needed, or another condition: a deed on all events must say so, such as {\"state\":\"dead\"}";
            return Err(InvalidQuery::new("state", how.to_owned()));
        }
        Ok(BulkRequest {
            filter,
            deed,
            stays: if self.dry_run { Stays::No } else { Stays::Yes },
            list: self.list || self.dry_run,
            cursor: parsed("cursor", self.cursor, |text| Cursor::from_str(&text))?,
            limit,
        })
    }
}

fn handler_of(name: &'static str, text: Option<&str>) -> Result<Option<HandlerName>, InvalidQuery> {
    parsed(name, text.map(str::to_owned), |text| HandlerName::parse(&text))
}

const fn is_empty(filter: &EventFilter) -> bool {
    let EventFilter { source, event_id, event_type, state, handler, since } = filter;
    source.is_none() && event_id.is_none() && event_type.is_none() && state.is_none() && handler.is_none() && since.is_none()
}

/// What was done, or with `dry_run` would be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BulkReport {
    /// Version of this shape.
    pub v: u8,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Events that the filter names and of which something could be changed.
    pub matched: u64,
    /// Events of which it was.
    pub changed: u64,
    /// Tasks that were changed.
    pub tasks: u64,
    /// The other events, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Each event, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<BulkEvent>,
    /// What to give as `cursor` to go on, while there may be more.
    pub next: Option<String>,
}

/// What was done with one event, or with `dry_run` would be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BulkEvent {
    /// Version of this shape.
    pub v: u8,
    /// The event's key.
    pub key: Uuid,
    /// Its source.
    pub source: SourceName,
    /// Its id.
    pub event_id: EventId,
    /// Its type.
    pub event_type: String,
    /// Where it stood before.
    pub state: EventState,
    /// Tasks that were changed.
    pub tasks: u64,
    /// Why none was.
    pub skipped: Option<String>,
}

impl From<EventDone> for BulkEvent {
    fn from(done: EventDone) -> Self {
        let EventDone { facts, tasks } = done;
        Self {
            v: REPORT_VERSION,
            key: facts.key.0,
            source: facts.source,
            event_id: facts.event_id,
            event_type: facts.event_type,
            state: facts.state,
            tasks: tasks.unwrap_or(0),
            skipped: tasks.err().map(|skip| skip.code().to_owned()),
        }
    }
}

impl BulkEvent {
    /// Of an event that has no task that could be changed.
    #[must_use]
    pub fn untouched(event: &EventReport) -> Self {
        Self {
            v: REPORT_VERSION,
            key: event.key,
            source: event.source.clone(),
            event_id: event.event_id.clone(),
            event_type: event.event_type.clone(),
            state: event.state,
            tasks: 0,
            skipped: Some(Skip::NothingToDo.code().to_owned()),
        }
    }
}

impl BulkReport {
    /// Of what was done.
    #[must_use]
    pub fn of(done: BulkDone, stays: Stays) -> Self {
        Self {
            v: REPORT_VERSION,
            dry_run: stays == Stays::No,
            matched: done.matched,
            changed: done.events,
            tasks: done.tasks,
            skipped: done.skipped.into_iter().map(|(skip, events)| (skip.code().to_owned(), events)).collect(),
            events: done.listed.into_iter().map(BulkEvent::from).collect(),
            next: done.next.map(|next| next.to_string()),
        }
    }
}

/// `GET stats`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatsQuery {
    /// Of this source alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Of what was received at this RFC 3339 time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

impl StatsQuery {
    /// What it asks for.
    ///
    /// # Errors
    /// The first parameter that cannot be understood.
    pub fn meant(self) -> Result<(Option<SourceName>, Option<Timestamp>), InvalidQuery> {
        let source = parsed("source", self.source, |text| SourceName::parse(&text))?;
        let since = parsed("since", self.since, |text| Timestamp::parse_rfc3339(&text).ok_or(super::query::NO_TIME))?;
        Ok((source, since))
    }
}
