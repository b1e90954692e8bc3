//! Discards, deeds by filter and counts, through a gateway or on the database.

use std::sync::Arc;

use super::super::exit::{Failure, USAGE};
use super::{Access, ledger_failure, redrive_failure};
use crate::gateway::{bulk, discard};
use crate::ledger::{EventName, Ledger};
use crate::model::{DeliveryId, EventReport, REPORT_VERSION, StatsReport};
use crate::web::{BulkBody, BulkReport, DiscardBody, DiscardReport, StatsQuery};

/// What is done with the events of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Verb {
    Redrive,
    Discard,
}

impl Verb {
    /// The word for it.
    pub(in crate::cli) const fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
        }
    }
}

impl Access {
    /// Discards an event's tasks.
    pub(in crate::cli) async fn discard(&self, event: &EventReport, body: &DiscardBody) -> Result<DiscardReport, Failure> {
        match self {
            Self::Gateway(remote) => remote.post(&format!("events/{}/discard", event.key), body).await,
            Self::Database(ledger, routes) => {
                let ledger: Arc<dyn Ledger> = Arc::clone(ledger) as Arc<dyn Ledger>;
                let request = body.clone().request().map_err(|error| Failure::new(USAGE, error.to_string()))?;
                let name = EventName::Delivery(DeliveryId(event.key));
                let done = discard(&ledger, routes, name, request).await.map_err(|error| redrive_failure(&error))?;
                Ok(DiscardReport { v: REPORT_VERSION, tasks: done.tasks })
            }
        }
    }

    /// The next events of a filter.
    pub(in crate::cli) async fn all(&self, verb: Verb, body: BulkBody) -> Result<BulkReport, Failure> {
        match self {
            Self::Gateway(remote) => remote.post(&format!("events/{}", verb.as_str()), &body).await,
            Self::Database(ledger, routes) => {
                let ledger: Arc<dyn Ledger> = Arc::clone(ledger) as Arc<dyn Ledger>;
                let request = match verb {
                    Verb::Redrive => body.redrive(),
                    Verb::Discard => body.discard(),
                };
                let request = request.map_err(|error| Failure::new(USAGE, error.to_string()))?;
                let stays = request.stays;
                let done = bulk(&ledger, routes, request).await.map_err(|error| redrive_failure(&error))?;
                Ok(BulkReport::of(done, stays))
            }
        }
    }

    /// Counts.
    pub(in crate::cli) async fn stats(&self, query: StatsQuery) -> Result<StatsReport, Failure> {
        match self {
            Self::Gateway(remote) => remote.get("stats", &query).await,
            Self::Database(ledger, routes) => {
                let (source, since) = query.meant().map_err(|error| Failure::new(USAGE, error.to_string()))?;
                let mut report = ledger.stats(source, since).await.map_err(|error| ledger_failure(&error))?;
                report.complete(routes.handlers());
                Ok(report)
            }
        }
    }
}
