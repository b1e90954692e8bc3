//! What `replay` is to play: the fixtures that the paths name, each with its source, and what must come of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::ReplayArgs;
use crate::cli::exit::{Failure, USAGE};
use crate::cli::print;
use crate::cli::sign::{Defect, is_signed};
use crate::config::{Environment, Settings, SourceSettings, nearest};
use crate::fixture::{self, Case, Expectation, Fixture, RecordedRequest};
use crate::model::{Headers, Secret};
use crate::preset::{Check, Locator};
use crate::verify::{Verifier, VerifierSettings};

/// One delivery to be played.
pub(super) struct Planned {
    pub(super) fixture: Fixture,
    pub(super) url: String,
    pub(super) source: String,
    /// Where the source's secret is looked for, for people.
    pub(super) secret_hint: String,
    pub(super) verifier: Arc<Verifier>,
    pub(super) defect: Option<Defect>,
    /// None is any 2xx.
    pub(super) expected: Option<u16>,
    /// What a handshake's answer must say.
    pub(super) answer: Option<String>,
}

/// Why a fixture is not played, and what to do about it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct LeftOut {
    why: String,
    help: &'static str,
}

/// Why there is no plan for a fixture.
enum Unplanned {
    LeftOut(LeftOut),
    Failed(Failure),
}

impl From<Failure> for Unplanned {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Everything that the arguments ask for. What no source would take or refuse as its case says is left out, and told.
pub(super) fn plan(settings: &Settings, args: &ReplayArgs, base: &str) -> Result<Vec<Planned>, Failure> {
    let mut planned = Vec::new();
    let mut left_out = BTreeMap::<LeftOut, u64>::new();
    for path in &args.paths {
        for fixture in load(path, settings, args)?.into_iter().filter(|one| is_wanted(one, args)) {
            match plan_one(fixture, settings, args, base) {
                Ok(one) => planned.push(one),
                Err(Unplanned::LeftOut(reason)) => *left_out.entry(reason).or_default() += 1,
                Err(Unplanned::Failed(failure)) => return Err(failure),
            }
        }
    }
    for (LeftOut { why, .. }, count) in &left_out {
        print::warning(&format!("{} left out: {why}", print::counted(*count, "fixture")));
    }
    if planned.is_empty() {
        let usual = "--all plays the refused ones too; `hookgate check` shows the sources";
        let (what, help) = match left_out.first_key_value() {
            Some((LeftOut { why, help }, _)) => (why.as_str(), *help),
            None => ("there is no accepted case", usual),
        };
        return Err(Failure::new(USAGE, format!("nothing to play: {what}\nhelp: {help}")));
    }
    Ok(planned)
}

/// Refused cases are played only if asked for. What nothing signs cannot be signed wrongly.
fn is_wanted(fixture: &Fixture, args: &ReplayArgs) -> bool {
    match fixture.case.expect {
        Expectation::Accepted => true,
        Expectation::Handshake => !(args.bad_signature || args.stale) || is_signed(fixture),
        Expectation::Rejected => args.all,
    }
}

fn load(path: &Path, settings: &Settings, args: &ReplayArgs) -> Result<Vec<Fixture>, Failure> {
    if path.is_file() && path.file_name().is_none_or(|name| name != "request.http" && name != "case.toml") {
        return Ok(vec![bare(path, settings, args)?]);
    }
    if !path.exists() {
        return built_in(path);
    }
    let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
    fixture::load(folder).map_err(|error| Failure::new(USAGE, error.to_string()))
}

/// What is no path is the name of a built-in fixture, or of a provider that has some.
fn built_in(path: &Path) -> Result<Vec<Fixture>, Failure> {
    let name = path.to_string_lossy();
    let found = fixture::builtin(&name).map_err(|error| Failure::new(USAGE, error.to_string()))?;
    if !found.is_empty() {
        return Ok(found);
    }
    let providers = fixture::builtin_names().filter_map(|known| known.split_once('/')).map(|(provider, _)| provider);
    let known: Vec<&str> = if name.contains('/') { fixture::builtin_names().collect() } else { providers.collect() };
    let meant = match nearest(&name, known) {
        Some(meant) => format!("did you mean `{meant}`? "),
        None => String::new(),
    };
    let what = format!("`{}` is no file or folder, and no built-in fixture", name.escape_debug());
    Err(Failure::new(USAGE, format!("{what}\nhelp: {meant}`hookgate replay --list` shows all of them")))
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
        slot: None,
        answer: None,
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

fn plan_one(fixture: Fixture, settings: &Settings, args: &ReplayArgs, base: &str) -> Result<Planned, Unplanned> {
    let source = source_of(&fixture, settings, args)?;
    let verifier = verifier_of(source, args)?;
    let check = deciding(&verifier);
    let spoilt = args.bad_signature || args.stale;
    let written = fixture.case.defect.as_deref();
    let own = written
        .map(|text| Defect::parse(text).ok_or_else(|| Failure::new(USAGE, format!("{}: unknown defect `{text}`", fixture.name))))
        .transpose()?;
    if args.stale && check.is_none_or(|check| check.time.is_none()) {
        return Err(Failure::new(
            USAGE,
            format!(
                "--stale: {} signs no time that source `{}` looks at, so nothing of it is ever stale",
                source.preset.title(),
                source.name
            ),
        )
        .into());
    }
    if fixture.case.expect == Expectation::Rejected && !spoilt {
        judge_refusable(&fixture, source, check).map_err(Unplanned::LeftOut)?;
    }
    let defect = match (args.bad_signature, args.stale) {
        (true, _) => Some(Defect::Signature),
        (_, true) => Some(Defect::Stale),
        _ => own,
    };
    let usual = if fixture.case.expect == Expectation::Handshake { Some(200) } else { None };
    let expected = if spoilt { Some(source.preset.ack().reject) } else { fixture.case.status.or(usual) };
    let query = fixture.request.target.find('?').map_or("", |at| &fixture.request.target[at..]);
    let secret_hint = source.secrets.first().map(|secret| format!(" ({})", secret.origin)).unwrap_or_default();
    Ok(Planned {
        secret_hint,
        url: format!("{base}/hooks/{}{query}", source.name),
        answer: fixture.case.answer.clone().filter(|_| !spoilt),
        source: source.name.to_string(),
        fixture,
        verifier,
        defect,
        expected,
    })
}

/// The check that signs, and that a delivery has to pass; of a source without a secret the one that would.
fn deciding(verifier: &Verifier) -> Option<&Check> {
    let armed = verifier.armed();
    let mut checks = verifier.preset().checks().iter();
    checks.find(|check| armed.is_empty() || *check.id == *armed[0])
}

/// A provider may have several checks, and what one of them refuses another may not look at.
fn judge_refusable(fixture: &Fixture, source: &SourceSettings, check: Option<&Check>) -> Result<(), LeftOut> {
    let slot = fixture.case.slot.as_deref().unwrap_or("signing");
    let decides = check.is_none_or(|check| *check.slot == *slot);
    if decides || !source.preset.slots().contains(&slot) {
        return Ok(());
    }
    Err(LeftOut {
        why: format!("only a check of slot `{slot}` refuses that, and it does not decide for source `{}`", source.name),
        help: "give the source a secret of that slot, or name another source with --source",
    })
}

fn source_of<'a>(fixture: &Fixture, settings: &'a Settings, args: &ReplayArgs) -> Result<&'a SourceSettings, Unplanned> {
    if let Some(name) = &args.source {
        return Ok(named_source(settings, name)?);
    }
    let provider = &fixture.case.provider;
    let of_provider: Vec<_> = settings.sources.iter().filter(|source| **source.preset.name() == **provider).collect();
    match of_provider.as_slice() {
        [only] => Ok(only),
        [] => Err(Unplanned::LeftOut(LeftOut {
            why: format!("no source has the provider `{provider}`"),
            help: "add a source of it to the config (`hookgate init` writes one), or name one with --source",
        })),
        several => {
            let several: Vec<_> = several.iter().map(|source| source.name.as_str()).collect();
            Err(Failure::new(
                USAGE,
                format!("several sources have the provider `{provider}`: {}\nhelp: choose one with --source", several.join(", ")),
            )
            .into())
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
        .bytes(variable)
        .ok_or_else(|| Failure::new(USAGE, format!("--secret-env: {variable} is not set")))?;
    let secret = Secret::new(value).map_err(|error| Failure::new(USAGE, format!("--secret-env: {variable} {error}")))?;
    let slot = source.secrets.first().map_or_else(|| source.preset.first_slot(), |secret| &*secret.slot);
    let verifier = Verifier::new(VerifierSettings {
        source: source.name.clone(),
        preset: Arc::clone(&source.preset),
        secrets: vec![(slot.to_owned(), secret)],
        awaited: Vec::new(),
        allow: source.allow.clone(),
        tolerance: None,
        params: source.params.clone(),
        kept_headers: Vec::new(),
    });
    verifier.map(Arc::new).map_err(|error| Failure::new(USAGE, format!("--secret-env: {variable}: {error}")))
}
