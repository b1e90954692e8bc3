//! What can go wrong: in a handler, and while the gateway opens.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::app::StartError;
use crate::config::ConfigError;
use crate::ledger::sqlite;
use crate::model::Outcome;

/// Most characters of a handler's words that are kept with an attempt.
const REASON_CHARS_MAX: usize = 500;

/// Why a handler did not do an event. What it says is kept with the attempt and shown to operators.
///
/// Any error becomes a [`HandlerError::Retry`], so `?` works in a handler:
///
/// ```
/// use hookgate::{Event, HandlerError};
///
/// async fn bill(event: Event) -> Result<(), HandlerError> {
///     let body: serde_json::Value = event.json()?;
///     let Some(customer) = body.pointer("/data/object/customer").and_then(|id| id.as_str()) else {
///         return Err(HandlerError::Final("the invoice has no customer".to_owned()));
///     };
///     charge(customer, event.idempotency_key()).await.map_err(HandlerError::retry)
/// }
/// # async fn charge(_: &str, _: &str) -> Result<(), String> { Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerError {
    /// Not this time: again by the handler's schedule, and dead once that is used up.
    Retry(String),
    /// The same, and not before this long, an hour at most.
    RetryAfter(String, Duration),
    /// Never again: dead at once, until an operator redrives it.
    Final(String),
}

impl HandlerError {
    /// [`HandlerError::Retry`] for whatever can be shown, such as an `anyhow::Error`.
    pub fn retry(reason: impl fmt::Display) -> Self {
        Self::Retry(reason.to_string())
    }

    pub(super) fn into_outcome(self) -> Outcome {
        match self {
            Self::Retry(reason) => Outcome::Failed { reason: shown(&reason), retry_after: None },
            Self::RetryAfter(reason, delay) => Outcome::Failed { reason: shown(&reason), retry_after: Some(delay) },
            Self::Final(reason) => Outcome::Refused(shown(&reason)),
        }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Retry(reason) | Self::RetryAfter(reason, _) | Self::Final(reason)) = self;
        f.write_str(reason)
    }
}

impl<E: Error> From<E> for HandlerError {
    /// With its causes, as far as its own text does not name them.
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause.filter(|_| text.len() < REASON_CHARS_MAX) {
            let words = error.to_string();
            if !text.contains(&words) {
                text = format!("{text}: {words}");
            }
            cause = error.source();
        }
        Self::Retry(text)
    }
}

/// One line of bounded length, whatever a handler put into it.
fn shown(reason: &str) -> String {
    let line = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = line.take(REASON_CHARS_MAX).collect();
    if shown.trim().is_empty() {
        shown = "the handler gave no reason".to_owned();
    }
    shown
}

/// Why the gateway did not open. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something that the program or its config text asks for is wrong.
    #[error("{message}")]
    Config {
        /// What, where, and what to do.
        message: String,
    },
    /// The database cannot be used.
    #[error("{0}{hint}", hint = in_code(.0))]
    Store(#[from] sqlite::OpenError),
    /// It could not begin to run: a handler that cannot be called, or a store that could not tell what must be known.
    #[error(transparent)]
    Start(StartError),
    /// The system gives no more threads.
    #[error("no threads to run on: {0}; raise the limit of the process")]
    Threads(std::io::Error),
}

impl OpenError {
    /// A stable word for logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "config",
            Self::Store(error) => error.code(),
            Self::Start(StartError::Ledger(error)) => error.code(),
            Self::Start(_) => "handler",
            Self::Threads(_) => "threads",
        }
    }

    pub(super) fn said(message: impl Into<String>) -> Self {
        Self::Config { message: message.into() }
    }

    /// All that is wrong, a line each, with the line of the config text where it stands in one.
    pub(super) fn of_config(error: &ConfigError, text: &str) -> Self {
        let one = |error: &ConfigError| {
            let before = error.span.as_ref().and_then(|span| text.get(..span.start));
            let line = before.map(|before| format!("line {} of the config: ", before.matches('\n').count() + 1));
            let help = error.help.as_ref().map(|help| format!("; {help}"));
            [line.unwrap_or_default(), error.message.clone(), help.unwrap_or_default()].concat()
        };
        Self::said(error.all().map(one).collect::<Vec<_>>().join("\n"))
    }
}

/// The store speaks to who runs the binary.
const fn in_code(error: &sqlite::OpenError) -> &'static str {
    match error {
        sqlite::OpenError::Lost { .. } | sqlite::OpenError::NoDatabase(_) => {
            " (`Builder::new_database` is `--new-database` in a program of your own)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_handler_says_is_one_bounded_line() {
        let said = |reason: &str| HandlerError::Retry(reason.to_owned()).into_outcome();
        let failed = |reason: &str| Outcome::Failed { reason: reason.to_owned(), retry_after: None };
        assert_eq!(said("no\nsuch \u{1b}[31m row"), failed("no such  [31m row"));
        assert_eq!(said(" \n"), failed("the handler gave no reason"));
        assert_eq!(said(&"\u{e9}".repeat(501)), failed(&"\u{e9}".repeat(500)));
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_none_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot charge")]
        struct Charge(#[source] std::io::Error);
        #[derive(Debug, thiserror::Error)]
        #[error("cannot charge: reset")]
        struct Doubled(#[source] std::io::Error);
        let cause = || std::io::Error::other("reset");
        assert_eq!(HandlerError::from(Charge(cause())), HandlerError::Retry("cannot charge: reset".to_owned()));
        assert_eq!(HandlerError::from(Doubled(cause())), HandlerError::Retry("cannot charge: reset".to_owned()));
    }
}
