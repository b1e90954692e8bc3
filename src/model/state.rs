//! The words for what an event, a task and a delivery can be. One place for their spelling in SQL, JSON and text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not one of the words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of the known words")]
pub struct UnknownWord(pub String);

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$word_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(UnknownWord(text.to_owned())) }
            }
        }
    };
}

words! {
    /// Where an event stands. Derived from its tasks and its body.
    EventState {
        /// A task is waiting or running.
        Accepted = "accepted",
        /// Every task ended well, or there was none.
        Done = "done",
        /// No task is open and at least one is dead.
        Dead = "dead",
        /// Done, and its body is purged: what is left answers repeats.
        Tombstone = "tombstone",
    }
}

words! {
    /// Where one handler's share of an event stands.
    TaskState {
        /// Waits until it is due.
        Pending = "pending",
        /// Somebody holds its lease.
        Running = "running",
        /// The handler answered well.
        Done = "done",
        /// Given up, and shown until an operator acts.
        Dead = "dead",
    }
}

words! {
    /// What a delivery turned out to be.
    Verdict {
        /// It made the event.
        First = "first",
        /// A repeat of it.
        Duplicate = "duplicate",
        /// A repeat of the id with another body.
        Conflict = "conflict",
        /// Refused before any claim.
        Rejected = "rejected",
        /// A provider's question about the endpoint; no event.
        Handshake = "handshake",
    }
}

words! {
    /// Why an event was done without a handler, or a task was given up.
    Reason {
        /// No handler wanted its type.
        NoHandler = "no-handler",
        /// Its type is on the source's `ignore` list.
        Ignored = "ignored",
        /// Every attempt of the schedule was used up.
        AttemptsExhausted = "attempts-exhausted",
        /// The handler said so for good: 410 or one of `final_statuses`.
        HandlerRefused = "handler-refused",
        /// The store could not give the event back, so no handler can get it.
        Unreadable = "unreadable",
    }
}
