//! `POST /api/v1/purge`: all of retention at once.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::answer;
use super::query::object;
use crate::app::Gateway;
use crate::ledger::Purged;
use crate::model::REPORT_VERSION;

/// What a purge removed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PurgeReport {
    /// Version of this shape.
    pub v: u8,
    /// Bodies of done events.
    pub bodies: u64,
    /// Events, each with all that was left of it.
    pub events: u64,
    /// Rows of the delivery log.
    pub deliveries: u64,
    /// Whether the gateway was stopped before all that is due was gone.
    pub more: bool,
}

impl From<Purged> for PurgeReport {
    fn from(purged: Purged) -> Self {
        let Purged { bodies, events, deliveries, more, .. } = purged;
        Self { v: REPORT_VERSION, bodies, events, deliveries, more }
    }
}

/// Takes no body, or an empty object.
pub(super) async fn purge(gateway: web::Data<Gateway>, body: actix_web::Result<web::Bytes>) -> HttpResponse {
    let nothing = |body: &[u8]| object::<serde_json::Map<_, serde_json::Value>>(body).is_ok_and(|asked| asked.is_empty());
    match body {
        Ok(body) if nothing(&body) => {}
        Ok(_) => return answer::plain_problem(400, "bad-request", "a purge is asked nothing: leave the body out"),
        Err(error) => return answer::plain_problem(400, "bad-request", &error.to_string()),
    }
    match gateway.purger().purge_now().await {
        Ok(purged) => answer::json(&PurgeReport::from(purged)),
        Err(error) => answer::of_ledger_error(&error),
    }
}
