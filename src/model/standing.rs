//! What listings show of handlers and sources as they stand now, and what a reload did.

use serde::{Deserialize, Serialize};

use super::{Fingerprint, HandlerName, REPORT_VERSION, SourceName, Timestamp};

/// Whether a handler is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandlerState {
    /// It is.
    Active,
    /// Not until an operator resumes it.
    Paused,
    /// It failed too often in a row: now and then a single call finds out whether it is well again.
    Failing,
    /// No handler has this name now, and its tasks wait.
    Vanished,
}

impl HandlerState {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Failing => "failing",
            Self::Vanished => "vanished",
        }
    }
}

/// A handler, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerReport {
    /// [`REPORT_VERSION`].
    pub v: u8,
    /// Its name.
    pub handler: HandlerName,
    /// Where its events go, without what may be secret. None of a vanished one.
    pub target: Option<String>,
    /// The sources that it hears; none is all.
    pub sources: Option<Vec<SourceName>>,
    /// The types that it wants; empty is all.
    pub events: Vec<String>,
    /// Whether it is called.
    pub state: HandlerState,
    /// Since when an operator has it paused.
    pub paused_since: Option<Timestamp>,
    /// Calls in hand.
    pub in_hand: u64,
    /// Calls at a time.
    pub concurrency: u64,
    /// Failures in a row.
    pub failures: u64,
    /// While it is failing: milliseconds until it is tried again.
    pub probe_in_ms: Option<u64>,
    /// Tasks that wait for it or run.
    pub open_tasks: u64,
}

impl HandlerReport {
    /// The configured handlers, and every other with open tasks, with what the store knows of them.
    pub fn of_store(
        configured: impl IntoIterator<Item = Self>,
        open: &[(HandlerName, u64)],
        paused: &[(HandlerName, Timestamp)],
    ) -> Vec<Self> {
        let mut reports: Vec<_> = configured.into_iter().collect();
        for (name, _) in open {
            if reports.iter().all(|report| report.handler != *name) {
                reports.push(Self { state: HandlerState::Vanished, ..Self::named(name.clone()) });
            }
        }
        for report in &mut reports {
            report.open_tasks = open.iter().find(|(name, _)| *name == report.handler).map_or(0, |(_, tasks)| *tasks);
            report.paused_since = paused.iter().find(|(name, _)| *name == report.handler).map(|(_, since)| *since);
            if report.paused_since.is_some() && report.state == HandlerState::Active {
                report.state = HandlerState::Paused;
            }
        }
        reports
    }

    /// A configured one, of which nothing else is known.
    #[must_use]
    pub const fn named(handler: HandlerName) -> Self {
        Self {
            v: REPORT_VERSION,
            handler,
            target: None,
            sources: None,
            events: Vec::new(),
            state: HandlerState::Active,
            paused_since: None,
            in_hand: 0,
            concurrency: 0,
            failures: 0,
            probe_in_ms: None,
            open_tasks: 0,
        }
    }
}

/// A source, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// [`REPORT_VERSION`].
    pub v: u8,
    /// Its name.
    pub source: SourceName,
    /// Its provider.
    pub provider: String,
    /// Where its deliveries come to.
    pub path: String,
    /// Whether it has no secret yet, and answers 503.
    pub pending: bool,
    /// Whether it answers 410.
    pub retired: bool,
    /// The secrets that it takes now, the newest of each slot first.
    pub secrets: Vec<SecretReport>,
}

/// A secret, by what names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretReport {
    /// Which of the provider's secrets it is.
    pub slot: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Whether it has under 16 bytes.
    pub short: bool,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// [`REPORT_VERSION`].
    pub v: u8,
    /// Sources that there are now.
    pub sources: u64,
    /// Handlers that there are now.
    pub handlers: u64,
    /// Settings that have changed in the file and count only after a restart.
    pub needs_restart: Vec<String>,
    /// What is not wrong but should be known.
    pub warnings: Vec<String>,
}
