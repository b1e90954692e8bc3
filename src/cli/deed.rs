//! What `redrive` and `discard` have in common: which events, whether they are meant, and what was done with them.

use std::io::{BufRead, IsTerminal};

use clap::Args;

use super::access::{self, Access, Verb};
use super::exit::{Failure, NO, OK, USAGE};
use super::filter::{check_names, check_word, since, source_and_id};
use super::{Global, print};
use crate::clock::{Clock, SystemClock};
use crate::model::{EventReport, EventState};
use crate::web::{BulkBody, BulkEvent, BulkReport};

/// Events of one question to the gateway; it is asked until there are no more.
const PAGE: usize = 1000;

/// Which events: by name, or by `log`'s filters.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// SOURCE/EVENT_ID, a delivery id, or an event id that only one source has
    #[arg(value_name = "ID", conflicts_with_all = ["source", "event_id", "event_type", "state", "since"])]
    ids: Vec<String>,
    /// Events of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Events of this id, of every source
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// Events of a type that matches; `*` is any run of characters
    #[arg(long = "type", value_name = "GLOB")]
    event_type: Option<String>,
    /// Events that are accepted, done or dead now
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only tasks of this handler
    #[arg(long, value_name = "NAME")]
    pub(super) handler: Option<String>,
    /// Events not older than this: a duration such as 2h, or an RFC 3339 time
    #[arg(long, value_name = "2h|TIME")]
    since: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// One JSON object for each event
    #[arg(long)]
    json: bool,
}

/// One of the two.
pub(super) trait Deed {
    /// Which.
    const VERB: Verb;

    /// Does it with one event, and says how many tasks that changed.
    fn one(&self, access: &Access, event: &EventReport) -> impl Future<Output = Result<u64, Failure>>;

    /// What was done with one event.
    fn done(&self, tasks: u64) -> String;

    /// What would be done with one event.
    fn would(&self, tasks: u64) -> String;

    /// What the operator should know once something was done.
    fn afterwards(&self, access: &Access) -> Option<&'static str>;
}

/// Does it, if it is meant. `all` is the deed without the filter.
pub(super) async fn run<D: Deed>(global: &Global, selection: Selection, deed: &D, all: BulkBody) -> Result<u8, Failure> {
    let verb = D::VERB;
    if selection.ids.is_empty() {
        let body = with_filter(all, &selection, verb)?;
        let access = access::reach(global)?;
        return by_filter(&access, &selection, deed, body, global.quiet).await;
    }
    selection.ids.iter().try_for_each(|id| access::event_names(id).map(drop))?;
    let access = access::reach(global)?;
    let mut events = Vec::new();
    for id in &selection.ids {
        let found = access.find_named(id).await?;
        events.push(found.ok_or_else(|| Failure::new(NO, format!("no event `{}` in the ledger", id.escape_debug())))?);
    }
    if selection.dry_run {
        for event in &events {
            foresee(&access, &selection, deed, &all, event).await?;
        }
        return Ok(OK);
    }
    if !selection.yes && std::io::stdin().is_terminal() && !confirmed(verb, events.len() as u64)? {
        return Ok(NO);
    }
    let mut changed = 0;
    for event in &events {
        let tasks = deed.one(&access, event).await?;
        changed += tasks;
        if selection.json {
            let done = serde_json::json!({ "v": 1, "source": event.source, "event_id": event.event_id, "tasks": tasks });
            print::json(&done)?;
        } else {
            print::line(&format!("{}/{}  {}", event.source, event.event_id, deed.done(tasks)));
        }
    }
    if changed > 0 && !global.quiet {
        deed.afterwards(&access).into_iter().for_each(print::aside);
    }
    Ok(OK)
}

/// What would be done with one event in hand: a filter that names it alone.
async fn foresee<D: Deed>(
    access: &Access,
    selection: &Selection,
    deed: &D,
    all: &BulkBody,
    event: &EventReport,
) -> Result<(), Failure> {
    let body = BulkBody {
        source: Some(event.source.to_string()),
        event_id: Some(event.event_id.to_string()),
        handler: selection.handler.clone(),
        dry_run: true,
        ..all.clone()
    };
    let report = access.all(D::VERB, body).await?;
    match report.events.first() {
        Some(found) => tell(found, selection.json, |tasks| deed.would(tasks)),
        None if selection.json => print::json(&BulkEvent::untouched(event)),
        None => {
            print::line(&format!("{}/{}  {}", event.source, event.event_id, deed.done(0)));
            Ok(())
        }
    }
}

async fn by_filter<D: Deed>(
    access: &Access,
    selection: &Selection,
    deed: &D,
    body: BulkBody,
    quiet: bool,
) -> Result<u8, Failure> {
    let verb = D::VERB;
    let ask = !selection.yes && !selection.dry_run;
    if ask && !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            USAGE,
            "a filter may name any number of events, and nobody is here to ask\nhelp: look with --dry-run, then say --yes",
        ));
    }
    if ask {
        let trial = BulkBody { dry_run: true, ..body.clone() };
        let all = pages(access, verb, trial, |_| Ok(())).await?;
        if all.changed > 0 && !confirmed(verb, all.changed)? {
            return Ok(NO);
        }
    }
    let body = BulkBody { dry_run: selection.dry_run, list: selection.json || selection.dry_run, ..body };
    let words = |tasks| if selection.dry_run { deed.would(tasks) } else { deed.done(tasks) };
    let all = pages(access, verb, body, |event| tell(event, selection.json, words)).await?;
    if all.matched == 0 {
        check_names(access, selection.source.as_deref(), selection.handler.as_deref()).await?;
    }
    // With a list before it the sum is an aside, without one it is the result.
    if !selection.json && !selection.dry_run {
        print::line(&summary(verb, &all));
    } else if !selection.json && !quiet {
        print::aside(&summary(verb, &all));
    }
    if all.tasks > 0 && !selection.dry_run && !quiet {
        deed.afterwards(access).into_iter().for_each(print::aside);
    }
    Ok(OK)
}

/// Asks for page after page, and adds up what they say. Each event is told of, then forgotten.
async fn pages(
    access: &Access,
    verb: Verb,
    mut body: BulkBody,
    mut each: impl FnMut(&BulkEvent) -> Result<(), Failure>,
) -> Result<BulkReport, Failure> {
    let mut all = BulkReport { dry_run: body.dry_run, ..BulkReport::default() };
    body.limit = Some(PAGE);
    loop {
        let page = access.all(verb, body.clone()).await?;
        page.events.iter().try_for_each(&mut each)?;
        all.matched += page.matched;
        all.changed += page.changed;
        all.tasks += page.tasks;
        for (reason, events) in page.skipped {
            *all.skipped.entry(reason).or_default() += events;
        }
        if page.next.is_none() {
            return Ok(all);
        }
        body.cursor = page.next;
    }
}

fn tell(event: &BulkEvent, json: bool, words: impl Fn(u64) -> String) -> Result<(), Failure> {
    if json {
        return print::json(event);
    }
    let what = match &event.skipped {
        Some(reason) => format!("skipped: {reason}"),
        None => words(event.tasks),
    };
    print::line(&format!("{}/{}  {}  {}  {what}", event.source, event.event_id, event.event_type, event.state));
    Ok(())
}

fn summary(verb: Verb, all: &BulkReport) -> String {
    if all.matched == 0 {
        return "nothing to do: no event that matches has such a task".to_owned();
    }
    let done = match (verb, all.dry_run) {
        (Verb::Redrive, true) => "would be due",
        (Verb::Redrive, false) => "due now",
        (Verb::Discard, true) => "would be discarded",
        (Verb::Discard, false) => "discarded",
    };
    let (tasks, events) = (print::counted(all.tasks, "task"), print::counted(all.changed, "event"));
    let mut text = format!("{tasks} of {events} {done}");
    if !all.skipped.is_empty() {
        let reasons: Vec<String> = all.skipped.iter().map(|(reason, events)| format!("{events} {reason}")).collect();
        text.push_str(&format!("; skipped: {}", reasons.join(", ")));
    }
    text
}

fn with_filter(deed: BulkBody, selection: &Selection, verb: Verb) -> Result<BulkBody, Failure> {
    let Selection { event_type, state, handler, since: from, .. } = selection;
    check_word("--state", state.as_deref(), EventState::ALL.iter().map(|word| word.as_str()))?;
    let (source, event_id) = source_and_id(selection.source.as_deref(), selection.event_id.as_deref());
    let named = [&source, &event_id, event_type, state, handler, from];
    if named.iter().all(|given| given.is_none()) {
        let verb = verb.as_str();
        return Err(Failure::new(
            USAGE,
            format!(
                "{verb} which events?\nhelp: name them by ID, or by a filter such as --source NAME; all dead ones are `hookgate {verb} --state dead`"
            ),
        ));
    }
    let now = SystemClock::new().wall();
    let from = from.as_deref().map(|text| since(text, now)).transpose()?.map(|time| time.to_string());
    Ok(BulkBody {
        source,
        event_id,
        event_type: event_type.clone(),
        state: state.clone(),
        handler: handler.clone(),
        since: from,
        ..deed
    })
}

/// Whether the operator types the count.
fn confirmed(verb: Verb, count: u64) -> Result<bool, Failure> {
    print::aside(&format!("{} {}? Type {count} to go on:", verb.as_str(), print::counted(count, "event")));
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::new(USAGE, format!("cannot read the answer: {error}")))?;
    Ok(line.trim() == count.to_string())
}
