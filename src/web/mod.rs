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
    let receiver = web::Data::from(Arc::clone(gateway.receiver()));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(receiver.clone())
            // The whole tail is the source's name: one with a slash too many is no source, and told to the operator as such.
            .service(web::resource("/hooks/{source:.*}").to(ingest::receive))
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
    let reload = web::Data::new(ReloadHook(reload));
    let gateway = web::Data::new(gateway.clone());
    let guard = web::Data::new(Guard::new(token, listener.local_addr()?));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(gateway.clone())
            .app_data(guard.clone())
            .app_data(reload.clone())
            .wrap(from_fn(guard::check))
            .configure(admin::routes)
            .default_service(web::to(not_found))
    });
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
