//! What the admin API is asked, as its query strings and bodies have it. The CLI asks in the same words.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};
use uuid::Uuid;

use crate::ledger::{DeliveryFilter, EventName};
use crate::model::{DeliveryId, EventId, HandlerName, SourceName, Timestamp};

/// Rows of a page unless asked otherwise.
const LIMIT: usize = 50;
/// Most rows of a page.
pub(super) const LIMIT_MAX: usize = 1000;

/// A parameter that cannot be understood. Reads after "error: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}`: {reason}")]
pub struct InvalidQuery {
    name: &'static str,
    reason: String,
}

/// `GET deliveries`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryQuery {
    /// Of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Of this event id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Of a type that matches this glob.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// `first`, `duplicate`, `conflict`, `rejected` or `handshake`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// `accepted`, `done`, `dead` or `tombstone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Whose event has a task of this handler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Received at this RFC 3339 time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Older than this delivery: the next page.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "before")]
    pub before: Option<Uuid>,
    /// Newer than this delivery, oldest first.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "after")]
    pub after: Option<Uuid>,
    /// At most so many, 1000 at most.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    pub limit: Option<usize>,
}

impl DeliveryQuery {
    /// What it asks for.
    ///
    /// # Errors
    /// The first parameter that cannot be understood.
    pub fn filter(self) -> Result<DeliveryFilter, InvalidQuery> {
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(InvalidQuery { name: "limit", reason: format!("is 1 to {LIMIT_MAX}") });
        }
        let no_time = || InvalidQuery { name: "since", reason: "is no RFC 3339 time such as 2026-01-31T12:00:00Z".to_owned() };
        Ok(DeliveryFilter {
            source: parsed("source", self.source, |text| SourceName::parse(&text))?,
            event_id: parsed("event_id", self.event_id, |text| EventId::parse(&text))?,
            event_type: self.event_type,
            verdict: parsed("verdict", self.verdict, |text| FromStr::from_str(&text))?,
            state: parsed("state", self.state, |text| FromStr::from_str(&text))?,
            handler: parsed("handler", self.handler, |text| HandlerName::parse(&text))?,
            since: self.since.map(|text| Timestamp::parse_rfc3339(&text).ok_or_else(no_time)).transpose()?,
            before: self.before.map(DeliveryId),
            after: self.after.map(DeliveryId),
            limit,
        })
    }
}

/// `GET events`: by source and event id, by event id alone, or by a delivery's id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventQuery {
    /// The source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The event's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Any delivery of it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "delivery_id")]
    pub delivery_id: Option<Uuid>,
}

impl EventQuery {
    /// The event that it names.
    ///
    /// # Errors
    /// A parameter is missing or cannot be understood.
    pub fn name(self) -> Result<EventName, InvalidQuery> {
        if let Some(id) = self.delivery_id {
            return Ok(EventName::Delivery(DeliveryId(id)));
        }
        let source = parsed("source", self.source, |text| SourceName::parse(&text))?;
        let id = parsed("event_id", self.event_id, |text| EventId::parse(&text))?;
        match (source, id) {
            (Some(source), Some(id)) => Ok(EventName::Pair(source, id)),
            (None, Some(id)) => Ok(EventName::Bare(id)),
            (_, None) => Err(InvalidQuery { name: "event_id", reason: "is needed, or `delivery_id`".to_owned() }),
        }
    }
}

impl From<&EventName> for EventQuery {
    fn from(name: &EventName) -> Self {
        match name {
            EventName::Delivery(id) => Self { delivery_id: Some(id.0), ..Self::default() },
            EventName::Bare(id) => Self { event_id: Some(id.to_string()), ..Self::default() },
            EventName::Pair(source, id) => {
                Self { source: Some(source.to_string()), event_id: Some(id.to_string()), delivery_id: None }
            }
        }
    }
}

/// `POST events/{key}/redrive`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedriveBody {
    /// Only this handler's task.
    pub handler: Option<HandlerName>,
    /// Makes a task for this handler, or moves the chosen one to it.
    pub to_handler: Option<HandlerName>,
    /// Done tasks too.
    pub force: bool,
}

impl RedriveBody {
    /// An empty body asks for the defaults. A misspelt one must not pass for that, nor an array: serde would take `[]` for a
    /// table without a line.
    pub(super) fn read(body: &[u8]) -> serde_json::Result<Self> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body)?;
        Self::deserialize(serde_json::Value::Object(object))
    }
}

/// What a redrive did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RedriveReport {
    /// Version of this shape.
    pub v: u8,
    /// Tasks that are due now and were not before.
    pub tasks: u64,
}

/// What does not parse says where it stands, which serde's own errors do not.
macro_rules! named {
    ($($name:ident: $of:ty,)+) => {
        $(fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$of>, D::Error> {
            let text = String::deserialize(deserializer)?;
            let named = |reason| de::Error::custom(InvalidQuery { name: stringify!($name), reason });
            text.parse().map(Some).map_err(|error: <$of as FromStr>::Err| named(error.to_string()))
        })+
    };
}

named! { before: Uuid, after: Uuid, limit: usize, delivery_id: Uuid, }

fn parsed<T, E: std::fmt::Display>(
    name: &'static str,
    text: Option<String>,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Result<Option<T>, InvalidQuery> {
    text.map(parse).transpose().map_err(|error| InvalidQuery { name, reason: error.to_string() })
}
