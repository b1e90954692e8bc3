//! Handlers that are closures of the process that the gateway runs in.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Call, Handler};
use crate::model::Outcome;

/// Does an event. The future is dropped at the deadline.
pub type Closure = Arc<dyn Fn(Call) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Calls a closure.
pub struct InProcess(pub Closure);

impl Handler for InProcess {
    fn call(&self, call: Call) -> BoxFuture<'_, Outcome> {
        (self.0)(call)
    }

    fn target(&self) -> String {
        "called in this process".to_owned()
    }
}
