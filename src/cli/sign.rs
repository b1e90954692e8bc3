//! A fixture made fresh: ids, the present time, the provider's signature, and, where it is to be refused, its defect.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::fixture::{Expectation, Fixture};
use crate::model::{Headers, Timestamp};
use crate::preset::{self, Check, Locator, Pointer, Preset};
use crate::verify::Verifier;

/// How far off a time is that is to be refused: beyond any sensible tolerance.
const FAR: Duration = Duration::from_secs(86_400);

/// What is wrong with a delivery, done to it after signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// One bit of the body.
    Body,
    /// The signed time, by a second.
    Time,
    /// Rightly signed, long ago.
    Stale,
    /// Rightly signed, in time to come.
    Future,
    /// One digit of the signature.
    Signature,
    /// A header is left out.
    Missing(String),
    /// A header comes twice.
    Repeated(String),
    /// The signature is cut in half.
    Cut(String),
}

impl Defect {
    /// As `case.toml` has it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let header = |name: &str| name.to_ascii_lowercase();
        match text.split_once(':') {
            None => match text {
                "body" => Some(Self::Body),
                "time" => Some(Self::Time),
                "stale" => Some(Self::Stale),
                "future" => Some(Self::Future),
                "signature" => Some(Self::Signature),
                _ => None,
            },
            Some(("missing", name)) => Some(Self::Missing(header(name))),
            Some(("repeated", name)) => Some(Self::Repeated(header(name))),
            Some(("cut", name)) => Some(Self::Cut(header(name))),
            Some(_) => None,
        }
    }
}

/// What goes on the wire.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    /// Every header but those of the connection.
    pub(super) headers: Vec<(String, Bytes)>,
    /// The body.
    pub(super) body: Bytes,
}

/// Signs a fixture's request at this time, then spoils it. None where the verifier cannot sign it.
pub(super) fn shoot(
    fixture: &Fixture,
    fresh: Option<&str>,
    defect: Option<&Defect>,
    verifier: &Verifier,
    now: Timestamp,
) -> Option<Shot> {
    let now = match defect {
        Some(Defect::Stale) => now.minus(FAR),
        Some(Defect::Future) => now.plus(FAR),
        _ => now,
    };
    let mut body = fixture.request.body.clone();
    let mut headers = unsigned(fixture, defect);
    if let Some(fresh) = fresh {
        (headers, body) = with_fresh_id(verifier.preset(), headers, body, fresh);
    }
    // A handshake that its provider does not sign goes out as it was recorded.
    let signature = if is_signed(fixture) { verifier.sign(&headers, &body, now)? } else { Vec::new() };
    let replaced = |name: &str| signature.iter().any(|(signed, _)| signed.eq_ignore_ascii_case(name));
    let kept = headers.iter().filter(|(name, _)| !replaced(name)).map(|(name, value)| (name.to_owned(), value.clone()));
    let mut all: Vec<(String, Bytes)> = kept.collect();
    all.extend(signature.iter().map(|(name, value)| (name.to_ascii_lowercase(), Bytes::from(value.clone()))));
    let mut shot = Shot { headers: all, body };
    if let Some(defect) = defect {
        let signed: Vec<String> = signature.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        spoil(&mut shot, defect, &signed, now);
    }
    Some(shot)
}

/// Whether its provider signs it: all but some handshakes, which were recorded without.
pub(super) fn is_signed(fixture: &Fixture) -> bool {
    let of_scheme = |check: &Check| match &check.signature.from {
        Locator::Header(name) => fixture.request.headers.find(name.lower()).is_some(),
        _ => true,
    };
    let preset = preset::builtin(&fixture.case.provider);
    fixture.case.expect != Expectation::Handshake || preset.is_none_or(|preset| preset.checks().iter().any(of_scheme))
}

/// The headers of the recording that a new delivery has too; what a defect took away or doubled is put right first.
fn unsigned(fixture: &Fixture, defect: Option<&Defect>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fixture.request.headers.iter() {
        let of_connection = matches!(name, "host" | "content-length" | "connection" | "transfer-encoding" | "expect");
        let doubled = matches!(defect, Some(Defect::Repeated(twice)) if twice == name) && headers.find(name).is_some();
        if !of_connection && !doubled {
            headers.push(name, value.clone());
        }
    }
    if let Some(Defect::Missing(name)) = defect
        && headers.find(name).is_none()
    {
        headers.push(name, format!("msg_{}", fixture.name.replace('/', "_")));
    }
    headers
}

/// Another id where the preset reads it: a header, or the same text wherever it stands in the body, of a form too.
fn with_fresh_id(preset: &Preset, headers: Headers, body: Bytes, fresh: &str) -> (Headers, Bytes) {
    for locator in preset.event().id_locators() {
        match locator {
            Locator::Header(name) if headers.find(name.lower()).is_some() => {
                let others = headers.iter().filter(|(have, _)| *have != name.lower());
                let mut changed: Headers = others.map(|(have, value)| (have.to_owned(), value.clone())).collect();
                changed.push(name.lower(), fresh.to_owned());
                return (changed, body);
            }
            Locator::Json(pointer) => {
                if let Some(id) = text_at(&body, pointer) {
                    return (headers, replace(&body, id.as_bytes(), fresh.as_bytes()));
                }
            }
            Locator::Form(name, pointer) => {
                let field = form_field(&body, name);
                let id = match pointer {
                    None => field,
                    Some(pointer) => field.and_then(|field| text_at(field.as_bytes(), pointer)),
                };
                if let Some(id) = id {
                    return (headers, replace(&body, id.as_bytes(), fresh.as_bytes()));
                }
            }
            _ => {}
        }
    }
    (headers, body)
}

fn text_at(json: &[u8], pointer: &Pointer) -> Option<String> {
    let parsed: serde_json::Value = serde_json::from_slice(json).ok()?;
    parsed.pointer(pointer.as_str())?.as_str().map(str::to_owned)
}

/// A field of a body that may be a urlencoded form.
fn form_field(body: &[u8], name: &str) -> Option<String> {
    let mut url = reqwest::Url::parse("http://form").ok()?;
    url.set_query(Some(std::str::from_utf8(body).ok()?));
    url.query_pairs().find(|(have, _)| have == name).map(|(_, value)| value.into_owned())
}

fn replace(body: &[u8], from: &[u8], to: &[u8]) -> Bytes {
    let mut changed = BytesMut::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.windows(from.len().max(1)).position(|window| window == from) {
        changed.extend_from_slice(&rest[..at]);
        changed.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    changed.extend_from_slice(rest);
    changed.freeze()
}

fn spoil(shot: &mut Shot, defect: &Defect, signed: &[String], now: Timestamp) {
    match defect {
        Defect::Stale | Defect::Future => {}
        Defect::Body => shot.body = flipped(&shot.body),
        Defect::Time => {
            let (then, later) = (now.unix_s().to_string(), (now.unix_s() + 1).to_string());
            edit(shot, signed, |value| value.replace(&then, &later));
        }
        Defect::Signature => edit(shot, &signed[..signed.len().min(1)], changed_digest),
        Defect::Missing(name) => shot.headers.retain(|(have, _)| have != name),
        Defect::Repeated(name) => {
            let twice = shot.headers.iter().find(|(have, _)| have == name).cloned();
            shot.headers.extend(twice);
        }
        Defect::Cut(name) => edit(shot, std::slice::from_ref(name), |value| {
            let digest = digest_at(&value);
            value[..value.floor_char_boundary(digest + (value.len() - digest) / 2)].to_owned()
        }),
    }
}

fn edit(shot: &mut Shot, names: &[String], change: impl Fn(String) -> String) {
    for (_, value) in shot.headers.iter_mut().filter(|(name, _)| names.contains(name)) {
        *value = change(String::from_utf8_lossy(value).into_owned()).into();
    }
}

/// One bit of the body, in a digit behind another digit where there is one, so that JSON stays JSON; else of its last byte.
fn flipped(body: &[u8]) -> Bytes {
    let middle = body.len() / 2;
    let digits = |pair: &[u8]| pair.iter().all(u8::is_ascii_digit);
    let at = body[middle..].windows(2).position(digits).map_or_else(|| body.len().saturating_sub(1), |at| middle + at + 1);
    let mut changed = body.to_vec();
    match changed.get_mut(at) {
        Some(byte) => *byte ^= 1,
        None => changed.push(b' '),
    }
    changed.into()
}

/// Where the last element of a signature begins: behind the last separator that is no padding.
fn digest_at(value: &str) -> usize {
    value.trim_end_matches('=').rfind(['=', ',', ' ']).map_or(0, |at| at + 1)
}

fn changed_digest(mut value: String) -> String {
    let at = value.floor_char_boundary(digest_at(&value));
    let other = match value.as_bytes().get(at) {
        Some(b'0') => "1",
        Some(b'A') => "B",
        Some(byte) if byte.is_ascii_hexdigit() && value[at..].bytes().all(|byte| byte.is_ascii_hexdigit()) => "0",
        _ => "A",
    };
    if let Some(changed) = value[at..].chars().next() {
        value.replace_range(at..at + changed.len_utf8(), other);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_ascii_is_spoilt_without_a_panic() {
        for value in ["", "é", "v1=é", "v1=0é", "t=1,v1=ééé"] {
            let changed = changed_digest(value.to_owned());
            assert!(value.is_empty() || changed != value, "{value}");
        }
    }

    #[test]
    fn a_changed_or_cut_signature_keeps_its_form() {
        assert_eq!(changed_digest("t=1,v1=0abc".to_owned()), "t=1,v1=1abc");
        assert_eq!(changed_digest("sha256=fabc".to_owned()), "sha256=0abc");
        assert_eq!(changed_digest("v1,Zz+/=".to_owned()), "v1,Az+/=");
        assert_eq!(digest_at("v1,abcd=="), 3);
        assert_eq!(digest_at("abcd"), 0);
    }

    #[test]
    fn a_flipped_body_differs_in_one_bit_and_stays_json() {
        let body = br#"{"created":1234567,"x":"y"}"#;
        let changed = flipped(body);
        let bits: u32 = body.iter().zip(&changed[..]).map(|(one, other)| (one ^ other).count_ones()).sum();
        assert_eq!(bits, 1);
        assert!(serde_json::from_slice::<serde_json::Value>(&changed).is_ok());
        assert_eq!(&flipped(b"")[..], b" ");
    }
}
