//! Holds the provider's history, the handlers' history and what the gateway tells of itself against each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::driver::{Event, Provider, Sent};
use super::gateway::Gateway;
use super::sink::{Call, TIMEOUT};
use super::wire::Message;
use crate::helpers::sender::hex_text;

/// Most violations that a failed run shows.
const SHOWN_MAX: usize = 20;

/// What the gateway tells, and what is in its database after it has ended.
pub(super) struct Told {
    events: Vec<Arc<Event>>,
    /// The rows of `hookgate log --json`.
    rows: Vec<Value>,
    /// The admin listener's story and body digest of each event that the log knows.
    stories: HashMap<String, (Value, String)>,
    /// What `PRAGMA integrity_check` and the look for orphans say; good is `ok` alone.
    integrity: Vec<String>,
}

impl Told {
    /// Asks it everything, and stops it.
    pub(super) fn by(gateway: &mut Gateway, provider: &Provider) -> Self {
        let rows = gateway.printed(&["log", "--json", "--limit", "1000000"]);
        let mut admin = gateway.admin();
        let firsts = rows.iter().filter(|row| row["verdict"] == "first");
        let stories = firsts.map(|row| {
            let path = format!("/api/v1/events/{}", row["delivery_id"].as_str().unwrap_or_default());
            let (story, body) = (admin.get(&path).0, admin.get_bytes(&format!("{path}/body")).body);
            (name(row), (story, hex_text(ring::digest::digest(&ring::digest::SHA256, &body).as_ref())))
        });
        let stories = stories.collect();
        gateway.stop();
        Self { events: provider.events(), rows, stories, integrity: integrity(gateway) }
    }
}

fn integrity(gateway: &Gateway) -> Vec<String> {
    let database = Connection::open_with_flags(gateway.database(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the database");
    let mut check = database.prepare("PRAGMA integrity_check").expect("a statement");
    let told = check.query_map([], |row| row.get(0)).expect("rows");
    let mut told: Vec<String> = told.map(|row| row.expect("text")).collect();
    for (what, condition) in [
        ("payloads without event", "FROM payload WHERE event NOT IN (SELECT id FROM event)"),
        ("events without payload", "FROM event WHERE id NOT IN (SELECT event FROM payload)"),
        ("tasks without event", "FROM task WHERE event NOT IN (SELECT id FROM event)"),
        ("attempts without task", "FROM attempt WHERE task NOT IN (SELECT id FROM task)"),
    ] {
        let orphans: i64 = database.query_row(&format!("SELECT count(*) {condition}"), [], |row| row.get(0)).expect("a count");
        if orphans > 0 {
            told.push(format!("{orphans} {what}"));
        }
    }
    told
}

fn name(row: &Value) -> String {
    let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text("source"), text("event_id"))
}

/// What happened, counted: a run in which nothing was at stake proves nothing.
#[derive(Debug, Default)]
pub(super) struct Seen {
    events: usize,
    deliveries: usize,
    unanswered: usize,
    replayed: usize,
    kept_though_unanswered: usize,
    refused_forgeries: usize,
    calls: usize,
    calls_lost: usize,
    calls_overran: usize,
}

impl Seen {
    /// Fails a run whose kills hit nothing.
    pub(super) fn assert_worth_it(&self) {
        assert!(self.unanswered > 0, "no kill met a delivery in hand");
        assert!(self.kept_though_unanswered > 0, "no kill came between a commit and its answer");
        assert!(self.calls_lost > 0, "no kill met a handler's call in hand");
        assert!(self.replayed > 0 && self.refused_forgeries > 0, "no repeat or no forgery was sent");
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events in {} deliveries: {} unanswered, {} answered from the record, {} kept though their first answer was lost, \
             {} forgeries refused; {} calls of handlers, {} lost by kills, {} overran",
            self.events,
            self.deliveries,
            self.unanswered,
            self.replayed,
            self.kept_though_unanswered,
            self.refused_forgeries,
            self.calls,
            self.calls_lost,
            self.calls_overran
        )
    }
}

/// What must not be, collected so that one run shows all of it.
#[derive(Default)]
struct Verdict(Vec<String>);

impl Verdict {
    fn demand(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.0.push(otherwise());
        }
    }
}

/// Fails with everything that does not fit.
pub(super) fn check(deliveries: &[Sent], calls: &[Call], told: &Told) -> Seen {
    let mut verdict = Verdict::default();
    let mut seen = Seen { events: told.events.len(), deliveries: deliveries.len(), calls: calls.len(), ..Seen::default() };
    verdict.demand(told.integrity == ["ok"], || format!("integrity: {:?}", told.integrity));
    check_answers(&mut verdict, &mut seen, deliveries, told);
    check_log(&mut verdict, told);
    check_calls(&mut verdict, &mut seen, calls, told);
    check_origins(&mut verdict, deliveries, calls);
    check_stories(&mut verdict, &mut seen, calls, told);
    let (all, shown) = (verdict.0.len(), &verdict.0[..verdict.0.len().min(SHOWN_MAX)]);
    assert!(all == 0, "{all} violations, among them:\n{}\n{seen}", shown.join("\n"));
    seen
}

/// P2, P5, P6: one first at most, every acknowledgement of an event alike, forgeries refused.
fn check_answers(verdict: &mut Verdict, seen: &mut Seen, deliveries: &[Sent], told: &Told) {
    let mut by_event: HashMap<String, Vec<&Sent>> = HashMap::new();
    for sent in deliveries {
        by_event.entry(sent.event.name()).or_default().push(sent);
        match &sent.answer {
            None => seen.unanswered += 1,
            Some(answer) if sent.event.forged => {
                seen.refused_forgeries += 1;
                verdict.demand(answer.status() == 401, || format!("a forgery was told {}", answer.start));
            }
            Some(answer) => {
                verdict.demand(matches!(answer.status(), 200 | 202 | 503), || {
                    format!("{} was told {}", sent.event.name(), answer.start)
                });
            }
        }
    }
    for event in &told.events {
        let sent = by_event.remove(&event.name()).unwrap_or_default();
        check_acks(verdict, seen, event, &sent);
    }
}

fn check_acks(verdict: &mut Verdict, seen: &mut Seen, event: &Event, sent: &[&Sent]) {
    let acks: Vec<&Message> = sent.iter().filter_map(|sent| sent.answer.as_ref()).filter(|ack| ack.status() / 100 == 2).collect();
    let replayed = |ack: &&&Message| ack.field("idempotent-replayed") == Some("true");
    let (replays, firsts) = (acks.iter().filter(replayed).count(), acks.iter().filter(|ack| !replayed(ack)).count());
    seen.replayed += replays;
    seen.kept_though_unanswered += usize::from(firsts == 0 && replays > 0);
    verdict.demand(!acks.is_empty(), || format!("{} was never acknowledged", event.name()));
    verdict.demand(firsts <= 1, || format!("{} was first {firsts} times", event.name()));
    verdict.demand(firsts == 1 || sent.iter().any(|sent| sent.answer.is_none()), || {
        format!("{} was never first, though no answer was lost", event.name())
    });
    let (status, body, content_type) = match event.source {
        "stripe" => (200, &b"taken"[..], "text/plain"),
        _ => (202, &br#"{"taken":true}"#[..], "application/json"),
    };
    for ack in &acks {
        let right = (ack.status(), &ack.body[..], ack.field("content-type"), ack.field("hookgate-event-id"))
            == (status, body, Some(content_type), Some(event.name().as_str()));
        verdict.demand(right, || format!("{} was acknowledged otherwise than set: {ack:?}", event.name()));
        verdict.demand(lasting(ack) == lasting(acks[0]), || format!("{} was told {ack:?} and {:?}", event.name(), acks[0]));
    }
}

/// What of an acknowledgement must be the same for ever. The order of its fields means nothing.
fn lasting(ack: &Message) -> Message {
    let mut ack = ack.clone();
    ack.fields.retain(|(name, _)| !matches!(name.as_str(), "date" | "idempotent-replayed"));
    ack.fields.sort();
    ack
}

/// P1, P2: everything acknowledged is in the log with its body, once; nothing else is.
fn check_log(verdict: &mut Verdict, told: &Told) {
    let mut firsts: HashMap<String, Vec<&Value>> = HashMap::new();
    told.rows.iter().filter(|row| row["verdict"] == "first").for_each(|row| firsts.entry(name(row)).or_default().push(row));
    for event in &told.events {
        let rows = firsts.remove(&event.name()).unwrap_or_default();
        verdict.demand(rows.len() == 1, || format!("{} is {} times first in the log", event.name(), rows.len()));
        verdict.demand(rows.iter().all(|row| row["state"] == "done"), || format!("{} is not done: {rows:?}", event.name()));
        let kept = told.stories.get(&event.name()).map(|(_, digest)| digest.as_str());
        verdict.demand(kept == Some(&event.digest()), || format!("{} has another body", event.name()));
    }
    verdict.demand(firsts.is_empty(), || format!("nobody sent {:?}", firsts.keys()));
    let conflicts = told.rows.iter().filter(|row| row["verdict"] == "conflict").count();
    verdict.demand(conflicts == 0, || format!("{conflicts} conflicts, and every repeat had the same body"));
}

/// P4, P6: one key for ever, rising attempts, no overlap, the right bytes to the right handlers.
fn check_calls(verdict: &mut Verdict, seen: &mut Seen, calls: &[Call], told: &Told) {
    let mut by_task: BTreeMap<(String, String), Vec<&Call>> = BTreeMap::new();
    calls.iter().for_each(|call| by_task.entry((call.event.clone(), call.handler.clone())).or_default().push(call));
    let mut keys = BTreeSet::new();
    for event in &told.events {
        let name = event.name();
        for handler in handlers_of(event) {
            let mut calls = by_task.remove(&(name.clone(), (*handler).to_owned())).unwrap_or_default();
            calls.sort_by_key(|call| call.started);
            let what = || format!("{name} for {handler}");
            let served = calls.iter().any(|call| call.status == 200 && call.ended.is_some());
            verdict.demand(served, || format!("{} never arrived", what()));
            verdict.demand(calls.iter().all(|call| call.digest == event.digest()), || format!("{} had another body", what()));
            let key = calls.first().map_or("", |call| &call.key);
            verdict.demand(calls.iter().all(|call| call.key == key), || format!("{} had several keys", what()));
            verdict.demand(calls.is_empty() || keys.insert(key), || format!("{} had another task's key", what()));
            for pair in calls.windows(2) {
                let overran = pair[0].ended.is_none_or(|ended| ended - pair[0].started >= TIMEOUT);
                seen.calls_overran += usize::from(overran);
                verdict.demand(pair[0].attempt < pair[1].attempt, || format!("{}: attempts do not rise: {pair:?}", what()));
                let apart = pair[0].ended.is_some_and(|ended| ended <= pair[1].started);
                verdict.demand(apart || overran, || format!("{}: calls overlap: {pair:?}", what()));
            }
        }
    }
    verdict.demand(by_task.is_empty(), || format!("calls for nothing that was rightly sent: {:?}", by_task.keys()));
}

/// P6: nothing is handed on before it came.
fn check_origins(verdict: &mut Verdict, deliveries: &[Sent], calls: &[Call]) {
    let mut sent_first = HashMap::new();
    for sent in deliveries {
        let first = sent_first.entry(sent.event.name()).or_insert(sent.at);
        *first = sent.at.min(*first);
    }
    for call in calls {
        let came = sent_first.get(&call.event).is_some_and(|first| *first <= call.started);
        verdict.demand(came, || format!("{} was handed on before it was sent", call.event));
    }
}

/// P3: the gateway's own account of each event agrees with what the handlers saw.
fn check_stories(verdict: &mut Verdict, seen: &mut Seen, calls: &[Call], told: &Told) {
    let heard: HashMap<_, _> = calls.iter().map(|call| ((&*call.event, &*call.handler, u64::from(call.attempt)), call)).collect();
    for event in &told.events {
        let name = event.name();
        let Some((story, _)) = told.stories.get(&name) else { continue };
        let tasks = story["tasks"].as_array().map_or(&[][..], Vec::as_slice);
        let handlers: BTreeSet<_> = tasks.iter().filter_map(|task| task["handler"].as_str()).collect();
        verdict.demand(handlers == handlers_of(event).iter().copied().collect(), || format!("{name} has tasks for {handlers:?}"));
        for task in tasks {
            let what = || format!("{name} for {}", task["handler"]);
            let attempts = task["attempts"].as_array().map_or(&[][..], Vec::as_slice);
            let served = |attempt: &Value| attempt["status"] == 200;
            verdict.demand(task["state"] == "done", || format!("{} is {}", what(), task["state"]));
            verdict.demand(attempts.iter().filter(|attempt| served(attempt)).count() == 1, || {
                format!("{} is not done once: {attempts:?}", what())
            });
            verdict.demand(attempts.last().is_some_and(served), || format!("{} was called after it was done", what()));
            for (number, attempt) in (1..).zip(attempts) {
                verdict.demand(attempt["number"] == number, || format!("{}: {attempts:?} has a gap", what()));
                seen.calls_lost += usize::from(attempt["outcome"] == "lost");
                let handler = task["handler"].as_str().unwrap_or_default();
                let call = heard.get(&(name.as_str(), handler, number));
                let answered =
                    attempt["status"].as_u64().is_none_or(|status| call.is_some_and(|c| u64::from(c.status) == status));
                verdict.demand(answered, || format!("{}: attempt {number} was never answered so", what()));
            }
        }
    }
}

/// As configured: one handler hears everything, the other GitHub alone.
const fn handlers_of(event: &Event) -> &'static [&'static str] {
    match event.source.as_bytes() {
        b"github" => &["audit", "triage"],
        _ => &["audit"],
    }
}
