//! The primitives that threads and tasks meet by, and the two meeting points built on them.
//!
//! The writer, its queue and the wake-ups take their locks, conditions and hand-overs from here, so that an explorer of schedules can
//! put its own in their place. This room knows nothing of what is handed over.

mod queue;
mod wakes;

use std::sync::PoisonError;
use std::time::Instant;

pub use std::sync::{Condvar, Mutex, MutexGuard};
pub use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};

pub use queue::{
    CLAIMS_PER_GROUP, Entry, FEW_ENTRIES, GROUP_BYTES, Group, NOTES_HELD, NOTES_PER_GROUP, NOTES_TOGETHER, Place, Popped, Queue,
    Refused,
};
pub use wakes::Wakes;

/// The time that a condition variable's own timeouts go by; no clock of ours moves those.
#[expect(clippy::disallowed_methods, reason = "part of the seam, as the condition variable is")]
fn now() -> Instant {
    Instant::now()
}

/// Takes a lock also where its last holder panicked: each of our critical sections leaves its data whole at any point.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
