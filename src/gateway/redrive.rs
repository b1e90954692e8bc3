//! Redrive: an operator hands an event to its handlers again. It takes the outbox's road.

use std::sync::Arc;

use super::{Routes, UnknownHandler};
use crate::ledger::{EventName, Ledger, LedgerError, Redrive, Redriven};
use crate::model::{HandlerName, SourceName, TaskState};

/// What the operator asks for.
#[derive(Clone, Debug, Default)]
pub struct RedriveRequest {
    /// Only this handler's task.
    pub handler: Option<HandlerName>,
    /// Makes a task for this handler, or moves the chosen one to it.
    pub to_handler: Option<HandlerName>,
    /// Done and discarded tasks too.
    pub force: bool,
}

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The handler that is to get it is not configured.
    #[error(transparent)]
    UnknownHandler(#[from] UnknownHandler),
    /// The event has no task of the handler that was chosen.
    #[error("the event has no task of handler `{0}`: it has {1}")]
    NoTask(HandlerName, String),
    /// Nobody would be called: the handler of a chosen task is not configured any more.
    #[error(
        "its task is of handler `{0}`, and no handler has that name now: move it with --handler {0} --to-handler NEW; configured are {1}"
    )]
    Vanished(HandlerName, String),
    /// No handler wants the event, and it has no task.
    #[error("no handler wants its type `{0}`: name one with --to-handler; configured are {1}")]
    Unwanted(String, String),
    /// The store's own reason.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Makes an event's dead tasks due now. An event that no handler wanted gets tasks for those that match by now.
///
/// # Errors
/// [`RedriveError`].
pub async fn redrive(
    ledger: &Arc<dyn Ledger>,
    routes: &Routes,
    event: EventName,
    request: RedriveRequest,
) -> Result<Redriven, RedriveError> {
    check_target(routes, &request)?;
    let report = ledger.find(event).await?.ok_or(LedgerError::NotFound)?;
    let tasks: Vec<_> = report.tasks.iter().map(|task| (task.handler.clone(), task.state)).collect();
    check_choice(&tasks, request.handler.as_ref(), request.to_handler.as_ref())?;
    let redrive = judge(routes, &request, &report.source, &report.event_type, &tasks)?;
    Ok(ledger.redrive(EventName::Pair(report.source, report.event_id), redrive).await?)
}

/// The handler that is to get events is there.
pub(super) fn check_target(routes: &Routes, request: &RedriveRequest) -> Result<(), RedriveError> {
    request.to_handler.as_ref().map_or(Ok(()), |name| Ok(routes.check(name)?))
}

/// The event has a task of the chosen handler.
pub(super) fn check_choice(
    tasks: &[(HandlerName, TaskState)],
    chosen: Option<&HandlerName>,
    to_handler: Option<&HandlerName>,
) -> Result<(), RedriveError> {
    let has_task = |name: &HandlerName| tasks.iter().any(|(handler, _)| handler == name);
    // A task that was moved before has its new handler's name: asking again is no mistake.
    let moved = to_handler.is_some_and(has_task);
    match chosen.filter(|name| !has_task(name) && !moved) {
        None => Ok(()),
        Some(handler) => {
            let names = tasks.iter().map(|(handler, _)| handler.as_str()).collect::<Vec<_>>().join(", ");
            Err(RedriveError::NoTask(handler.clone(), if names.is_empty() { "none".to_owned() } else { names }))
        }
    }
}

/// What the request means for one event. Pure.
pub(super) fn judge(
    routes: &Routes,
    request: &RedriveRequest,
    source: &SourceName,
    event_type: &str,
    tasks: &[(HandlerName, TaskState)],
) -> Result<Redrive, RedriveError> {
    if request.to_handler.is_none() {
        let chosen = |state: TaskState| match state {
            TaskState::Done | TaskState::Discarded => request.force,
            TaskState::Dead | TaskState::Pending | TaskState::Running => true,
        };
        let mut own = tasks.iter().filter(|(handler, _)| request.handler.as_ref().is_none_or(|name| name == handler));
        if let Some((handler, _)) = own.find(|(handler, state)| chosen(*state) && !routes.has(handler)) {
            return Err(RedriveError::Vanished(handler.clone(), routes.names()));
        }
    }
    let matching = routes.matching(source, event_type).to_vec();
    if tasks.is_empty() && matching.is_empty() && request.to_handler.is_none() {
        return Err(RedriveError::Unwanted(event_type.to_owned(), routes.names()));
    }
    let RedriveRequest { handler, to_handler, force } = request.clone();
    Ok(Redrive { handler, to_handler, force, matching })
}
