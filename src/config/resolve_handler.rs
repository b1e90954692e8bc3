//! `[handlers.NAME]`, resolved.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use toml::Spanned;
use zeroize::Zeroizing;

use super::error::ConfigError;
use super::file::{ConfigText, HandlerText, HeaderValueText, SecretText};
use super::resolve::Keys;
use super::{HandlerKind, HandlerSettings, HttpSettings, SourceSettings, resolve_exec, resolve_limits, secrets};
use crate::model::{HandlerName, Headers, Secret, SourceName};
use crate::verify::{KEY_BYTES_SHORT, fingerprint};

/// Longest call unless said otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest call that can be asked for.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// Calls at a time unless said otherwise.
const CONCURRENCY: usize = 8;
/// Most calls at a time.
const CONCURRENCY_MAX: usize = 1024;
/// Failures in a row after which a handler is left alone, unless said otherwise.
const BREAKER_FAILURES: u32 = 10;
/// The file beside the database that holds the key of our signature.
const SIGNING_KEY: &str = "signing-key";
/// The name of the handler that `--forward-to` makes.
const FORWARD_TO: &str = "forward-to";

/// Delays between attempts unless said otherwise: 15 attempts over about three days.
pub(super) fn default_retry() -> Vec<Duration> {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    let first = [5, 30, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR];
    first.into_iter().chain([12 * HOUR; 5]).map(Duration::from_secs).collect()
}

/// What a handler is resolved with.
pub(super) struct HandlerContext<'a> {
    pub(super) reader: &'a secrets::Reader<'a>,
    pub(super) database: &'a Path,
    pub(super) sources: &'a BTreeSet<&'a str>,
}

pub(super) fn resolve(
    name: &Spanned<String>,
    text: &HandlerText,
    context: &HandlerContext<'_>,
) -> Result<HandlerSettings, ConfigError> {
    let handler = HandlerName::parse(name.get_ref())
        .map_err(|error| ConfigError::at(name.span(), format!("handler `{}`: {error}", name.get_ref())))?;
    let sources = text.sources.as_ref().map(|names| names.iter().map(|name| source(name, context)).collect()).transpose()?;
    let kind = kind(name, text, context)?;
    let final_status = match kind {
        HandlerKind::Exec(_) => resolve_exec::final_code,
        HandlerKind::Http(_) | HandlerKind::Printer | HandlerKind::InProcess => final_status,
    };
    Ok(HandlerSettings {
        name: handler,
        sources,
        events: text.events.iter().flatten().map(super::resolve_source::glob).collect::<Result<_, _>>()?,
        kind,
        timeout: timeout(text)?,
        concurrency: match &text.concurrency {
            None => CONCURRENCY,
            Some(calls) if (1..=CONCURRENCY_MAX).contains(calls.get_ref()) => *calls.get_ref(),
            Some(calls) => return Err(ConfigError::at(calls.span(), format!("`concurrency` is 1 to {CONCURRENCY_MAX}"))),
        },
        retry: resolve_limits::retry(&text.retry)?.unwrap_or_else(default_retry),
        final_statuses: text.final_statuses.iter().map(final_status).collect::<Result<_, _>>()?,
        breaker_failures: text.breaker_failures.unwrap_or(BREAKER_FAILURES),
    })
}

fn kind(name: &Spanned<String>, text: &HandlerText, context: &HandlerContext<'_>) -> Result<HandlerKind, ConfigError> {
    if text.in_process {
        return Ok(HandlerKind::InProcess);
    }
    match (&text.url, &text.exec) {
        (Some(url), None) => http(url, text, context).map(HandlerKind::Http),
        (None, Some(words)) => resolve_exec::resolve(words, text, context).map(HandlerKind::Exec),
        (Some(_), Some(words)) => Err(ConfigError::at(words.span(), "a handler has a `url` or an `exec`, not both")
            .help("take one of them out, or make it two handlers")),
        (None, None) => Err(ConfigError::at(name.span(), format!("handler `{}` has neither `url` nor `exec`", name.get_ref()))
            .help(
                "say where it listens: url = \"http://127.0.0.1:9000/hook\", or which command is run: exec = [\"./deploy.sh\"]",
            )),
    }
}

fn http(written: &Spanned<String>, text: &HandlerText, context: &HandlerContext<'_>) -> Result<HttpSettings, ConfigError> {
    if let Some(env) = &text.env {
        return Err(ConfigError::at(env.span(), "`env` is of commands, and this handler has a `url`")
            .help("a service has its own environment; what it is to be told goes into `headers`"));
    }
    let headers = match context.reader.keys() {
        Keys::Leave => Vec::new(),
        Keys::Make | Keys::Look => {
            text.headers.iter().map(|(name, value)| header(name, value, context)).collect::<Result<_, _>>()?
        }
    };
    Ok(HttpSettings {
        url: url(written.get_ref()).map_err(|message| ConfigError::at(written.span(), message))?,
        headers,
        forward_headers: text.forward_headers.as_ref().map(|names| names.iter().map(forwarded).collect()).transpose()?,
        sign_with: match &text.sign_with {
            None => signing_key(context)?,
            Some(_) if context.reader.keys() == Keys::Leave => None,
            Some(written) => Some(own_key(written, context)?),
        },
        resign: text.resign,
    })
}

/// `--forward-to` makes a handler of its own, and an event has one task for a name.
pub(super) fn check_forward_to(written: &ConfigText) -> Result<(), ConfigError> {
    match written.handlers.keys().find(|name| name.get_ref() == FORWARD_TO) {
        None => Ok(()),
        Some(name) => Err(ConfigError::at(name.span(), format!("`--forward-to` makes a handler `{FORWARD_TO}` of its own"))
            .help("give this one another name, or leave `--forward-to` out")),
    }
}

/// The handler of `--forward-to`.
pub(super) fn forward_to(target: &str, context: &HandlerContext<'_>) -> Result<HandlerSettings, ConfigError> {
    let name = HandlerName::parse(FORWARD_TO).map_err(|error| ConfigError::plain(error.to_string()))?;
    // As `stripe listen --forward-to localhost:4242/hook` takes it.
    let is_bare = !target.contains(['.', ':', '/']) && !target.eq_ignore_ascii_case("localhost");
    if is_bare {
        return Err(ConfigError::plain(format!("--forward-to `{}` is no address", target.escape_debug()))
            .help("such as http://127.0.0.1:9000/hook or localhost:9000; a host of that name is http://NAME/"));
    }
    let target = if target.contains("://") { target.to_owned() } else { format!("http://{target}") };
    let url = url(&target).map_err(|message| ConfigError::plain(format!("--forward-to: {message}")))?;
    let http = HttpSettings { url, headers: Vec::new(), forward_headers: None, sign_with: signing_key(context)?, resign: false };
    Ok(of_kind(name, HandlerKind::Http(http)))
}

/// A handler of every source and type with every default.
pub(super) fn of_kind(name: HandlerName, kind: HandlerKind) -> HandlerSettings {
    HandlerSettings {
        name,
        sources: None,
        events: Vec::new(),
        kind,
        timeout: TIMEOUT,
        concurrency: CONCURRENCY,
        retry: default_retry(),
        final_statuses: Vec::new(),
        breaker_failures: BREAKER_FAILURES,
    }
}

/// Every header of a delivery that some handler names, in lower case.
pub(super) fn forwarded_names(handlers: &[HandlerSettings]) -> Vec<String> {
    let named = handlers.iter().filter_map(|handler| match &handler.kind {
        HandlerKind::Http(http) => http.forward_headers.as_deref(),
        HandlerKind::Exec(_) | HandlerKind::Printer | HandlerKind::InProcess => None,
    });
    named.flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// `resign` needs every source of the handler to have a scheme that can be signed anew.
pub(super) fn check_resign(written: &ConfigText, sources: &[SourceSettings]) -> Result<(), ConfigError> {
    for (name, handler) in written.handlers.iter().filter(|(_, handler)| handler.resign) {
        let hears = |source: &SourceSettings| {
            handler.sources.as_ref().is_none_or(|names| names.iter().any(|name| name.get_ref() == source.name.as_str()))
        };
        if let Some(source) = sources.iter().find(|source| hears(source) && !source.verifier.can_sign()) {
            return Err(ConfigError::at(
                name.span(),
                format!("`resign` cannot sign for source `{}` ({})", source.name, source.preset.title()),
            )
            .help(
                "it needs a symmetric scheme with its time outside the body, and nothing of it in the query; name the handler's `sources`, or leave `resign` out",
            ));
        }
    }
    Ok(())
}

/// The key that is kept beside the database. Who only looks makes none, and signs nothing.
fn signing_key(context: &HandlerContext<'_>) -> Result<Option<Secret>, ConfigError> {
    match context.reader.keys() {
        Keys::Make => Ok(secrets::generated(context.database, SIGNING_KEY)?.secret),
        Keys::Look | Keys::Leave => Ok(None),
    }
}

fn own_key(written: &Spanned<SecretText>, context: &HandlerContext<'_>) -> Result<Secret, ConfigError> {
    let named = context.reader.load(written)?;
    let wrong = |message: String| ConfigError::at(written.span(), message);
    let missing = || wrong(format!("no secret in {}", named.origin)).help("set it, or leave the line out to have a key made");
    let key = named.secret.clone().ok_or_else(missing)?;
    if let Some(bytes) = key_bytes(&key) {
        if bytes < KEY_BYTES_SHORT {
            let message = format!("the key {} of `sign_with` has under 16 bytes, so it can be guessed", fingerprint(&key));
            context.reader.weak(Some(written.span()), message)?;
        }
        return Ok(key);
    }
    Err(wrong(format!("the secret of {} begins with whsec_ but no base64 follows", named.origin)))
}

/// How many bytes a key has: one of Standard Webhooks is base64 after its `whsec_`, any other text is its own bytes. None where it
/// cannot be decoded.
fn key_bytes(key: &Secret) -> Option<usize> {
    let Some(encoded) = key.reveal().strip_prefix(b"whsec_") else { return Some(key.reveal().len()) };
    let bytes = Zeroizing::new(STANDARD.decode(encoded.trim_ascii()).ok()?);
    Some(bytes.len()).filter(|bytes| *bytes > 0)
}

fn source(name: &Spanned<String>, context: &HandlerContext<'_>) -> Result<SourceName, ConfigError> {
    let unknown = || {
        ConfigError::at(name.span(), format!("unknown source `{}`", name.get_ref()))
            .nearest(name.get_ref(), context.sources.iter().copied())
    };
    let parsed = SourceName::parse(name.get_ref()).map_err(|_invalid| unknown())?;
    if context.sources.contains(parsed.as_str()) { Ok(parsed) } else { Err(unknown()) }
}

fn url(text: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("a handler's URL is http or https".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a handler's URL holds no credentials: put them into `headers`, as a secret".to_owned());
    }
    Ok(url)
}

fn header(
    name: &Spanned<String>,
    value: &Spanned<HeaderValueText>,
    context: &HandlerContext<'_>,
) -> Result<(String, Secret), ConfigError> {
    let lower = legal_name(name)?;
    if lower == "idempotency-key" || lower.starts_with("hookgate-") || Headers::is_of_connection(&lower) {
        return Err(ConfigError::at(name.span(), format!("`{}` is set by the gateway", name.get_ref())));
    }
    let secret = match value.get_ref() {
        HeaderValueText::Plain(text) => Secret::new(text.clone().into_bytes())
            .map_err(|error| ConfigError::at(value.span(), format!("the header's value {error}")))?,
        HeaderValueText::Secret(text) => {
            let text = Spanned::new(value.span(), text.clone());
            let named = context.reader.load(&text)?;
            named.secret.ok_or_else(|| {
                ConfigError::at(value.span(), format!("no secret in {}", named.origin)).help("set it, or take the header out")
            })?
        }
    };
    if !Headers::is_clean(secret.reveal()) {
        return Err(ConfigError::at(value.span(), "the header's value has control characters"));
    }
    Ok((lower, secret))
}

fn forwarded(name: &Spanned<String>) -> Result<String, ConfigError> {
    let lower = legal_name(name)?;
    if matches!(lower.as_str(), "authorization" | "cookie") {
        return Err(ConfigError::at(name.span(), format!("`{}` is never stored or forwarded", name.get_ref())));
    }
    if Headers::is_of_connection(&lower) {
        return Err(ConfigError::at(
            name.span(),
            format!("`{}` is of the sender's connection and is never forwarded", name.get_ref()),
        ));
    }
    Ok(lower)
}

fn legal_name(name: &Spanned<String>) -> Result<String, ConfigError> {
    if Headers::is_name(name.get_ref()) {
        Ok(name.get_ref().to_ascii_lowercase())
    } else {
        Err(ConfigError::at(name.span(), "not a header's name"))
    }
}

fn timeout(text: &HandlerText) -> Result<Duration, ConfigError> {
    let Some(written) = &text.timeout else { return Ok(TIMEOUT) };
    let timeout = written.get_ref().0;
    if timeout.is_zero() || timeout > TIMEOUT_MAX {
        return Err(ConfigError::at(written.span(), "`timeout` is more than 0 and at most 1h"));
    }
    Ok(timeout)
}

fn final_status(status: &Spanned<u16>) -> Result<u16, ConfigError> {
    match *status.get_ref() {
        good @ 300..=599 => Ok(good),
        other => Err(ConfigError::at(status.span(), format!("{other} cannot be a final status: give one from 300 to 599"))),
    }
}
