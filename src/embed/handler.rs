//! A handler in this process, said in code.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Event, HandlerError};
use crate::clock::Clock;
use crate::config::{DurationText, HandlerText, handler_text, unplaced};
use crate::handler::Closure;
use crate::model::Outcome;

type Work = Arc<dyn Fn(Event) -> BoxFuture<'static, Result<(), HandlerError>> + Send + Sync>;

/// A closure that gets events, and how it is to be called. [`Builder::handler`](super::Builder::handler) is the short form.
///
/// ```
/// use std::time::Duration;
/// use hookgate::{Event, Handler};
///
/// let billing = Handler::new("billing", |event: Event| async move { bill(event).await })
///     .events(["invoice.*", "customer.subscription.*"])
///     .timeout(Duration::from_secs(5))
///     .concurrency(1)
///     .retry([1, 10, 60].map(Duration::from_secs));
/// # async fn bill(_: Event) -> Result<(), hookgate::HandlerError> { Ok(()) }
/// ```
///
/// It runs on the gateway's own threads, two of them: what blocks belongs into [`tokio::task::spawn_blocking`]. At its deadline the future
/// is dropped, at whatever `.await` it stands; blocking work goes on and may overlap the next attempt. A panic is a failed attempt.
#[must_use = "a handler is for `Builder::handler_with`"]
pub struct Handler {
    name: String,
    text: HandlerText,
    work: Work,
}

impl Handler {
    /// A handler of every event of every source. Its name, `[a-z0-9-]`, is a part of the idempotency key: what it did under another
    /// name it may do again.
    pub fn new<F, W>(name: impl Into<String>, work: F) -> Self
    where
        F: Fn(Event) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        Self { name: name.into(), text: handler_text(None), work: Arc::new(move |event| Box::pin(work(event))) }
    }

    /// The types that it wants: `invoice.*`, or a whole dotted prefix such as `invoice`.
    pub fn events<I: Into<String>>(mut self, types: impl IntoIterator<Item = I>) -> Self {
        self.text.events = Some(types.into_iter().map(|glob| unplaced(glob.into())).collect());
        self
    }

    /// The sources that it hears.
    pub fn sources<I: Into<String>>(mut self, names: impl IntoIterator<Item = I>) -> Self {
        self.text.sources = Some(names.into_iter().map(|name| unplaced(name.into())).collect());
        self
    }

    /// How long a call may take; 30 s unless said.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.text.timeout = Some(unplaced(DurationText(timeout)));
        self
    }

    /// Calls at a time; 8 unless said. 1 makes them serial, not ordered.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.text.concurrency = Some(unplaced(calls));
        self
    }

    /// Delays between attempts, each varied by up to a fifth; one more attempt than delays. Unless said: 15 attempts over three days.
    pub fn retry(mut self, delays: impl IntoIterator<Item = Duration>) -> Self {
        let delays = delays.into_iter().map(|delay| unplaced(DurationText(delay))).collect();
        self.text.retry = Some(unplaced(delays));
        self
    }

    /// Failures in a row after which it is left alone but for probes; 10 unless said.
    pub fn breaker_failures(mut self, failures: u32) -> Self {
        self.text.breaker_failures = Some(failures);
        self
    }

    /// Its name, its settings, and what the outbox calls.
    pub(super) fn into_parts(self, clock: &Arc<dyn Clock>) -> (String, HandlerText, Closure) {
        let (work, clock) = (self.work, Arc::clone(clock));
        let closure: Closure = Arc::new(move |call| {
            let done = work(Event::new(call, Arc::clone(&clock)));
            Box::pin(async move {
                match done.await {
                    Ok(()) => Outcome::Succeeded,
                    Err(error) => error.into_outcome(),
                }
            })
        });
        (self.name, self.text, closure)
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("name", &self.name).finish_non_exhaustive()
    }
}
