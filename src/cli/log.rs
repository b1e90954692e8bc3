//! `hookgate log`: the dedupe log, newest first; with `--follow` it goes on with what comes.

use clap::{Args, Subcommand};

use super::access::{self, Access};
use super::exit::{Failure, NO, OK, UNREACHABLE};
use super::filter::{LogFilter, check_names};
use super::print::{self, DIM, GREEN, Piece, RED, YELLOW, plain};
use super::{Global, follow, stats, story};
use crate::clock::{Clock, SystemClock};
use crate::model::{DeliveryPage, DeliveryReport, EventState, Timestamp, Verdict};
use crate::web::DeliveryQuery;

/// Most rows of one question; larger limits ask again.
pub(super) const PAGE: usize = 1000;

const EXAMPLES: &str = "Examples:
  hookgate log                                 the newest 50 deliveries
  hookgate log --follow                        go on with what comes
  hookgate log --verdict rejected --since 2h   what was refused, and why
  hookgate log --state dead                    whose handlers gave up
  hookgate log --type 'invoice.*' --json | jq -r .event_id
  hookgate log show stripe/evt_1               one event's whole story

It asks the gateway that runs on the database, or opens the database where none runs.";

const SHOW_EXAMPLES: &str = "Examples:
  hookgate log show stripe/evt_1
  hookgate log show evt_1                      where one source alone has it
  hookgate log show stripe/evt_1 --body > body.json";

/// `log`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_long_help = EXAMPLES)]
pub(super) struct LogArgs {
    #[command(subcommand)]
    command: Option<LogCommand>,
    #[command(flatten)]
    filter: LogFilter,
    /// One event's whole story, as `log show` tells it
    #[arg(
        value_name = "ID",
        conflicts_with_all = ["follow", "source", "event_id", "event_type", "verdict", "state", "handler", "since", "limit"]
    )]
    id: Option<String>,
    /// Go on with what comes, oldest first, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// One JSON object for each delivery
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Tell one event's whole story: every delivery, every task, every attempt
    Show(ShowArgs),
    /// Counts by source and by handler
    Stats(stats::StatsArgs),
}

/// `log show`.
#[derive(Debug, Args)]
#[command(after_long_help = SHOW_EXAMPLES)]
struct ShowArgs {
    /// SOURCE/EVENT_ID, a delivery id, or an event id that only one source has
    #[arg(value_name = "ID")]
    id: String,
    /// Write the exact bytes of the event's body, and nothing else
    #[arg(long, conflicts_with = "json")]
    body: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Shows deliveries.
pub(super) async fn run(global: &Global, args: LogArgs) -> Result<u8, Failure> {
    let clock = SystemClock::new();
    let named = args.id.map(|id| ShowArgs { id, body: false, json: args.json });
    match args.command.or(named.map(LogCommand::Show)) {
        Some(LogCommand::Stats(asked)) => return stats::run(global, asked).await,
        Some(LogCommand::Show(show)) => return show_event(&access::reach(global)?, &show).await,
        None => {}
    }
    let query = args.filter.query(clock.wall())?;
    let access = access::reach(global)?;
    if args.follow && !access.is_live() {
        return Err(Failure::new(
            UNREACHABLE,
            "no gateway runs on this database, so nothing comes to follow\nhelp: start `hookgate serve`",
        ));
    }
    let page = collect(&access, &query, args.filter.limit).await?;
    if page.deliveries.is_empty() {
        check_names(&access, query.source.as_deref(), query.handler.as_deref()).await?;
    }
    if args.follow {
        return follow::run(global, access, &clock, query, page, args.json).await;
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
    let older = |since: &Timestamp| page.deliveries.last().is_some_and(|oldest| oldest.received_at < *since);
    if let Some(since) = page.log_since.filter(older) {
        let told = format!("the log goes back to {}: of what is older only first deliveries are known", print::date(since));
        print::aside(&print::paint(told, DIM));
    } else if let Some(since) = page.log_since.filter(|_| counted) {
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

pub(super) fn one_line(delivery: &DeliveryReport) -> String {
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
pub(super) fn note(delivery: &DeliveryReport) -> String {
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
        EventState::Tombstone => DIM,
    };
    (state.to_string(), style)
}
