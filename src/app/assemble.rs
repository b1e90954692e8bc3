//! From settings to parts: what the request path and the outbox are made of.

use std::sync::Arc;

use super::{StartError, Voices};
use crate::clock::Clock;
use crate::config::{HandlerKind, HandlerSettings, RetentionSettings, Settings, SourceSettings};
use crate::gateway::SourceSettings as GatewaySource;
use crate::gateway::{AllowedSenders, ReceiverSettings, RetryPolicy, Route, Routes, Worker};
use crate::handler::exec::{Commands, ExecHandler, ExecHandlerSettings};
use crate::handler::{Handler, HttpClient, HttpHandler, HttpHandlerSettings, InProcess, InvalidHandler, Printer, Resign};
use crate::ledger::Retention;
use crate::ledger::sqlite::{NewDatabase, OpenError, SqliteLedger, SqliteSettings};
use crate::model::SourceName;
use crate::verify::Verifier;

/// What the request path goes by.
pub(super) fn receiver(settings: &Settings) -> ReceiverSettings {
    ReceiverSettings {
        sources: settings.sources.iter().map(source).collect(),
        routes: routes(settings),
        in_flight: settings.limits.in_flight,
        bodies_in_hand: settings.limits.bodies_in_hand,
        busy_timeout: settings.busy_timeout,
        header_limit: settings.limits.header_limit,
        body_deadline: settings.limits.body_deadline,
    }
}

/// Which handler is to get which events.
#[must_use]
pub fn routes(settings: &Settings) -> Routes {
    let route = |handler: &HandlerSettings| Route::new(handler.name.clone(), handler.sources.clone(), handler.events.clone());
    Routes::new(settings.handlers.iter().map(route).collect())
}

/// How long what is kept, in the store's words.
#[must_use]
pub const fn retention(settings: &RetentionSettings) -> Retention {
    let RetentionSettings { body, dedupe, log, log_bytes } = *settings;
    Retention { body, dedupe, log, log_bytes }
}

/// Opens the store. With `new_database` one that is lost is made anew; else that is refused, and so is a first start where the settings
/// want a database to be there.
///
/// # Errors
/// It cannot be used, or another process has it.
pub fn open_store(settings: &Settings, new_database: bool, clock: &Arc<dyn Clock>) -> Result<Arc<SqliteLedger>, OpenError> {
    let new_database = match (new_database, settings.require_database) {
        (true, _) => NewDatabase::Replace,
        (false, true) => NewDatabase::Required,
        (false, false) => NewDatabase::Allowed,
    };
    let sqlite = SqliteSettings { min_free: settings.min_free, new_database, ..SqliteSettings::at(settings.database.clone()) };
    SqliteLedger::open(sqlite, Arc::clone(clock), &providers(settings)).map(Arc::new)
}

/// The sources with their providers, as the store knows them.
pub(super) fn providers(settings: &Settings) -> Vec<(SourceName, String)> {
    settings.sources.iter().map(|source| (source.name.clone(), source.preset.name().to_string())).collect()
}

fn source(source: &SourceSettings) -> GatewaySource {
    let rule = source.preset.ack();
    GatewaySource {
        name: source.name.clone(),
        verifier: Arc::clone(&source.verifier),
        methods: source.preset.taken_methods().into_iter().map(str::to_owned).collect(),
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
        ack: source.recorded_ack(),
    }
}

/// Every handler, ready to be called.
pub(super) fn workers(
    settings: &Settings,
    client: &HttpClient,
    voices: &Voices,
    commands: &Commands,
) -> Result<Vec<Worker>, StartError> {
    let worker = |handler: &HandlerSettings| {
        worker(handler, settings, client, voices, commands).map_err(|error| StartError::Handler(handler.name.clone(), error))
    };
    settings.handlers.iter().map(worker).collect()
}

fn worker(
    handler: &HandlerSettings,
    settings: &Settings,
    client: &HttpClient,
    voices: &Voices,
    commands: &Commands,
) -> Result<Worker, InvalidHandler> {
    let called: Arc<dyn Handler> = match &handler.kind {
        HandlerKind::Printer => Arc::new(Printer(Arc::clone(&voices.print))),
        HandlerKind::Exec(exec) => {
            let (command, env, supervisor) = (exec.command.clone(), exec.env.clone(), exec.supervisor.clone());
            Arc::new(ExecHandler::new(ExecHandlerSettings { command, env, supervisor }, commands.clone()))
        }
        HandlerKind::InProcess => {
            let closure = voices.in_process.get(&handler.name).ok_or(InvalidHandler::Closure)?;
            Arc::new(InProcess(Arc::clone(closure)))
        }
        HandlerKind::Http(http) => Arc::new(HttpHandler::new(HttpHandlerSettings {
            client: client.clone(),
            url: http.url.clone(),
            headers: http.headers.clone(),
            forward_headers: http.forward_headers.clone(),
            sign_with: http.sign_with.clone().ok_or(InvalidHandler::Absent)?,
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
