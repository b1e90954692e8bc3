//! Redrives and discards, of one event or by filter, and counts.

use actix_web::{HttpRequest, HttpResponse, web};
use uuid::Uuid;

use super::{asked, by_key};
use crate::app::Gateway;
use crate::gateway::{BulkRequest, RedriveRequest, bulk, discard, redrive};
use crate::ledger::LedgerError;
use crate::model::REPORT_VERSION;
use crate::web::operate::{BulkBody, BulkReport, DiscardBody, DiscardReport, StatsQuery};
use crate::web::{InvalidQuery, RedriveBody, RedriveReport, answer};

/// What a request's body asks, or the reason why it cannot be understood.
fn read<T, U>(
    body: actix_web::Result<web::Bytes>,
    read: impl FnOnce(&[u8]) -> serde_json::Result<T>,
    meant: impl FnOnce(T) -> Result<U, InvalidQuery>,
) -> Result<U, String> {
    let body = body.map_err(|error| error.to_string())?;
    let written = read(&body).map_err(|error| error.to_string())?;
    meant(written).map_err(|error| error.to_string())
}

fn bad_request(reason: &str) -> HttpResponse {
    answer::plain_problem(400, "bad-request", reason)
}

pub(super) async fn redrive_event(
    gateway: web::Data<Gateway>,
    key: web::Path<Uuid>,
    body: actix_web::Result<web::Bytes>,
) -> HttpResponse {
    let meant = |RedriveBody { handler, to_handler, force }| Ok(RedriveRequest { handler, to_handler, force });
    let request = match read(body, RedriveBody::read, meant) {
        Ok(request) => request,
        Err(reason) => return bad_request(&reason),
    };
    match redrive(gateway.ledger(), &gateway.routes(), by_key(&key), request).await {
        Ok(done) => answer::json(&RedriveReport { v: REPORT_VERSION, tasks: done.tasks }),
        Err(error) => answer::of_redrive_error(&error),
    }
}

pub(super) async fn discard_event(
    gateway: web::Data<Gateway>,
    key: web::Path<Uuid>,
    body: actix_web::Result<web::Bytes>,
) -> HttpResponse {
    let request = match read(body, DiscardBody::read, DiscardBody::request) {
        Ok(request) => request,
        Err(reason) => return bad_request(&reason),
    };
    match discard(gateway.ledger(), &gateway.routes(), by_key(&key), request).await {
        Ok(done) => answer::json(&DiscardReport { v: REPORT_VERSION, tasks: done.tasks }),
        Err(error) => answer::of_redrive_error(&error),
    }
}

pub(super) async fn redrive_all(gateway: web::Data<Gateway>, body: actix_web::Result<web::Bytes>) -> HttpResponse {
    match read(body, BulkBody::read, BulkBody::redrive) {
        Ok(request) => all(&gateway, request).await,
        Err(reason) => bad_request(&reason),
    }
}

pub(super) async fn discard_all(gateway: web::Data<Gateway>, body: actix_web::Result<web::Bytes>) -> HttpResponse {
    match read(body, BulkBody::read, BulkBody::discard) {
        Ok(request) => all(&gateway, request).await,
        Err(reason) => bad_request(&reason),
    }
}

async fn all(gateway: &Gateway, request: BulkRequest) -> HttpResponse {
    let stays = request.stays;
    match bulk(gateway.ledger(), &gateway.routes(), request).await {
        Ok(done) => answer::json(&BulkReport::of(done, stays)),
        Err(error) => answer::of_redrive_error(&error),
    }
}

pub(super) async fn stats(gateway: web::Data<Gateway>, request: HttpRequest) -> HttpResponse {
    let (source, since) = match asked(&request, StatsQuery::meant) {
        Ok(meant) => meant,
        Err(reason) => return answer::plain_problem(400, "bad-query", &reason),
    };
    match gateway.ledger().stats(source, since).await {
        Ok(mut report) => {
            report.complete(gateway.routes().handlers());
            answer::json(&report)
        }
        Err(LedgerError::NotFound) => answer::plain_problem(404, "not-found", "No source has this name, and none ever had"),
        Err(error) => answer::of_ledger_error(&error),
    }
}
