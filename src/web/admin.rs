//! The admin API's first floor: health, deliveries, events, redrive.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpResponse, web};
use serde::Serialize;
use uuid::Uuid;

use super::answer;
use super::query::{DeliveryQuery, EventQuery, RedriveBody, RedriveReport};
use crate::app::Gateway;
use crate::gateway::{RedriveRequest, redrive};
use crate::ledger::{DeliveryFilter, EventName, StoreState};
use crate::model::{DeliveryId, EventReport, REPORT_VERSION};

/// Every path of it.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz))
        .route("/api/v1/deliveries", web::get().to(deliveries))
        .route("/api/v1/deliveries/{id}", web::get().to(delivery))
        .route("/api/v1/events", web::get().to(events))
        .route("/api/v1/events/{key}", web::get().to(event))
        .route("/api/v1/events/{key}/body", web::get().to(body))
        .route("/api/v1/events/{key}/redrive", web::post().to(redrive_event));
}

/// Alive: this process answers.
pub(super) async fn healthz() -> HttpResponse {
    answer::builder(200).content_type("text/plain; charset=utf-8").body("ok\n")
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Ready: claims are taken.
async fn readyz(gateway: web::Data<Gateway>) -> HttpResponse {
    let reason = match gateway.ledger().state() {
        StoreState::Ready => None,
        StoreState::Full => Some("storage-full"),
        StoreState::Failed(_) => Some("store-failed"),
    };
    let mut response = answer::json(&Readiness { ready: reason.is_none(), reason });
    if reason.is_some() {
        *response.status_mut() = actix_web::http::StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

async fn deliveries(gateway: web::Data<Gateway>, query: actix_web::Result<web::Query<DeliveryQuery>>) -> HttpResponse {
    let filter =
        match query.map_err(|error| error.to_string()).and_then(|query| query.into_inner().filter().map_err(|e| e.to_string())) {
            Ok(filter) => filter,
            Err(reason) => return answer::plain_problem(400, "bad-query", &reason),
        };
    match gateway.ledger().deliveries(filter).await {
        Ok(mut page) => {
            page.dropped = gateway.journal().dropped();
            answer::json(&page)
        }
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

async fn events(gateway: web::Data<Gateway>, query: actix_web::Result<web::Query<EventQuery>>) -> HttpResponse {
    let name =
        match query.map_err(|error| error.to_string()).and_then(|query| query.into_inner().name().map_err(|e| e.to_string())) {
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

async fn redrive_event(gateway: web::Data<Gateway>, key: web::Path<Uuid>, body: web::Bytes) -> HttpResponse {
    // An empty body asks for the defaults; a misspelt one must not pass for that.
    let asked = if body.trim_ascii().is_empty() { Ok(RedriveBody::default()) } else { serde_json::from_slice(&body) };
    let RedriveBody { handler, to_handler, force } = match asked {
        Ok(asked) => asked,
        Err(error) => return answer::plain_problem(400, "bad-request", &error.to_string()),
    };
    let request = RedriveRequest { handler, to_handler, force };
    match redrive(gateway.ledger(), gateway.routes(), by_key(&key), request).await {
        Ok(done) => answer::json(&RedriveReport { v: REPORT_VERSION, tasks: done.tasks }),
        Err(error) => answer::of_redrive_error(&error),
    }
}

fn by_key(key: &Uuid) -> EventName {
    EventName::Delivery(DeliveryId(*key))
}

fn missing() -> HttpResponse {
    answer::plain_problem(404, "not-found", "There is nothing by this id")
}
