//! Whose request it is to be: a source of the config, or a provider with the secrets that were given.

use std::path::Path;
use std::sync::Arc;

use super::VerifyArgs;
use crate::cli::exit::{Failure, USAGE};
use crate::cli::{Global, providers, setup};
use crate::config::{self, Environment, Keys, NamedSecret, SecretText, Settings, SourceSettings, nearest};
use crate::fixture::RecordedRequest;
use crate::model::{Ack, SourceName};
use crate::preset::Preset;
use crate::verify::{KeyError, Verifier, VerifierSettings};

/// What judges a request.
pub(super) struct Subject {
    /// Rules and secrets.
    pub(super) settings: VerifierSettings,
    /// The same secrets with where they come from; those that are not there too.
    pub(super) secrets: Vec<NamedSecret>,
    /// Whether it is a source of the config.
    pub(super) is_source: bool,
    /// Answered 410.
    pub(super) retired: bool,
    /// Largest body in bytes.
    pub(super) body_limit: usize,
    /// The answer to what passes.
    pub(super) ack: Ack,
    /// The other sources of the config.
    pub(super) others: Vec<(SourceName, Arc<Verifier>)>,
}

impl Subject {
    /// Prepares its secrets.
    pub(super) fn verifier(&self) -> Result<Verifier, Failure> {
        Verifier::new(self.settings.clone()).map_err(|error| self.unusable(&error))
    }

    /// That no secret was given, where only flags can give one.
    pub(super) fn forgotten_secret(&self) -> Result<(), Failure> {
        if self.is_source || !self.secrets.is_empty() {
            return Ok(());
        }
        let title = self.settings.preset.title();
        let help = "give it with --secret-env VAR or --secret-file PATH, or name a source of the config with --source";
        Err(Failure::new(USAGE, format!("no secret of {title} was given, so nothing can be judged\nhelp: {help}")))
    }

    /// Why settings make no verifier. What a secret looks like is said, never the secret.
    fn unusable(&self, error: &KeyError) -> Failure {
        let mut found = self.secrets.iter().filter(|named| named.secret.is_some());
        let culprit = error.place().and_then(|place| found.nth(place));
        let Some((named, secret)) = culprit.and_then(|named| Some((named, named.secret.as_ref()?))) else {
            return Failure::new(USAGE, error.to_string());
        };
        let text = secret.reveal();
        let help = if text.trim_ascii().len() < text.len() {
            "it begins or ends with blanks or a line end: take them away"
        } else if text.starts_with(b"\"") || text.starts_with(b"'") {
            "it is in quotes: take them away"
        } else {
            "copy it again from the provider, whole and as it is shown there"
        };
        Failure::new(USAGE, format!("{error} ({})\nhelp: {help}", named.origin))
    }
}

/// By the flags, or by the request's own path.
pub(super) fn find(global: &Global, args: &VerifyArgs, request: &RecordedRequest) -> Result<Subject, Failure> {
    if let Some(name) = &args.provider {
        return of_provider(global, args, name);
    }
    let settings = setup::settings(&setup::flags(global), Keys::Leave)?;
    let path = request.target.split('?').next().unwrap_or_default();
    let name = args.source.as_deref().or_else(|| path.strip_prefix("/hooks/"));
    let known: Vec<&str> = settings.sources.iter().map(|source| source.name.as_str()).collect();
    let Some(name) = name else {
        let path = path.escape_debug();
        return Err(Failure::new(
            USAGE,
            format!(
                "the path `{path}` names no source\nhelp: say whose request it is: --source {}, or --provider",
                known.join("|")
            ),
        ));
    };
    match settings.sources.iter().position(|source| source.name.as_str() == name) {
        Some(place) => Ok(of_source(&settings, place, args)),
        None => {
            let help = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean --source {near}?"),
                None => format!("the config has {}; --provider judges without it", known.join(", ")),
            };
            Err(Failure::new(USAGE, format!("unknown source `{}`\nhelp: {help}", name.escape_debug())))
        }
    }
}

fn of_source(settings: &Settings, place: usize, args: &VerifyArgs) -> Subject {
    let source: &SourceSettings = &settings.sources[place];
    let others = settings.sources.iter().filter(|other| other.name != source.name && !other.verifier.is_pending());
    let (found, awaited) = config::by_slot(&source.secrets);
    Subject {
        settings: VerifierSettings {
            source: source.name.clone(),
            preset: Arc::clone(&source.preset),
            secrets: found,
            awaited,
            allow: if args.allow.is_empty() { source.allow.clone() } else { Some(args.allow.clone()) },
            tolerance: source.tolerance,
            params: source.params.clone(),
            kept_headers: Vec::new(),
        },
        secrets: source.secrets.clone(),
        is_source: true,
        retired: source.retired,
        body_limit: source.body_limit,
        ack: source.recorded_ack(),
        others: others.map(|other| (other.name.clone(), Arc::clone(&other.verifier))).collect(),
    }
}

fn of_provider(global: &Global, args: &VerifyArgs, name: &str) -> Result<Subject, Failure> {
    let builtin = setup::builtin_presets();
    let is_builtin = builtin.iter().any(|preset| **preset.name() == *name);
    // What is built in needs no config, in whatever state it is.
    let presets = if is_builtin { builtin } else { setup::presets(&setup::flags(global))? };
    let preset = providers::find(&presets, name)?;
    let secrets = secrets(args, preset)?;
    let source = SourceName::parse(name).map_err(|error| Failure::new(USAGE, error.to_string()))?;
    let (found, awaited) = config::by_slot(&secrets);
    Ok(Subject {
        settings: VerifierSettings {
            source,
            preset: Arc::clone(preset),
            secrets: found,
            awaited,
            allow: (!args.allow.is_empty()).then(|| args.allow.clone()),
            tolerance: None,
            params: args.param.iter().cloned().collect(),
            kept_headers: Vec::new(),
        },
        secrets,
        is_source: false,
        retired: false,
        body_limit: config::default_body_limit(preset),
        ack: config::preset_ack(preset),
        others: Vec::new(),
    })
}

/// Every secret that was named must be there.
fn secrets(args: &VerifyArgs, preset: &Preset) -> Result<Vec<NamedSecret>, Failure> {
    let env = Environment::of_process();
    let text = |slot: Option<&str>| SecretText { slot: slot.map(str::to_owned), ..SecretText::default() };
    let files = args.secret_file.iter().map(|given| {
        let (slot, path) = slotted(given, preset);
        SecretText { file: Some(path.to_owned()), ..text(slot) }
    });
    let variables = args.secret_env.iter().map(|given| {
        let (slot, name) = slotted(given, preset);
        SecretText { env: Some(name.to_owned()), ..text(slot) }
    });
    files.chain(variables).map(|text| load(text, &env)).collect()
}

fn load(text: SecretText, env: &Environment) -> Result<NamedSecret, Failure> {
    let named = config::load_secret(text, env).map_err(|error| setup::failure(&error, None))?;
    match &named.secret {
        Some(_) => Ok(named),
        None => Err(Failure::new(
            USAGE,
            format!("no secret in {}\nhelp: set the variable, or name a file that is there", named.origin),
        )),
    }
}

/// A path may have a `=` of its own: only a slot of the provider is one.
fn slotted<'t>(given: &'t str, preset: &Preset) -> (Option<&'t str>, &'t str) {
    match given.split_once('=') {
        Some((slot, rest)) if preset.slots().contains(&slot) || !Path::new(given).exists() => (Some(slot), rest),
        _ => (None, given),
    }
}
