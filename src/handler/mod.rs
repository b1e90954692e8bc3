//! Handlers: those that get events. Each reports an [`Outcome`] and never decides what happens next.
//!
//! This room knows nothing of the ledger, of retries and of other handlers.

mod call;
pub mod exec;
mod http;
mod in_process;
mod printer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::model::{DeliveryId, EventId, HandlerName, Headers, Outcome, SourceName, Timestamp};

pub(crate) use call::innermost;
pub use http::{HttpClient, HttpHandler, HttpHandlerSettings, InvalidHandler, Resign};
pub use in_process::{Closure, InProcess};
pub use printer::{Print, Printer};

/// One event, offered to one handler, for the n-th time.
#[derive(Clone)]
pub struct Call {
    /// The handler.
    pub handler: HandlerName,
    /// The event's source.
    pub source: SourceName,
    /// The source's provider.
    pub provider: Arc<str>,
    /// The event's id.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: Arc<str>,
    /// Our id of its first delivery.
    pub delivery_id: DeliveryId,
    /// When that came.
    pub received_at: Timestamp,
    /// 1, 2, ...
    pub attempt: u32,
    /// How often it was redriven.
    pub redrives: u32,
    /// One unchanging key for this event and handler: what the text of its header means.
    pub idempotency_key: Arc<str>,
    /// The kept headers of the first delivery.
    pub headers: Headers,
    /// The body as received.
    pub body: Bytes,
    /// When the handler is to be done.
    pub timeout: Duration,
    /// The wall clock now, for signatures.
    pub now: Timestamp,
}

impl Call {
    /// What the sender said, as far as it was kept and may reach a handler: nothing under our own names, and nothing that spoke of the
    /// sender's connection.
    pub fn forwarded(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        let ours = |name: &str| name.starts_with("hookgate-") || name == "idempotency-key";
        self.headers.iter().filter(move |(name, _)| !ours(name) && !Headers::is_of_connection(name))
    }

    /// What every handler is told of the event and the call, by the names of headers. All of it is visible ASCII by its own rules.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("hookgate-event-id", format!("{}/{}", self.source, self.event_id)),
            ("hookgate-source", self.source.to_string()),
            ("hookgate-provider", self.provider.to_string()),
            ("hookgate-event-type", self.event_type.to_string()),
            ("hookgate-delivery-id", self.delivery_id.to_string()),
            ("hookgate-attempt", self.attempt.to_string()),
            ("hookgate-received-at", self.received_at.to_string()),
            ("hookgate-deadline", seconds(self.timeout)),
        ];
        if self.redrives > 0 {
            facts.push(("hookgate-redrive", self.redrives.to_string()));
        }
        facts
    }
}

impl fmt::Debug for Call {
    /// Of the body its length alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handler, source, event_id, attempt, .. } = self;
        let mut told = f.debug_struct("Call");
        told.field("handler", handler).field("source", source).field("event_id", event_id).field("attempt", attempt);
        told.field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// Seconds with up to three decimals and no idle zeros.
fn seconds(duration: Duration) -> String {
    let text = format!("{:.3}", duration.as_secs_f64());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One that gets events.
pub trait Handler: Send + Sync {
    /// Offers it an event. The future is dropped at the deadline and [`Handler::grace`].
    fn call(&self, call: Call) -> BoxFuture<'_, Outcome>;

    /// How long after its deadline a call may take to end all that it started: the next one must not meet it.
    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    /// What `serve` and `check` say of it: where the event goes.
    fn target(&self) -> String;
}
