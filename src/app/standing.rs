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
        let names = known.handlers.iter().map(|handler| &handler.name);
        let mut reports = HandlerReport::of_store(names, &open, &paused);
        for (report, handler) in reports.iter_mut().zip(&known.handlers) {
            self.fill(report, handler);
        }
        Ok(reports)
    }

    /// Adds what this process knows of a handler.
    fn fill(&self, report: &mut HandlerReport, handler: &KnownHandler) {
        let standing = self.0.outbox.standing(&handler.name).unwrap_or_default();
        report.target = Some(handler.target.clone());
        report.sources.clone_from(&handler.sources);
        report.events.clone_from(&handler.events);
        report.in_hand = standing.in_hand as u64;
        report.concurrency = handler.concurrency as u64;
        report.failures = standing.failures.into();
        if !standing.paused && standing.probe_in.is_some() {
            report.state = HandlerState::Failing;
            report.probe_in_ms = standing.probe_in.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
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
