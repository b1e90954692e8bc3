//! Bounds on what is in hand: requests, and bytes of bodies.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is in hand over all sources.
#[derive(Debug)]
pub struct Load {
    requests: Arc<Semaphore>,
    requests_max: Mutex<usize>,
    /// Places too many, to be taken away as requests leave.
    owed: AtomicUsize,
    bytes: Arc<Budget>,
}

impl Load {
    /// At most so many requests, and so many bytes of bodies; one source takes at most half of these.
    #[must_use]
    pub fn new(requests_max: usize, body_bytes_max: u64) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(requests_max)),
            requests_max: Mutex::new(requests_max),
            owed: AtomicUsize::new(0),
            bytes: Arc::new(Budget::new(body_bytes_max)),
        }
    }

    /// Other bounds from now on. What is in hand stays; where it is more than that, nothing is added until it is less.
    pub fn set(&self, requests_max: usize, body_bytes_max: u64) {
        self.bytes.max.store(body_bytes_max, Ordering::Relaxed);
        let mut most = self.requests_max.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = self.owed.load(Ordering::Relaxed);
        // What is owed still counts as there.
        let (there, wanted) = (*most + owed, requests_max);
        self.requests.add_permits(wanted.saturating_sub(there));
        self.owed.store(there.saturating_sub(wanted), Ordering::Relaxed);
        *most = wanted;
        drop(most);
        self.pay();
    }

    /// Takes away what is owed, as far as it is free.
    fn pay(&self) {
        if self.owed.load(Ordering::Relaxed) == 0 {
            return;
        }
        let _one_at_a_time = self.requests_max.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = self.owed.load(Ordering::Relaxed);
        self.owed.store(owed - self.requests.forget_permits(owed), Ordering::Relaxed);
    }

    /// A place for a request, if there is one now.
    #[must_use]
    pub fn try_enter(&self) -> Option<OwnedSemaphorePermit> {
        self.pay();
        Arc::clone(&self.requests).try_acquire_owned().ok()
    }

    /// A place for a request, once there is one.
    pub async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let place = Arc::clone(&self.requests).acquire_owned().await.ok()?;
            if let Some(place) = self.unless_owed(place) {
                return Some(place);
            }
        }
    }

    /// Pays with a place that came to who waited for one, and so was never free.
    fn unless_owed(&self, place: OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        let _one_at_a_time = self.requests_max.lock().unwrap_or_else(PoisonError::into_inner);
        match self.owed.load(Ordering::Relaxed).checked_sub(1) {
            None => Some(place),
            Some(less) => {
                self.owed.store(less, Ordering::Relaxed);
                place.forget();
                None
            }
        }
    }

    /// The share of one source.
    #[must_use]
    pub(super) fn share(&self) -> Arc<Budget> {
        Arc::new(Budget::new(self.bytes.max.load(Ordering::Relaxed).div_ceil(2)))
    }

    /// The same share, by the present bounds.
    pub(super) fn renew(&self, share: &Budget) {
        share.max.store(self.bytes.max.load(Ordering::Relaxed).div_ceil(2), Ordering::Relaxed);
    }

    /// An account for one body of a source.
    #[must_use]
    pub(super) fn body(&self, share: &Arc<Budget>) -> Held {
        Held { all: Arc::clone(&self.bytes), share: Arc::clone(share), bytes: 0 }
    }
}

/// Bytes in use, and the most that may be.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    max: AtomicU64,
}

impl Budget {
    const fn new(max: u64) -> Self {
        Self { used: AtomicU64::new(0), max: AtomicU64::new(max) }
    }

    fn take(&self, bytes: u64) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes of one body, given back when it is let go.
#[derive(Debug)]
pub struct Held {
    all: Arc<Budget>,
    share: Arc<Budget>,
    bytes: u64,
}

impl Held {
    /// Takes more bytes, as they arrive; false where the budget is spent.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        if !self.share.take(bytes) {
            return false;
        }
        if !self.all.take(bytes) {
            self.share.give_back(bytes);
            return false;
        }
        self.bytes += bytes;
        true
    }

    /// The same bytes, not copied, which carry what this account holds: it is given back with the last clone of them, wherever
    /// that is. Who waited for an answer may be gone long before.
    #[must_use]
    pub fn attach(&mut self, body: Bytes) -> Bytes {
        let bytes = std::mem::take(&mut self.bytes);
        let held = Self { all: Arc::clone(&self.all), share: Arc::clone(&self.share), bytes };
        Bytes::from_owner(Accounted { body, _held: held })
    }
}

/// A body and its account.
struct Accounted {
    body: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Accounted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.share.give_back(self.bytes);
        self.all.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_source_takes_at_most_half_of_the_bytes_and_gives_them_back() {
        let load = Load::new(1, 100);
        let (greedy, other) = (load.share(), load.share());
        let mut first = load.body(&greedy);
        assert!(first.grow(50));
        assert!(!first.grow(1), "half is the most");
        let mut second = load.body(&other);
        assert!(second.grow(50));
        assert!(!load.body(&load.share()).grow(1), "all is taken");
        drop(first);
        assert!(load.body(&greedy).grow(50), "what was given back can be taken");
    }

    #[test]
    fn what_a_body_took_is_given_back_with_its_last_clone_and_costs_no_copy() {
        let load = Load::new(1, 100);
        let share = load.share();
        let mut held = load.body(&share);
        assert!(held.grow(50));
        let plain = Bytes::from(vec![b'x'; 50]);
        let body = held.attach(plain.clone());
        assert_eq!((body.as_ptr(), &body), (plain.as_ptr(), &plain));
        let part = body.clone().slice(10..20);
        drop((held, body));
        assert!(!load.body(&share).grow(1), "a part of the bytes is still there");
        drop(part);
        assert!(load.body(&share).grow(50));
    }

    #[test]
    fn other_bounds_hold_from_the_next_request_on() {
        let load = Load::new(3, 100);
        let mut places: Vec<_> = (0..3).map(|_| load.try_enter().expect("a place")).collect();
        load.set(1, 40);
        for _ in 0..2 {
            drop(places.pop());
            assert!(load.try_enter().is_none(), "more than one is still in hand");
        }
        load.set(2, 40);
        places.push(load.try_enter().expect("the second place"));
        assert!(load.try_enter().is_none());
        places.clear();
        places = std::iter::from_fn(|| load.try_enter()).collect();
        assert_eq!(places.len(), 2);
        let share = load.share();
        assert!(!load.body(&share).grow(21), "half of 40 is the most");
        load.set(2, 100);
        load.renew(&share);
        assert!(load.body(&share).grow(50));
    }

    #[tokio::test]
    async fn who_waits_for_a_place_gets_none_that_is_one_too_many() {
        let load = Load::new(2, 0);
        let (first, second) = (load.try_enter(), load.try_enter());
        let mut waits = Box::pin(load.enter());
        assert!((&mut waits).now_or_never().is_none(), "all are taken");
        load.set(1, 0);
        drop(first);
        assert!((&mut waits).now_or_never().is_none(), "one is still in hand");
        drop(second);
        assert!(waits.await.is_some());
    }

    #[test]
    fn a_place_is_free_again_once_it_is_left() {
        let load = Load::new(1, 0);
        let place = load.try_enter();
        assert!(place.is_some());
        assert!(load.try_enter().is_none());
        drop(place);
        assert!(load.try_enter().is_some());
    }
}
