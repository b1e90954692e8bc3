//! What is configured now and how it stands, for who looks; and what a reload cannot change.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Gateway;
use crate::config::{HandlerSettings, Settings, SourceSettings};
use crate::gateway::Worker;
use crate::ledger::LedgerError;
use crate::model::{Fingerprint, HandlerReport, HandlerState, REPORT_VERSION, Secret, SecretReport, SourceReport};

/// What is configured, as listings show it.
pub(super) struct Known {
    handlers: Vec<HandlerReport>,
    sources: Vec<SourceReport>,
}

impl Known {
    /// Of these settings and the workers that were made of them.
    pub(super) fn of(settings: &Settings, workers: &[Worker]) -> Self {
        let handler = |(worker, handler): (&Worker, &HandlerSettings)| HandlerReport {
            target: Some(worker.handler.target()),
            sources: handler.sources.clone(),
            events: handler.events.iter().map(ToString::to_string).collect(),
            concurrency: worker.concurrency as u64,
            ..HandlerReport::named(worker.name.clone())
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
        secrets: source.verifier.fingerprints().iter().map(secret).collect(),
    }
}

fn secret((slot, fingerprint, short): &(String, Fingerprint, bool)) -> SecretReport {
    SecretReport { slot: slot.clone(), fingerprint: fingerprint.clone(), short: *short }
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
        let configured = self.known().handlers.clone();
        let open = self.ledger().unhandled(Vec::new()).await?;
        let paused = self.ledger().paused().await?;
        let mut reports = HandlerReport::of_store(configured, &open, &paused);
        reports.iter_mut().for_each(|report| self.add_standing(report));
        Ok(reports)
    }

    /// Adds what this process knows of a handler.
    fn add_standing(&self, report: &mut HandlerReport) {
        let Some(standing) = self.0.outbox.standing(&report.handler) else { return };
        report.in_hand = standing.in_hand as u64;
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
