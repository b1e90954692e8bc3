//! `[retention]`, resolved: nothing is forgotten while a provider may still send it again.

use std::ops::Range;
use std::time::Duration;

use super::error::ConfigError;
use super::file::ConfigText;
use super::resolve_limits::{DAY, at_most, duration_text};
use super::{RetentionSettings, SourceSettings};

pub(super) const DEFAULT: RetentionSettings = RetentionSettings {
    body: DAY.saturating_mul(7),
    dedupe: DAY.saturating_mul(35),
    log: DAY.saturating_mul(7),
    log_bytes: 1 << 30,
};

/// Longer than anybody keeps a database.
const RETENTION_MAX: Duration = DAY.saturating_mul(36_500);
/// How long a provider may send an event again where that is not known.
const NOT_KNOWN: Duration = DAY.saturating_mul(30);

pub(super) fn resolve(
    written: &ConfigText,
    sources: &[SourceSettings],
    warnings: &mut Vec<String>,
) -> Result<RetentionSettings, ConfigError> {
    let text = &written.retention;
    let settings = RetentionSettings {
        body: at_most("body_retention", &text.body_retention, RETENTION_MAX)?.unwrap_or(DEFAULT.body),
        dedupe: at_most("dedupe_retention", &text.dedupe_retention, RETENTION_MAX)?.unwrap_or(DEFAULT.dedupe),
        log: at_most("log_retention", &text.log_retention, RETENTION_MAX)?.unwrap_or(DEFAULT.log),
        log_bytes: text.log_bytes.map_or(DEFAULT.log_bytes, |size| size.0),
    };
    let said = text.dedupe_retention.as_ref().map(toml::Spanned::span);
    check_repeats(written, settings.dedupe, sources, said.clone(), warnings)?;
    if settings.body > settings.dedupe {
        let span = text.body_retention.as_ref().map(toml::Spanned::span).or(said);
        let message = format!(
            "`body_retention` ({}) is longer than `dedupe_retention` ({}), with which the whole event goes",
            duration_text(settings.body),
            duration_text(settings.dedupe)
        );
        return Err(ConfigError { span, ..ConfigError::plain(message) }.help("make the one shorter or the other longer"));
    }
    Ok(settings)
}

/// A repeat that comes after the event was forgotten is a new event: its handlers would do it again.
fn check_repeats(
    written: &ConfigText,
    dedupe: Duration,
    sources: &[SourceSettings],
    said: Option<Range<usize>>,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    // A retired source answers no delivery.
    let asked = sources.iter().filter(|source| !source.retired).map(|source| (repeats_for(source), source));
    let Some(((longest, why), source)) = asked.rev().max_by_key(|((longest, _), _)| *longest) else { return Ok(()) };
    if dedupe >= longest {
        return Ok(());
    }
    let (name, title) = (&source.name, source.preset.title());
    let message = format!("`dedupe_retention` ({}) is shorter than source `{name}` needs: {title} {why}", duration_text(dedupe));
    if written.retention.allow_short_retention {
        warnings.push(format!("{message}; a repeat that comes later is a new event"));
        return Ok(());
    }
    let of_source = || written.sources.keys().find(|key| key.get_ref().as_str() == name.as_str()).map(toml::Spanned::span);
    Err(ConfigError { span: said.or_else(of_source), ..ConfigError::plain(message) }.help(format!(
        "a repeat that comes later would be a new event: set `dedupe_retention` in [retention] to at least \"{}\", or `allow_short_retention = true`",
        duration_text(longest)
    )))
}

/// How long after the first delivery its provider may send it again, and in words.
fn repeats_for(source: &SourceSettings) -> (Duration, String) {
    let rule = source.preset.ack();
    let (retries, resend) = (rule.retries_for.unwrap_or(NOT_KNOWN), rule.resend_for.unwrap_or(NOT_KNOWN));
    match (retries >= resend, rule.retries_for, rule.resend_for) {
        (true, Some(_), _) => (retries, format!("retries for {}", duration_text(retries))),
        (false, _, Some(_)) => (resend, format!("can be made to send an event again for {}", duration_text(resend))),
        (true, None, _) => {
            (NOT_KNOWN, format!("may retry for longer, as its preset does not say: {} are assumed", duration_text(NOT_KNOWN)))
        }
        (false, _, None) => (
            NOT_KNOWN,
            format!(
                "may be made to send an event again, its preset does not say for how long: {} are assumed",
                duration_text(NOT_KNOWN)
            ),
        ),
    }
}
