//! Random histories: at each step the store must say what the model says.

use std::time::Duration;

use fastrand::Rng;
use hookgate::ledger::{Claim, Lease, LedgerError, Redrive, Retention, Settled, Settlement};
use hookgate::model::{HandlerName, Reason};

use super::model::{Event, Model};
use crate::helpers::evidence::{BEGIN, delivery, handler};
use crate::helpers::store::{Stand, pair};

const HANDLERS: [&str; 4] = ["a", "b", "c", "d"];
/// Steps of all histories together, where nobody wants more.
const STEPS: u64 = 20_000;
/// Steps of one history: the model looks at all of its tasks each time.
const STEPS_OF_ONE: u64 = 5_000;

#[expect(clippy::disallowed_methods, reason = "how long to look is the runner's choice")]
fn steps() -> u64 {
    std::env::var("HOOKGATE_HISTORY_STEPS").map_or(STEPS, |steps| steps.parse().expect("a number of steps"))
}

/// A store, the model of it, and the leases that somebody still holds, stale ones too.
struct History {
    stand: Stand,
    model: Model,
    rng: Rng,
    leases: Vec<(Lease, usize, u32)>,
    deliveries: u64,
    /// How far the wall clock is ahead of the ledger's own, in microseconds.
    wall_ahead: i64,
}

#[tokio::test]
async fn random_histories_agree_with_the_model() {
    for seed in 0..steps().div_ceil(STEPS_OF_ONE) {
        let model = Model::at(BEGIN.0);
        let rng = Rng::with_seed(seed);
        let mut history = History { stand: Stand::sqlite(), model, rng, leases: Vec::new(), deliveries: 0, wall_ahead: 0 };
        for step in 0..steps().min(STEPS_OF_ONE) {
            let at = format!("seed {seed}, step {step}");
            history.step(&at).await;
        }
    }
}

impl History {
    fn any_handler(&mut self) -> &'static str {
        HANDLERS[self.rng.usize(..HANDLERS.len())]
    }

    fn some_handlers(&mut self) -> Vec<&'static str> {
        HANDLERS.into_iter().filter(|_| self.rng.u8(..3) == 0).collect()
    }

    fn maybe_handler(&mut self) -> Option<&'static str> {
        self.rng.bool().then(|| self.any_handler())
    }

    async fn step(&mut self, at: &str) {
        match self.rng.u32(..1000) {
            0..300 => self.claim(at).await,
            300..600 => self.lease(at).await,
            600..850 => self.settle(at).await,
            850..930 => self.redrive(at).await,
            930..940 => self.purge(at).await,
            940..990 => self.advance(),
            990..995 => self.set_wall(),
            _ => self.restart().await,
        }
    }

    async fn claim(&mut self, at: &str) {
        // About every second claim is a repeat.
        let known = self.model.events.len();
        let name = format!("evt_{}", if self.rng.bool() { known } else { self.rng.usize(..=known) });
        let handlers = self.some_handlers();
        self.deliveries += 1;
        let said = self.stand.claim(&name, self.deliveries, &handlers).await;
        let found = match said {
            Claim::First => None,
            Claim::Found(found) => Some(found.key),
        };
        let received = BEGIN.0 + i64::try_from(self.deliveries).expect("a small number");
        let expected = self.model.claim(&name, self.deliveries, received, &handlers);
        assert_eq!(found, expected.map(delivery), "{at}: who is first of {name}");
        self.compare_named(&name, at).await;
    }

    async fn lease(&mut self, at: &str) {
        let (name, limit) = (self.any_handler(), self.rng.usize(..5));
        let lease_for = Duration::from_millis(self.rng.u64(1..60_000));
        let said = self.stand.store.lease_tasks(&handler(name), limit, lease_for).await.expect("leases");
        let expected = self.model.lease(name, limit, lease_for);
        assert_eq!(said.work.len(), expected.len(), "{at}: how many are due");
        assert_eq!(said.next_due, self.model.next_due(name), "{at}: when the next is due");
        for (work, expected) in said.work.into_iter().zip(expected) {
            let numbers = (work.attempt, work.tries, work.redrives);
            assert_eq!(
                (work.event_id.as_str(), numbers),
                (expected.event.as_str(), expected.numbers),
                "{at}: which, which attempt"
            );
            self.leases.push((work.lease, expected.task, expected.holder));
            self.compare(self.model.tasks[expected.task].event, at).await;
        }
    }

    async fn settle(&mut self, at: &str) {
        if self.leases.is_empty() {
            return;
        }
        let (lease, task, holder) = self.leases.swap_remove(self.rng.usize(..self.leases.len()));
        let settlement = match self.rng.u8(..5) {
            0 | 1 => Settlement::RetryIn(Duration::from_millis(self.rng.u64(..600_000))),
            2 => Settlement::Done,
            3 => Settlement::GivenBack,
            _ => Settlement::Dead(Reason::AttemptsExhausted),
        };
        let expected =
            if self.model.settle(task, holder, settlement, self.wall()) { Settled::Recorded } else { Settled::LeaseLost };
        assert_eq!(self.stand.settle(lease, settlement).await, expected, "{at}: whether the lease counts");
        self.compare(self.model.tasks[task].event, at).await;
    }

    async fn redrive(&mut self, at: &str) {
        if self.model.events.is_empty() {
            return;
        }
        let event = self.rng.usize(..self.model.events.len());
        let (only, to) = (self.maybe_handler(), self.maybe_handler());
        let (force, matching) = (self.rng.bool(), self.some_handlers());
        let named = |name: Option<&str>| name.map(handler);
        let how = Redrive {
            handler: named(only),
            to_handler: named(to),
            force,
            matching: matching.iter().map(|name| handler(name)).collect::<Vec<HandlerName>>(),
        };
        // A name that was purged may have come again.
        let name = self.model.events[event].name.clone();
        let said = self.stand.redrive(&name, how).await;
        let Some(event) = self.model.find(&name) else {
            return assert_eq!(said, Err(LedgerError::NotFound), "{at}: {name} is purged");
        };
        let expected = self.model.redrive(event, only, to, force, &matching).ok_or(LedgerError::BodyPurged);
        assert_eq!(said, expected, "{at}: only {only:?}, to {to:?}, force {force}, matching {matching:?}");
        self.compare(event, at).await;
    }

    async fn purge(&mut self, at: &str) {
        let body = Duration::from_secs(self.rng.u64(..3_600));
        let dedupe = body + Duration::from_secs(self.rng.u64(..3_600));
        let said = self.stand.purge(Retention { body, dedupe, log: Duration::ZERO, log_bytes: 0 }).await;
        let (bodies, events, touched) = self.model.purge(body, dedupe, self.wall());
        assert_eq!((said.bodies, said.events), (bodies, events), "{at}: bodies after {body:?}, events after {dedupe:?}");
        for event in touched {
            self.compare(event, at).await;
        }
    }

    fn wall(&self) -> i64 {
        self.model.now + self.wall_ahead
    }

    fn advance(&mut self) {
        let by = Duration::from_millis(self.rng.u64(..120_000));
        self.stand.clock.advance(by);
        self.model.now += i64::try_from(by.as_micros()).expect("a short time");
    }

    fn set_wall(&mut self) {
        self.wall_ahead = self.rng.i64(-86_400_000_000..86_400_000_000);
        self.stand.clock.set_wall(hookgate::model::Timestamp(self.model.now + self.wall_ahead));
    }

    async fn restart(&mut self) {
        self.stand.restart().await;
        let wall = self.model.now + std::mem::take(&mut self.wall_ahead);
        self.model.restart(wall);
    }

    async fn compare_named(&self, name: &str, at: &str) {
        let event = self.model.find(name).expect("it was claimed");
        self.compare(event, at).await;
    }

    /// The whole event.
    async fn compare(&self, event: usize, at: &str) {
        let Event { name, gone, body_kept, .. } = &self.model.events[event];
        if *gone {
            if self.model.find(name).is_none() {
                let found = self.stand.store.find(pair(name)).await.expect("a read");
                assert_eq!(found, None, "{at}: {name} is purged");
            }
            return;
        }
        let report = self.stand.report(name).await;
        assert_eq!(report.body_kept, *body_kept, "{at}: the body of {name}");
        assert_eq!(report.state, self.model.state(event), "{at}: where {name} stands");
        assert_eq!(report.key, delivery(self.model.events[event].first).0, "{at}");
        let said: Vec<_> = report
            .tasks
            .iter()
            .map(|task| {
                let history: Vec<_> = task.attempts.iter().map(|attempt| (attempt.number, attempt.outcome.as_str())).collect();
                (task.handler.as_str(), task.state, task.redrives, task.due_at.map(|due| due.0), history)
            })
            .collect();
        let expected: Vec<_> = self
            .model
            .tasks
            .iter()
            .filter(|task| task.event == event)
            .map(|task| {
                let due = matches!(task.state.as_str(), "pending" | "running").then_some(task.due);
                (task.handler.as_str(), task.state, task.redrives, due, task.history.clone())
            })
            .collect();
        assert_eq!(said, expected, "{at}: the tasks of {name}");
    }
}
