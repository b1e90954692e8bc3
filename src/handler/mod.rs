//! Handlers: those that get events. Each reports an [`Outcome`] and never decides what happens next.
//!
//! This room knows nothing of the ledger, of retries and of other handlers.

mod call;
mod http;
mod printer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::model::{DeliveryId, EventId, HandlerName, Headers, Outcome, SourceName, Timestamp};

pub use http::{HttpClient, HttpHandler, HttpHandlerSettings, InvalidKey, Resign};
pub use printer::{Print, Printer};

/// One event, offered to one handler, for the n-th time.
#[derive(Clone, Debug)]
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
    /// One unchanging key for this event and handler.
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

/// One that gets events.
pub trait Handler: Send + Sync {
    /// Offers it an event. The future is dropped at the deadline.
    fn call(&self, call: Call) -> BoxFuture<'_, Outcome>;

    /// What `serve` and `check` say of it: where the event goes.
    fn target(&self) -> String;
}
