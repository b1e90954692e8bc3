//! Counts that an operator wants at a glance.

use serde::{Deserialize, Serialize};

use super::{HandlerName, SourceName, Timestamp, Verdict};

/// What `log stats` and `GET stats` tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatsReport {
    /// [`REPORT_VERSION`](super::REPORT_VERSION).
    pub v: u8,
    /// One for each source, by name.
    pub sources: Vec<SourceStats>,
    /// One for each handler that is there or ever had a task, by name.
    pub handlers: Vec<HandlerStats>,
    /// Rows that the log had to drop since the gateway started.
    pub dropped: u64,
    /// The oldest row that the log still holds: deliveries are counted from there.
    pub log_since: Option<Timestamp>,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStats {
    /// [`REPORT_VERSION`](super::REPORT_VERSION).
    pub v: u8,
    /// Its name.
    pub source: SourceName,
    /// Its provider.
    pub provider: String,
    /// Its events by where they stand.
    pub events: EventCounts,
    /// Its deliveries by verdict, as far as the log reaches.
    pub deliveries: DeliveryCounts,
    /// When the oldest event that is dead was received.
    pub oldest_dead_at: Option<Timestamp>,
    /// When the oldest event that a handler has yet to do was received.
    pub oldest_waiting_at: Option<Timestamp>,
}

/// Events by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCounts {
    /// A task waits or runs.
    pub accepted: u64,
    /// Every task ended well, or by an operator's word, or there was none.
    pub done: u64,
    /// No task is open and at least one is dead.
    pub dead: u64,
}

/// Deliveries by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryCounts {
    /// It made the event.
    pub first: u64,
    /// A repeat of it.
    pub duplicate: u64,
    /// A repeat of the id with another body.
    pub conflict: u64,
    /// Refused before any claim.
    pub rejected: u64,
    /// A provider's question about the endpoint.
    pub handshake: u64,
}

impl DeliveryCounts {
    /// The place of a verdict.
    pub const fn of_mut(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::First => &mut self.first,
            Verdict::Duplicate => &mut self.duplicate,
            Verdict::Conflict => &mut self.conflict,
            Verdict::Rejected => &mut self.rejected,
            Verdict::Handshake => &mut self.handshake,
        }
    }
}

/// One handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerStats {
    /// [`REPORT_VERSION`](super::REPORT_VERSION).
    pub v: u8,
    /// Its name.
    pub handler: HandlerName,
    /// Its tasks by where they stand.
    pub tasks: TaskCounts,
    /// Calls so far.
    pub attempts: u64,
    /// Whether nobody will call it: tasks are open, and no handler has this name now. The store does not know; who asks it does.
    #[serde(default)]
    pub unhandled: bool,
}

/// Tasks by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Wait until they are due.
    pub waiting: u64,
    /// Somebody holds their lease.
    pub running: u64,
    /// The handler answered well.
    pub done: u64,
    /// Given up.
    pub dead: u64,
    /// Ended by an operator.
    pub discarded: u64,
}

impl StatsReport {
    /// Adds the handlers that never had a task, and marks those that nobody will call.
    pub fn complete<'a>(&mut self, known: impl IntoIterator<Item = &'a HandlerName>) {
        let known: Vec<&HandlerName> = known.into_iter().collect();
        for stats in &mut self.handlers {
            let open = stats.tasks.waiting + stats.tasks.running > 0;
            stats.unhandled = open && !known.contains(&&stats.handler);
        }
        for name in known {
            if self.handlers.iter().all(|stats| stats.handler != *name) {
                self.handlers.push(HandlerStats::new(name.clone()));
            }
        }
        self.handlers.sort_by(|one, other| one.handler.cmp(&other.handler));
    }
}

impl HandlerStats {
    /// Without a task.
    #[must_use]
    pub fn new(handler: HandlerName) -> Self {
        Self { v: super::REPORT_VERSION, handler, tasks: TaskCounts::default(), attempts: 0, unhandled: false }
    }
}
