//! What came of one call of a handler. Data, not an error: what happens next is decided elsewhere.

use std::time::Duration;

use super::{CommandEnd, Ending, Output};

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
    /// The command ended, or was ended.
    Command(CommandEnd),
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
            Self::Command(end) => match end.ending {
                Ending::Exited(_) => "exited",
                Ending::Signalled(_) => "signalled",
                Ending::TimedOut => "timed-out",
                Ending::Stopped => "stopped",
            },
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

    /// The exit code, where a command ended by itself.
    #[must_use]
    pub const fn exit_code(&self) -> Option<u8> {
        match self {
            Self::Command(CommandEnd { ending: Ending::Exited(code), .. }) => Some(*code),
            _ => None,
        }
    }

    /// The signal, where one ended a command.
    #[must_use]
    pub const fn signal(&self) -> Option<i32> {
        match self {
            Self::Command(CommandEnd { ending: Ending::Signalled(signal), .. }) => Some(*signal),
            _ => None,
        }
    }

    /// What a command wrote.
    #[must_use]
    pub const fn output(&self) -> Option<&Output> {
        match self {
            Self::Command(end) => Some(&end.output),
            _ => None,
        }
    }

    /// What went wrong, where no status or exit code says so.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Answered { .. } | Self::Succeeded => None,
            Self::Failed { reason, .. } | Self::Refused(reason) => Some(reason),
            Self::Command(end) => match end.ending {
                Ending::Exited(_) | Ending::Signalled(_) => None,
                Ending::TimedOut => Some("killed at its deadline"),
                Ending::Stopped => Some("killed as the gateway stopped"),
            },
            Self::TimedOut => Some("no answer before the deadline"),
            Self::Unsent(reason) | Self::Broken(reason) => Some(reason),
        }
    }
}
