//! A signature that is not there, or not of its form: which one is expected, and what is there instead.

use super::{Case, each_once};
use crate::config::nearest;
use crate::preset::{Check, Encoding, Locator, Parts, builtin, builtin_names};

/// Most foreign signatures that are named.
const FOREIGN_MAX: usize = 3;

/// Which header is expected, which one is near, and whose signature is there.
pub(super) fn header(case: &Case<'_>) -> String {
    let checks = case.checks();
    let expected = each_once(checks.iter().filter_map(|check| signature_header(check)));
    if expected.is_empty() {
        return "the signature is no header: see `hookgate providers` for where it is".to_owned();
    }
    let told = format!("there is no header {}", expected.join(" or "));
    let names: Vec<&str> = case.delivery.headers.iter().map(|(name, _)| name).collect();
    if let Some(near) = expected.iter().find_map(|name| nearest(&name.to_ascii_lowercase(), names.iter().copied())) {
        return format!("{told}, but there is {near}: another version of the signature, or a renamed header");
    }
    let foreign = foreign(case, &names);
    if !foreign.is_empty() {
        return format!("{told}, but there is {}", foreign.join(", and "));
    }
    format!("{told}: the registration has no secret, or a proxy or the capture dropped it")
}

/// Signatures of other providers.
fn foreign(case: &Case<'_>, names: &[&str]) -> Vec<String> {
    let own = case.verifier.preset().name();
    let presets = builtin_names().filter(|name| **name != **own).filter_map(builtin);
    let found = presets.filter_map(|preset| {
        let header =
            preset.checks().iter().filter_map(signature_header).find(|name| names.contains(&&*name.to_ascii_lowercase()))?;
        Some(format!("{header}, by which {} signs (--provider {})", preset.title(), preset.name()))
    });
    found.take(FOREIGN_MAX).collect()
}

fn signature_header(check: &Check) -> Option<&str> {
    match &check.signature.from {
        Locator::Header(name) => Some(name.written()),
        _ => None,
    }
}

/// What a signature looks like here.
pub(super) fn form(case: &Case<'_>) -> String {
    let forms: Vec<String> = case.checks().iter().map(|check| form_of(check)).collect();
    format!("{}; a shorter one was cut, another one is of another version or provider", forms.join(", or "))
}

fn form_of(check: &Check) -> String {
    let rule = &check.signature;
    let place = signature_header(check).map_or_else(|| "the request".to_owned(), |name| format!("header {name}"));
    let bytes = check.algorithm.digest_bytes();
    let digits = match rule.encoding {
        Encoding::Hex => format!("{} hex digits", bytes * 2),
        Encoding::Base64 => format!("{} characters of base64", bytes.div_ceil(3) * 4),
        Encoding::Plain => return format!("{place} has the token"),
        Encoding::Basic => return format!("{place} has `Basic` and base64 of `user:password`"),
    };
    let prefix = rule.prefix.as_ref().map(|prefix| format!("`{prefix}` and ")).unwrap_or_default();
    let named = match &rule.parts {
        Parts::Named { pair, keys } => format!("`{}{pair}` and ", keys.join(&format!("{pair}` or `"))),
        Parts::Placed { .. } => String::new(),
    };
    format!("{place} has {named}{prefix}{digits}")
}
