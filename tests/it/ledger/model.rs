//! The store as a person would think of it: a list of tasks, over the same table of transitions.

use std::collections::HashMap;
use std::time::Duration;

use hookgate::ledger::{Settlement, Verb};
use hookgate::model::{EventState, TaskState};

/// Times here are microseconds of the ledger's own clock, but for retention's.
pub(super) struct Model {
    pub(super) now: i64,
    pub(super) events: Vec<Event>,
    /// In the order of their making, as the store numbers them.
    pub(super) tasks: Vec<Task>,
    by_name: HashMap<String, usize>,
}

pub(super) struct Event {
    pub(super) name: String,
    /// The number of its first delivery.
    pub(super) first: u64,
    pub(super) body_kept: bool,
    /// Purged altogether.
    pub(super) gone: bool,
    received: i64,
}

pub(super) struct Task {
    pub(super) event: usize,
    pub(super) handler: String,
    pub(super) state: TaskState,
    pub(super) attempts: u32,
    pub(super) tries: u32,
    pub(super) redrives: u32,
    pub(super) due: i64,
    /// When it was done or given up, by the wall clock.
    ended: i64,
    delay: i64,
    /// The newest lease, while it runs.
    holder: u32,
    pub(super) history: Vec<(u32, &'static str)>,
}

/// What a lease should say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) task: usize,
    pub(super) holder: u32,
    pub(super) event: String,
    pub(super) numbers: (u32, u32, u32),
}

impl Task {
    fn may(&self, verb: Verb) -> bool {
        verb.transition().from.contains(&self.state)
    }

    const fn is_open(&self) -> bool {
        matches!(self.state, TaskState::Pending | TaskState::Running)
    }

    fn anew(&mut self, now: i64) {
        (self.state, self.due, self.delay, self.tries) = (TaskState::Pending, now, 0, 0);
        self.redrives += 1;
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).expect("a short time")
}

impl Model {
    pub(super) fn at(now: i64) -> Self {
        Self { now, events: Vec::new(), tasks: Vec::new(), by_name: HashMap::new() }
    }

    /// None for a first delivery, else the number of the one that was.
    pub(super) fn claim(&mut self, name: &str, number: u64, received: i64, handlers: &[&str]) -> Option<u64> {
        if let Some(event) = self.by_name.get(name) {
            return Some(self.events[*event].first);
        }
        self.by_name.insert(name.to_owned(), self.events.len());
        self.events.push(Event { name: name.to_owned(), first: number, body_kept: true, gone: false, received });
        handlers.iter().for_each(|handler| self.make(self.events.len() - 1, handler));
        None
    }

    fn make(&mut self, event: usize, handler: &str) {
        self.tasks.push(Task {
            event,
            handler: handler.to_owned(),
            state: TaskState::Pending,
            attempts: 0,
            tries: 0,
            redrives: 0,
            due: self.now,
            ended: 0,
            delay: 0,
            holder: 0,
            history: Vec::new(),
        });
    }

    pub(super) fn lease(&mut self, handler: &str, limit: usize, lease_for: Duration) -> Vec<Expected> {
        let due = |task: &&usize| {
            let task = &self.tasks[**task];
            task.handler == handler && task.may(Verb::Lease) && task.due <= self.now
        };
        let all: Vec<usize> = (0..self.tasks.len()).collect();
        let mut chosen: Vec<usize> = all.iter().filter(due).copied().collect();
        chosen.sort_by_key(|task| (self.tasks[*task].due, *task));
        chosen.truncate(limit);
        chosen.into_iter().map(|number| self.take(number, lease_for)).collect()
    }

    fn take(&mut self, number: usize, lease_for: Duration) -> Expected {
        let task = &mut self.tasks[number];
        if task.state == TaskState::Running {
            task.history.push((task.attempts, "lost"));
        }
        task.state = Verb::Lease.transition().to;
        (task.attempts, task.tries, task.holder) = (task.attempts + 1, task.tries + 1, task.holder + 1);
        (task.delay, task.due) = (micros(lease_for), self.now + micros(lease_for));
        let event = self.events[task.event].name.clone();
        Expected { task: number, holder: task.holder, event, numbers: (task.attempts, task.tries, task.redrives) }
    }

    pub(super) fn next_due(&self, handler: &str) -> Option<Duration> {
        let due = self.tasks.iter().filter(|task| task.handler == handler && task.is_open()).map(|task| task.due).min()?;
        Some(Duration::from_micros(u64::try_from(due - self.now).unwrap_or(0)))
    }

    /// The event that has this name now.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Whether it is recorded.
    pub(super) fn settle(&mut self, number: usize, holder: u32, settlement: Settlement, wall: i64) -> bool {
        let now = self.now;
        let task = &mut self.tasks[number];
        let verb = match settlement {
            Settlement::Done => Verb::Finish,
            Settlement::RetryIn(_) => Verb::Retry,
            Settlement::Dead(_) => Verb::Bury,
            Settlement::GivenBack => Verb::GiveBack,
        };
        if task.holder != holder || !task.may(verb) {
            return false;
        }
        task.state = verb.transition().to;
        task.ended = wall;
        task.history.push((task.attempts, "answered"));
        if let Settlement::RetryIn(delay) = settlement {
            (task.delay, task.due) = (micros(delay), now + micros(delay));
        }
        if settlement == Settlement::GivenBack {
            (task.delay, task.due, task.tries) = (0, now, task.tries - 1);
        }
        true
    }

    /// How many tasks are due by it, of an event that is there. None where its body is purged.
    pub(super) fn redrive(
        &mut self,
        event: usize,
        only: Option<&str>,
        to: Option<&str>,
        force: bool,
        matching: &[&str],
    ) -> Option<u64> {
        self.events[event].body_kept.then(|| self.redrive_kept(event, only, to, force, matching))
    }

    fn redrive_kept(&mut self, event: usize, only: Option<&str>, to: Option<&str>, force: bool, matching: &[&str]) -> u64 {
        let find = |tasks: &[Task], handler: &str| tasks.iter().position(|task| task.event == event && task.handler == handler);
        let Some(to) = to else {
            if self.tasks.iter().any(|task| task.event == event) {
                return self.anew(event, only, force);
            }
            let wanted: Vec<_> = matching.iter().filter(|handler| only.is_none_or(|only| only == **handler)).collect();
            wanted.iter().for_each(|handler| self.make(event, handler));
            return wanted.len() as u64;
        };
        if find(&self.tasks, to).is_some() {
            return self.anew(event, Some(to), force);
        }
        let Some(only) = only else {
            self.make(event, to);
            return 1;
        };
        let now = self.now;
        let Some(number) = find(&self.tasks, only) else { return 0 };
        let task = &mut self.tasks[number];
        let verb = if force { Verb::ForceRedrive } else { Verb::Redrive };
        if !task.may(verb) && task.state != TaskState::Pending {
            return 0;
        }
        task.anew(now);
        task.handler = to.to_owned();
        1
    }

    fn anew(&mut self, event: usize, only: Option<&str>, force: bool) -> u64 {
        let (now, verb) = (self.now, if force { Verb::ForceRedrive } else { Verb::Redrive });
        let chosen = self.tasks.iter_mut().filter(|task| task.event == event && only.is_none_or(|only| only == task.handler));
        chosen.filter(|task| task.may(verb)).map(|task| task.anew(now)).count() as u64
    }

    /// How many bodies and how many events are purged by it, and which.
    pub(super) fn purge(&mut self, body: Duration, dedupe: Duration, wall: i64) -> (u64, u64, Vec<usize>) {
        let (mut bodies, mut events, mut touched) = (0, 0, Vec::new());
        for number in 0..self.events.len() {
            if self.events[number].gone || !matches!(self.state(number), EventState::Done | EventState::Tombstone) {
                continue;
            }
            let ends = self.tasks.iter().filter(|task| task.event == number).map(|task| task.ended);
            let done = ends.chain([self.events[number].received]).max().expect("it was received");
            let event = &mut self.events[number];
            if event.body_kept && done <= wall - micros(body) {
                event.body_kept = false;
                bodies += 1;
                touched.push(number);
            }
            if !event.body_kept && done <= wall - micros(dedupe) {
                event.gone = true;
                self.by_name.remove(&event.name);
                events += 1;
                touched.push(number);
            }
        }
        (bodies, events, touched)
    }

    /// The store is closed and opened when the wall clock shows `wall`.
    pub(super) fn restart(&mut self, wall: i64) {
        self.now = wall;
        for task in &mut self.tasks {
            match task.state {
                TaskState::Running => task.due = wall + task.delay,
                TaskState::Pending => task.due = task.due.min(wall + task.delay),
                TaskState::Done | TaskState::Dead => {}
            }
        }
    }

    pub(super) fn state(&self, event: usize) -> EventState {
        let any = |wanted: fn(&Task) -> bool| self.tasks.iter().any(|task| task.event == event && wanted(task));
        if any(Task::is_open) {
            EventState::Accepted
        } else if any(|task| task.state == TaskState::Dead) {
            EventState::Dead
        } else if self.events[event].body_kept {
            EventState::Done
        } else {
            EventState::Tombstone
        }
    }
}
