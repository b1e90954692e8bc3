//! The built-in handler that prints each event. Where it prints to is given by who prints: only `cli` does.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Call, Handler};
use crate::model::Outcome;

/// Shows an event to somebody.
pub type Print = Arc<dyn Fn(&Call) + Send + Sync>;

/// Prints each event and is always content.
pub struct Printer(pub Print);

impl Handler for Printer {
    fn call(&self, call: Call) -> BoxFuture<'_, Outcome> {
        (self.0)(&call);
        Box::pin(std::future::ready(Outcome::Answered { status: 200, retry_after: None }))
    }

    fn target(&self) -> String {
        "printed here".to_owned()
    }
}
