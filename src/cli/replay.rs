//! `hookgate replay`: plays fixtures against a gateway as their provider would, and says whether each answer was as expected.

mod args;
mod plan;

use std::time::Duration;

use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::Client;

use super::client::{client, is_loopback};
use super::exit::{Failure, NO, OK, UNREACHABLE, USAGE};
use super::print::plain;
use super::sign::{Shot, shoot};
use super::{Global, print, setup};
use crate::clock::{Clock, SystemClock};
use crate::config::{Keys, Settings};
use crate::fixture::{self, Expectation};
use crate::handler::innermost;
use crate::preset::{Locator, Preset};
pub(super) use args::ReplayArgs;
use plan::{Planned, plan};

/// Most deliveries under way in an open loop.
const OPEN_LOOP_MAX: usize = 1024;
/// Work that takes longer than this gets a progress bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// What came of one.
struct Played {
    name: String,
    source: String,
    answer: Result<Told, reqwest::Error>,
    expected: Option<u16>,
    /// What a handshake's answer must say.
    text: Option<String>,
    took: Duration,
}

/// What the gateway said.
struct Told {
    status: u16,
    /// `Hookgate-Event-Id`.
    event: Option<String>,
    /// Whether it was answered from the record.
    replayed: bool,
    body: bytes::Bytes,
}

/// Plays the fixtures.
pub(super) async fn run(global: &Global, args: ReplayArgs) -> Result<u8, Failure> {
    if args.list {
        return list(args.json);
    }
    let settings = setup::settings(&setup::flags(global), Keys::Leave)?;
    let base = base_url(&settings, &args)?;
    let planned = plan(&settings, &args, &base)?;
    let clock = SystemClock::new();
    let played = play(&planned, &args, &clock, global.quiet).await?;
    if let Some(error) = unreachable(&played) {
        let hint = "is the gateway running? Start it with `hookgate serve` (in a checkout: `cargo run -- serve`), or name another with --to";
        return Err(Failure::new(UNREACHABLE, format!("{base} is not reached: {error}\nhelp: {hint}")));
    }
    report(&played, &args, global.quiet)
}

/// The built-in fixtures, by provider.
fn list(json: bool) -> Result<u8, Failure> {
    let mut rows = Vec::new();
    for name in fixture::builtin_names() {
        for one in fixture::builtin(name).map_err(|error| Failure::new(USAGE, error.to_string()))? {
            let expect = match one.case.expect {
                Expectation::Accepted => "accepted",
                Expectation::Handshake => "handshake",
                Expectation::Rejected => "rejected",
            };
            if json {
                let (provider, title) = (&one.case.provider, &one.case.title);
                print::json(&serde_json::json!({
                    "v": 1, "fixture": name, "provider": provider, "expect": expect, "title": title,
                }))?;
            } else {
                rows.push(vec![plain(name), plain(expect), plain(one.case.title)]);
            }
        }
    }
    if !json {
        print::line(&print::table(&["FIXTURE", "EXPECT", "WHAT IT IS"], rows, &[]));
    }
    Ok(OK)
}

/// Where to, if that is allowed without asking.
fn base_url(settings: &Settings, args: &ReplayArgs) -> Result<String, Failure> {
    let listen = settings.listen;
    let ip = if listen.ip().is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { listen.ip() };
    let base = args.to.clone().unwrap_or_else(|| format!("http://{}", std::net::SocketAddr::new(ip, listen.port())));
    let base = if base.contains("://") { base } else { format!("http://{base}") };
    let url = reqwest::Url::parse(&base).map_err(|error| Failure::new(USAGE, format!("--to is no URL: {error}")))?;
    if !url.has_host() {
        return Err(Failure::new(USAGE, "--to has no host"));
    }
    let loopback = is_loopback(&url);
    if !args.yes && (!loopback || settings.file.is_some()) {
        let what = if loopback { "is no demo: its handlers will get the fixtures as real events" } else { "is off loopback" };
        return Err(Failure::new(USAGE, format!("the gateway at {base} {what}\nhelp: --yes plays all the same")));
    }
    // The URL of a source, as `serve` prints it, is taken for its gateway's.
    let base = url.path().find("/hooks/").map_or(base.as_str(), |at| &base[..base.len() - url.path().len() + at]);
    Ok(base.trim_end_matches('/').to_owned())
}

async fn play(planned: &[Planned], args: &ReplayArgs, clock: &SystemClock, quiet: bool) -> Result<Vec<Played>, Failure> {
    let client = client(planned.iter().any(|one| one.url.starts_with("https:")))?;
    let total = planned.len() * args.times as usize;
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len}  {per_sec}  {eta}")
            .unwrap_or_else(|_default| ProgressStyle::default_bar()),
    );
    let started = clock.monotonic();
    let (under_way, gap) = match args.rate {
        Some(rate) => (OPEN_LOOP_MAX, Some(Duration::from_secs_f64(1.0 / rate))),
        None => (args.concurrency.max(1), None),
    };
    // Every delivery of one round before any of the next: a repeat is to meet a record, not a race.
    let mut played = Vec::new();
    for round in 0..args.times as usize {
        let shots = planned.iter().enumerate().map(|(index, one)| {
            let due = gap.map(|gap| started + gap * u32::try_from(round * planned.len() + index).unwrap_or(u32::MAX));
            play_one(&client, one, args, clock, due)
        });
        let mut answers = futures_util::stream::iter(shots).buffered(under_way);
        while let Some(answer) = answers.next().await {
            played.push(answer?);
            bar.inc(1);
            if !quiet && bar.is_hidden() && clock.monotonic().saturating_sub(started) > PATIENCE {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        }
    }
    bar.finish_and_clear();
    Ok(played)
}

async fn play_one(
    client: &Client,
    planned: &Planned,
    args: &ReplayArgs,
    clock: &SystemClock,
    due: Option<Duration>,
) -> Result<Played, Failure> {
    if let Some(due) = due {
        clock.sleep_until(due).await;
    }
    let fresh = args.fresh_ids.then(|| fresh_id(planned.verifier.preset(), clock));
    let Some(shot) = shoot(&planned.fixture, fresh.as_deref(), planned.defect.as_ref(), &planned.verifier, clock.wall()) else {
        return Err(Failure::new(
            USAGE,
            format!(
                "{} cannot be signed for source `{}`\nhelp: this shell does not know the source's secret{} (the running gateway may); export it, name another variable with --secret-env, or in the demo start `hookgate serve` first",
                planned.fixture.name, planned.source, planned.secret_hint
            ),
        ));
    };
    let started = clock.monotonic();
    let answer = send(client, planned, shot).await;
    Ok(Played {
        name: planned.fixture.name.clone(),
        source: planned.source.clone(),
        answer,
        expected: planned.expected,
        text: planned.answer.clone(),
        took: clock.monotonic().saturating_sub(started),
    })
}

/// In the shape that the provider's ids have: a uuid in a header, a word with a prefix in a body.
fn fresh_id(preset: &Preset, clock: &SystemClock) -> String {
    let random = uuid::Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid();
    match preset.event().id_locators().next() {
        Some(Locator::Header(_)) => random.to_string(),
        _ => format!("evt_{:x}{}", clock.wall().0, &random.simple().to_string()[..8]),
    }
}

async fn send(client: &Client, planned: &Planned, shot: Shot) -> Result<Told, reqwest::Error> {
    let method = reqwest::Method::from_bytes(planned.fixture.request.method.as_bytes()).unwrap_or(reqwest::Method::POST);
    let mut request = client.request(method, &planned.url).body(shot.body);
    for (name, value) in &shot.headers {
        request = request.header(name, &value[..]);
    }
    let response = request.send().await?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (event, replayed) = (header("hookgate-event-id"), header("idempotent-replayed").is_some());
    let status = response.status().as_u16();
    // The connection is free for the next one only once the answer has been read.
    Ok(Told { status, event, replayed, body: response.bytes().await? })
}

impl Played {
    fn verdict(&self) -> &'static str {
        match &self.answer {
            _ if !self.as_expected() => "failed",
            Ok(_) if self.text.is_some() => "handshake",
            Ok(Told { status: 200..=299, replayed: false, .. }) => "first",
            Ok(Told { status: 200..=299, replayed: true, .. }) => "duplicate",
            Ok(_) => "rejected",
            Err(_) => "failed",
        }
    }

    fn as_expected(&self) -> bool {
        let Ok(told) = &self.answer else { return false };
        let right_status = match self.expected {
            None => (200..300).contains(&told.status),
            Some(expected) => told.status == expected,
        };
        right_status && self.text.as_ref().is_none_or(|text| told.body == text.as_bytes())
    }
}

/// Nothing was ever answered: the one thing to say.
fn unreachable(played: &[Played]) -> Option<String> {
    let first = played.first().and_then(|first| first.answer.as_ref().err());
    let all = played.iter().all(|one| one.answer.as_ref().is_err_and(reqwest::Error::is_connect));
    first.filter(|_| all).map(|error| innermost(error).to_string())
}

fn report(played: &[Played], args: &ReplayArgs, quiet: bool) -> Result<u8, Failure> {
    let failed: Vec<_> = played.iter().filter(|one| !one.as_expected()).collect();
    let code = if failed.is_empty() { OK } else { NO };
    if args.json {
        for one in played {
            let answer = one.answer.as_ref().ok();
            print::json(&serde_json::json!({
                "v": 1, "fixture": one.name, "source": one.source, "verdict": one.verdict(), "as_expected": one.as_expected(),
                "status": answer.map(|answer| answer.status), "event": answer.and_then(|answer| answer.event.clone()),
                "replayed": answer.is_some_and(|answer| answer.replayed), "duration_us": print::micros(one.took),
            }))?;
        }
        return Ok(code);
    }
    for one in &failed {
        let expected = one.expected.map_or_else(|| "2xx".to_owned(), |status| status.to_string());
        let got = match &one.answer {
            Ok(told) if Some(told.status) == one.expected => format!("{} with another body", told.status),
            Ok(told) => told.status.to_string(),
            Err(error) => format!("no answer ({error})"),
        };
        print::line(&format!("{}  {}: expected {expected}, got {got}", print::paint("failed", print::RED), one.name));
    }
    if !quiet {
        table(played);
    }
    Ok(code)
}

fn table(played: &[Played]) {
    let count = |verdict: &str| played.iter().filter(|one| one.verdict() == verdict).count().to_string();
    let mut times: Vec<u64> = played.iter().map(|one| print::micros(one.took)).collect();
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1))).copied().unwrap_or(0);
    let mut columns = vec![
        ("SENT", played.len().to_string()),
        ("FIRST", count("first")),
        ("DUPLICATE", count("duplicate")),
        ("REJECTED", count("rejected")),
        ("FAILED", count("failed")),
        ("P50", print::millis(at(50))),
        ("P99", print::millis(at(99))),
    ];
    let handshakes = count("handshake");
    if handshakes != "0" {
        columns.insert(3, ("HANDSHAKE", handshakes));
    }
    let head: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let right: Vec<usize> = (0..columns.len()).collect();
    let row = columns.iter().map(|(_, value)| plain(value.clone())).collect();
    print::line(&print::table(&head, vec![row], &right));
}
