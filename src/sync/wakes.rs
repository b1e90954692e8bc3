//! Wake-ups by name: who waits for work hears of it, also of work that came just before the waiting.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Mutex, Notify, lock};

/// One bell for each name. A ring that nobody waits for is kept, once, for the next who does.
#[derive(Debug)]
pub struct Wakes<K> {
    bells: Mutex<HashMap<K, Arc<Notify>>>,
}

impl<K: Hash + Eq + Clone> Wakes<K> {
    /// No bells yet.
    #[must_use]
    pub fn new() -> Self {
        Self { bells: Mutex::new(HashMap::new()) }
    }

    /// Wakes one who waits for this name, or the next one who will.
    pub fn wake(&self, name: &K) {
        self.bell(name).notify_one();
    }

    /// Ready once the name was woken since the last time.
    pub fn wait(&self, name: &K) -> BoxFuture<'static, ()> {
        let bell = self.bell(name);
        Box::pin(async move { bell.notified().await })
    }

    fn bell(&self, name: &K) -> Arc<Notify> {
        let mut bells = lock(&self.bells);
        if let Some(bell) = bells.get(name) {
            return Arc::clone(bell);
        }
        Arc::clone(bells.entry(name.clone()).or_default())
    }
}

impl<K: Hash + Eq + Clone> Default for Wakes<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_wake_up_before_the_waiting_is_kept_once() {
        let wakes = Wakes::new();
        wakes.wake(&"a");
        wakes.wake(&"a");
        assert!(wakes.wait(&"b").now_or_never().is_none(), "another name's");
        assert!(wakes.wait(&"a").now_or_never().is_some());
        assert!(wakes.wait(&"a").now_or_never().is_none(), "kept once");
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let wakes = Arc::new(Wakes::new());
        let waiting = tokio::spawn(wakes.wait(&"a"));
        wakes.wake(&"a");
        waiting.await.expect("it wakes");
    }
}
