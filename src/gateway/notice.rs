//! What the operator's terminal is told as it happens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{DeliveryId, EventId, HandlerName, SourceName, Timestamp, Verdict};

use super::Problem;
use crate::ledger::Settlement;
use crate::model::Outcome;

/// Gets every notice. Must not block.
pub type Tell = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A delivery was answered.
    Delivery(DeliveryNotice),
    /// A handler was called.
    Attempt(AttemptNotice),
    /// A request reached no source.
    Stray(StrayNotice),
    /// A handler is called no more, or again.
    Handler(HandlerNotice),
}

/// A handler is called no more, or again.
#[derive(Clone, Debug)]
pub struct HandlerNotice {
    /// When.
    pub at: Timestamp,
    /// The handler.
    pub handler: HandlerName,
    /// What has changed.
    pub change: HandlerChange,
}

/// Why a handler is called no more, or again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerChange {
    /// It failed too often in a row: it is left alone but for probes, the first of which comes after this long.
    Failing {
        /// From now.
        probe_in: Duration,
    },
    /// A probe found it well.
    Recovered,
    /// An operator paused it.
    Paused,
    /// An operator resumed it.
    Resumed,
}

impl HandlerChange {
    /// A stable word for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing { .. } => "failing",
            Self::Recovered => "recovered",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
        }
    }
}

/// A request reached no source that takes it: a wrong URL, most likely. Told at most ten times a second.
#[derive(Clone, Debug)]
pub struct StrayNotice {
    /// When its head had been read.
    pub at: Timestamp,
    /// The method, as the stranger sent it.
    pub method: String,
    /// The last part of the path, as the stranger sent it, cut to 64 characters.
    pub source: String,
    /// Why it was not taken.
    pub problem: Problem,
    /// The address that it came from, where that is why.
    pub from: Option<IpAddr>,
}

/// A delivery was answered.
#[derive(Clone, Debug)]
pub struct DeliveryNotice {
    /// When its head had been read.
    pub at: Timestamp,
    /// Our id of it.
    pub id: DeliveryId,
    /// Its source.
    pub source: SourceName,
    /// Its event and the event's type, where it was admitted.
    pub event: Option<(EventId, Arc<str>)>,
    /// What it turned out to be; none where it was turned away for want of room or store.
    pub verdict: Option<Verdict>,
    /// Of a repeat: the first delivery.
    pub first: Option<DeliveryId>,
    /// Of a repeat: whether its body was not the first one's.
    pub body_differs: bool,
    /// The status of the answer.
    pub status: u16,
    /// Why it was not taken.
    pub problem: Option<Problem>,
    /// A stable word: the refusal's, why no handler gets the event, or that a repeat's body could not be compared.
    pub reason: Option<&'static str>,
    /// From the head to the answer.
    pub duration: Duration,
}

/// A handler was called.
#[derive(Clone, Debug)]
pub struct AttemptNotice {
    /// When the call had ended.
    pub at: Timestamp,
    /// The handler.
    pub handler: HandlerName,
    /// The event's source.
    pub source: SourceName,
    /// The event.
    pub event_id: EventId,
    /// 1, 2, ...
    pub attempt: u32,
    /// How the call ended.
    pub outcome: Outcome,
    /// What becomes of the task.
    pub settlement: Settlement,
    /// How long the call took.
    pub duration: Duration,
}
