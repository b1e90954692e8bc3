//! What runs: handlers and sources as they stand, pauses, the reload.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{answer, missing, unread, wrong_method};
use crate::app::{Gateway, PauseError};
use crate::model::{HandlerName, HandlerReport, REPORT_VERSION, ReloadReport, SourceReport};

/// Reads the configuration again and goes by it.
pub type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<ReloadReport, ReloadRefused>> + Send + Sync>;

/// Why a reload changed nothing.
#[derive(Clone, Debug)]
pub struct ReloadRefused {
    /// The stable word of the problem.
    pub code: &'static str,
    /// What is wrong, and where.
    pub message: String,
}

/// What reloads this gateway, where anything does.
pub(crate) struct ReloadHook(pub(crate) Option<Reload>);

/// `GET handlers`.
#[derive(Debug, Serialize, Deserialize)]
pub struct HandlersReport {
    /// Configured ones in the order of the file, then those that are no more.
    pub handlers: Vec<HandlerReport>,
}

/// `GET sources`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SourcesReport {
    /// In the order of their names.
    pub sources: Vec<SourceReport>,
}

/// `POST handlers/{name}/pause` and `/resume`.
#[derive(Debug, Serialize, Deserialize)]
pub struct PauseReport {
    /// [`REPORT_VERSION`].
    pub v: u8,
    /// The handler.
    pub handler: HandlerName,
    /// Whether it is paused now.
    pub paused: bool,
    /// Whether it was not so before.
    pub changed: bool,
}

/// Its paths.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    for resource in [web::resource("/api/v1/handlers").get(handlers), web::resource("/api/v1/sources").get(sources)] {
        config.service(resource.default_service(web::to(|payload| wrong_method("GET", payload))));
    }
    let writes = [
        web::resource("/api/v1/handlers/{name}/pause").post(pause),
        web::resource("/api/v1/handlers/{name}/resume").post(resume),
        web::resource("/api/v1/reload").post(reload),
    ];
    for resource in writes {
        config.service(resource.default_service(web::to(|payload| wrong_method("POST", payload))));
    }
}

async fn handlers(gateway: web::Data<Gateway>) -> HttpResponse {
    match gateway.handlers().await {
        Ok(handlers) => answer::json(&HandlersReport { handlers }),
        Err(error) => answer::of_ledger_error(&error),
    }
}

async fn sources(gateway: web::Data<Gateway>) -> HttpResponse {
    answer::json(&SourcesReport { sources: gateway.sources() })
}

async fn pause(gateway: web::Data<Gateway>, name: web::Path<String>, payload: web::Payload) -> HttpResponse {
    unread::answered(set_paused(&gateway, &name, true).await, payload.into_inner())
}

async fn resume(gateway: web::Data<Gateway>, name: web::Path<String>, payload: web::Payload) -> HttpResponse {
    unread::answered(set_paused(&gateway, &name, false).await, payload.into_inner())
}

async fn set_paused(gateway: &Gateway, name: &str, paused: bool) -> HttpResponse {
    let Ok(handler) = HandlerName::parse(name) else { return missing() };
    match gateway.pause(&handler, paused).await {
        Ok(changed) => answer::json(&PauseReport { v: REPORT_VERSION, handler, paused, changed }),
        Err(error @ PauseError::UnknownHandler(_)) => answer::plain_problem(404, "unknown-handler", &error.to_string()),
        Err(PauseError::Ledger(error)) => answer::of_ledger_error(&error),
    }
}

async fn reload(hook: web::Data<ReloadHook>, payload: web::Payload) -> HttpResponse {
    let response = match &hook.0 {
        None => answer::plain_problem(409, "no-config-file", "This gateway has no config file to read again"),
        Some(reload) => match reload().await {
            Ok(report) => answer::json(&report),
            Err(refused) => answer::plain_problem(422, refused.code, &refused.message),
        },
    };
    unread::answered(response, payload.into_inner())
}
