//! A clock that is moved by hand and tells who sleeps by it, so that a test moves it only once somebody waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hookgate::clock::{Clock, ManualClock};
use hookgate::model::Timestamp;
use tokio::sync::watch;

use super::{PATIENCE, soon};

/// See the module.
pub(crate) struct WatchedClock {
    manual: ManualClock,
    sleepers: Arc<watch::Sender<Vec<Duration>>>,
    /// Moving it is one step at a time.
    moving: Mutex<()>,
}

impl WatchedClock {
    /// Shows `wall` and has not run yet.
    pub(crate) fn at(wall: Timestamp) -> Self {
        Self { manual: ManualClock::at(wall), sleepers: Arc::new(watch::channel(Vec::new()).0), moving: Mutex::new(()) }
    }

    /// Both clocks go on by this much; who slept until then wakes.
    pub(crate) fn advance(&self, by: Duration) {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        self.manual.advance(by);
    }

    /// The wall clock alone is set anew.
    pub(crate) fn set_wall(&self, wall: Timestamp) {
        self.manual.set_wall(wall);
    }

    /// The wall clock's whole seconds.
    pub(crate) fn now_s(&self) -> i64 {
        self.wall().unix_s()
    }

    /// Waits until somebody sleeps until a moment between `from` and `to` from now, and says how far off that is.
    pub(crate) async fn sleeper(&self, from: Duration, to: Duration) -> Duration {
        let now = self.monotonic();
        let wanted = |deadline: &&Duration| (now + from..=now + to).contains(*deadline);
        let mut sleepers = self.sleepers.subscribe();
        let found = sleepers.wait_for(|all| all.iter().any(|deadline| wanted(&deadline)));
        let what = || format!("a sleeper between {from:?} and {to:?} at {now:?}; there are {:?}", self.sleepers.borrow());
        let found =
            tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{}", what())).expect("the clock lives");
        *found.iter().find(wanted).expect("found just now") - now
    }

    /// The same, for several sleepers at once.
    pub(crate) async fn sleepers(&self, count: usize, from: Duration, to: Duration) {
        let now = self.monotonic();
        let mut sleepers = self.sleepers.subscribe();
        let all_there =
            |all: &Vec<Duration>| all.iter().filter(|deadline| (now + from..=now + to).contains(*deadline)).count() >= count;
        drop(soon(&format!("{count} sleepers between {from:?} and {to:?}"), sleepers.wait_for(all_there)).await);
    }
}

impl Clock for WatchedClock {
    fn wall(&self) -> Timestamp {
        self.manual.wall()
    }

    fn monotonic(&self) -> Duration {
        self.manual.monotonic()
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        self.sleepers.send_modify(|all| all.push(deadline));
        let asleep = Asleep { deadline, sleepers: Arc::clone(&self.sleepers) };
        let woken = self.manual.sleep_until(deadline);
        Box::pin(async move {
            woken.await;
            drop(asleep);
        })
    }
}

/// On the list until it is dropped.
struct Asleep {
    deadline: Duration,
    sleepers: Arc<watch::Sender<Vec<Duration>>>,
}

impl Drop for Asleep {
    fn drop(&mut self) {
        self.sleepers.send_modify(|all| {
            let at = all.iter().position(|deadline| *deadline == self.deadline).expect("it was put there");
            all.swap_remove(at);
        });
    }
}
