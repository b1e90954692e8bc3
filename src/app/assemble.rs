//! From settings to parts: what the request path and the outbox are made of.

use std::sync::Arc;

use super::{StartError, Voices};
use crate::config::{HandlerKind, HandlerSettings, Settings, SourceSettings};
use crate::gateway::SourceSettings as GatewaySource;
use crate::gateway::{AllowedSenders, ReceiverSettings, RetryPolicy, Route, Routes, Worker};
use crate::handler::{Handler, HttpClient, HttpHandler, HttpHandlerSettings, InProcess, InvalidKey, Printer, Resign};
use crate::model::{Ack, Headers, SourceName};
use crate::verify::Verifier;

/// What the request path goes by.
pub(super) fn receiver(settings: &Settings) -> ReceiverSettings {
    let route = |handler: &HandlerSettings| Route::new(handler.name.clone(), handler.sources.clone(), handler.events.clone());
    ReceiverSettings {
        sources: settings.sources.iter().map(source).collect(),
        routes: Routes::new(settings.handlers.iter().map(route).collect()),
        in_flight: settings.limits.in_flight,
        bodies_in_hand: settings.limits.bodies_in_hand,
        busy_timeout: settings.busy_timeout,
        header_limit: settings.limits.header_limit,
        body_deadline: settings.limits.body_deadline,
    }
}

/// The sources with their providers, as the store knows them.
pub(super) fn providers(settings: &Settings) -> Vec<(SourceName, String)> {
    settings.sources.iter().map(|source| (source.name.clone(), source.preset.name().to_string())).collect()
}

fn source(source: &SourceSettings) -> GatewaySource {
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
        allow_from: source.allow_from.clone().map(|networks| AllowedSenders::new(networks, source.trusted_proxies.clone())),
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

/// Every handler, ready to be called.
pub(super) fn workers(settings: &Settings, client: &HttpClient, voices: &Voices) -> Result<Vec<Worker>, StartError> {
    let worker = |handler: &HandlerSettings| {
        worker(handler, settings, client, voices).map_err(|error| StartError::Handler(handler.name.clone(), error))
    };
    settings.handlers.iter().map(worker).collect()
}

fn worker(handler: &HandlerSettings, settings: &Settings, client: &HttpClient, voices: &Voices) -> Result<Worker, InvalidKey> {
    let called: Arc<dyn Handler> = match &handler.kind {
        HandlerKind::Printer => Arc::new(Printer(Arc::clone(&voices.print))),
        HandlerKind::InProcess => {
            let closure = voices.in_process.get(&handler.name).ok_or(InvalidKey::Closure)?;
            Arc::new(InProcess(Arc::clone(closure)))
        }
        HandlerKind::Http(http) => Arc::new(HttpHandler::new(HttpHandlerSettings {
            client: client.clone(),
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
        breaker_failures: handler.breaker_failures,
    })
}

/// The providers' own signatures, by source.
fn resign(settings: &Settings) -> Resign {
    let verifiers: std::collections::HashMap<SourceName, Arc<Verifier>> =
        settings.sources.iter().map(|source| (source.name.clone(), Arc::clone(&source.verifier))).collect();
    Arc::new(move |source, headers, body, now| verifiers.get(source)?.sign(headers, body, now))
}
