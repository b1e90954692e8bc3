//! Redrive and discard of all events that a filter names, in batches, so that claims wait for none of them for long.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Routes;
use super::discard::{DiscardRequest, meant};
use super::redrive::{RedriveError, RedriveRequest, check_target, judge};
use crate::ledger::{Aim, BATCH_MAX, Batch, Cursor, Deed, EventDone, EventFilter, Judge, Ledger, Skip, Stays};

/// What is to be done with each event.
#[derive(Clone, Debug)]
pub enum BulkDeed {
    /// See [`redrive`](super::redrive()).
    Redrive(RedriveRequest),
    /// See [`discard`](super::discard()).
    Discard(DiscardRequest),
}

/// Which events, and how far.
#[derive(Clone, Debug)]
pub struct BulkRequest {
    /// The events.
    pub filter: EventFilter,
    /// What is done with them.
    pub deed: BulkDeed,
    /// Whether it stays, or is undone at once to see what it would do.
    pub stays: Stays,
    /// Whether each event is to be told of.
    pub list: bool,
    /// Where the answer before ended.
    pub cursor: Option<Cursor>,
    /// At most so many events.
    pub limit: usize,
}

/// What was done.
#[derive(Debug, Default)]
pub struct BulkDone {
    /// Events that the filter names and of which the deed could change something.
    pub matched: u64,
    /// Events of which it did.
    pub events: u64,
    /// Tasks that it changed.
    pub tasks: u64,
    /// The others, by reason.
    pub skipped: BTreeMap<Skip, u64>,
    /// Each event, where that was asked for.
    pub listed: Vec<EventDone>,
    /// Where to go on, while there may be more.
    pub next: Option<Cursor>,
}

/// Does it with the next events of the filter, oldest first, in transactions of at most [`BATCH_MAX`].
///
/// # Errors
/// `UnknownHandler`, and the store's own: what was done before is done.
pub async fn bulk(ledger: &Arc<dyn Ledger>, routes: &Routes, request: BulkRequest) -> Result<BulkDone, RedriveError> {
    let BulkRequest { filter, deed, stays, list, cursor, limit } = request;
    if let BulkDeed::Redrive(request) = &deed {
        check_target(routes, request)?;
    }
    let (aim, judge) = meaning(routes, deed);
    let mut all = BulkDone { next: cursor, ..BulkDone::default() };
    loop {
        let left = limit.saturating_sub(usize::try_from(all.matched).unwrap_or(usize::MAX));
        let batch = Batch {
            filter: filter.clone(),
            aim: aim.clone(),
            judge: Arc::clone(&judge),
            stays,
            cursor: all.next,
            limit: left.min(BATCH_MAX),
        };
        let done = ledger.batch(batch).await?;
        all.next = done.next;
        for event in done.events {
            all.matched += 1;
            match event.tasks {
                Ok(tasks) => {
                    all.events += 1;
                    all.tasks += tasks;
                }
                Err(skip) => *all.skipped.entry(skip).or_default() += 1,
            }
            if list {
                all.listed.push(event);
            }
        }
        if all.next.is_none() || all.matched >= limit as u64 {
            return Ok(all);
        }
    }
}

/// What the deed could change, and what it is for one event.
fn meaning(routes: &Routes, deed: BulkDeed) -> (Aim, Judge) {
    match deed {
        BulkDeed::Redrive(request) => {
            let aim = Aim::Redrive { to_handler: request.to_handler.clone(), force: request.force };
            let routes = routes.clone();
            let judge: Judge = Arc::new(move |facts| {
                let judged = judge(&routes, &request, &facts.source, &facts.event_type, &facts.tasks);
                judged.map(Deed::Redrive).map_err(|error| match error {
                    RedriveError::Vanished(..) => Skip::HandlerVanished,
                    RedriveError::Unwanted(..) => Skip::Unwanted,
                    RedriveError::UnknownHandler(_) | RedriveError::NoTask(..) | RedriveError::Ledger(_) => Skip::NothingToDo,
                })
            });
            (aim, judge)
        }
        BulkDeed::Discard(request) => {
            let discard = meant(routes, request);
            let aim = Aim::Discard { force: discard.force, known: Arc::clone(&discard.known) };
            (aim, Arc::new(move |_| Ok(Deed::Discard(discard.clone()))))
        }
    }
}
