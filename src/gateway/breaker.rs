//! The breaker of a handler: after so many failures in a row it is left alone, but for a probe from time to time. Pure.

use std::time::Duration;

/// From the last failure to the first probe.
const PROBE_FIRST: Duration = Duration::from_secs(5);
/// Each probe that fails doubles the wait for the next, up to this.
const PROBE_MAX: Duration = Duration::from_secs(60);

/// What a call said about its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It did its work.
    Well,
    /// It did not.
    Ill,
    /// Nothing: the call was not made.
    Unknown,
}

/// What may be called now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// As many as there are slots.
    All,
    /// One, to see.
    Probe,
    /// Nothing before this monotonic time.
    NotBefore(Duration),
    /// Nothing until the probe has ended.
    Probing,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is left alone from now on; the first probe comes after this long.
    Opened(Duration),
    /// It is called as before.
    Closed,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    wait: Duration,
    probe_at: Duration,
    probing: bool,
}

impl Breaker {
    /// What may be called at this monotonic time.
    pub(super) fn leave(&self, now: Duration) -> Leave {
        match self.open {
            None => Leave::All,
            Some(Open { probing: true, .. }) => Leave::Probing,
            Some(Open { probe_at, .. }) if now < probe_at => Leave::NotBefore(probe_at),
            Some(_) => Leave::Probe,
        }
    }

    /// A probe is on its way.
    pub(super) fn probe(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = true;
        }
    }

    /// The probe is in nobody's hand any more.
    pub(super) fn probe_gone(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = false;
        }
    }

    /// A call has ended. `most` failures in a row open it; zero never does.
    pub(super) fn ended(&mut self, health: Health, was_probe: bool, most: u32, now: Duration) -> Option<Change> {
        if was_probe {
            self.probe_gone();
        }
        match (health, &mut self.open) {
            (Health::Unknown, _) => None,
            (Health::Well, open) => {
                self.failures = 0;
                open.take().map(|_closed| Change::Closed)
            }
            (Health::Ill, Some(open)) => {
                self.failures = self.failures.saturating_add(1);
                // Calls that began before it opened tell nothing new.
                if was_probe {
                    open.wait = (open.wait * 2).min(PROBE_MAX);
                    open.probe_at = now + open.wait;
                }
                None
            }
            (Health::Ill, open @ None) => {
                self.failures = self.failures.saturating_add(1);
                if most == 0 || self.failures < most {
                    return None;
                }
                *open = Some(Open { wait: PROBE_FIRST, probe_at: now + PROBE_FIRST, probing: false });
                Some(Change::Opened(PROBE_FIRST))
            }
        }
    }

    /// An operator knows that it is well again.
    pub(super) fn reset(&mut self) -> Option<Change> {
        self.failures = 0;
        self.open.take().map(|_closed| Change::Closed)
    }

    /// Failures in a row, and when the next probe is due where it is open.
    pub(super) fn state(&self) -> (u32, Option<Duration>) {
        (self.failures, self.open.map(|open| open.probe_at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn ten_failures_in_a_row_open_it_and_nine_do_not() {
        let mut breaker = Breaker::default();
        for _ in 0..9 {
            assert_eq!(breaker.ended(Health::Ill, false, 10, s(1)), None);
        }
        assert_eq!(breaker.ended(Health::Well, false, 10, s(1)), None);
        for _ in 0..9 {
            assert_eq!(breaker.ended(Health::Ill, false, 10, s(1)), None);
            assert_eq!(breaker.ended(Health::Unknown, false, 10, s(1)), None, "a call that was not made tells nothing");
        }
        assert_eq!(breaker.leave(s(1)), Leave::All);
        assert_eq!(breaker.ended(Health::Ill, false, 10, s(1)), Some(Change::Opened(s(5))));
        assert_eq!(breaker.leave(s(1)), Leave::NotBefore(s(6)));
    }

    #[test]
    fn one_probe_at_a_time_and_each_failed_one_doubles_the_wait_up_to_a_minute() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.ended(Health::Ill, false, 1, s(0)), Some(Change::Opened(s(5))));
        let mut now = s(0);
        for wait in [5, 10, 20, 40, 60, 60] {
            assert_eq!(breaker.leave(now), Leave::NotBefore(now + s(wait)));
            now += s(wait);
            assert_eq!(breaker.leave(now), Leave::Probe);
            breaker.probe();
            assert_eq!(breaker.leave(now), Leave::Probing);
            assert_eq!(breaker.ended(Health::Ill, false, 1, now), None, "an older call");
            assert_eq!(breaker.leave(now), Leave::Probing);
            assert_eq!(breaker.ended(Health::Ill, true, 1, now), None);
        }
        now += s(60);
        breaker.probe();
        assert_eq!(breaker.ended(Health::Well, true, 1, now), Some(Change::Closed));
        assert_eq!(breaker.leave(now), Leave::All);
        assert_eq!(breaker.ended(Health::Ill, false, 1, now), Some(Change::Opened(s(5))), "the schedule begins anew");
    }

    #[test]
    fn a_probe_that_could_not_be_made_is_made_again() {
        let mut breaker = Breaker::default();
        breaker.ended(Health::Ill, false, 1, s(0));
        breaker.probe();
        assert_eq!(breaker.ended(Health::Unknown, true, 1, s(5)), None);
        assert_eq!(breaker.leave(s(5)), Leave::Probe);
    }

    proptest! {
        #[test]
        fn it_never_stays_shut_once_a_call_went_well(calls in prop::collection::vec((0..3_u8, any::<bool>()), 0..60), most in 0..5_u32) {
            let mut breaker = Breaker::default();
            let mut row = 0;
            for (second, (kind, probe)) in calls.into_iter().enumerate() {
                let health = [Health::Well, Health::Ill, Health::Unknown][usize::from(kind)];
                row = match health { Health::Well => 0, Health::Ill => row + 1, Health::Unknown => row };
                breaker.ended(health, probe, most, s(second as u64));
                let open = breaker.leave(s(0)) != Leave::All || breaker.leave(s(10_000)) != Leave::All;
                prop_assert_eq!(open, most > 0 && row >= most);
            }
        }
    }
}
