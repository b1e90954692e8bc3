//! What happens to a delivery and to an event, in order: [`Receiver`] is the request path, [`Outbox`] the way to the handlers.
//!
//! This room knows nothing of actix, clap, SQL and environment variables.

mod address;
mod breaker;
mod bulk;
mod content;
mod decide;
mod discard;
mod lane;
mod load;
mod log;
mod notice;
mod outbox;
mod problem;
mod purge;
mod receive;
mod redrive;
mod route;
mod scribe;
mod source;

pub use address::{AllowedSenders, Sender};
pub use bulk::{BulkDeed, BulkDone, BulkRequest, bulk};
pub use decide::{Difference, RetryPolicy, compare, settle};
pub use discard::{DiscardRequest, discard};
pub use load::{Held, Load};
pub use notice::{AttemptNotice, DeliveryNotice, HandlerChange, HandlerNotice, Notice, StrayNotice, Tell};
pub use outbox::{Outbox, Standing, Worker};
pub use problem::Problem;
pub use purge::{Purger, purge_all};
pub use receive::{Answer, Entry, Head, Receiver, ReceiverSettings};
pub use redrive::{RedriveError, RedriveRequest, redrive};
pub use route::{Route, Routes, UnknownHandler};
pub use source::{Rate, Source, SourceSettings};
