//! The nouns of the gateway: what a delivery, an event, an acknowledgement, a task and an attempt are.
//!
//! Plain values and the rules that make them valid. This room knows no I/O and no framework.

mod ack;
mod delivery;
mod digest;
mod event_id;
mod glob;
mod headers;
mod name;
mod outcome;
mod report;
mod secret;
mod standing;
mod state;
mod time;

pub use ack::Ack;
pub use delivery::{Delivery, DeliveryId};
pub use digest::Digest;
pub use event_id::{EventId, InvalidEventId};
pub use glob::{InvalidGlob, TypeGlob};
pub use headers::Headers;
pub use name::{HandlerName, InvalidName, SourceName};
pub use outcome::Outcome;
pub use report::{AttemptReport, DeliveryPage, DeliveryReport, EventReport, REPORT_VERSION, TaskReport};
pub use secret::{Fingerprint, InvalidSecret, Secret};
pub use standing::{HandlerReport, HandlerState, ReloadReport, SourceReport};
pub use state::{EventState, Reason, TaskState, UnknownWord, Verdict};
pub use time::Timestamp;
