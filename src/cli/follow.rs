//! `hookgate log --follow`: what comes, until Ctrl-C, over restarts of the gateway.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::access::{self, Access};
use super::exit::{Failure, OK, UNREACHABLE};
use super::log::{PAGE, one_line};
use super::{Global, print};
use crate::clock::Clock;
use crate::model::{DeliveryPage, DeliveryReport, Timestamp};
use crate::web::DeliveryQuery;

/// How often a follower asks.
const EVERY: Duration = Duration::from_millis(300);
/// How far a follower looks back. A delivery has its id from when its head came and its row from when it was answered, so that
/// a slow one comes after others that are newer by their ids.
const LOOK_BACK: Duration = Duration::from_secs(60);

/// Until Ctrl-C, which is listened for all the time: one that came while nobody did would be lost.
pub(super) async fn run(
    global: &Global,
    access: Access,
    clock: &dyn Clock,
    query: DeliveryQuery,
    page: DeliveryPage,
    json: bool,
) -> Result<u8, Failure> {
    let follower = Follower::new(query, &page, json, clock.wall());
    page.deliveries.iter().rev().try_for_each(|delivery| follower.print(delivery))?;
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => Ok(OK),
        ended = follower.go_on(global, access, clock) => ended,
    }
}

struct Follower {
    query: DeliveryQuery,
    json: bool,
    /// Nothing before it was asked for.
    oldest: Uuid,
    seen: BTreeSet<Uuid>,
    /// When the gateway answered last.
    heard_at: Timestamp,
}

impl Follower {
    fn new(query: DeliveryQuery, page: &DeliveryPage, json: bool, now: Timestamp) -> Self {
        // What is older than the first page was not asked for. With nothing older, everything is news.
        let oldest = page.next.and(page.deliveries.last()).map_or(Uuid::nil(), |delivery| delivery.delivery_id.0);
        let seen = page.deliveries.iter().map(|delivery| delivery.delivery_id.0).collect();
        Self { query, json, oldest, seen, heard_at: now }
    }

    fn print(&self, delivery: &DeliveryReport) -> Result<(), Failure> {
        if self.json {
            return print::json(delivery);
        }
        print::line(&one_line(delivery));
        Ok(())
    }

    async fn go_on(mut self, global: &Global, mut access: Access, clock: &dyn Clock) -> Result<u8, Failure> {
        let mut is_away = false;
        loop {
            clock.sleep_until(clock.monotonic() + EVERY).await;
            if is_away && let Some(found) = access::running_again(global)? {
                access = found;
            }
            match self.look(&access, clock.wall()).await {
                Ok(()) if is_away => {
                    is_away = false;
                    print::aside("the gateway is back");
                }
                Ok(()) => {}
                Err(failure) if failure.code == UNREACHABLE => {
                    if !is_away {
                        print::aside(&format!("{}; waiting for it to come back", failure.message));
                    }
                    is_away = true;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Prints what came since the last look that was answered.
    async fn look(&mut self, access: &Access, now: Timestamp) -> Result<(), Failure> {
        let back = self.oldest.max(first_id_at(self.heard_at.min(now).minus(LOOK_BACK)));
        self.seen = self.seen.split_off(&back);
        let mut after = Some(back);
        while after.is_some() {
            let page = access.deliveries(DeliveryQuery { after, limit: Some(PAGE), ..self.query.clone() }).await?;
            for delivery in &page.deliveries {
                if self.seen.insert(delivery.delivery_id.0) {
                    self.print(delivery)?;
                }
            }
            after = page.next.map(|next| next.0);
        }
        self.heard_at = now;
        Ok(())
    }
}

/// Before every delivery id of this time or later: ids begin with their time.
fn first_id_at(time: Timestamp) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(time.0 / 1000).unwrap_or(0), &[0; 10]).into_uuid()
}
