//! Redrive: an operator hands an event to its handlers again. It takes the outbox's road.

use std::sync::Arc;

use super::Routes;
use crate::ledger::{EventName, Ledger, LedgerError, Redrive, Redriven};
use crate::model::{HandlerName, TaskReport, TaskState};

/// What the operator asks for.
#[derive(Clone, Debug, Default)]
pub struct RedriveRequest {
    /// Only this handler's task.
    pub handler: Option<HandlerName>,
    /// Makes a task for this handler, or moves the chosen one to it.
    pub to_handler: Option<HandlerName>,
    /// Done tasks too.
    pub force: bool,
}

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The handler that is to get it is not configured.
    #[error("there is no handler `{0}`: configured are {1}")]
    UnknownHandler(HandlerName, String),
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
    let known = || routes.handlers().map(HandlerName::as_str).collect::<Vec<_>>().join(", ");
    let is_known = |name: &HandlerName| routes.handlers().any(|known| known == name);
    if let Some(unknown) = request.to_handler.as_ref().filter(|name| !is_known(name)) {
        return Err(RedriveError::UnknownHandler(unknown.clone(), known()));
    }
    let report = ledger.find(event).await?.ok_or(LedgerError::NotFound)?;
    let has_task = |name: &HandlerName| report.tasks.iter().any(|task| task.handler == *name);
    // A task that was moved before has its new handler's name: asking again is no mistake.
    let moved = request.to_handler.as_ref().is_some_and(has_task);
    if let Some(handler) = request.handler.as_ref().filter(|name| !has_task(name) && !moved) {
        let tasks = report.tasks.iter().map(|task| task.handler.as_str()).collect::<Vec<_>>().join(", ");
        return Err(RedriveError::NoTask(handler.clone(), if tasks.is_empty() { "none".to_owned() } else { tasks }));
    }
    if request.to_handler.is_none() {
        let chosen = |task: &&TaskReport| match task.state {
            TaskState::Done => request.force,
            TaskState::Dead | TaskState::Pending | TaskState::Running => true,
        };
        let mut tasks = report.tasks.iter().filter(|task| request.handler.as_ref().is_none_or(|name| *name == task.handler));
        if let Some(task) = tasks.find(|task| chosen(task) && !is_known(&task.handler)) {
            return Err(RedriveError::Vanished(task.handler.clone(), known()));
        }
    }
    let matching = routes.matching(&report.source, &report.event_type).to_vec();
    if report.tasks.is_empty() && matching.is_empty() && request.to_handler.is_none() {
        return Err(RedriveError::Unwanted(report.event_type, known()));
    }
    let name = EventName::Pair(report.source, report.event_id);
    let redrive = Redrive { handler: request.handler, to_handler: request.to_handler, force: request.force, matching };
    Ok(ledger.redrive(name, redrive).await?)
}
