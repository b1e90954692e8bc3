//! Whose turn it is: a handler's calls go round the sources that have work for it, so that a flood from one keeps no other waiting.

use std::collections::HashMap;

/// The source that each handler served last, by their numbers. Lost at a stop, which costs nobody more than a turn.
#[derive(Debug, Default)]
pub(super) struct Turns(HashMap<i64, i64>);

/// How many tasks of a source a lease may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// The source.
    pub source: i64,
    /// At most so many.
    pub most: usize,
}

impl Turns {
    /// Shares `limit` tasks out among the sources that have some due, `sources` in rising order: to each the same, and what does not
    /// divide to those whose turn is next.
    pub(super) fn shares(&mut self, handler: i64, sources: &[i64], limit: usize) -> Vec<Share> {
        if sources.is_empty() || limit == 0 {
            return Vec::new();
        }
        let last = self.0.get(&handler).copied().unwrap_or(i64::MIN);
        let first = sources.iter().position(|source| *source > last).unwrap_or(0);
        let (each, over) = (limit / sources.len(), limit % sources.len());
        let in_turn = sources.iter().cycle().skip(first).take(sources.len());
        let shares: Vec<_> = in_turn
            .enumerate()
            .map(|(nth, source)| Share { source: *source, most: each + usize::from(nth < over) })
            .filter(|share| share.most > 0)
            .collect();
        // Who got the last odd one waits longest for the next; where all got the same the turn stays.
        if let Some(served) = over.checked_sub(1).and_then(|nth| shares.get(nth)) {
            self.0.insert(handler, served.source);
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_source_gets_the_same_whatever_the_number_of_slots() {
        for limit in 1..=9 {
            let (mut turns, mut got) = (Turns::default(), BTreeMap::new());
            for _ in 0..60 {
                for share in turns.shares(1, &[2, 3, 5, 7], limit) {
                    *got.entry(share.source).or_insert(0) += share.most;
                }
            }
            let equal = limit * 60 / 4;
            assert!(got.values().all(|count| count.abs_diff(equal) <= 1), "{limit}: {got:?}");
            assert_eq!(got.values().sum::<usize>(), limit * 60);
        }
    }

    #[test]
    fn turns_of_one_handler_are_none_of_another() {
        let mut turns = Turns::default();
        assert_eq!(turns.shares(1, &[2, 3], 1), [Share { source: 2, most: 1 }]);
        assert_eq!(turns.shares(2, &[2, 3], 1), [Share { source: 2, most: 1 }]);
        assert_eq!(turns.shares(1, &[2, 3], 1), [Share { source: 3, most: 1 }]);
        assert_eq!(turns.shares(1, &[3], 2), [Share { source: 3, most: 2 }], "alone it gets all");
        assert_eq!(turns.shares(1, &[], 2), []);
    }
}
