//! Notices as lines of the log, for machines.

use std::time::Duration;

use super::notice::{AttemptNotice, DeliveryNotice, HandlerChange, HandlerNotice, Notice};
use crate::ledger::Settlement;
use crate::model::Verdict;

impl Notice {
    /// One line at level INFO, of a handler that is called no more or again at WARN. No body, no signature, no secret.
    pub fn log(&self) {
        match self {
            Self::Delivery(delivery) => log_delivery(delivery),
            Self::Attempt(attempt) => log_attempt(attempt),
            Self::Stray(stray) => tracing::info!(
                http.method = stray.method,
                source.name = stray.source,
                status = stray.problem.status(),
                reason = stray.problem.code(),
                sender.address = stray.from.map(tracing::field::display),
                "request reached no source"
            ),
            Self::Handler(handler) => log_handler(handler),
        }
    }
}

fn log_handler(notice: &HandlerNotice) {
    let probe_in_us = match notice.change {
        HandlerChange::Failing { probe_in } => Some(micros(probe_in)),
        HandlerChange::Recovered | HandlerChange::Paused | HandlerChange::Resumed => None,
    };
    tracing::warn!(handler.name = %notice.handler, change = notice.change.as_str(), probe_in_us, "handler changed");
}

fn log_delivery(delivery: &DeliveryNotice) {
    tracing::info!(
        delivery.id = %delivery.id,
        source.name = %delivery.source,
        event.id = delivery.event.as_ref().map(|(id, _)| tracing::field::display(id)),
        event.r#type = delivery.event.as_ref().map(|(_, event_type)| tracing::field::display(event_type)),
        verdict = delivery.verdict.map(Verdict::as_str),
        status = delivery.status,
        reason = delivery.reason,
        body_differs = delivery.body_differs,
        duration_us = micros(delivery.duration),
        "delivery answered"
    );
}

fn log_attempt(attempt: &AttemptNotice) {
    let (settlement, retry_in, reason) = match attempt.settlement {
        Settlement::Done => ("done", None, None),
        Settlement::RetryIn(delay) => ("retry", Some(micros(delay)), None),
        Settlement::Dead(reason) => ("dead", None, Some(reason.as_str())),
        Settlement::GivenBack => ("given-back", None, None),
    };
    tracing::info!(
        handler.name = %attempt.handler,
        source.name = %attempt.source,
        event.id = %attempt.event_id,
        attempt = attempt.attempt,
        outcome = attempt.outcome.code(),
        status = attempt.outcome.status(),
        exit_code = attempt.outcome.exit_code(),
        signal = attempt.outcome.signal(),
        error = attempt.outcome.error(),
        settlement,
        retry_in_us = retry_in,
        reason,
        duration_us = micros(attempt.duration),
        "handler called"
    );
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
