//! The admin API's first floor: health, deliveries, events; redrives, discards and counts in `operate`.

mod operate;
pub(super) mod running;

use actix_web::error::{InternalError, QueryPayloadError};
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::query::{DeliveryQuery, EventQuery, InvalidQuery};
use super::{answer, purge, unread};
use crate::app::Gateway;
use crate::ledger::{DeliveryFilter, EventName, StoreState};
use crate::model::{DeliveryId, EventReport, SourceName};

/// Every path of it.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let read = [
        web::resource("/healthz").get(healthz).route(web::head().to(healthz)),
        web::resource("/readyz").get(readyz).route(web::head().to(readyz)),
        web::resource("/api/v1/deliveries").get(deliveries),
        web::resource("/api/v1/deliveries/{id}").get(delivery),
        web::resource("/api/v1/events").get(events),
        web::resource("/api/v1/events/{key}/body").get(body),
        web::resource("/api/v1/stats").get(operate::stats),
    ];
    let write = [
        // Before the events by key: these are no keys.
        web::resource("/api/v1/events/redrive").post(operate::redrive_all),
        web::resource("/api/v1/events/discard").post(operate::discard_all),
        web::resource("/api/v1/events/{key}/redrive").post(operate::redrive_event),
        web::resource("/api/v1/events/{key}/discard").post(operate::discard_event),
        web::resource("/api/v1/purge").post(purge::purge),
    ];
    running::routes(config);
    for resource in read {
        config.service(resource.default_service(web::to(|payload| wrong_method("GET", payload))));
    }
    for resource in write {
        config.service(resource.default_service(web::to(|payload| wrong_method("POST", payload))));
    }
    let by_key = web::resource("/api/v1/events/{key}").get(event);
    config.service(by_key.default_service(web::to(|payload| wrong_method("GET", payload))));
    // Nothing goes by a key that is no key.
    let no_key = |error, _: &HttpRequest| InternalError::from_response(error, missing()).into();
    config.app_data(web::PathConfig::default().error_handler(no_key));
}

async fn wrong_method(allowed: &'static str, payload: web::Payload) -> HttpResponse {
    unread::answered(answer::wrong_method(allowed), payload.into_inner())
}

/// What a query string asks, or the reason why it cannot be understood.
fn asked<T: DeserializeOwned, U>(request: &HttpRequest, meant: impl FnOnce(T) -> Result<U, InvalidQuery>) -> Result<U, String> {
    let written = web::Query::<T>::from_query(request.query_string());
    let written = written.map_err(|error| match error {
        QueryPayloadError::Deserialize(error) => error.to_string(),
        other => other.to_string(),
    })?;
    meant(written.into_inner()).map_err(|error| error.to_string())
}

/// Alive: this process answers.
pub(super) async fn healthz(payload: web::Payload) -> HttpResponse {
    unread::answered(answer::builder(200).content_type("text/plain; charset=utf-8").body("ok\n"), payload.into_inner())
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Sources without a secret. They hold up nobody else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pending: Vec<SourceName>,
}

/// Ready: claims are taken.
async fn readyz(gateway: web::Data<Gateway>, payload: web::Payload) -> HttpResponse {
    let reason = match gateway.ledger().state() {
        StoreState::Ready => None,
        StoreState::Full => Some("storage-full"),
        StoreState::Failed(_) => Some("store-failed"),
    };
    let pending = gateway.sources().into_iter().filter(|source| source.pending && !source.retired);
    let readiness = Readiness { ready: reason.is_none(), reason, pending: pending.map(|source| source.source).collect() };
    let mut response = answer::json(&readiness);
    if reason.is_some() {
        *response.status_mut() = actix_web::http::StatusCode::SERVICE_UNAVAILABLE;
    }
    unread::answered(response, payload.into_inner())
}

async fn deliveries(gateway: web::Data<Gateway>, request: HttpRequest) -> HttpResponse {
    let filter = match asked(&request, DeliveryQuery::filter) {
        Ok(filter) => filter,
        Err(reason) => return answer::plain_problem(400, "bad-query", &reason),
    };
    match gateway.ledger().deliveries(filter).await {
        Ok(page) => answer::json(&page),
        Err(error) => answer::of_ledger_error(&error),
    }
}

/// One delivery: the newest that is not newer than itself.
async fn delivery(gateway: web::Data<Gateway>, id: web::Path<Uuid>) -> HttpResponse {
    let id = DeliveryId(id.into_inner());
    let next = Uuid::from_u128(id.0.as_u128().saturating_add(1));
    let filter = DeliveryFilter { before: Some(DeliveryId(next)), limit: 1, ..DeliveryFilter::default() };
    match gateway.ledger().deliveries(filter).await {
        Ok(page) => match page.deliveries.into_iter().find(|delivery| delivery.delivery_id == id) {
            Some(delivery) => answer::json(&delivery),
            None => missing(),
        },
        Err(error) => answer::of_ledger_error(&error),
    }
}

#[derive(Serialize)]
struct Events {
    events: Vec<EventReport>,
}

async fn events(gateway: web::Data<Gateway>, request: HttpRequest) -> HttpResponse {
    let name = match asked(&request, EventQuery::name) {
        Ok(name) => name,
        Err(reason) => return answer::plain_problem(400, "bad-query", &reason),
    };
    match gateway.ledger().find(name).await {
        Ok(found) => answer::json(&Events { events: found.into_iter().map(|report| marked(&gateway, report)).collect() }),
        Err(error) => answer::of_ledger_error(&error),
    }
}

async fn event(gateway: web::Data<Gateway>, key: web::Path<Uuid>) -> HttpResponse {
    match gateway.ledger().find(by_key(&key)).await {
        Ok(Some(report)) => answer::json(&marked(&gateway, report)),
        Ok(None) => missing(),
        Err(error) => answer::of_ledger_error(&error),
    }
}

fn marked(gateway: &Gateway, mut report: EventReport) -> EventReport {
    report.mark_unhandled(gateway.routes().handlers());
    report
}

/// The exact bytes, never as something that a browser would run.
async fn body(gateway: web::Data<Gateway>, key: web::Path<Uuid>) -> HttpResponse {
    match gateway.ledger().body(by_key(&key)).await {
        Ok(Some(Some(bytes))) => answer::builder(200)
            .insert_header((CONTENT_TYPE, "application/octet-stream"))
            .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"body\""))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(bytes),
        Ok(Some(None)) => answer::of_ledger_error(&crate::ledger::LedgerError::BodyPurged),
        Ok(None) => missing(),
        Err(error) => answer::of_ledger_error(&error),
    }
}

fn by_key(key: &Uuid) -> EventName {
    EventName::Delivery(DeliveryId(*key))
}

fn missing() -> HttpResponse {
    answer::plain_problem(404, "not-found", "There is nothing by this id")
}
