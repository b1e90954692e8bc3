//! The gateway as one value: assembled from settings and a store, started, and stopped in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{HandlerKind, HandlerSettings, Settings, SourceSettings};
use crate::gateway::SourceSettings as GatewaySource;
use crate::gateway::{Load, Outbox, Receiver, ReceiverSettings, RetryPolicy, Route, Routes, Source, Tell, Worker};
use crate::handler::{Closure, Handler, HttpHandler, HttpHandlerSettings, InProcess, InvalidKey, Print, Printer, Resign};
use crate::ledger::{Journal, Ledger};
use crate::model::{Ack, HandlerName, Headers, SourceName};
use crate::verify::Verifier;

/// Everything that runs, but for its listeners. A clone is cheap and the same gateway.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

struct Parts {
    receiver: Arc<Receiver>,
    outbox: Arc<Outbox>,
    ledger: Arc<dyn Ledger>,
    routes: Routes,
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

impl Gateway {
    /// Assembles it and starts its workers on the present runtime.
    ///
    /// # Errors
    /// A handler whose key or headers cannot be used.
    pub async fn start(
        settings: &Settings,
        ledger: Arc<dyn Ledger>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        voices: Voices,
    ) -> Result<Self, (HandlerName, InvalidKey)> {
        let load = Load::new(settings.limits.in_flight, settings.limits.bodies_in_hand);
        let sources: Vec<_> =
            settings.sources.iter().map(|source| Arc::new(Source::new(source_settings(source), &load))).collect();
        let route = |handler: &HandlerSettings| Route::new(handler.name.clone(), handler.sources.clone(), handler.events.clone());
        let routes = Routes::new(settings.handlers.iter().map(route).collect());
        let outbox = Arc::new(Outbox::new(Arc::clone(&ledger), Arc::clone(&clock), Arc::clone(&voices.tell)));
        let workers = settings
            .handlers
            .iter()
            .map(|handler| worker(handler, settings, &voices).map_err(|error| (handler.name.clone(), error)))
            .collect::<Result<Vec<_>, _>>()?;
        for worker in workers {
            outbox.start(worker).await;
        }
        let receiver_settings = ReceiverSettings {
            sources,
            routes: routes.clone(),
            load,
            busy_timeout: settings.busy_timeout,
            header_limit: settings.limits.header_limit,
        };
        let receiver = Receiver::new(receiver_settings, Arc::clone(&ledger), journal, clock, voices.tell);
        Ok(Self(Arc::new(Parts { receiver: Arc::new(receiver), outbox, ledger, routes })))
    }

    /// The request path.
    #[must_use]
    pub fn receiver(&self) -> &Arc<Receiver> {
        &self.0.receiver
    }

    /// The store.
    #[must_use]
    pub fn ledger(&self) -> &Arc<dyn Ledger> {
        &self.0.ledger
    }

    /// What every handler hears.
    #[must_use]
    pub fn routes(&self) -> &Routes {
        &self.0.routes
    }

    /// Makes no new call, and waits up to `drain` for those in hand; one that takes longer keeps its lease.
    pub async fn stop_calling(&self, drain: Duration) {
        if tokio::time::timeout(drain, self.0.outbox.stop()).await.is_err() {
            tracing::warn!("handler calls are still in hand: they keep their lease and are called again after it");
        }
    }

    /// Writes what is still queued and closes the store. Nothing is taken afterwards.
    pub async fn close(&self) {
        self.0.ledger.close().await;
    }
}

fn source_settings(source: &SourceSettings) -> GatewaySource {
    let rule = source.preset.ack();
    let (status, body, content_type) = source.ack.clone();
    let mut headers = Headers::new();
    if let Some(content_type) = content_type {
        headers.push("content-type", content_type);
    }
    GatewaySource {
        name: source.name.clone(),
        verifier: Arc::clone(&source.verifier),
        methods: source.preset.methods().iter().map(|method| method.to_string()).collect(),
        retired: source.retired,
        ignore: source.ignore.clone(),
        body_limit: source.body_limit,
        rate_limit: source.rate_limit,
        answer_deadline: source.answer_deadline,
        sender_retries: rule.retries_for.is_some_and(|window| !window.is_zero()),
        replay_guard: source.replay_guard,
        reject_mismatch: source.reject_mismatch,
        volatile: source.preset.volatile().iter().map(ToString::to_string).collect(),
        reject_status: rule.reject,
        ack: Ack { status, headers, body: body.into() },
    }
}

fn worker(handler: &HandlerSettings, settings: &Settings, voices: &Voices) -> Result<Worker, InvalidKey> {
    let called: Arc<dyn Handler> = match &handler.kind {
        HandlerKind::Printer => Arc::new(Printer(Arc::clone(&voices.print))),
        HandlerKind::InProcess => {
            let closure = voices.in_process.get(&handler.name).ok_or(InvalidKey::Closure)?;
            Arc::new(InProcess(Arc::clone(closure)))
        }
        HandlerKind::Http(http) => Arc::new(HttpHandler::new(HttpHandlerSettings {
            url: http.url.clone(),
            headers: http.headers.clone(),
            forward_headers: http.forward_headers.clone(),
            sign_with: http.sign_with.clone().ok_or(InvalidKey::Absent)?,
            resign: http.resign.then(|| resign(settings)),
        })?),
    };
    Ok(Worker {
        name: handler.name.clone(),
        handler: called,
        policy: RetryPolicy { delays: handler.retry.clone(), final_statuses: handler.final_statuses.clone() },
        timeout: handler.timeout,
        concurrency: handler.concurrency,
    })
}

/// The providers' own signatures, by source.
fn resign(settings: &Settings) -> Resign {
    let verifiers: std::collections::HashMap<SourceName, Arc<Verifier>> =
        settings.sources.iter().map(|source| (source.name.clone(), Arc::clone(&source.verifier))).collect();
    Arc::new(move |source, headers, body, now| verifiers.get(source)?.sign(headers, body, now))
}
