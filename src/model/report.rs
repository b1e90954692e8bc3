//! What listings show of deliveries, events, tasks and attempts: one shape for the admin listener, `--json` and the tables.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    DeliveryId, EventId, EventState, Fingerprint, HandlerName, Reason, SourceName, TaskState, Timestamp, Verdict, Who, Why,
};

/// The version of every shape here, field `v`.
pub const REPORT_VERSION: u8 = 1;

/// One delivery, and where its event stands now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryReport {
    /// [`REPORT_VERSION`].
    pub v: u8,
    /// Our id of it.
    pub delivery_id: DeliveryId,
    /// When its head had been read.
    pub received_at: Timestamp,
    /// The source that it came to.
    pub source: SourceName,
    /// The source's provider.
    pub provider: String,
    /// The event it is about; none where it was rejected.
    pub event_id: Option<EventId>,
    /// The event's type.
    pub event_type: Option<String>,
    /// What it turned out to be.
    pub verdict: Verdict,
    /// The status that it was answered. None where the log lost the row and only the event knows of it.
    pub status: Option<u16>,
    /// Where the event stands.
    pub state: Option<EventState>,
    /// Further deliveries of the event that the log still holds.
    pub duplicates: u64,
    /// Calls of handlers for the event so far.
    pub attempts: u64,
    /// Of a first: `no-handler`, `ignored` or `discarded`. Of a duplicate: `not-compared`. Of a rejected one: the refusal's code.
    pub reason: Option<String>,
    /// Whether its body was not the first one's.
    pub body_differs: bool,
    /// Whether its signed content had come before under another id.
    pub signature_seen_before: bool,
    /// From the head to the answer, in microseconds.
    pub duration_us: Option<u64>,
}

/// A page of deliveries, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPage {
    /// The rows.
    pub deliveries: Vec<DeliveryReport>,
    /// What to ask for the next page with, where there is one.
    pub next: Option<DeliveryId>,
    /// Rows that the log had to drop since the gateway started.
    pub dropped: u64,
    /// The oldest row that the log still holds.
    pub log_since: Option<Timestamp>,
}

/// One event's whole story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventReport {
    /// [`REPORT_VERSION`].
    pub v: u8,
    /// Our own key of it: the id of its first delivery.
    pub key: Uuid,
    /// Its source.
    pub source: SourceName,
    /// The source's provider.
    pub provider: String,
    /// Its id.
    pub event_id: EventId,
    /// The id as received, where it had to be replaced by a digest.
    pub event_id_received: Option<String>,
    /// Where in the request the id stands.
    pub id_from: String,
    /// Its type.
    pub event_type: String,
    /// Where it stands.
    pub state: EventState,
    /// Why it is done although not every handler did it.
    pub reason: Option<Reason>,
    /// When its first delivery came.
    pub received_at: Timestamp,
    /// Which check of the preset it passed.
    pub check: String,
    /// The fingerprint of the secret that matched.
    pub secret: Option<Fingerprint>,
    /// Hex SHA-256 of the body as received.
    pub body_sha256: String,
    /// The body's size in bytes.
    pub body_bytes: u64,
    /// Whether the body is still kept.
    pub body_kept: bool,
    /// The status of the recorded acknowledgement.
    pub ack_status: u16,
    /// The first delivery, and the newest thousand that the log still holds, oldest first.
    pub deliveries: Vec<DeliveryReport>,
    /// One for each handler that was to get it.
    pub tasks: Vec<TaskReport>,
}

/// One handler's share of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The handler.
    pub handler: HandlerName,
    /// Where it stands.
    pub state: TaskState,
    /// Why it is dead.
    pub reason: Option<Reason>,
    /// When it is due next, or its lease ends; of an open one.
    pub due_at: Option<Timestamp>,
    /// Who ended it and why, where an operator did.
    #[serde(default)]
    pub discarded: Option<DiscardReport>,
    /// How often it was redriven.
    pub redrives: u32,
    /// Whether nobody will call it: it is open, and no handler has this name now. The store does not know; who asks it does.
    #[serde(default)]
    pub unhandled: bool,
    /// Every attempt, oldest first.
    pub attempts: Vec<AttemptReport>,
}

/// An operator's word on a task that was to go no further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardReport {
    /// When.
    pub at: Timestamp,
    /// Who, as the caller said.
    pub by: Who,
    /// Why.
    pub reason: Why,
}

impl EventReport {
    /// Marks the tasks that no one of these handlers will ever be called for.
    pub fn mark_unhandled<'a>(&mut self, known: impl IntoIterator<Item = &'a HandlerName>) {
        let known: Vec<&HandlerName> = known.into_iter().collect();
        for task in &mut self.tasks {
            let open = matches!(task.state, TaskState::Pending | TaskState::Running);
            task.unhandled = open && !known.contains(&&task.handler);
        }
    }
}

/// One call of a handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptReport {
    /// 1, 2, ...
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in microseconds. None where the gateway stopped meanwhile.
    pub duration_us: Option<u64>,
    /// How it ended: `answered`, `timed-out`, `broken`, `unsent`, or `lost` where the gateway stopped meanwhile or the lease ended.
    /// A command's: `exited`, `signalled`, or `stopped` where it was ended as the gateway stopped. A closure's: `succeeded`, `failed` or
    /// `refused`.
    pub outcome: String,
    /// The status that the handler answered.
    pub status: Option<u16>,
    /// The command's exit code.
    #[serde(default)]
    pub exit_code: Option<u8>,
    /// The signal that ended the command.
    #[serde(default)]
    pub signal: Option<i32>,
    /// What went wrong.
    pub error: Option<String>,
    /// The end of what the command wrote to stdout and stderr.
    #[serde(default)]
    pub output: Option<String>,
    /// How many bytes it wrote.
    #[serde(default)]
    pub output_bytes: Option<u64>,
}
