//! Retention while the gateway runs: small batches when something is due, by the wall clock, and none while that is not to be
//! trusted: shortly after a start, and shortly after it was set forward.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerError, Purged, Retention};
use crate::model::Timestamp;

/// Bodies of one batch, and events; of rows of the log twice as many.
const BATCH: usize = 50;
/// Nothing is purged for so long after a start or a forward jump of the wall clock: time to see that it is wrong, and to set it right.
const QUIET: Duration = Duration::from_secs(600);
/// What the wall clock may be ahead of what has really passed since the last look.
const JUMP: Duration = Duration::from_secs(3600);
/// Shortest time between two looks that found nothing more: what becomes due meanwhile goes together.
const REST: Duration = Duration::from_secs(1);
/// Longest time between two looks: the wall clock may have been set, and no due time tells how large the log is.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Purges all that is due now, batch by batch, whatever the clock did before, unless `stop` says so: an operator's word.
///
/// # Errors
/// The store's own. What was purged before stays so.
pub async fn purge_all(ledger: &dyn Ledger, retention: Retention, stop: impl Fn() -> bool) -> Result<Purged, LedgerError> {
    let mut purged = Purged { more: true, ..Purged::default() };
    while purged.more && !stop() {
        purged = purged.and(ledger.purge(retention, BATCH).await?);
    }
    Ok(purged)
}

/// Whether the wall clock can be gone by. Pure.
#[derive(Clone, Copy, Debug)]
struct Trust {
    /// Both clocks at the last look.
    seen: (Timestamp, Duration),
    /// By the monotonic clock.
    quiet_until: Duration,
}

/// What a look at the clocks says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    /// Nothing is to be purged until then, by the monotonic clock.
    quiet_until: Option<Duration>,
    /// How far the wall clock was set forward since the last look, where that is far.
    jumped: Option<Duration>,
}

impl Trust {
    /// From a start on.
    fn begin(wall: Timestamp, monotonic: Duration) -> Self {
        Self { seen: (wall, monotonic), quiet_until: monotonic + QUIET }
    }

    fn look(&mut self, wall: Timestamp, monotonic: Duration) -> Look {
        let (wall_before, monotonic_before) = std::mem::replace(&mut self.seen, (wall, monotonic));
        let expected = wall_before.plus(monotonic.saturating_sub(monotonic_before));
        let ahead = Duration::from_micros(u64::try_from(wall.0.saturating_sub(expected.0)).unwrap_or(0));
        let jumped = (ahead > JUMP).then_some(ahead);
        if jumped.is_some() {
            self.quiet_until = monotonic + QUIET;
        }
        Look { quiet_until: (monotonic < self.quiet_until).then_some(self.quiet_until), jumped }
    }
}

/// What purges while the gateway runs.
pub struct Purger {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    retention: watch::Sender<Retention>,
    stop: watch::Sender<bool>,
}

impl Purger {
    /// Begins to purge, on the present runtime.
    #[must_use]
    pub fn start(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, retention: Retention) -> Arc<Self> {
        // Ten minutes from now, not from when the runtime comes to it.
        let trust = Trust::begin(clock.wall(), clock.monotonic());
        let purger = Arc::new(Self { ledger, clock, retention: watch::Sender::new(retention), stop: watch::Sender::new(false) });
        tokio::spawn(Arc::clone(&purger).run(trust));
        purger
    }

    /// How long what is kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        *self.retention.borrow()
    }

    /// From the next batch on.
    pub fn set_retention(&self, retention: Retention) {
        self.retention.send_replace(retention);
    }

    /// See [`purge_all`].
    ///
    /// # Errors
    /// The store's own.
    pub async fn purge_now(&self) -> Result<Purged, LedgerError> {
        purge_all(&*self.ledger, self.retention(), || *self.stop.borrow()).await
    }

    /// Begins no batch any more. The one in hand ends by itself.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    async fn run(self: Arc<Self>, mut trust: Trust) {
        let (mut stop, mut retention) = (self.stop.subscribe(), self.retention.subscribe());
        let mut purged = Purged::default();
        while !*stop.borrow_and_update() {
            let now = self.clock.monotonic();
            let Look { quiet_until, jumped } = trust.look(self.clock.wall(), now);
            if let Some(ahead) = jumped {
                tracing::error!(
                    ahead_s = ahead.as_secs(),
                    "the wall clock was set forward: nothing is purged for the next ten minutes; if it is wrong now, set it right before"
                );
            }
            let kept = *retention.borrow_and_update();
            let until = match quiet_until {
                Some(until) => until,
                None => match self.batch(kept, &mut purged).await {
                    Ok(wait) => now + wait,
                    Err(LedgerError::Failed(_)) => return,
                    Err(error) => {
                        tracing::warn!(error.code = error.code(), "nothing was purged this time: {error}");
                        now + LOOK_EVERY
                    }
                },
            };
            tokio::select! {
                () = self.clock.sleep_until(until) => {}
                _ = stop.changed() => {}
                _ = retention.changed() => {}
            }
        }
    }

    /// One batch, and how long until the next. What a run of them has purged is told at its end.
    async fn batch(&self, retention: Retention, so_far: &mut Purged) -> Result<Duration, LedgerError> {
        *so_far = so_far.and(self.ledger.purge(retention, BATCH).await?);
        if so_far.more {
            return Ok(Duration::ZERO);
        }
        let purged = std::mem::take(so_far);
        let Purged { bodies, events, deliveries, next_due, .. } = purged;
        if purged.any() {
            tracing::info!(bodies, events, deliveries, "what was kept long enough is purged");
        }
        // What comes right after this look is due so much later.
        let soonest = retention.body.min(retention.log);
        Ok(next_due.unwrap_or(soonest).min(soonest).clamp(REST, LOOK_EVERY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_767_225_600_000_000);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_purged_in_the_first_ten_minutes() {
        let mut trust = Trust::begin(START, s(5));
        let look = |trust: &mut Trust, at| trust.look(START.plus(at), s(5) + at);
        assert_eq!(look(&mut trust, s(0)), Look { quiet_until: Some(s(605)), jumped: None });
        assert_eq!(look(&mut trust, s(599)), Look { quiet_until: Some(s(605)), jumped: None });
        assert_eq!(look(&mut trust, s(600)), Look { quiet_until: None, jumped: None });
    }

    #[test]
    fn a_forward_jump_of_more_than_an_hour_is_told_and_followed_by_ten_quiet_minutes() {
        let mut trust = Trust::begin(START, s(0));
        let mut look = |wall_s: u64, at_s| trust.look(START.plus(s(wall_s)), s(at_s));
        assert_eq!(look(700, 700).quiet_until, None);
        assert_eq!(look(760 + 3600, 760), Look { quiet_until: None, jumped: None }, "an hour is no jump");
        assert_eq!(look(820 + 3600 + 3601, 820), Look { quiet_until: Some(s(1420)), jumped: Some(s(3601)) });
        assert_eq!(look(1419 + 7201, 1419), Look { quiet_until: Some(s(1420)), jumped: None }, "told once");
        assert_eq!(look(1420 + 7201, 1420).quiet_until, None);
        assert_eq!(look(1_000_000, 1_000_000 - 7201).jumped, None, "long sleep, same clocks");
    }

    #[test]
    fn a_backward_jump_is_none() {
        let mut trust = Trust::begin(START, s(0));
        assert_eq!(trust.look(START.plus(s(700)), s(700)).quiet_until, None);
        assert_eq!(trust.look(START.minus(s(86_400)), s(760)), Look { quiet_until: None, jumped: None });
        let back = trust.look(START.plus(s(820)), s(820));
        assert_eq!(back.jumped, Some(s(86_400 + 760)), "and its mending is one");
    }
}
