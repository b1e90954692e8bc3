//! Time, as an argument: the wall clock for signatures and display, the monotonic one for delays, leases and deadlines.
//!
//! Nobody else asks the system. Tests move a [`ManualClock`] by hand, so nothing waits for real.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::model::Timestamp;

/// Two clocks and a way to wait on the second.
pub trait Clock: Send + Sync {
    /// The wall clock. It may jump.
    fn wall(&self) -> Timestamp;

    /// Time since some fixed moment. It never goes back and does not follow the wall clock.
    fn monotonic(&self) -> Duration;

    /// Ready once [`Clock::monotonic`] has reached `deadline`.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Monotonic time counts from here.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
    fn wall(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until((self.started + deadline).into()))
    }
}

/// A clock that stands still until it is moved. For tests.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(Timestamp, Duration)>,
    moved: watch::Sender<Duration>,
}

impl ManualClock {
    /// A clock that shows `wall` and has not run yet.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        Self { now: Mutex::new((wall, Duration::ZERO)), moved: watch::channel(Duration::ZERO).0 }
    }

    /// Both clocks go on by this much; who slept until then wakes.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (now.0.plus(by), now.1 + by);
        self.moved.send_replace(now.1);
    }

    /// The wall clock alone is set anew, as by an operator or a time server.
    pub fn set_wall(&self, wall: Timestamp) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0 = wall;
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn monotonic(&self) -> Duration {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        let mut moved = self.moved.subscribe();
        Box::pin(async move {
            // The sender lives as long as the clock; with the clock gone nobody is left to wake.
            if moved.wait_for(|now| *now >= deadline).await.is_err() {
                std::future::pending().await
            }
        })
    }
}
