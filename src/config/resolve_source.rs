//! `[sources.NAME]`, resolved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;

use super::error::ConfigError;
use super::file::{OnMismatchText, ReplayGuardText, SourceText};
use super::{Limits, NamedSecret, SourceSettings, addresses, resolve_limits, secrets};
use crate::model::{Ack, Fingerprint, SourceName, TypeGlob};
use crate::preset::Preset;
use crate::verify::{Verifier, VerifierSettings};

/// Longest time to an answer unless said otherwise.
const ANSWER_DEADLINE: Duration = Duration::from_secs(8);

/// What a source is resolved with.
pub(super) struct SourceContext<'a> {
    pub(super) reader: &'a secrets::Reader<'a>,
    pub(super) presets: &'a [Arc<Preset>],
    /// Headers that some handler wants forwarded.
    pub(super) kept: &'a [String],
    pub(super) limits: Limits,
    pub(super) trusted_proxies: &'a [IpNet],
}

pub(super) fn resolve(
    name: &Spanned<String>,
    text: &SourceText,
    context: &SourceContext<'_>,
    warnings: &mut Vec<String>,
) -> Result<SourceSettings, ConfigError> {
    let source = SourceName::parse(name.get_ref())
        .map_err(|error| ConfigError::at(name.span(), format!("source `{}`: {error}", name.get_ref())))?;
    let preset = find_preset(&text.provider, context.presets)?;
    let secrets = text.secrets.iter().map(|secret| checked_secret(secret, &preset, context)).collect::<Result<Vec<_>, _>>()?;
    let verifier = verifier(&source, name, text, &preset, &secrets, context)?;
    warn_of_secrets(text, &source, &verifier, &secrets, context.reader)?;
    warnings.extend(pending(text, &source, &verifier));
    warnings.extend(unproven(&source, &verifier));
    let on_mismatch = text.on_mismatch.as_ref();
    if let Some(reject) = on_mismatch.filter(|mode| *mode.get_ref() == OnMismatchText::Reject && !preset.volatile().is_empty()) {
        return Err(ConfigError::at(
            reject.span(),
            format!("`on_mismatch = \"reject\"` does not go with {}: its repeats may differ", preset.title()),
        )
        .help("leave it out: a repeat that differs elsewhere is shown as a conflict"));
    }
    Ok(SourceSettings {
        verifier: Arc::new(verifier),
        params: text.params.clone(),
        allow: text.allow.as_ref().map(|ids| ids.get_ref().clone()),
        tolerance: resolve_limits::tolerance(text)?,
        retired: text.retired,
        allow_from: text.allow_from.as_ref().map(|list| addresses::networks("allow_from", list)).transpose()?,
        trusted_proxies: context.trusted_proxies.to_vec(),
        ignore: text.ignore.iter().map(glob).collect::<Result<_, _>>()?,
        body_limit: resolve_limits::body_limit(name, text, &preset, context.limits.bodies_in_hand)?,
        rate_limit: rate_limit(text)?,
        answer_deadline: answer_deadline(name, text, &preset, warnings)?,
        replay_guard: text.replay_guard != Some(ReplayGuardText::Off),
        reject_mismatch: on_mismatch.is_some_and(|mode| *mode.get_ref() == OnMismatchText::Reject),
        ack: ack(text, &preset)?,
        name: source,
        preset,
        secrets,
    })
}

/// A pattern over event types.
pub(super) fn glob(text: &Spanned<String>) -> Result<TypeGlob, ConfigError> {
    TypeGlob::parse(text.get_ref()).map_err(|error| ConfigError::at(text.span(), error.to_string()))
}

/// A second before the provider gives up, and never later than 8 s.
fn answer_deadline_max(preset: &Preset) -> Duration {
    let margin = Duration::from_secs(1);
    preset.ack().deadline.saturating_sub(margin).clamp(margin, ANSWER_DEADLINE)
}

fn rate_limit(text: &SourceText) -> Result<Option<u32>, ConfigError> {
    match &text.rate_limit {
        Some(zero) if *zero.get_ref() == 0 => Err(ConfigError::at(zero.span(), "`rate_limit` must be more than 0")
            .help("a source that is to take nothing is `retired`")),
        limit => Ok(limit.as_ref().map(|limit| *limit.get_ref())),
    }
}

/// The shorter of what the operator and the provider allow.
fn answer_deadline(
    name: &Spanned<String>,
    text: &SourceText,
    preset: &Preset,
    warnings: &mut Vec<String>,
) -> Result<Duration, ConfigError> {
    let most = answer_deadline_max(preset);
    match &text.answer_deadline {
        None => Ok(most),
        Some(zero) if zero.get_ref().0.is_zero() => Err(ConfigError::at(zero.span(), "`answer_deadline` must be more than 0")),
        Some(written) => {
            if written.get_ref().0 > most {
                warnings.push(format!(
                    "source {}: `answer_deadline` is cut to {}: the answer is due a second before {} gives up, and within 8s",
                    name.get_ref(),
                    resolve_limits::duration_text(most),
                    preset.title()
                ));
            }
            Ok(written.get_ref().0.min(most))
        }
    }
}

fn find_preset(provider: &Spanned<String>, presets: &[Arc<Preset>]) -> Result<Arc<Preset>, ConfigError> {
    let named = provider.get_ref();
    presets.iter().find(|preset| **preset.name() == **named).map(Arc::clone).ok_or_else(|| {
        let known: Vec<&str> = presets.iter().map(|preset| &**preset.name()).collect();
        let error = ConfigError::at(provider.span(), format!("unknown provider `{named}`")).nearest(named, known.iter().copied());
        if error.help.is_some() {
            error
        } else {
            error.help(format!("known: {}; your own is a [providers.{named}] table", known.join(", ")))
        }
    })
}

fn checked_secret(
    text: &Spanned<super::file::SecretText>,
    preset: &Preset,
    context: &SourceContext<'_>,
) -> Result<NamedSecret, ConfigError> {
    let secret = context.reader.load(text)?;
    let slots = preset.slots();
    if slots.iter().any(|slot| *slot == secret.slot) {
        return Ok(secret);
    }
    Err(ConfigError::at(text.span(), format!("{} has no secret slot `{}`", preset.title(), secret.slot))
        .nearest(&secret.slot, slots))
}

fn verifier(
    source: &SourceName,
    name: &Spanned<String>,
    text: &SourceText,
    preset: &Arc<Preset>,
    secrets: &[NamedSecret],
    context: &SourceContext<'_>,
) -> Result<Verifier, ConfigError> {
    let (found, awaited) = secrets::by_slot(secrets);
    Verifier::new(VerifierSettings {
        source: source.clone(),
        preset: Arc::clone(preset),
        secrets: found,
        awaited,
        allow: text.allow.as_ref().map(|ids| ids.get_ref().clone()),
        tolerance: resolve_limits::tolerance(text)?,
        params: text.params.clone(),
        kept_headers: context.kept.to_vec(),
    })
    .map_err(|error| {
        // The verifier counts the secrets that were found.
        let found = text.secrets.iter().zip(secrets).filter(|(_, named)| named.secret.is_some());
        let culprit = error.place().and_then(|place| found.map(|(written, _)| written.span()).nth(place));
        let span = culprit.unwrap_or_else(|| name.span());
        ConfigError::at(span, format!("source `{source}`: {error}"))
    })
}

/// Secrets that are named and absent, or short enough to be guessed.
fn warn_of_secrets(
    text: &SourceText,
    source: &SourceName,
    verifier: &Verifier,
    secrets: &[NamedSecret],
    reader: &secrets::Reader<'_>,
) -> Result<(), ConfigError> {
    // The verifier knows those that were found.
    let mut found = verifier.fingerprints().iter();
    for (written, named) in text.secrets.iter().zip(secrets) {
        let weakness = match named.secret.as_ref().and_then(|_| found.next()) {
            None => format!("source {source}: no secret in {}", named.origin),
            Some((_, fingerprint, true)) => short(source, fingerprint),
            Some(_) => continue,
        };
        reader.weak(Some(written.span()), weakness)?;
    }
    Ok(())
}

fn short(source: &SourceName, fingerprint: &Fingerprint) -> String {
    format!("source {source}: the secret {fingerprint} has under 16 bytes, so it can be guessed")
}

/// A source that nothing proves, and secrets that prove nothing.
fn unproven(source: &SourceName, verifier: &Verifier) -> Vec<String> {
    let unsigned = verifier.preset().is_unsigned();
    let unsigned = unsigned.then(|| format!("source {source} is not signed: whoever knows its URL can send it events"));
    let idle = verifier.idle_slots().into_iter().map(|slot| {
        format!("source {source}: its secret in slot {slot} takes no part, as another check proves more; `allow` can name both")
    });
    unsigned.into_iter().chain(idle).collect()
}

/// What a source without any secret does.
fn pending(text: &SourceText, source: &SourceName, verifier: &Verifier) -> Option<String> {
    if !verifier.is_pending() || text.retired {
        return None;
    }
    let then = match verifier.preset().ack().retries_for {
        Some(window) if !window.is_zero() => "its sender tries again",
        _ => "its sender may not try again: what comes meanwhile must be sent anew by hand",
    };
    Some(format!("source {source} is pending: without a secret every delivery gets 503, and {then}"))
}

fn ack(text: &SourceText, preset: &Preset) -> Result<(u16, String, Option<String>), ConfigError> {
    let rule = preset.ack();
    let preset_ack = (rule.status, rule.body.clone(), rule.content_type.clone());
    let Some(written) = &text.ack else { return Ok(preset_ack) };
    let ack = written.get_ref();
    let status = ack.status.unwrap_or(preset_ack.0);
    if !(200..300).contains(&status) {
        return Err(ConfigError::at(
            written.span(),
            format!("an acknowledgement of {status} would not stop the provider's retries"),
        )
        .help("give a 2xx status"));
    }
    let content_type = ack.content_type.clone().or(preset_ack.2);
    if content_type.as_ref().is_some_and(|value| !crate::model::Headers::is_clean(value.as_bytes())) {
        return Err(ConfigError::at(written.span(), "the content type has control characters"));
    }
    Ok((status, ack.body.clone().unwrap_or(preset_ack.1), content_type))
}

/// What a provider wants to be answered, where no source says otherwise.
pub(crate) fn preset_ack(preset: &Preset) -> Ack {
    let rule = preset.ack();
    let headers = rule.content_type.iter().map(|kind| ("content-type".to_owned(), kind.clone().into())).collect();
    Ack { status: rule.status, headers, body: rule.body.clone().into() }
}

/// The demo's source of a preset, from a secret in hand.
pub(super) fn of_demo(
    preset: &Arc<Preset>,
    secret: NamedSecret,
    reader: &secrets::Reader<'_>,
) -> Result<SourceSettings, ConfigError> {
    let name = SourceName::parse(preset.name()).map_err(|error| ConfigError::plain(error.to_string()))?;
    let (secrets, awaited) = secrets::by_slot(std::slice::from_ref(&secret));
    let verifier = Verifier::new(VerifierSettings {
        source: name.clone(),
        preset: Arc::clone(preset),
        secrets,
        awaited,
        allow: None,
        tolerance: None,
        params: BTreeMap::new(),
        kept_headers: Vec::new(),
    })
    .map_err(|error| ConfigError::plain(format!("source `{name}`: {error}")))?;
    for (_, fingerprint, _) in verifier.fingerprints().iter().filter(|(_, _, is_short)| *is_short) {
        reader.weak(None, short(&name, fingerprint))?;
    }
    let rule = preset.ack();
    Ok(SourceSettings {
        body_limit: resolve_limits::default_body_limit(preset),
        rate_limit: None,
        answer_deadline: answer_deadline_max(preset),
        ack: (rule.status, rule.body.clone(), rule.content_type.clone()),
        name,
        preset: Arc::clone(preset),
        verifier: Arc::new(verifier),
        secrets: vec![secret],
        params: BTreeMap::new(),
        allow: None,
        tolerance: None,
        retired: false,
        allow_from: None,
        trusted_proxies: Vec::new(),
        ignore: Vec::new(),
        replay_guard: true,
        reject_mismatch: false,
    })
}
