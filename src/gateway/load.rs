//! Bounds on what is in hand: requests, and bytes of bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is in hand over all sources.
#[derive(Debug)]
pub struct Load {
    requests: Arc<Semaphore>,
    bytes: Arc<Budget>,
    source_bytes_max: u64,
}

impl Load {
    /// At most so many requests, and so many bytes of bodies; one source takes at most half of these.
    #[must_use]
    pub fn new(requests_max: usize, body_bytes_max: u64) -> Self {
        let bytes = Arc::new(Budget { used: AtomicU64::new(0), max: body_bytes_max });
        Self { requests: Arc::new(Semaphore::new(requests_max)), bytes, source_bytes_max: body_bytes_max.div_ceil(2) }
    }

    /// A place for a request, if there is one now.
    #[must_use]
    pub fn try_enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).try_acquire_owned().ok()
    }

    /// A place for a request, once there is one.
    pub async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).acquire_owned().await.ok()
    }

    /// The share of one source.
    #[must_use]
    pub(super) fn share(&self) -> Arc<Budget> {
        Arc::new(Budget { used: AtomicU64::new(0), max: self.source_bytes_max })
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
    max: u64,
}

impl Budget {
    fn take(&self, bytes: u64) -> bool {
        let more = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.max);
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
    fn a_place_is_free_again_once_it_is_left() {
        let load = Load::new(1, 0);
        let place = load.try_enter();
        assert!(place.is_some());
        assert!(load.try_enter().is_none());
        drop(place);
        assert!(load.try_enter().is_some());
    }
}
