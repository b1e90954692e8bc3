//! Which state of a task may become which, and by what. The store's statements and the tests' model both read this table.

use crate::model::TaskState;

/// What moves a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Somebody takes it, or takes it over after the lease has ended.
    Lease,
    /// Its attempt ended well.
    Finish,
    /// Its attempt failed and another will follow.
    Retry,
    /// Its attempt failed for good.
    Bury,
    /// Its attempt was ended by us.
    GiveBack,
    /// An operator wants it again.
    Redrive,
    /// An operator wants it again although it was done.
    ForceRedrive,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// What moves it.
    pub verb: Verb,
    /// The states that it may leave.
    pub from: &'static [TaskState],
    /// The state that it enters.
    pub to: TaskState,
}

/// Every legal move of a task. What is not here does not happen.
pub const TRANSITIONS: &[Transition] = &[
    Transition { verb: Verb::Lease, from: &[TaskState::Pending, TaskState::Running], to: TaskState::Running },
    Transition { verb: Verb::Finish, from: &[TaskState::Running], to: TaskState::Done },
    Transition { verb: Verb::Retry, from: &[TaskState::Running], to: TaskState::Pending },
    Transition { verb: Verb::Bury, from: &[TaskState::Running], to: TaskState::Dead },
    Transition { verb: Verb::GiveBack, from: &[TaskState::Running], to: TaskState::Pending },
    Transition { verb: Verb::Redrive, from: &[TaskState::Dead], to: TaskState::Pending },
    Transition { verb: Verb::ForceRedrive, from: &[TaskState::Dead, TaskState::Done], to: TaskState::Pending },
];

impl Verb {
    /// Its line of the table.
    #[must_use]
    pub fn transition(self) -> &'static Transition {
        TRANSITIONS.iter().find(|line| line.verb == self).unwrap_or(&TRANSITIONS[0])
    }
}
