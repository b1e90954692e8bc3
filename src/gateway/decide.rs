//! Judgement, pure: what becomes of a task after an attempt, and what a repeat of a known event is.

use std::time::Duration;

use super::content::Content;
use crate::ledger::Settlement;
use crate::model::{CommandEnd, Ending, Outcome, Reason};

/// The status by which a handler says "never again".
const GONE: u16 = 410;
/// A handler's `Retry-After` is honoured up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// After a call that could not be made, where the schedule has no delay.
const UNSENT_PAUSE: Duration = Duration::from_secs(5);
/// Each delay is varied by up to this share, so that tasks that failed together do not come back together.
const JITTER: f64 = 0.2;

/// What a handler's operator wants done about failures.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Delays between attempts; one more attempt than delays.
    pub delays: Vec<Duration>,
    /// Statuses that end a task for good, besides 410; of a command its exit codes.
    pub final_statuses: Vec<u16>,
}

/// What becomes of a task whose `tries`-th attempt of the present schedule ended so. `random` is in [-1, 1].
#[must_use]
pub fn settle(tries: u32, outcome: &Outcome, policy: &RetryPolicy, random: f64) -> Settlement {
    let retry_after = match outcome {
        Outcome::Answered { status: 200..=299, .. } | Outcome::Succeeded => return Settlement::Done,
        Outcome::Refused(_) => return Settlement::Dead(Reason::HandlerRefused),
        Outcome::Answered { status, .. } if *status == GONE || policy.final_statuses.contains(status) => {
            return Settlement::Dead(Reason::HandlerRefused);
        }
        Outcome::Answered { retry_after, .. } | Outcome::Failed { retry_after, .. } => *retry_after,
        Outcome::Command(CommandEnd { ending, .. }) => match ending {
            Ending::Exited(0) => return Settlement::Done,
            Ending::Exited(code) if policy.final_statuses.contains(&u16::from(*code)) => {
                return Settlement::Dead(Reason::HandlerRefused);
            }
            Ending::Stopped => return Settlement::GivenBack,
            Ending::Exited(_) | Ending::Signalled(_) | Ending::TimedOut => None,
        },
        Outcome::TimedOut | Outcome::Broken(_) | Outcome::Unsent(_) => None,
    };
    let index = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    // A call that we could not make is no fault of the handler's, so it ends no task.
    let last = policy.delays.last().copied().unwrap_or(UNSENT_PAUSE);
    match policy.delays.get(index).copied().or_else(|| matches!(outcome, Outcome::Unsent(_)).then_some(last)) {
        None => Settlement::Dead(Reason::AttemptsExhausted),
        Some(delay) => {
            let varied = delay.mul_f64(1.0 + JITTER * random.clamp(-1.0, 1.0));
            let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
            Settlement::RetryIn(varied.max(asked))
        }
    }
}

/// How a repeat's body relates to the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Only where the provider's repeats may differ: a duplicate.
    Harmless,
    /// Elsewhere: a conflict.
    Conflict,
}

/// Compares a repeat's body with the first one, which differs in its digest. Parsed where both are JSON that can mean only one
/// thing, numbers as they are written; else byte for byte.
/// `volatile` are the JSON pointers under which the provider's repeats may differ.
#[must_use]
pub fn compare(first: &[u8], repeat: &[u8], volatile: &[String]) -> Difference {
    let (Some(mut first), Some(mut repeat)) = (Content::read(first), Content::read(repeat)) else { return Difference::Conflict };
    for pointer in volatile {
        first.blank(pointer);
        repeat.blank(pointer);
    }
    if first == repeat { Difference::Harmless } else { Difference::Conflict }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Output;

    fn policy() -> RetryPolicy {
        RetryPolicy { delays: [5, 30, 120].map(Duration::from_secs).to_vec(), final_statuses: vec![422] }
    }

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None }
    }

    #[test]
    fn a_2xx_is_done_and_410_or_a_final_status_is_dead_at_once() {
        for status in [200, 201, 204, 299] {
            assert_eq!(settle(1, &answered(status), &policy(), 0.0), Settlement::Done);
        }
        for status in [410, 422] {
            assert_eq!(settle(1, &answered(status), &policy(), 0.0), Settlement::Dead(Reason::HandlerRefused));
        }
    }

    fn command(ending: Ending) -> Outcome {
        Outcome::Command(CommandEnd { ending, output: Output::default() })
    }

    #[test]
    fn a_command_is_done_by_exit_0_dead_by_a_final_code_and_else_tried_again() {
        let policy = RetryPolicy { final_statuses: vec![3, 255], ..policy() };
        let after = |ending| settle(1, &command(ending), &policy, 0.0);
        let again = Settlement::RetryIn(Duration::from_secs(5));
        assert_eq!(after(Ending::Exited(0)), Settlement::Done);
        for code in 1..=255 {
            let dead = [3, 255].contains(&code).then_some(Settlement::Dead(Reason::HandlerRefused));
            assert_eq!(after(Ending::Exited(code)), dead.unwrap_or(again), "{code}");
        }
        for ending in [Ending::Signalled(3), Ending::Signalled(9), Ending::TimedOut] {
            assert_eq!(after(ending), again, "{ending:?}");
        }
        for tries in [1, 4, 1000] {
            assert_eq!(settle(tries, &command(Ending::Stopped), &policy, 0.0), Settlement::GivenBack, "it costs no attempt");
        }
        let gone = RetryPolicy { final_statuses: Vec::new(), ..policy };
        assert_eq!(settle(4, &command(Ending::Exited(75)), &gone, 0.0), Settlement::Dead(Reason::AttemptsExhausted));
    }

    #[test]
    fn every_other_outcome_is_tried_again_by_the_schedule_until_it_is_used_up() {
        let outcomes =
            [answered(199), answered(301), answered(400), answered(500), Outcome::TimedOut, Outcome::Broken("reset".into())];
        for outcome in outcomes {
            for (tries, seconds) in [(1, 5), (2, 30), (3, 120)] {
                assert_eq!(
                    settle(tries, &outcome, &policy(), 0.0),
                    Settlement::RetryIn(Duration::from_secs(seconds)),
                    "{outcome:?}"
                );
            }
            assert_eq!(settle(4, &outcome, &policy(), 0.0), Settlement::Dead(Reason::AttemptsExhausted), "{outcome:?}");
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_an_hour_and_never_shortens_a_delay() {
        let after = |seconds| Outcome::Answered { status: 503, retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(settle(1, &after(60), &policy(), 0.0), Settlement::RetryIn(Duration::from_secs(60)));
        assert_eq!(settle(1, &after(7200), &policy(), 0.0), Settlement::RetryIn(Duration::from_secs(3600)));
        assert_eq!(settle(2, &after(1), &policy(), 0.0), Settlement::RetryIn(Duration::from_secs(30)));
    }

    #[test]
    fn a_call_that_we_could_not_make_ends_no_task() {
        let unsent = Outcome::Unsent("no descriptor left".to_owned());
        assert_eq!(settle(1, &unsent, &policy(), 0.0), Settlement::RetryIn(Duration::from_secs(5)));
        assert_eq!(settle(9, &unsent, &policy(), 0.0), Settlement::RetryIn(Duration::from_secs(120)));
        let none = RetryPolicy { delays: vec![], final_statuses: vec![] };
        assert_eq!(settle(1, &unsent, &none, 0.0), Settlement::RetryIn(Duration::from_secs(5)));
    }

    proptest! {
        #[test]
        fn a_delay_varies_by_a_fifth_at_most(tries in 1_u32..=3, random in -10.0_f64..10.0) {
            let Settlement::RetryIn(delay) = settle(tries, &Outcome::TimedOut, &policy(), random) else { panic!("retries") };
            let planned = policy().delays[tries as usize - 1].as_secs_f64();
            prop_assert!((planned * 0.799..=planned * 1.201).contains(&delay.as_secs_f64()));
        }
    }

    #[test]
    fn a_repeat_that_differs_only_where_it_may_is_no_conflict() {
        let volatile = ["/pending_webhooks".to_owned()];
        let first = br#"{"id":"evt_1","pending_webhooks":2,"data":{"a":1}}"#;
        assert_eq!(
            compare(first, br#"{"id": "evt_1", "data": {"a": 1}, "pending_webhooks": 0}"#, &volatile),
            Difference::Harmless
        );
        assert_eq!(compare(first, br#"{"id":"evt_1","pending_webhooks":2,"data":{"a":2}}"#, &volatile), Difference::Conflict);
        assert_eq!(
            compare(first, br#"{"id":"evt_1","data":{"a":1}}"#, &volatile),
            Difference::Conflict,
            "a path that is missing differs"
        );
        for (first, repeat) in [
            ("{\"amount\":9007199254740993}", "{\"amount\":9007199254740992}"),
            ("{\"amount\":0.1}", "{\"amount\":0.1000000000000000055}"),
            ("{\"amount\":1}", "{\"amount\":1,\"amount\":1}"),
            ("{\"amount\":1}", "{\"amount\":1000000,\"amount\":1}"),
            ("{\"amount\":1,\"amount\":2}", "{\"amount\":1, \"amount\":2}"),
        ] {
            assert_eq!(compare(first.as_bytes(), repeat.as_bytes(), &volatile), Difference::Conflict, "{first} {repeat}");
        }
        assert_eq!(compare(b"a=1", b"a=2", &volatile), Difference::Conflict);
        assert_eq!(compare(first, b"a=2", &volatile), Difference::Conflict);
    }
}
