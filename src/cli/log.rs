//! `hookgate log`: the dedupe log, newest first; with `--follow` it goes on with what comes.

use super::access::{self, Access};
use super::exit::{Failure, NO, OK, UNREACHABLE, USAGE};
use super::filter::{check_names, check_word, since, source_and_id};
use super::print::{self, DIM, GREEN, Piece, RED, YELLOW, plain};
use super::{Global, LogArgs, LogCommand, LogFilter, ShowArgs, follow, stats, story};
use crate::clock::{Clock, SystemClock};
use crate::model::{DeliveryPage, DeliveryReport, EventState, Timestamp, Verdict};
use crate::web::DeliveryQuery;

/// Most rows of one question; larger limits ask again.
pub(super) const PAGE: usize = 1000;

/// Shows deliveries.
pub(super) async fn run(global: &Global, args: LogArgs) -> Result<u8, Failure> {
    let clock = SystemClock::new();
    let named = args.id.map(|id| ShowArgs { id, body: false, json: args.json });
    match args.command.or(named.map(LogCommand::Show)) {
        Some(LogCommand::Stats(asked)) => return stats::run(global, asked).await,
        Some(LogCommand::Show(show)) => return show_event(&access::reach(global)?, &show).await,
        None => {}
    }
    let query = query(&args.filter, clock.wall())?;
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

fn query(filter: &LogFilter, now: Timestamp) -> Result<DeliveryQuery, Failure> {
    check_word("--verdict", filter.verdict.as_deref(), Verdict::ALL.iter().map(|word| word.as_str()))?;
    check_word("--state", filter.state.as_deref(), EventState::ALL.iter().map(|word| word.as_str()))?;
    if filter.limit == 0 {
        return Err(Failure::new(USAGE, "--limit is at least 1"));
    }
    let (source, event_id) = source_and_id(filter.source.as_deref(), filter.event_id.as_deref());
    // Where its event stands is the same for each repeat: the first delivery stands for it.
    let verdict = filter.verdict.clone().or_else(|| filter.state.as_ref().map(|_| Verdict::First.to_string()));
    Ok(DeliveryQuery {
        source,
        event_id,
        event_type: filter.event_type.clone(),
        verdict,
        state: filter.state.clone(),
        handler: filter.handler.clone(),
        since: filter.since.as_deref().map(|text| since(text, now)).transpose()?.map(|time| time.to_string()),
        before: None,
        after: None,
        limit: None,
    })
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
