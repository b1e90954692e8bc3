//! The gateway as one value: assembled from settings and a store, started, changed while it runs, and stopped in order.

mod assemble;
mod standing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::config::Settings;
use crate::gateway::{Outbox, Purger, Receiver, Routes, Tell, UnknownHandler};
use crate::handler::exec::Commands;
use crate::handler::{Closure, HttpClient, InvalidHandler, Print};
use crate::ledger::{Journal, Ledger, LedgerError};
use crate::model::{HandlerName, REPORT_VERSION, ReloadReport};
pub use assemble::{open_store, retention, routes};
use standing::{Fixed, Known};

/// How long the tasks of ended commands may take to be given back.
const GIVE_BACK: Duration = Duration::from_secs(1);

/// Longest wait for work in hand once the store has failed: what comes of it can no longer be recorded.
pub const FAILED_DRAIN: Duration = Duration::from_secs(1);

/// Everything that runs, but for its listeners. A clone is cheap and the same gateway.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

struct Parts {
    receiver: Arc<Receiver>,
    outbox: Arc<Outbox>,
    purger: Arc<Purger>,
    ledger: Arc<dyn Ledger>,
    client: HttpClient,
    voices: Voices,
    commands: Commands,
    fixed: Fixed,
    runtime: Handle,
    known: Mutex<Known>,
    /// One change at a time: reloads, pauses.
    changing: tokio::sync::Mutex<()>,
}

/// What a gateway tells while it runs, and to whom.
#[derive(Clone)]
pub struct Voices {
    /// Gets every notice.
    pub tell: Tell,
    /// What the built-in printer does with an event.
    pub print: Print,
    /// What the handlers do that are closures of this process, by their names.
    pub in_process: BTreeMap<HandlerName, Closure>,
}

/// Why a gateway cannot be started, or not be changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A handler cannot be made.
    #[error("handler `{0}`: {1}")]
    Handler(HandlerName, InvalidHandler),
    /// The store could not tell or keep what must be known.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Why a handler cannot be paused or resumed.
#[derive(Debug, thiserror::Error)]
pub enum PauseError {
    /// There is none of this name.
    #[error(transparent)]
    UnknownHandler(#[from] UnknownHandler),
    /// The store's own reason.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Gateway {
    /// Assembles it and starts its workers on the present runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        settings: &Settings,
        ledger: Arc<dyn Ledger>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        voices: Voices,
    ) -> Result<Self, StartError> {
        let client = HttpClient::default();
        let commands = Commands::default();
        let workers = assemble::workers(settings, &client, &voices, &commands)?;
        let paused = paused(&ledger).await?;
        let outbox = Arc::new(Outbox::new(Arc::clone(&ledger), Arc::clone(&clock), Arc::clone(&voices.tell)));
        let known = Mutex::new(Known::of(settings, &workers));
        outbox.set(workers, &paused).await;
        let purger = Purger::start(Arc::clone(&ledger), Arc::clone(&clock), retention(&settings.retention));
        let receiver = Receiver::new(assemble::receiver(settings), Arc::clone(&ledger), journal, clock, Arc::clone(&voices.tell));
        let (receiver, fixed) = (Arc::new(receiver), Fixed::of(settings));
        let (changing, runtime) = (tokio::sync::Mutex::new(()), Handle::current());
        Ok(Self(Arc::new(Parts { receiver, outbox, purger, ledger, client, voices, commands, fixed, runtime, known, changing })))
    }

    /// Goes by other settings from now on, without dropping a request or a call: sources, handlers, limits, retention. What needs a
    /// restart is named and not applied. After an error everything is as before.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn reload(&self, settings: &Settings) -> Result<ReloadReport, StartError> {
        let parts = &*self.0;
        let _alone = parts.changing.lock().await;
        let workers = assemble::workers(settings, &parts.client, &parts.voices, &parts.commands)?;
        let known = Known::of(settings, &workers);
        let paused = paused(&parts.ledger).await?;
        parts.ledger.name_providers(assemble::providers(settings)).await?;
        // First the claims, then the calls: a task that is made for a new handler waits for it, and one of a handler that goes is not
        // made any more.
        parts.receiver.set(assemble::receiver(settings));
        parts.outbox.set(workers, &paused).await;
        parts.purger.set_retention(retention(&settings.retention));
        *self.known() = known;
        Ok(ReloadReport {
            v: REPORT_VERSION,
            sources: settings.sources.len() as u64,
            handlers: settings.handlers.len() as u64,
            needs_restart: parts.fixed.differences(settings),
            warnings: settings.warnings.clone(),
        })
    }

    /// Pauses a handler or resumes it, restarts included. Says whether that changed anything.
    ///
    /// # Errors
    /// [`PauseError`].
    pub async fn pause(&self, handler: &HandlerName, paused: bool) -> Result<bool, PauseError> {
        let (gateway, handler) = (self.clone(), handler.clone());
        // To its end, also where who asked has gone away.
        let done = self.0.runtime.spawn(async move { gateway.set_paused(&handler, paused).await });
        done.await.unwrap_or_else(|error| Err(LedgerError::RolledBack(error.to_string()).into()))
    }

    async fn set_paused(&self, handler: &HandlerName, paused: bool) -> Result<bool, PauseError> {
        let parts = &*self.0;
        let _alone = parts.changing.lock().await;
        self.routes().check(handler)?;
        let changed = parts.ledger.pause(handler, paused).await?;
        parts.outbox.pause(handler, paused);
        Ok(changed)
    }

    /// The request path.
    #[must_use]
    pub fn receiver(&self) -> &Arc<Receiver> {
        &self.0.receiver
    }

    /// What purges.
    #[must_use]
    pub fn purger(&self) -> &Arc<Purger> {
        &self.0.purger
    }

    /// The store.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.0.ledger
    }

    /// What every handler hears now.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.0.receiver.routes()
    }

    /// Makes no new call and purges nothing more, and waits up to `drain` for those in hand. Then commands are ended, and their tasks
    /// given back; any other call that takes longer keeps its lease.
    pub async fn stop_calling(&self, drain: Duration) {
        self.0.purger.stop();
        let mut stopped = tokio::time::timeout(drain, self.0.outbox.stop()).await;
        if stopped.is_err() && self.0.commands.any() {
            self.0.commands.end().await;
            stopped = tokio::time::timeout(GIVE_BACK, self.0.outbox.stop()).await;
        }
        if stopped.is_err() {
            tracing::warn!("handler calls are still in hand: they keep their lease and are called again after it");
        }
    }

    /// Writes what is still queued and closes the store. Nothing is taken afterwards.
    pub async fn close(&self) {
        self.0.ledger.close().await;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn paused(ledger: &Arc<dyn Ledger>) -> Result<Vec<HandlerName>, LedgerError> {
    Ok(ledger.paused().await?.into_iter().map(|(handler, _)| handler).collect())
}
