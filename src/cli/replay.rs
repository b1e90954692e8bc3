//! `hookgate replay`: plays fixtures against a gateway as their provider would, and says whether each answer was as expected.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::Client;

use super::exit::{Failure, NO, OK, UNREACHABLE, USAGE};
use super::print::plain;
use super::sign::{Defect, Shot, shoot};
use super::{Global, ReplayArgs, print, setup};
use crate::clock::{Clock, SystemClock};
use crate::config::{Environment, Keys, Settings, SourceSettings};
use crate::fixture::{self, Case, Expectation, Fixture, RecordedRequest};
use crate::model::{Headers, Secret};
use crate::preset::{Locator, Preset};
use crate::verify::{Verifier, VerifierSettings};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most deliveries under way in an open loop.
const OPEN_LOOP_MAX: usize = 1024;
/// Work that takes longer than this gets a progress bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// One delivery to be played.
struct Planned {
    fixture: Fixture,
    url: String,
    source: String,
    verifier: Arc<Verifier>,
    defect: Option<Defect>,
    /// None is any 2xx.
    expected: Option<u16>,
}

/// What came of one.
struct Played {
    name: String,
    source: String,
    /// Status, `Hookgate-Event-Id`, and whether it was answered from the record.
    answer: Result<(u16, Option<String>, bool), reqwest::Error>,
    expected: Option<u16>,
    took: Duration,
}

/// Plays the fixtures.
pub(super) async fn run(global: &Global, args: ReplayArgs) -> Result<u8, Failure> {
    let settings = setup::settings(&setup::flags(global), Keys::Leave)?;
    let base = base_url(&settings, &args)?;
    let planned = plan(&settings, &args, &base)?;
    if planned.is_empty() {
        return Err(Failure::new(
            USAGE,
            "nothing to play: no accepted case there has a source\nhelp: --all plays the refused ones too; `hookgate check` shows the sources",
        ));
    }
    let clock = SystemClock::new();
    let played = play(&planned, &args, &clock, global.quiet).await?;
    if let Some(error) = unreachable(&played) {
        let hint = "is the gateway running? Start it with `hookgate serve` (in a checkout: `cargo run -- serve`), or name another with --to";
        return Err(Failure::new(UNREACHABLE, format!("{base} is not reached: {error}\nhelp: {hint}")));
    }
    report(&played, &args, global.quiet)
}

/// Where to, if that is allowed without asking.
fn base_url(settings: &Settings, args: &ReplayArgs) -> Result<String, Failure> {
    let listen = settings.listen;
    let ip = if listen.ip().is_unspecified() { std::net::Ipv4Addr::LOCALHOST.into() } else { listen.ip() };
    let base = args.to.clone().unwrap_or_else(|| format!("http://{}", std::net::SocketAddr::new(ip, listen.port())));
    let base = if base.contains("://") { base } else { format!("http://{base}") };
    let url = reqwest::Url::parse(&base).map_err(|error| Failure::new(USAGE, format!("--to is no URL: {error}")))?;
    let loopback = match url.host_str().map(|host| host.trim_matches(['[', ']'])) {
        Some("localhost") => true,
        Some(host) => host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => return Err(Failure::new(USAGE, "--to has no host")),
    };
    if !args.yes && (!loopback || settings.file.is_some()) {
        let what = if loopback { "is no demo: its handlers will get the fixtures as real events" } else { "is off loopback" };
        return Err(Failure::new(USAGE, format!("the gateway at {base} {what}\nhelp: --yes plays all the same")));
    }
    Ok(base.trim_end_matches('/').to_owned())
}

fn plan(settings: &Settings, args: &ReplayArgs, base: &str) -> Result<Vec<Planned>, Failure> {
    let mut planned = Vec::new();
    let mut homeless = BTreeMap::<String, u64>::new();
    for path in &args.paths {
        for fixture in load(path, settings, args)?.into_iter().filter(|one| one.case.expect == Expectation::Accepted || args.all)
        {
            let provider = &fixture.case.provider;
            if args.source.is_none() && !settings.sources.iter().any(|source| **source.preset.name() == **provider) {
                *homeless.entry(provider.clone()).or_default() += 1;
                continue;
            }
            planned.push(plan_one(fixture, settings, args, base)?);
        }
    }
    for (provider, count) in homeless {
        print::warning(&format!("{} left out: no source has the provider `{provider}`", print::counted(count, "fixture")));
    }
    Ok(planned)
}

fn load(path: &Path, settings: &Settings, args: &ReplayArgs) -> Result<Vec<Fixture>, Failure> {
    if path.is_file() && path.file_name().is_none_or(|name| name != "request.http" && name != "case.toml") {
        return Ok(vec![bare(path, settings, args)?]);
    }
    let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
    fixture::load(folder).map_err(|error| Failure::new(USAGE, error.to_string()))
}

/// A body without a head: what its provider would send with it is made up.
fn bare(path: &Path, settings: &Settings, args: &ReplayArgs) -> Result<Fixture, Failure> {
    let body = std::fs::read(path).map_err(|error| Failure::new(USAGE, format!("cannot read {}: {error}", path.display())))?;
    let source = match (&args.source, settings.sources.as_slice()) {
        (None, [only]) => only,
        (None, several) => return Err(Failure::new(USAGE, format!("a bare body needs --source: {}", names(several)))),
        (Some(name), _) => named_source(settings, name)?,
    };
    let preset = &source.preset;
    let mut headers = Headers::new();
    headers.push("content-type", "application/json");
    headers.push("user-agent", concat!("hookgate-replay/", env!("CARGO_PKG_VERSION")));
    for locator in preset.event().id_locators() {
        if let Locator::Header(name) = locator
            && headers.find(name.lower()).is_none()
        {
            headers.push(name.lower(), content_id(&body));
        }
    }
    let mut type_headers = preset.event().type_locators().filter_map(|locator| match locator {
        Locator::Header(name) => Some(name),
        _ => None,
    });
    match (type_headers.find(|name| headers.find(name.lower()).is_none()), &args.event_type) {
        (Some(name), Some(text)) => headers.push(name.lower(), text.clone()),
        (Some(name), None) => {
            return Err(Failure::new(
                USAGE,
                format!("{} puts the event type into a header\nhelp: give it with --type ({})", preset.title(), name.written()),
            ));
        }
        (None, _) => {}
    }
    let case = Case {
        title: path.display().to_string(),
        docs: None,
        provider: preset.name().to_string(),
        secret: String::new(),
        now: 0,
        expect: Expectation::Accepted,
        event_id: None,
        event_type: None,
        status: None,
        reason: None,
        defect: None,
    };
    let request = RecordedRequest { method: "POST".to_owned(), target: "/".to_owned(), headers, body: body.into() };
    Ok(Fixture { name: path.display().to_string(), case, request })
}

/// An id that names the content, so that playing it again meets its own record.
fn content_id(body: &[u8]) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(body);
    uuid::Uuid::from_slice(&digest[..16]).unwrap_or_default().to_string()
}

fn plan_one(fixture: Fixture, settings: &Settings, args: &ReplayArgs, base: &str) -> Result<Planned, Failure> {
    let source = source_of(&fixture, settings, args)?;
    let verifier = verifier_of(source, args)?;
    let written = fixture.case.defect.as_deref();
    let own = written
        .map(|text| Defect::parse(text).ok_or_else(|| Failure::new(USAGE, format!("{}: unknown defect `{text}`", fixture.name))))
        .transpose()?;
    if args.stale && !source.preset.has_time() {
        return Err(Failure::new(
            USAGE,
            format!("--stale: {} signs no time, so nothing of it is ever stale", source.preset.title()),
        ));
    }
    let spoilt = args.bad_signature || args.stale;
    let defect = match (args.bad_signature, args.stale) {
        (true, _) => Some(Defect::Signature),
        (_, true) => Some(Defect::Stale),
        _ => own,
    };
    let expected = if spoilt { Some(source.preset.ack().reject) } else { fixture.case.status };
    Ok(Planned {
        url: format!("{base}/hooks/{}", source.name),
        source: source.name.to_string(),
        fixture,
        verifier,
        defect,
        expected,
    })
}

fn source_of<'a>(fixture: &Fixture, settings: &'a Settings, args: &ReplayArgs) -> Result<&'a SourceSettings, Failure> {
    if let Some(name) = &args.source {
        return named_source(settings, name);
    }
    let provider = &fixture.case.provider;
    let of_provider: Vec<_> = settings.sources.iter().filter(|source| **source.preset.name() == **provider).collect();
    match of_provider.as_slice() {
        [only] => Ok(only),
        [] => Err(Failure::new(USAGE, format!("{}: no source has the provider `{provider}`", fixture.name))),
        several => {
            let several: Vec<_> = several.iter().map(|source| source.name.as_str()).collect();
            Err(Failure::new(
                USAGE,
                format!("several sources have the provider `{provider}`: {}\nhelp: choose one with --source", several.join(", ")),
            ))
        }
    }
}

fn named_source<'a>(settings: &'a Settings, name: &str) -> Result<&'a SourceSettings, Failure> {
    let found = settings.sources.iter().find(|source| source.name.as_str() == name);
    found.ok_or_else(|| {
        Failure::new(USAGE, format!("there is no source `{}`: there are {}", name.escape_debug(), names(&settings.sources)))
    })
}

fn names(sources: &[SourceSettings]) -> String {
    sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn verifier_of(source: &SourceSettings, args: &ReplayArgs) -> Result<Arc<Verifier>, Failure> {
    let Some(variable) = &args.secret_env else { return Ok(Arc::clone(&source.verifier)) };
    let value = Environment::of_process()
        .var(variable)
        .ok_or_else(|| Failure::new(USAGE, format!("--secret-env: {variable} is not set")))?;
    let secret =
        Secret::new(value.into_bytes()).map_err(|error| Failure::new(USAGE, format!("--secret-env: {variable} {error}")))?;
    let slot = source.preset.slots().first().copied().unwrap_or("signing");
    let verifier = Verifier::new(VerifierSettings {
        source: source.name.clone(),
        preset: Arc::clone(&source.preset),
        secrets: vec![(slot.to_owned(), secret)],
        allow: source.allow.clone(),
        tolerance: None,
        params: source.params.clone(),
        kept_headers: Vec::new(),
    });
    verifier.map(Arc::new).map_err(|error| Failure::new(USAGE, format!("--secret-env: {variable}: {error}")))
}

async fn play(planned: &[Planned], args: &ReplayArgs, clock: &SystemClock, quiet: bool) -> Result<Vec<Played>, Failure> {
    let client = Client::builder().no_proxy().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|error| Failure::new(UNREACHABLE, format!("the HTTP client cannot be set up: {error}")))?;
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
                "{} cannot be signed for source `{}`\nhelp: the source has no secret yet (set its variable; in the demo, start `hookgate serve` once), or its scheme is asymmetric",
                planned.fixture.name, planned.source
            ),
        ));
    };
    let started = clock.monotonic();
    let answer = send(client, &planned.url, shot).await;
    Ok(Played {
        name: planned.fixture.name.clone(),
        source: planned.source.clone(),
        answer,
        expected: planned.expected,
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

async fn send(client: &Client, url: &str, shot: Shot) -> Result<(u16, Option<String>, bool), reqwest::Error> {
    let mut request = client.post(url).body(shot.body);
    for (name, value) in &shot.headers {
        request = request.header(name, &value[..]);
    }
    let response = request.send().await?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let told = (response.status().as_u16(), header("hookgate-event-id"), header("idempotent-replayed").is_some());
    // The connection is free for the next one only once the answer has been read.
    response.bytes().await?;
    Ok(told)
}

impl Played {
    fn verdict(&self) -> &'static str {
        match &self.answer {
            _ if !self.as_expected() => "failed",
            Ok((200..=299, _, false)) => "first",
            Ok((200..=299, _, true)) => "duplicate",
            Ok(_) => "rejected",
            Err(_) => "failed",
        }
    }

    fn as_expected(&self) -> bool {
        match (&self.answer, self.expected) {
            (Ok((status, ..)), None) => (200..300).contains(status),
            (Ok((status, ..)), Some(expected)) => *status == expected,
            (Err(_), _) => false,
        }
    }
}

/// Nothing was ever answered: the one thing to say.
fn unreachable(played: &[Played]) -> Option<String> {
    let first = played.first().and_then(|first| first.answer.as_ref().err());
    let all = played.iter().all(|one| one.answer.as_ref().is_err_and(reqwest::Error::is_connect));
    let mut cause: &dyn std::error::Error = first.filter(|_| all)?;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Some(cause.to_string())
}

fn report(played: &[Played], args: &ReplayArgs, quiet: bool) -> Result<u8, Failure> {
    let failed: Vec<_> = played.iter().filter(|one| !one.as_expected()).collect();
    let code = if failed.is_empty() { OK } else { NO };
    if args.json {
        for one in played {
            let answer = one.answer.as_ref().ok();
            print::json(&serde_json::json!({
                "v": 1, "fixture": one.name, "source": one.source, "verdict": one.verdict(), "as_expected": one.as_expected(),
                "status": answer.map(|answer| answer.0), "event": answer.and_then(|answer| answer.1.clone()),
                "replayed": answer.is_some_and(|answer| answer.2), "duration_us": u64::try_from(one.took.as_micros()).unwrap_or(u64::MAX),
            }))?;
        }
        return Ok(code);
    }
    for one in &failed {
        let expected = one.expected.map_or_else(|| "2xx".to_owned(), |status| status.to_string());
        let got = match &one.answer {
            Ok((status, ..)) => status.to_string(),
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
    let mut times: Vec<u64> = played.iter().map(|one| u64::try_from(one.took.as_micros()).unwrap_or(u64::MAX)).collect();
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1))).copied().unwrap_or(0);
    let head = ["SENT", "FIRST", "DUPLICATE", "REJECTED", "FAILED", "P50", "P99"];
    let row = vec![
        plain(played.len().to_string()),
        plain(count("first")),
        plain(count("duplicate")),
        plain(count("rejected")),
        plain(count("failed")),
        plain(print::millis(at(50))),
        plain(print::millis(at(99))),
    ];
    print::line(&print::table(&head, vec![row], &[0, 1, 2, 3, 4, 5, 6]));
}
