//! What came of one call of a handler. Data, not an error: what happens next is decided elsewhere.

use std::time::Duration;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler answered in full with this status.
    Answered {
        /// The HTTP status.
        status: u16,
        /// Its `Retry-After`, where it was sent and understood.
        retry_after: Option<Duration>,
    },
    /// No complete answer before the deadline.
    TimedOut,
    /// The call was never made, for want of something on our own side: descriptors, memory, time. Holds a reason for people.
    Unsent(String),
    /// No complete answer at all: not reached, reset, broken. Holds a reason for people, without secrets.
    Broken(String),
    /// A handler in this process returned `Ok`.
    Succeeded,
    /// A handler in this process returned an error. Holds its words, as they may be shown.
    Failed {
        /// What it said.
        reason: String,
        /// How long it wants to be left alone, where it said so.
        retry_after: Option<Duration>,
    },
    /// A handler in this process said "never again". Holds its words, as they may be shown.
    Refused(String),
}

impl Outcome {
    /// A stable word for logs and listings.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::TimedOut => "timed-out",
            Self::Unsent(_) => "unsent",
            Self::Broken(_) => "broken",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Refused(_) => "refused",
        }
    }

    /// The status, where there was one.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What went wrong, where no status says so.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Answered { .. } | Self::Succeeded => None,
            Self::Failed { reason, .. } | Self::Refused(reason) => Some(reason),
            Self::TimedOut => Some("no answer before the deadline"),
            Self::Unsent(reason) | Self::Broken(reason) => Some(reason),
        }
    }
}
