//! What happened so far, counted, and whether the gateway is up: everybody waits on these and not on time.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::PATIENCE;

/// What can be counted before a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A delivery was sent.
    Sent,
    /// A delivery was answered.
    Answered,
    /// A handler was called.
    Called,
}

impl Mark {
    /// As often as each is worth a kill.
    pub(super) const ALL: [Self; 4] = [Self::Sent, Self::Answered, Self::Answered, Self::Called];
}

/// What the gateway is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing: it was killed, or is not ready yet.
    Down,
    /// Running, to be killed.
    Up,
    /// Running to the end.
    Stays,
}

#[derive(Debug)]
struct Counts {
    phase: Phase,
    beats: [u64; 3],
    kills: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pulse {
    now: Mutex<Counts>,
    changed: Condvar,
}

impl Pulse {
    pub(super) const fn new() -> Self {
        Self { now: Mutex::new(Counts { phase: Phase::Down, beats: [0; 3], kills: 0 }), changed: Condvar::new() }
    }

    pub(super) fn beat(&self, mark: Mark) {
        self.change(|counts| counts.beats[mark as usize] += 1);
    }

    /// Counting begins anew.
    pub(super) fn gateway_is_up(&self) {
        self.change(|counts| (counts.phase, counts.beats) = (Phase::Up, [0; 3]));
    }

    pub(super) fn gateway_was_killed(&self) {
        self.change(|counts| {
            counts.phase = Phase::Down;
            counts.kills += 1;
        });
    }

    pub(super) fn gateway_stays_up(&self) {
        self.change(|counts| counts.phase = Phase::Stays);
    }

    /// Until so many beats were counted since the gateway came up. They come as long as somebody drives.
    pub(super) fn wait_for(&self, mark: Mark, beats: u64) {
        let late = self.wait(PATIENCE, |counts| counts.beats[mark as usize] >= beats);
        assert!(!late, "waited {PATIENCE:?} for {beats} x {mark:?}");
    }

    /// Until there is a gateway to talk to.
    pub(super) fn wait_until_up(&self) {
        let late = self.wait(PATIENCE, |counts| counts.phase != Phase::Down);
        assert!(!late, "waited {PATIENCE:?} for the gateway");
    }

    /// Until the next kill, but not longer than this, and not at all once there will be none. Says whether it came.
    pub(super) fn wait_for_kill(&self, at_most: Duration) -> bool {
        let kills = self.now.lock().expect("nobody panicked").kills;
        self.wait(at_most, |counts| counts.kills > kills || counts.phase == Phase::Stays);
        self.now.lock().expect("nobody panicked").kills > kills
    }

    /// Says whether it took longer than it may.
    fn wait(&self, at_most: Duration, holds: impl Fn(&Counts) -> bool) -> bool {
        let counts = self.now.lock().expect("nobody panicked");
        let waited = self.changed.wait_timeout_while(counts, at_most, |counts| !holds(counts));
        waited.expect("nobody panicked").1.timed_out()
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.now.lock().expect("nobody panicked"));
        self.changed.notify_all();
    }
}
