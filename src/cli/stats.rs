//! `hookgate log stats`: counts by source and by handler.

use clap::Args;

use super::Global;
use super::access;
use super::exit::{Failure, OK};
use super::filter::{check_names, since};
use super::print::{self, DIM, Piece, RED, YELLOW, plain};
use crate::clock::{Clock, SystemClock};
use crate::model::{HandlerStats, SourceStats, StatsReport, Timestamp};
use crate::web::StatsQuery;

const EXAMPLES: &str = "Examples:
  hookgate log stats --since 24h
  hookgate log stats --source stripe --json

By source: deliveries by verdict as far as the log reaches, events by state, the oldest that waits or is dead. By handler: tasks and \
calls.";

/// `log stats`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct StatsArgs {
    /// Of this source alone
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Of what was received since: a duration such as 2h, or an RFC 3339 time
    #[arg(long, value_name = "2h|TIME")]
    since: Option<String>,
    /// One JSON object for each source and handler
    #[arg(long)]
    json: bool,
}

/// Counts.
pub(super) async fn run(global: &Global, args: StatsArgs) -> Result<u8, Failure> {
    let now = SystemClock::new().wall();
    let from = args.since.as_deref().map(|text| since(text, now)).transpose()?;
    let query = StatsQuery { source: args.source.clone(), since: from.map(|time| time.to_string()) };
    let access = access::reach(global)?;
    let stats = match access.stats(query).await {
        Ok(stats) => stats,
        Err(failure) => {
            check_names(&access, args.source.as_deref(), None).await?;
            return Err(failure);
        }
    };
    if args.json {
        stats.sources.iter().try_for_each(print::json)?;
        stats.handlers.iter().try_for_each(print::json)?;
    } else {
        show(&stats, now);
    }
    if !global.quiet {
        note(&stats, args.json);
    }
    Ok(OK)
}

fn show(stats: &StatsReport, now: Timestamp) {
    let head = [
        "SOURCE",
        "FIRST",
        "DUP",
        "CONFLICT",
        "REJECTED",
        "HANDSHAKE",
        "ACCEPTED",
        "DONE",
        "DEAD",
        "OLDEST WAITS",
        "OLDEST DEAD",
    ];
    let rows = stats.sources.iter().map(|source| source_row(source, now)).collect();
    print::line(&print::table(&head, rows, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
    let head = ["HANDLER", "WAITING", "RUNNING", "DONE", "DEAD", "DISCARDED", "CALLS", "NOTE"];
    let rows = stats.handlers.iter().map(handler_row).collect();
    print::line("");
    print::line(&print::table(&head, rows, &[1, 2, 3, 4, 5, 6]));
}

/// What the numbers count.
fn note(stats: &StatsReport, json: bool) {
    if stats.dropped > 0 {
        print::aside(&format!("the log has dropped {} rows since the gateway started: they are not counted", stats.dropped));
    }
    let Some(since) = stats.log_since.filter(|_| !json) else { return };
    let words = format!("deliveries are counted since {}, as far as the log reaches", print::date(since));
    print::aside(&print::paint(words, DIM));
}

fn source_row(stats: &SourceStats, now: Timestamp) -> Vec<Piece> {
    let SourceStats { deliveries, events, .. } = stats;
    let age = |at: Option<Timestamp>| at.map_or_else(String::new, |at| print::age(now.since(at)));
    vec![
        plain(stats.source.as_str()),
        plain(deliveries.first.to_string()),
        plain(deliveries.duplicate.to_string()),
        plain(deliveries.conflict.to_string()),
        plain(deliveries.rejected.to_string()),
        plain(deliveries.handshake.to_string()),
        plain(events.accepted.to_string()),
        plain(events.done.to_string()),
        bad(events.dead),
        plain(age(stats.oldest_waiting_at)),
        plain(age(stats.oldest_dead_at)),
    ]
}

fn handler_row(stats: &HandlerStats) -> Vec<Piece> {
    let note = if stats.unhandled { ("unhandled: no handler has this name now".to_owned(), YELLOW) } else { plain("") };
    vec![
        plain(stats.handler.as_str()),
        plain(stats.tasks.waiting.to_string()),
        plain(stats.tasks.running.to_string()),
        plain(stats.tasks.done.to_string()),
        bad(stats.tasks.dead),
        plain(stats.tasks.discarded.to_string()),
        plain(stats.attempts.to_string()),
        note,
    ]
}

fn bad(count: u64) -> Piece {
    if count == 0 { plain("0") } else { (count.to_string(), RED) }
}
