//! The load checks of `[[providers.NAME.check]]`.

use std::sync::Arc;
use std::time::Duration;

use toml::{Spanned, Value};

use super::{filled, locator, not_yet, one_of, template};
use crate::preset::{
    Algorithm, Check, CheckText, Encoding, KeyEncoding, KeyRule, KeyText, Locator, Parts, PresetError, PresetWarning,
    ProviderText, SignatureRule, SignatureText, Template, TimeRule, TimeText,
};

/// How far a signed time may lie on either side of now, unless the preset says otherwise.
const TOLERANCE_DEFAULT: Duration = Duration::from_secs(300);

/// Compiles every check of a provider.
pub(super) fn compile(text: &ProviderText, warnings: &mut Vec<PresetWarning>) -> Result<Vec<Check>, PresetError> {
    let mut checks: Vec<Check> = Vec::new();
    for written in &text.check {
        let check = compile_one(text, written, warnings)?;
        if checks.iter().any(|other| other.id == check.id) {
            let message = format!("there are two checks `{}`; give each its own `id`", check.id);
            return Err(PresetError::at(written.span(), message));
        }
        checks.push(check);
    }
    if checks.is_empty() {
        return Err(PresetError::nowhere("there is no `check`: nothing would prove a delivery"));
    }
    Ok(checks)
}

fn compile_one(
    text: &ProviderText,
    spanned: &Spanned<CheckText>,
    warnings: &mut Vec<PresetWarning>,
) -> Result<Check, PresetError> {
    const KINDS: [(&str, Kind); 4] =
        [("hmac", Kind::Hmac), ("token", Kind::Token), ("basic", Kind::Basic), ("none", Kind::Unsigned)];
    let written = spanned.as_ref();
    let kind = one_of("kind", &written.kind, &KINDS, &["hash", "public-key", "jwt"])?;
    not_yet("require", &written.require)?;
    not_yet("each", &written.each)?;
    match kind {
        Kind::Hmac => compile_hmac(text, spanned, warnings),
        Kind::Unsigned => super::credential::compile_unsigned(text, spanned),
        Kind::Token | Kind::Basic => super::credential::compile(text, spanned, kind == Kind::Basic, warnings),
    }
}

/// What a check does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Hmac,
    Token,
    Basic,
    Unsigned,
}

/// Its name, the same for every kind.
pub(super) fn compile_id(written: &CheckText) -> Result<Arc<str>, PresetError> {
    Ok(written.id.as_ref().map_or(Ok("default".into()), |id| filled("id", id))?.into())
}

/// The slot of secrets.
pub(super) fn compile_slot(written: Option<&Spanned<String>>) -> Result<Arc<str>, PresetError> {
    Ok(written.map_or(Ok("signing".into()), |slot| filled("secret", slot))?.into())
}

fn compile_hmac(
    text: &ProviderText,
    spanned: &Spanned<CheckText>,
    warnings: &mut Vec<PresetWarning>,
) -> Result<Check, PresetError> {
    let written = spanned.as_ref();
    let algorithm = written.algorithm.as_ref();
    let algorithm = algorithm.ok_or_else(|| PresetError::at(spanned.span(), "an `hmac` check needs its `algorithm`"))?;
    let signature = written.signature.as_ref();
    let signature = signature.ok_or_else(|| PresetError::at(spanned.span(), "an `hmac` check needs its `signature`"))?;
    let message = match &written.message {
        Some(message) => template(text, message)?,
        None => Template::parse("{body}").map_err(|error| PresetError::at(spanned.span(), error.message))?,
    };
    let check = Check {
        id: compile_id(written)?,
        algorithm: compile_algorithm(algorithm)?,
        slot: compile_slot(written.secret.as_ref())?,
        key: written.key.as_ref().map_or(Ok(KeyRule::default()), compile_key)?,
        signature: compile_signature(text, signature, signature_encoding(signature)?)?,
        time: written.time.as_ref().map(|time| compile_time(text, time.as_ref())).transpose()?,
        message,
    };
    judge_elements(&check, spanned)?;
    judge_message(&check, spanned, warnings)?;
    Ok(check)
}

/// The algorithm of an HMAC.
pub(super) fn compile_algorithm(word: &Spanned<String>) -> Result<Algorithm, PresetError> {
    const KNOWN: [(&str, Algorithm); 3] =
        [("sha256", Algorithm::HmacSha256), ("sha384", Algorithm::HmacSha384), ("sha512", Algorithm::HmacSha512)];
    one_of("algorithm", word, &KNOWN, &["sha1"])
}

/// How a secret becomes a key.
pub(super) fn compile_key(written: &KeyText) -> Result<KeyRule, PresetError> {
    const KNOWN: [(&str, KeyEncoding); 3] =
        [("utf8", KeyEncoding::Utf8), ("hex", KeyEncoding::Hex), ("base64", KeyEncoding::Base64)];
    not_yet("derive", &written.derive)?;
    let encoding = |word| one_of("key encoding", word, &KNOWN, &["pem", "spki-base64"]);
    Ok(KeyRule {
        strip: written.strip.as_ref().map(|strip| filled("strip", strip)).transpose()?,
        encoding: written.encoding.as_ref().map_or(Ok(KeyEncoding::Utf8), encoding)?,
    })
}

/// How a digest is written.
pub(super) fn compile_encoding(word: &Spanned<String>) -> Result<Encoding, PresetError> {
    one_of("encoding", word, &[("hex", Encoding::Hex), ("base64", Encoding::Base64)], &["base64url"])
}

fn signature_encoding(written: &SignatureText) -> Result<Encoding, PresetError> {
    match &written.encoding {
        Some(encoding) => compile_encoding(encoding),
        None => Err(PresetError::at(written.from.span(), "the signature needs its `encoding`: hex or base64")),
    }
}

/// Where signatures are, written so.
pub(super) fn compile_signature(
    text: &ProviderText,
    written: &SignatureText,
    encoding: Encoding,
) -> Result<SignatureRule, PresetError> {
    not_yet("repeat", &written.repeat)?;
    let Value::String(from) = written.from.as_ref() else {
        return Err(PresetError::at(written.from.span(), "`from` is one locator; a list of them is not supported yet"));
    };
    let from = locator(text, &Spanned::new(written.from.span(), from.clone()))?;
    if !from.is_named_value() {
        return Err(PresetError::at(written.from.span(), "a signature is in a `header:`, `query:`, `body:/` or `form:`"));
    }
    let optional = |field, written: &Option<_>| written.as_ref().map(|text| filled(field, text)).transpose();
    Ok(SignatureRule {
        from,
        split: optional("split", &written.split)?,
        parts: compile_parts(written)?,
        prefix: optional("prefix", &written.prefix)?,
        encoding,
    })
}

fn compile_parts(written: &SignatureText) -> Result<Parts, PresetError> {
    match (&written.pair, &written.key, &written.skip) {
        (Some(pair), Some(key), None) => Ok(Parts::Named { pair: filled("pair", pair)?, keys: compile_names(key)? }),
        (None, None, Some(skip)) if written.split.is_none() => {
            Err(PresetError::at(skip.span(), "`skip` needs `split`: without it there is only one element"))
        }
        (None, None, skip) => Ok(Parts::Placed { skip: skip.as_ref().map_or(0, |skip| *skip.as_ref()) }),
        (Some(_), Some(_), Some(skip)) => Err(PresetError::at(skip.span(), "`skip` is for elements without names")),
        (Some(pair), None, _) => Err(PresetError::at(pair.span(), "`pair` needs `key`: the name of the signatures")),
        (None, Some(key), _) => Err(PresetError::at(key.span(), "`key` needs `pair`: what stands between name and value")),
    }
}

/// One name, or a list of them.
fn compile_names(written: &Spanned<Value>) -> Result<Vec<Box<str>>, PresetError> {
    let names: Option<Vec<&str>> = match written.as_ref() {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => names.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let names = names.filter(|names| !names.is_empty() && !names.contains(&""));
    let names = names.ok_or_else(|| PresetError::at(written.span(), "`key` is a name or a list of names"))?;
    Ok(names.into_iter().map(Box::from).collect())
}

fn compile_time(text: &ProviderText, written: &TimeText) -> Result<TimeRule, PresetError> {
    if let Some(unit) = &written.unit {
        one_of("unit", unit, &[("s", ())], &["ms", "iso8601"])?;
    }
    let from = locator(text, &written.from)?;
    if !(from.is_named_value() || matches!(from, Locator::SignatureKey(_) | Locator::SignaturePlace(_))) {
        return Err(PresetError::at(
            written.from.span(),
            "a time is in a `header:`, `query:`, `signature:`, `body:/` or `form:`",
        ));
    }
    let tolerance = written.tolerance.as_ref().map(|tolerance| Duration::from_secs(*tolerance.as_ref()));
    Ok(TimeRule { from, tolerance: tolerance.unwrap_or(TOLERANCE_DEFAULT) })
}

/// An element of the signature's value that is read by name or place must exist by the signature's own rule.
fn judge_elements(check: &Check, spanned: &Spanned<CheckText>) -> Result<(), PresetError> {
    for locator in check.locators() {
        let fault = match (locator, &check.signature.parts) {
            (Locator::SignatureKey(name), Parts::Placed { .. }) => format!("`signature:{name}` needs `pair` and `key`"),
            (Locator::SignatureKey(name), Parts::Named { keys, .. }) if keys.contains(name) => {
                format!("`signature:{name}` is the signature itself")
            }
            (Locator::SignaturePlace(place), Parts::Named { .. }) => format!("`signature:#{place}` needs elements without names"),
            (Locator::SignaturePlace(place), Parts::Placed { skip }) if place >= skip => {
                format!("`signature:#{place}` is a signature itself; `skip` says how many elements are none")
            }
            _ => continue,
        };
        return Err(PresetError::at(spanned.span(), fault));
    }
    Ok(())
}

fn judge_message(check: &Check, spanned: &Spanned<CheckText>, warnings: &mut Vec<PresetWarning>) -> Result<(), PresetError> {
    let span = spanned.as_ref().message.as_ref().map_or_else(|| spanned.span(), Spanned::span);
    if check.message.locators().any(|locator| matches!(locator, Locator::Secret(_) | Locator::Computed)) {
        return Err(PresetError::at(span, "`{secret:…}` and `{computed}` are for a handshake only"));
    }
    if !check.message.locators().any(Locator::is_of_body) {
        let message = "the message has nothing of the body: add `{body}`, or any body would pass with a captured signature";
        return Err(PresetError::at(span, message));
    }
    let Some(time) = &check.time else {
        let has_time = check.message.locators().any(|locator| *locator == Locator::Time);
        return if has_time { Err(PresetError::at(span, "`{time}` needs a `time` table in its check")) } else { Ok(()) };
    };
    if !check.covers(&time.from) {
        let message = "unsigned time: the message lacks `{time}`, so whoever resends a delivery can set a fresh one".to_owned();
        warnings.push(PresetWarning { message, span: spanned.as_ref().time.as_ref().map(Spanned::span) });
    }
    Ok(())
}
