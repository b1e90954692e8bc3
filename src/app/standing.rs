//! What is configured now and how it stands, for who looks; and what a reload cannot change.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Gateway;
use crate::config::{Settings, SourceSettings};
use crate::gateway::Worker;
use crate::ledger::LedgerError;
use crate::model::{HandlerName, HandlerReport, HandlerState, REPORT_VERSION, Secret, SourceName, SourceReport};

/// What is configured, as listings show it.
pub(super) struct Known {
    handlers: Vec<KnownHandler>,
    sources: Vec<SourceReport>,
}

struct KnownHandler {
    name: HandlerName,
    target: String,
    sources: Option<Vec<SourceName>>,
    events: Vec<String>,
    concurrency: usize,
}

impl Known {
    /// Of these settings and the workers that were made of them.
    pub(super) fn of(settings: &Settings, workers: &[Worker]) -> Self {
        let handler = |(worker, handler): (&Worker, &crate::config::HandlerSettings)| KnownHandler {
            name: worker.name.clone(),
            target: worker.handler.target(),
            sources: handler.sources.clone(),
            events: handler.events.iter().map(ToString::to_string).collect(),
            concurrency: worker.concurrency,
        };
        Self {
            handlers: workers.iter().zip(&settings.handlers).map(handler).collect(),
            sources: settings.sources.iter().map(source).collect(),
        }
    }
}

fn source(source: &SourceSettings) -> SourceReport {
    SourceReport {
        v: REPORT_VERSION,
        source: source.name.clone(),
        provider: source.preset.name().to_string(),
        path: format!("/hooks/{}", source.name),
        pending: source.verifier.is_pending(),
        retired: source.retired,
    }
}

impl Gateway {
    /// Every source.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceReport> {
        self.known().sources.clone()
    }

    /// Every handler, and those that are configured no more but have open tasks.
    ///
    /// # Errors
    /// Where the store could not be read.
    pub async fn handlers(&self) -> Result<Vec<HandlerReport>, LedgerError> {
        let known = std::sync::Arc::clone(&self.known());
        let open = self.ledger().unhandled(Vec::new()).await?;
        let paused = self.ledger().paused().await?;
        let open_tasks = |name: &HandlerName| open.iter().find(|(open, _)| open == name).map_or(0, |(_, tasks)| *tasks);
        let paused_since = |name: &HandlerName| paused.iter().find(|(paused, _)| paused == name).map(|(_, since)| *since);
        let report = |name: &HandlerName| HandlerReport {
            open_tasks: open_tasks(name),
            paused_since: paused_since(name),
            ..HandlerReport::vanished(name.clone())
        };
        let mut reports: Vec<_> = known.handlers.iter().map(|handler| self.handler(handler, report(&handler.name))).collect();
        let vanished = open.iter().filter(|(name, _)| known.handlers.iter().all(|handler| handler.name != *name));
        reports.extend(vanished.map(|(name, _)| report(name)));
        Ok(reports)
    }

    /// A configured handler, with what this process knows of it.
    fn handler(&self, handler: &KnownHandler, report: HandlerReport) -> HandlerReport {
        let standing = self.0.outbox.standing(&handler.name).unwrap_or_default();
        let state = match (standing.paused, standing.probe_in) {
            (true, _) => HandlerState::Paused,
            (false, Some(_)) => HandlerState::Failing,
            (false, None) => HandlerState::Active,
        };
        HandlerReport {
            target: Some(handler.target.clone()),
            sources: handler.sources.clone(),
            events: handler.events.clone(),
            state,
            in_hand: standing.in_hand as u64,
            concurrency: handler.concurrency as u64,
            failures: standing.failures.into(),
            probe_in_ms: standing.probe_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            ..report
        }
    }
}

/// What only a restart changes.
pub(super) struct Fixed {
    listen: SocketAddr,
    admin_listen: SocketAddr,
    admin_token: Option<Secret>,
    database: PathBuf,
    drain: Duration,
    connections: usize,
    header_deadline: Duration,
    min_free: u64,
}

impl Fixed {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            listen: settings.listen,
            admin_listen: settings.admin_listen,
            admin_token: settings.admin_token.clone(),
            database: settings.database.clone(),
            drain: settings.drain,
            connections: settings.limits.connections,
            header_deadline: settings.limits.header_deadline,
            min_free: settings.min_free,
        }
    }

    /// The settings that are not as they were, by the names that the file has for them.
    pub(super) fn differences(&self, settings: &Settings) -> Vec<String> {
        let changed = [
            ("listen", self.listen != settings.listen),
            ("[admin] listen", self.admin_listen != settings.admin_listen),
            ("[admin] token", self.admin_token.as_ref().map(Secret::reveal) != settings.admin_token.as_ref().map(Secret::reveal)),
            ("database", self.database != settings.database),
            ("drain", self.drain != settings.drain),
            ("[limits] connections", self.connections != settings.limits.connections),
            ("[limits] header_deadline", self.header_deadline != settings.limits.header_deadline),
            ("[store] min_free", self.min_free != settings.min_free),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name.to_owned()).collect()
    }
}
