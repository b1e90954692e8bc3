//! What `replay` is to play: the fixtures that the paths name, each with its source, and what must come of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::ReplayArgs;
use crate::cli::exit::{Failure, USAGE};
use crate::cli::print;
use crate::cli::sign::Defect;
use crate::config::{Environment, Settings, SourceSettings};
use crate::fixture::{self, Case, Expectation, Fixture, RecordedRequest};
use crate::model::{Headers, Secret};
use crate::preset::Locator;
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
}

/// Everything that the arguments ask for. What no source would take is left out, and told.
pub(super) fn plan(settings: &Settings, args: &ReplayArgs, base: &str) -> Result<Vec<Planned>, Failure> {
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
    let secret_hint = source.secrets.first().map(|secret| format!(" ({})", secret.origin)).unwrap_or_default();
    Ok(Planned {
        secret_hint,
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
        .bytes(variable)
        .ok_or_else(|| Failure::new(USAGE, format!("--secret-env: {variable} is not set")))?;
    let secret = Secret::new(value).map_err(|error| Failure::new(USAGE, format!("--secret-env: {variable} {error}")))?;
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
