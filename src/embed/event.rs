//! An event as a closure gets it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::handler::Call;
use crate::model::DeliveryId;

/// One event, offered to one handler for the n-th time. A clone is cheap; the body is shared, not copied.
#[derive(Clone)]
pub struct Event(Arc<Offer>);

struct Offer {
    call: Call,
    clock: Arc<dyn Clock>,
    /// On the monotonic clock.
    deadline: Duration,
}

impl Event {
    pub(super) fn new(call: Call, clock: Arc<dyn Clock>) -> Self {
        let deadline = clock.monotonic() + call.timeout;
        Self(Arc::new(Offer { call, clock, deadline }))
    }

    /// The source that it came to.
    #[must_use]
    pub fn source(&self) -> &str {
        self.0.call.source.as_str()
    }

    /// The source's provider: the preset's name.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.0.call.provider
    }

    /// Its id, unique within the source.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.call.event_id.as_str()
    }

    /// Its type, such as `invoice.paid`; `unknown` where that could not be read.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.0.call.event_type
    }

    /// The body's bytes as the provider sent and signed them.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.call.body
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// It is no JSON, or not of this shape. A provider may send forms.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.body())
    }

    /// The first value of a header of the first delivery. Kept are those that the provider's preset reads, `Content-Type`,
    /// `User-Agent`, and what a handler's `forward_headers` names.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every kept header in the order received, its name in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.call.forwarded().map(|(name, value)| (name, &value[..]))
    }

    /// Our id of its first delivery, the event's key in the admin API.
    #[must_use]
    pub fn delivery_id(&self) -> DeliveryId {
        self.0.call.delivery_id
    }

    /// When its first delivery came.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        let micros = u64::try_from(self.0.call.received_at.0).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
    }

    /// Number of this call: 1, 2, ... It goes on after a restart and after a redrive.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.call.attempt
    }

    /// How often an operator redrove it.
    #[must_use]
    pub fn redrives(&self) -> u32 {
        self.0.call.redrives
    }

    /// `source/event id/handler`, or `sha256:` of it over 255 bytes: the same at every attempt and redrive. Stored under a unique
    /// constraint, in the transaction of the effect, it makes the effect happen once.
    #[must_use]
    pub fn idempotency_key(&self) -> &str {
        &self.0.call.idempotency_key
    }

    /// How long until the future is dropped; zero past that.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.deadline.saturating_sub(self.0.clock.monotonic())
    }
}

impl fmt::Debug for Event {
    /// Neither body nor headers: they may hold what no log is to have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("source", &self.source())
            .field("id", &self.id())
            .field("event_type", &self.event_type())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
