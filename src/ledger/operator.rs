//! What operators ask of the store beyond one redrive: discards, and deeds on many events by filter.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Redrive;
use crate::model::{DeliveryId, EventId, EventState, HandlerName, SourceName, TaskState, Timestamp, TypeGlob, Who, Why};

/// Which tasks of an event are to go no further: dead ones, and open ones of handlers that nobody has.
#[derive(Clone, Debug)]
pub struct Discard {
    /// Only this handler's. Every handler's where it is none.
    pub handler: Option<HandlerName>,
    /// Waiting ones too, whoever would be called.
    pub force: bool,
    /// The handlers that there are.
    pub known: Arc<[HandlerName]>,
    /// Who wants it.
    pub by: Who,
    /// Why.
    pub why: Why,
}

/// What [`Ledger::discard`](super::Ledger::discard) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// Tasks that are discarded now and were not before.
    pub tasks: u64,
}

/// Which events. Every given condition must hold.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of this source.
    pub source: Option<SourceName>,
    /// Of this id.
    pub event_id: Option<EventId>,
    /// Of a type that matches.
    pub event_type: Option<TypeGlob>,
    /// In this state now.
    pub state: Option<EventState>,
    /// With a task of this handler.
    pub handler: Option<HandlerName>,
    /// First received at this time or later.
    pub since: Option<Timestamp>,
}

/// What a deed could change, so that events of which it could change nothing are not looked at one by one.
#[derive(Clone, Debug)]
pub enum Aim {
    /// Tasks that a redrive takes, and events without a task.
    Redrive {
        /// See [`Redrive::to_handler`].
        to_handler: Option<HandlerName>,
        /// See [`Redrive::force`].
        force: bool,
    },
    /// Tasks that a discard takes.
    Discard {
        /// See [`Discard::force`].
        force: bool,
        /// See [`Discard::known`].
        known: Arc<[HandlerName]>,
    },
}

/// An event as a deed finds it, in the transaction that the deed is done in.
#[derive(Clone, Debug)]
pub struct EventFacts {
    /// Its key.
    pub key: DeliveryId,
    /// Its source.
    pub source: SourceName,
    /// Its id.
    pub event_id: EventId,
    /// Its type.
    pub event_type: String,
    /// Where it stands.
    pub state: EventState,
    /// Its tasks.
    pub tasks: Vec<(HandlerName, TaskState)>,
}

/// What is to be done with one event.
#[derive(Clone, Debug)]
pub enum Deed {
    /// See [`Ledger::redrive`](super::Ledger::redrive).
    Redrive(Redrive),
    /// See [`Ledger::discard`](super::Ledger::discard).
    Discard(Discard),
}

/// Why an event was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Skip {
    /// Its body is not kept any more, so no handler can get it.
    BodyPurged,
    /// One of the chosen tasks runs.
    TaskRunning,
    /// A chosen task is of a handler that nobody has.
    HandlerVanished,
    /// It has no task and no handler wants it.
    Unwanted,
    /// None of its tasks was in a state that can be left so.
    NothingToDo,
}

impl Skip {
    /// A stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BodyPurged => "body-purged",
            Self::TaskRunning => "task-running",
            Self::HandlerVanished => "handler-vanished",
            Self::Unwanted => "unwanted",
            Self::NothingToDo => "nothing-to-do",
        }
    }
}

/// The caller's judgement of one event. Pure: it is asked in the store's transaction, and again where that is rolled back.
pub type Judge = Arc<dyn Fn(&EventFacts) -> Result<Deed, Skip> + Send + Sync>;

/// Whether what is done stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stays {
    /// It does.
    Yes,
    /// It is done and undone in one transaction, to see what it would do.
    No,
}

/// One batch of a deed on many events.
#[derive(Clone)]
pub struct Batch {
    /// Which events.
    pub filter: EventFilter,
    /// What the deed could change.
    pub aim: Aim,
    /// What is done with each.
    pub judge: Judge,
    /// Whether it stays.
    pub stays: Stays,
    /// Where the batch before it ended.
    pub cursor: Option<Cursor>,
    /// At most so many events, [`BATCH_MAX`] at most.
    pub limit: usize,
}

/// Most events of one batch: one transaction, which claims wait for.
pub const BATCH_MAX: usize = 256;

/// Where a batch ended. Events that came after the first batch began are in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) after: i64,
    pub(super) upto: i64,
}

/// A text that no batch gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not one that an answer gave")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.after, self.upto)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let number = |text: &str| text.parse().ok().filter(|number: &i64| *number >= 0);
        let (after, upto) = text.split_once('-').ok_or(InvalidCursor)?;
        Ok(Self { after: number(after).ok_or(InvalidCursor)?, upto: number(upto).ok_or(InvalidCursor)? })
    }
}

/// What a batch did.
#[derive(Clone, Debug)]
pub struct BatchDone {
    /// Each event that it looked at, oldest claim first.
    pub events: Vec<EventDone>,
    /// Where to go on, while there may be more.
    pub next: Option<Cursor>,
}

/// What was done with one event.
#[derive(Clone, Debug)]
pub struct EventDone {
    /// The event as it was before.
    pub facts: EventFacts,
    /// How many tasks were changed, or why none was.
    pub tasks: Result<u64, Skip>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is() {
        let cursor = Cursor { after: 7, upto: i64::MAX };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "-", "7", "7-", "-7", "7-x", "7--1", "9223372036854775808-1"] {
            assert_eq!(bad.parse::<Cursor>(), Err(InvalidCursor), "{bad}");
        }
    }
}
