//! Which event a delivery is about: its id and its type, read after the check has passed.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::Refusal;
use super::reading::{Reading, Value};
use crate::model::{DeliveryId, Digest, EventId};
use crate::preset::{Derive, EventRule, IdRule, Part, Template};

/// Most bytes of an unusual id that are kept as received.
const RECEIVED_BYTES_MAX: usize = 1024;
/// Most bytes of a type.
const TYPE_BYTES_MAX: usize = 255;

/// An event's id and where it was found.
#[derive(Debug)]
pub(super) struct Identity {
    /// The id.
    pub(super) id: EventId,
    /// The provider's own, where it had to be replaced.
    pub(super) received: Option<String>,
    /// The template that gave it.
    pub(super) from: Arc<str>,
}

/// Why a template gives no text.
enum Blank {
    /// A variable does not exist or is empty.
    Missing,
    /// The same, because the body or the field is no JSON.
    NotJson,
    /// A header or form field is there twice.
    NameRepeated,
    /// What it reads is there in more than one way.
    Unclear,
}

/// Reads the id.
///
/// # Errors
/// [`Refusal::EventIdMissing`], [`Refusal::MalformedBody`], and [`Refusal::HeaderRepeated`] for a form field that is there twice.
pub(super) fn read_id(
    rule: &EventRule,
    reading: &Reading<'_>,
    delivery: DeliveryId,
    body_digest: &Digest,
) -> Result<Identity, Refusal> {
    let templates = match &rule.id {
        IdRule::Read(templates) => templates,
        IdRule::Derived(derive) => {
            let id = match derive {
                Derive::Body => EventId::of_digest(body_digest),
                // A uuid keeps the rule of ids.
                Derive::Delivery => EventId::parse(&delivery.to_string()).or(Err(Refusal::EventIdMissing))?,
            };
            return Ok(Identity { id, received: None, from: format!("derive = {}", derive.as_str()).into() });
        }
    };
    let escape = if rule.id_is_composite() { Escape::Separators } else { Escape::Nothing };
    let mut refusal = Refusal::EventIdMissing;
    for template in templates {
        match render(template, reading, escape) {
            Ok(text) => {
                let (id, received) = match template.is_body_digest() {
                    true => (EventId::of_digest(body_digest), None),
                    false => keep(&text),
                };
                return Ok(Identity { id, received, from: Arc::clone(template.text()) });
            }
            Err(Blank::Missing) => {}
            Err(Blank::NotJson) => refusal = Refusal::MalformedBody,
            Err(Blank::NameRepeated) => return Err(Refusal::HeaderRepeated),
            Err(Blank::Unclear) => return Err(Refusal::MalformedBody),
        }
    }
    Err(refusal)
}

/// Reads the type. None, which is shown as `unknown`, where it is not there once and as printable ASCII.
pub(super) fn read_type(rule: &EventRule, reading: &Reading<'_>) -> Option<String> {
    for template in &rule.types {
        match render(template, reading, Escape::Nothing) {
            Ok(text) => {
                let printable = text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
                return if printable && text.len() <= TYPE_BYTES_MAX { String::from_utf8(text).ok() } else { None };
            }
            Err(Blank::Missing | Blank::NotJson) => {}
            Err(Blank::NameRepeated | Blank::Unclear) => return None,
        }
    }
    None
}

/// What happens to values that are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// They stand alone.
    Nothing,
    /// `%` and `:` are percent-encoded, so that joined values stay apart.
    Separators,
}

fn render(template: &Template, reading: &Reading<'_>, escape: Escape) -> Result<Vec<u8>, Blank> {
    let mut text = Vec::new();
    for part in template.parts() {
        let (locator, optional) = match part {
            Part::Text(literal) => {
                text.extend_from_slice(literal.as_bytes());
                continue;
            }
            Part::Variable { locator, optional } => (locator, *optional),
        };
        match reading.read(locator) {
            Value::Text(value) if !value.is_empty() || optional => push(&mut text, value, escape),
            Value::Text(_) => return Err(Blank::Missing),
            Value::Absent | Value::NotJson if optional => {}
            Value::Absent => return Err(Blank::Missing),
            Value::NotJson => return Err(Blank::NotJson),
            Value::NameRepeated => return Err(Blank::NameRepeated),
            Value::KeyUnclear => return Err(Blank::Unclear),
        }
    }
    if text.is_empty() { Err(Blank::Missing) } else { Ok(text) }
}

fn push(text: &mut Vec<u8>, value: &[u8], escape: Escape) {
    for &byte in value {
        match byte {
            b'%' if escape == Escape::Separators => text.extend_from_slice(b"%25"),
            b':' if escape == Escape::Separators => text.extend_from_slice(b"%3A"),
            _ => text.push(byte),
        }
    }
}

/// The id, and as received where it is too long, not visible ASCII, or looks like one of our own making.
fn keep(text: &[u8]) -> (EventId, Option<String>) {
    let usual = std::str::from_utf8(text).ok().filter(|text| !EventId::looks_like_digest(text));
    if let Some(id) = usual.and_then(|text| EventId::parse(text).ok()) {
        return (id, None);
    }
    let mut received = String::from_utf8_lossy(text).into_owned();
    received.truncate(received.floor_char_boundary(RECEIVED_BYTES_MAX));
    (EventId::of_digest(&Digest(Sha256::digest(text).into())), Some(received))
}
