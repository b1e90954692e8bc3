//! Discard: an operator ends what is left of an event, and says why.

use std::sync::Arc;

use super::Routes;
use super::redrive::{RedriveError, check_choice};
use crate::ledger::{Discard, Discarded, EventName, Ledger, LedgerError};
use crate::model::{HandlerName, Who, Why};

/// What the operator asks for.
#[derive(Clone, Debug)]
pub struct DiscardRequest {
    /// Only this handler's task.
    pub handler: Option<HandlerName>,
    /// Waiting tasks too.
    pub force: bool,
    /// Who asks.
    pub by: Who,
    /// Why.
    pub why: Why,
}

/// Ends an event's dead tasks, and open ones whose handler nobody has.
///
/// # Errors
/// `NoTask` where it has no task of the chosen handler, and the store's own.
pub async fn discard(
    ledger: &Arc<dyn Ledger>,
    routes: &Routes,
    event: EventName,
    request: DiscardRequest,
) -> Result<Discarded, RedriveError> {
    if let Some(handler) = &request.handler {
        let report = ledger.find(event.clone()).await?.ok_or(LedgerError::NotFound)?;
        let tasks: Vec<_> = report.tasks.iter().map(|task| (task.handler.clone(), task.state)).collect();
        check_choice(&tasks, Some(handler), None)?;
    }
    Ok(ledger.discard(event, meant(routes, request)).await?)
}

/// With the handlers that there are now.
pub(super) fn meant(routes: &Routes, request: DiscardRequest) -> Discard {
    let DiscardRequest { handler, force, by, why } = request;
    Discard { handler, force, known: routes.handlers().cloned().collect(), by, why }
}
