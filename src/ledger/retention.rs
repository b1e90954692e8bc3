//! How long a store keeps what, and what a purge did.

use std::time::Duration;

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The body of an event, from when the event was done: the later of its receipt and the end of its last task. Never longer than
    /// `dedupe`.
    pub body: Duration,
    /// What answers an event's repeats, and its tasks and attempts, from when it was done.
    pub dedupe: Duration,
    /// A row of the delivery log, from the receipt.
    pub log: Duration,
    /// The whole delivery log, in bytes: the oldest rows go first.
    pub log_bytes: u64,
}

/// What one batch purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Bodies.
    pub bodies: u64,
    /// Events, each with all that was left of it.
    pub events: u64,
    /// Rows of the delivery log.
    pub deliveries: u64,
    /// Whether more may be due now.
    pub more: bool,
    /// Else how long until the next is due by age, where anything waits for that.
    pub next_due: Option<Duration>,
}

impl Purged {
    /// Both together; what comes then is as the later one says.
    #[must_use]
    pub const fn and(self, later: Self) -> Self {
        Self {
            bodies: self.bodies + later.bodies,
            events: self.events + later.events,
            deliveries: self.deliveries + later.deliveries,
            ..later
        }
    }

    /// Whether anything was purged.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.bodies + self.events + self.deliveries > 0
    }
}
