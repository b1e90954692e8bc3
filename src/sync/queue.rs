//! The way to the writer: a bounded queue that is emptied in groups, and a lossy lane beside it.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{Condvar, Mutex, OwnedSemaphorePermit, Semaphore, lock, now};

/// Most entries with a place in one group.
pub const CLAIMS_PER_GROUP: usize = 256;
/// A group takes no further entry once its bodies have this many bytes.
pub const GROUP_BYTES: usize = 4 << 20;
/// A group of fewer entries takes along whatever notes wait.
pub const FEW_ENTRIES: usize = 8;
/// So many notes go with any group. Fewer wait for more: written together they share the pages that each would dirty.
pub const NOTES_TOGETHER: usize = 256;
/// Most notes in one group.
pub const NOTES_PER_GROUP: usize = 1024;
/// How long a note waits for more before it goes with the next group, or alone.
pub const NOTES_HELD: Duration = Duration::from_millis(100);

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Every place is taken.
    Full,
    /// Nothing is taken any more.
    Closed,
}

/// A place in the queue. It is free again when it is dropped, with the entry that holds it.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// Something that waits, or is in the writer's hand.
#[derive(Debug)]
pub struct Entry<T> {
    /// What it is.
    pub item: T,
    bytes: usize,
    place: Option<Place>,
}

impl<T> Entry<T> {
    /// Something that is refused when the queue is full.
    pub const fn bounded(item: T, bytes: usize, place: Place) -> Self {
        Self { item, bytes, place: Some(place) }
    }

    /// Something that others bound already: results of work in hand, an operator's word.
    pub const fn unbounded(item: T) -> Self {
        Self { item, bytes: 0, place: None }
    }
}

/// What one commit takes.
#[derive(Debug)]
pub struct Group<T, N> {
    /// In the order that they came.
    pub entries: Vec<Entry<T>>,
    /// In the order that they came.
    pub notes: Vec<N>,
}

/// What a look into the queue found.
#[derive(Debug)]
pub enum Popped<T, N> {
    /// Work.
    Group(Group<T, N>),
    /// Nothing came in the time given.
    Nothing,
    /// Nothing is left and nothing will come.
    Closed,
}

/// See the module.
#[derive(Debug)]
pub struct Queue<T, N> {
    waiting: Mutex<Waiting<T, N>>,
    came: Condvar,
    places: Arc<Semaphore>,
    notes_max: usize,
}

#[derive(Debug)]
struct Waiting<T, N> {
    entries: VecDeque<Entry<T>>,
    notes: VecDeque<N>,
    /// Since when the oldest note waits.
    noted_at: Option<Instant>,
    closed: bool,
}

impl<T, N> Queue<T, N> {
    /// A queue for so many entries with a place, and a lane for so many notes.
    #[must_use]
    pub fn new(places: usize, notes_max: usize) -> Self {
        let waiting = Waiting { entries: VecDeque::new(), notes: VecDeque::new(), noted_at: None, closed: false };
        Self {
            waiting: Mutex::new(waiting),
            came: Condvar::new(),
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            notes_max,
        }
    }

    /// Takes a place now.
    ///
    /// # Errors
    /// Where there is none.
    pub fn try_place(&self) -> Result<Place, Refused> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place(permit)),
            Err(_) if self.places.is_closed() => Err(Refused::Closed),
            Err(_) => Err(Refused::Full),
        }
    }

    /// Whether there is a place now.
    pub fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// Takes a place, waiting for one until `deadline` is ready. Those who wait are served in order.
    ///
    /// # Errors
    /// Where none came free.
    pub async fn place(&self, deadline: impl Future<Output = ()>) -> Result<Place, Refused> {
        tokio::select! {
            biased;
            permit = Arc::clone(&self.places).acquire_owned() => permit.map(Place).ok().ok_or(Refused::Closed),
            () = deadline => Err(Refused::Full),
        }
    }

    /// Adds an entry; gives it back once closed.
    ///
    /// # Errors
    /// The entry.
    pub fn push(&self, entry: Entry<T>) -> Result<(), Entry<T>> {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return Err(entry);
        }
        waiting.entries.push_back(entry);
        drop(waiting);
        self.came.notify_one();
        Ok(())
    }

    /// Adds a note, unless the lane is full or closed. Says whether it did.
    pub fn push_note(&self, note: N) -> bool {
        let mut waiting = lock(&self.waiting);
        if waiting.closed || waiting.notes.len() >= self.notes_max {
            return false;
        }
        waiting.notes.push_back(note);
        let notes = waiting.notes.len();
        if notes == 1 {
            waiting.noted_at = Some(now());
        }
        drop(waiting);
        // The notes between the first and enough of them find the writer waiting already.
        if notes == 1 || notes == NOTES_TOGETHER {
            self.came.notify_one();
        }
        true
    }

    /// Puts a group back where it was: before all that came since, in order.
    pub fn requeue(&self, group: Group<T, N>) {
        let mut waiting = lock(&self.waiting);
        group.entries.into_iter().rev().for_each(|entry| waiting.entries.push_front(entry));
        if !group.notes.is_empty() {
            waiting.noted_at = Some(now());
        }
        group.notes.into_iter().rev().for_each(|note| waiting.notes.push_front(note));
    }

    /// Takes whatever waits, blocking until something does: up to [`CLAIMS_PER_GROUP`] or [`GROUP_BYTES`], and never longer than
    /// it takes. Notes alone are held for [`NOTES_HELD`]. With `look_again` it returns after that long with nothing.
    pub fn pop_group(&self, look_again: Option<Duration>) -> Popped<T, N> {
        let mut waiting = lock(&self.waiting);
        while waiting.entries.is_empty() && !waiting.closed {
            if !waiting.notes.is_empty() {
                let alone = |now: &mut Waiting<T, N>| now.entries.is_empty() && !now.closed && now.notes.len() < NOTES_TOGETHER;
                let left = NOTES_HELD.saturating_sub(waiting.notes_age());
                let held = self.came.wait_timeout_while(waiting, left, alone);
                waiting = held.unwrap_or_else(PoisonError::into_inner).0;
                break;
            }
            let Some(look_again) = look_again else {
                waiting = self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let idle = |now: &mut Waiting<T, N>| now.entries.is_empty() && now.notes.is_empty() && !now.closed;
            let waited = self.came.wait_timeout_while(waiting, look_again, idle);
            let (guard, end) = waited.unwrap_or_else(PoisonError::into_inner);
            waiting = guard;
            if end.timed_out() {
                return Popped::Nothing;
            }
        }
        if waiting.entries.is_empty() && waiting.notes.is_empty() { Popped::Closed } else { Popped::Group(waiting.take_group()) }
    }

    /// Blocks for this long, or until the queue is closed.
    pub fn rest(&self, pause: Duration) {
        let rested = self.came.wait_timeout_while(lock(&self.waiting), pause, |now| !now.closed);
        drop(rested.unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes nothing more. What waits is still given out.
    pub fn close(&self) {
        lock(&self.waiting).closed = true;
        self.places.close();
        self.came.notify_all();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        lock(&self.waiting).closed
    }
}

impl<T, N> Waiting<T, N> {
    fn notes_age(&self) -> Duration {
        self.noted_at.map_or(Duration::ZERO, |since| now().saturating_duration_since(since))
    }

    /// Whether notes go with this group: it is small, so that they cost little more than it does and spare a commit of their own; or
    /// they are many, or old.
    fn notes_are_due(&self, entries: usize) -> bool {
        entries < FEW_ENTRIES || self.closed || self.notes.len() >= NOTES_TOGETHER || self.notes_age() >= NOTES_HELD
    }

    fn take_group(&mut self) -> Group<T, N> {
        let mut entries = Vec::with_capacity(self.entries.len().min(CLAIMS_PER_GROUP));
        let (mut claims, mut bytes) = (0, 0);
        while claims < CLAIMS_PER_GROUP && bytes < GROUP_BYTES {
            let Some(entry) = self.entries.pop_front() else { break };
            claims += usize::from(entry.place.is_some());
            bytes += entry.bytes;
            entries.push(entry);
        }
        let notes = if self.notes_are_due(entries.len()) { self.notes.len().min(NOTES_PER_GROUP) } else { 0 };
        if notes == self.notes.len() {
            self.noted_at = None;
        }
        Group { entries, notes: self.notes.drain(..notes).collect() }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    type Numbers = Queue<u32, char>;

    fn claim(queue: &Numbers, item: u32, bytes: usize) -> Result<(), Refused> {
        let place = queue.try_place()?;
        queue.push(Entry::bounded(item, bytes, place)).map_err(|_entry| Refused::Closed)
    }

    fn pop(queue: &Numbers) -> (Vec<u32>, Vec<char>) {
        let Popped::Group(group) = queue.pop_group(None) else { panic!("nothing waits") };
        (group.entries.iter().map(|entry| entry.item).collect(), group.notes)
    }

    #[test]
    fn a_full_queue_refuses_until_the_entry_in_hand_is_dropped() {
        let queue = Numbers::new(1, 1);
        assert_eq!(claim(&queue, 1, 0), Ok(()));
        assert_eq!(claim(&queue, 2, 0), Err(Refused::Full));
        queue.push(Entry::unbounded(3)).expect("it is open");
        let Popped::Group(group) = queue.pop_group(None) else { panic!("two wait") };
        assert_eq!(group.entries.len(), 2);
        assert_eq!(claim(&queue, 2, 0), Err(Refused::Full), "in hand still counts");
        drop(group);
        assert_eq!(claim(&queue, 2, 0), Ok(()));
    }

    #[test]
    fn patience_waits_for_a_place_up_to_its_deadline() {
        let queue = Numbers::new(1, 1);
        let taken = queue.try_place().expect("the only one");
        assert_eq!(queue.place(async {}).now_or_never().expect("ready").err(), Some(Refused::Full));
        let mut waiting = Box::pin(queue.place(std::future::pending()));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(taken);
        assert!(waiting.now_or_never().expect("ready").is_ok());
    }

    #[test]
    fn a_group_is_what_waits_up_to_256_claims_or_4_mib() {
        let queue = Numbers::new(1000, 10);
        (0..300).for_each(|item| claim(&queue, item, 1).expect("a place"));
        assert_eq!(pop(&queue).0, (0..256).collect::<Vec<_>>());
        assert_eq!(pop(&queue).0, (256..300).collect::<Vec<_>>());
        (0..3).for_each(|item| claim(&queue, item, 3 << 20).expect("a place"));
        assert_eq!(pop(&queue).0, [0, 1], "the one that passes the limit is the last");
        assert_eq!(pop(&queue).0, [2]);
    }

    #[test]
    fn notes_ride_with_a_small_group_or_alone_and_let_a_large_one_go_first() {
        let queue = Numbers::new(FEW_ENTRIES, 2);
        assert!(queue.push_note('a'));
        assert!(queue.push_note('b'));
        assert!(!queue.push_note('c'), "the lane is bounded");
        claim(&queue, 1, 0).expect("a place");
        assert_eq!(pop(&queue), (vec![1], vec!['a', 'b']));
        assert!(queue.push_note('d'));
        let many = 0..u32::try_from(FEW_ENTRIES).expect("a small number");
        many.clone().for_each(|item| claim(&queue, item, 0).expect("a place"));
        assert_eq!(pop(&queue), (many.collect(), vec![]));
        assert_eq!(pop(&queue), (vec![], vec!['d']));
    }

    #[test]
    fn many_notes_ride_with_other_work() {
        let queue = Numbers::new(10, NOTES_TOGETHER);
        (0..NOTES_TOGETHER).for_each(|_| assert!(queue.push_note('a')));
        (0..8).for_each(|item| claim(&queue, item, 0).expect("a place"));
        let (claims, notes) = pop(&queue);
        assert_eq!((claims.len(), notes.len()), (8, NOTES_TOGETHER));
    }

    #[test]
    fn what_is_put_back_comes_first_and_in_order() {
        let queue = Numbers::new(10, 10);
        (1..=2).for_each(|item| claim(&queue, item, 0).expect("a place"));
        let Popped::Group(group) = queue.pop_group(None) else { panic!("two wait") };
        claim(&queue, 3, 0).expect("a place");
        queue.requeue(group);
        assert_eq!(pop(&queue).0, [1, 2, 3]);
    }

    #[test]
    fn a_closed_queue_gives_out_what_waits_and_takes_nothing() {
        let queue = Numbers::new(10, 10);
        claim(&queue, 1, 0).expect("a place");
        queue.close();
        assert_eq!(claim(&queue, 2, 0), Err(Refused::Closed));
        assert!(queue.push(Entry::unbounded(2)).is_err());
        assert!(!queue.push_note('a'));
        assert_eq!(pop(&queue).0, [1]);
        assert!(matches!(queue.pop_group(None), Popped::Closed));
        assert!(queue.is_closed());
    }

    #[test]
    fn a_look_again_comes_back_with_nothing() {
        assert!(matches!(Numbers::new(1, 1).pop_group(Some(Duration::from_millis(1))), Popped::Nothing));
    }
}
