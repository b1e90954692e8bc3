//! HTTP: the public listener and the admin listener on actix. They translate requests into calls of the gateway, and answers back.
//!
//! This room knows no SQL and signs nothing.

mod admin;
mod answer;
mod guard;
mod ingest;
mod operate;
mod purge;
mod query;
mod unread;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};

use crate::app::Gateway;
use crate::config::Limits;
use crate::model::Secret;

use admin::running::ReloadHook;
pub use admin::running::{HandlersReport, PauseReport, Reload, ReloadRefused, SourcesReport};
pub use answer::{Told, told};
pub use guard::Guard;
pub use operate::{BulkBody, BulkEvent, BulkReport, DiscardBody, DiscardReport, StatsQuery};
pub use purge::PurgeReport;
pub use query::{DeliveryQuery, EventQuery, InvalidQuery, RedriveBody, RedriveReport};

/// Threads of the admin listener: people and scripts, not load.
const ADMIN_WORKERS: usize = 1;
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The public listener: `POST /hooks/{source}` and `/healthz`, nothing else.
///
/// # Errors
/// The socket cannot be used.
pub fn public(gateway: &Gateway, listener: TcpListener, limits: Limits, drain: Duration) -> std::io::Result<Server> {
    let deliveries = deliveries(gateway, ());
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let server = HttpServer::new(move || {
        App::new()
            .configure(deliveries.clone())
            .service(web::resource("/healthz").to(public_healthz))
            .default_service(web::to(public_not_found))
    });
    Ok(server
        .workers(workers)
        .max_connections(limits.connections.div_ceil(workers))
        .client_request_timeout(limits.header_deadline)
        .client_disconnect_timeout(Duration::from_secs(1))
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(drain.as_secs().max(1))
        .disable_signals()
        .listen(listener)?
        .run())
}

/// `/hooks/{source}` for any [`App`] or [`Scope`](actix_web::Scope), whose own data and default service it leaves alone. `owner` lives
/// as long as the routes do.
pub fn deliveries<O: Clone + Send + 'static>(
    gateway: &Gateway,
    owner: O,
) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + use<O> {
    let receiver = web::Data::from(Arc::clone(gateway.receiver()));
    move |config| {
        // The whole tail is the source's name: one with a slash too many is no source, and told to the operator as such.
        let hooks = web::resource("/hooks/{source:.*}").app_data(receiver).app_data(owner);
        config.service(hooks.to(ingest::receive));
    }
}

/// The admin API for a [`Scope`](actix_web::Scope) or [`App`] of its own: what it does not know there is a 404. `owner` lives as long
/// as the routes do.
pub fn operators<O: Clone + Send + 'static>(
    gateway: &Gateway,
    guard: Guard,
    reload: Option<Reload>,
    owner: O,
) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + use<O> {
    let gateway = web::Data::new(gateway.clone());
    let (guard, reload) = (web::Data::new(guard), web::Data::new(ReloadHook(reload)));
    move |config| {
        let all = web::scope("").app_data(gateway).app_data(guard).app_data(reload).app_data(owner).wrap(from_fn(guard::check));
        config.service(all.configure(admin::routes).default_service(web::to(not_found)));
    }
}

/// The admin listener.
///
/// # Errors
/// The socket cannot be used.
pub fn admin(
    gateway: &Gateway,
    listener: TcpListener,
    token: Option<Secret>,
    drain: Duration,
    reload: Option<Reload>,
) -> std::io::Result<Server> {
    let operators = operators(gateway, Guard::new(token, listener.local_addr()?), reload, ());
    let server = HttpServer::new(move || App::new().configure(operators.clone()));
    Ok(server
        .workers(ADMIN_WORKERS)
        .client_request_timeout(Duration::from_secs(5))
        .shutdown_timeout(drain.as_secs().max(1))
        .disable_signals()
        .listen(listener)?
        .run())
}

async fn not_found(payload: web::Payload) -> HttpResponse {
    unread::answered(answer::plain_problem(404, "not-found", "There is nothing here"), payload.into_inner())
}

async fn public_healthz(payload: web::Payload) -> HttpResponse {
    unread::last(admin::healthz(payload).await)
}

async fn public_not_found(payload: web::Payload) -> HttpResponse {
    unread::last(not_found(payload).await)
}
