//! `hookgate log`: the dedupe log, newest first; with `--follow` it goes on with what comes.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::access::{self, Access};
use super::exit::{Failure, NO, OK, UNREACHABLE};
use super::filter::LogFilter;
use super::print::{self, DIM, GREEN, Piece, RED, YELLOW, plain};
use super::{Global, setup, story};
use crate::clock::{Clock, SystemClock};
use crate::config::Keys;
use crate::model::{DeliveryPage, DeliveryReport, EventState, Timestamp, Verdict};
use crate::web::DeliveryQuery;

/// How often a follower asks.
const FOLLOW_EVERY: Duration = Duration::from_millis(300);
/// How far a follower looks back. A delivery has its id from when its head came and its row from when it was answered, so that
/// a slow one comes after others that are newer by their ids.
const LOOK_BACK: Duration = Duration::from_secs(60);
/// Most rows of one question; larger limits ask again.
const PAGE: usize = 1000;

/// `log`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct LogArgs {
    #[command(subcommand)]
    command: Option<LogCommand>,
    #[command(flatten)]
    filter: LogFilter,
    /// Go on with what comes
    #[arg(long)]
    follow: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// One event's whole story
    Show(ShowArgs),
}

/// `log show`.
#[derive(Debug, Args)]
struct ShowArgs {
    /// SOURCE/EVENT_ID, a delivery id, or an event id that only one source has
    #[arg(value_name = "ID")]
    id: String,
    /// Write the body's exact bytes, nothing else
    #[arg(long, conflicts_with = "json")]
    body: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Shows deliveries.
pub(super) async fn run(global: &Global, args: LogArgs) -> Result<u8, Failure> {
    let clock = SystemClock::new();
    let query = args.filter.query(clock.wall())?;
    let settings = setup::settings(&setup::flags(global), Keys::Leave)?;
    let access = access::open(&settings)?;
    if let Some(LogCommand::Show(show)) = args.command {
        return show_event(&access, &show).await;
    }
    if args.follow && !access.is_live() {
        return Err(Failure::new(
            UNREACHABLE,
            "no gateway runs on this database, so nothing comes to follow\nhelp: start `hookgate serve`",
        ));
    }
    let page = collect(&access, &query, args.filter.limit).await?;
    if args.follow {
        return follow(&access, &clock, query, page, args.json).await;
    }
    if args.json {
        page.deliveries.iter().try_for_each(print::json)?;
    } else {
        show(&page);
    }
    // A script that got everything hears nothing else.
    let got_everything = args.json && page.dropped == 0 && page.next.is_none();
    if !(global.quiet || got_everything) {
        note_gaps(&page);
    }
    Ok(OK)
}

async fn show_event(access: &Access, args: &ShowArgs) -> Result<u8, Failure> {
    let Some(event) = access.find_named(&args.id).await? else {
        let Some(delivery) = access.find_delivery(&args.id).await? else {
            return Err(Failure::new(NO, format!("no event `{}` in the ledger", args.id.escape_debug())));
        };
        // Refused, or a handshake: the row is all there is.
        if args.json {
            print::json(&delivery)?;
        } else {
            print::line(&one_line(&delivery));
        }
        return Ok(OK);
    };
    if args.body {
        print::bytes(&access.body(&event).await?);
    } else if args.json {
        print::json(&event)?;
    } else {
        story::tell(&event);
    }
    Ok(OK)
}

/// As many pages as the limit needs.
async fn collect(access: &Access, query: &DeliveryQuery, limit: usize) -> Result<DeliveryPage, Failure> {
    let mut query = DeliveryQuery { limit: Some(limit.clamp(1, PAGE)), ..query.clone() };
    let mut all = access.deliveries(query.clone()).await?;
    while let Some(next) = all.next.filter(|_| all.deliveries.len() < limit) {
        query.before = Some(next.0);
        query.limit = Some((limit - all.deliveries.len()).min(PAGE));
        let page = access.deliveries(query.clone()).await?;
        all.next = page.next;
        all.deliveries.extend(page.deliveries);
    }
    Ok(all)
}

/// Until Ctrl-C, which is listened for all the time: one that came while nobody did would be lost.
async fn follow(access: &Access, clock: &dyn Clock, query: DeliveryQuery, page: DeliveryPage, json: bool) -> Result<u8, Failure> {
    tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => Ok(OK),
        ended = go_on(access, clock, query, page, json) => ended,
    }
}

async fn go_on(access: &Access, clock: &dyn Clock, query: DeliveryQuery, page: DeliveryPage, json: bool) -> Result<u8, Failure> {
    let print = |delivery: &DeliveryReport| {
        if json {
            return print::json(delivery);
        }
        print::line(&one_line(delivery));
        Ok(())
    };
    page.deliveries.iter().rev().try_for_each(print)?;
    // What is older than the first page was not asked for. With nothing older, everything is news.
    let oldest = page.next.and(page.deliveries.last()).map_or(Uuid::nil(), |delivery| delivery.delivery_id.0);
    let mut seen: BTreeSet<Uuid> = page.deliveries.iter().map(|delivery| delivery.delivery_id.0).collect();
    loop {
        clock.sleep_until(clock.monotonic() + FOLLOW_EVERY).await;
        let back = oldest.max(first_id_at(clock.wall().minus(LOOK_BACK)));
        seen = seen.split_off(&back);
        let mut after = Some(back);
        while after.is_some() {
            let page = access.deliveries(DeliveryQuery { after, limit: Some(PAGE), ..query.clone() }).await?;
            page.deliveries.iter().filter(|delivery| seen.insert(delivery.delivery_id.0)).try_for_each(print)?;
            after = page.next.map(|next| next.0);
        }
    }
}

/// Before every delivery id of this time or later: ids begin with their time.
fn first_id_at(time: Timestamp) -> Uuid {
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(time.0 / 1000).unwrap_or(0), &[0; 10]).into_uuid()
}

fn show(page: &DeliveryPage) {
    if page.deliveries.is_empty() {
        print::aside("nothing came yet that matches");
    } else {
        let head = ["TIME", "VERDICT", "STATUS", "EVENT", "TYPE", "STATE", "DUP", "CALLS", "NOTE"];
        let rows = page.deliveries.iter().map(row).collect();
        print::line(&print::table(&head, rows, &[6, 7]));
    }
}

/// What the rows do not show, to stderr.
fn note_gaps(page: &DeliveryPage) {
    if page.dropped > 0 {
        print::aside(&format!(
            "the log has dropped {} rows since the gateway started; every first delivery is shown all the same",
            page.dropped
        ));
    }
    let counted = page.dropped > 0 || page.deliveries.iter().any(|delivery| delivery.duplicates > 0);
    if let Some(since) = page.log_since.filter(|_| counted) {
        print::aside(&print::paint(format!("duplicates are counted since {}", print::date(since)), DIM));
    }
    if page.next.is_some() {
        print::aside(&print::paint("there are older ones: --limit N shows more", DIM));
    }
}

fn row(delivery: &DeliveryReport) -> Vec<Piece> {
    vec![
        plain(print::date(delivery.received_at)),
        verdict(delivery.verdict),
        plain(delivery.status.map_or_else(String::new, |status| status.to_string())),
        plain(event(delivery)),
        plain(delivery.event_type.clone().unwrap_or_default()),
        delivery.state.map_or_else(|| plain(""), state),
        plain(count(delivery.duplicates)),
        plain(count(delivery.attempts)),
        plain(note(delivery)),
    ]
}

fn one_line(delivery: &DeliveryReport) -> String {
    let row = row(delivery);
    let words = row.iter().enumerate().filter(|(index, (text, _))| !text.is_empty() && !matches!(index, 6 | 7));
    words.map(|(_, (text, style))| print::paint(text, *style)).collect::<Vec<_>>().join("  ")
}

fn event(delivery: &DeliveryReport) -> String {
    match &delivery.event_id {
        Some(id) => format!("{}/{id}", delivery.source),
        None => delivery.source.to_string(),
    }
}

/// What is worth a word beyond the verdict.
fn note(delivery: &DeliveryReport) -> String {
    let mut notes: Vec<String> = delivery.reason.iter().cloned().collect();
    if delivery.body_differs {
        notes.push("body differs".to_owned());
    }
    if delivery.signature_seen_before {
        notes.push("signature seen before".to_owned());
    }
    notes.join(", ")
}

fn count(number: u64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

/// A verdict in its colour.
pub(super) fn verdict(verdict: Verdict) -> Piece {
    let style = match verdict {
        Verdict::First | Verdict::Handshake => GREEN,
        Verdict::Duplicate => YELLOW,
        Verdict::Conflict | Verdict::Rejected => RED,
    };
    (verdict.to_string(), style)
}

/// A state in its colour.
pub(super) fn state(state: EventState) -> Piece {
    let style = match state {
        EventState::Done => GREEN,
        EventState::Accepted => YELLOW,
        EventState::Dead => RED,
    };
    (state.to_string(), style)
}
