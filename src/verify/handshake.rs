//! Handshakes: which one a request is, and its answer. What goes back to a sender is short printable ASCII, as plain text or JSON.

use bytes::Bytes;
use subtle::ConstantTimeEq as _;

use super::credential::Slot;
use super::reading::{Reading, Value};
use super::{Admitted, Refusal};
use crate::model::{Headers, Secret};
use crate::preset::{Condition, Handshake, JsonText, Locator, Part, Preset, ReplyRule, ReplyText, Template};

/// What a request turned out to be.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one a request, on the stack, and the large one is the usual one")]
pub enum Passed {
    /// A delivery that was proven, and says which event it is about.
    Event(Admitted),
    /// A handshake: answered, never an event.
    Handshake(Reply),
}

impl Passed {
    /// The evidence, where there is any.
    #[must_use]
    pub fn event(self) -> Option<Admitted> {
        match self {
            Self::Event(admitted) => Some(admitted),
            Self::Handshake(_) => None,
        }
    }
}

/// The answer to a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Its header fields, the content type among them.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
    /// Whether its sender had been proven.
    pub verified: bool,
}

/// The handshakes of a source, with the secrets that they compare with.
pub(super) struct Handshakes {
    slots: Vec<Slot>,
}

impl Handshakes {
    /// Prepares the secrets.
    pub(super) fn new(preset: &Preset, secrets: &[(String, Secret)]) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        for name in preset.handshakes().iter().flat_map(Handshake::compared_slots) {
            if !slots.iter().any(|slot| *slot.name == *name) {
                let of_slot = secrets.iter().filter(|(slot, _)| slot == name).map(|(_, secret)| secret);
                slots.push(Slot::new(name, of_slot));
            }
        }
        Self { slots }
    }

    /// The first handshake of this kind that the request is, and its place in the preset.
    pub(super) fn find<'p>(
        &self,
        preset: &'p Preset,
        verified: bool,
        method: &str,
        reading: &Reading<'_>,
    ) -> Option<(usize, &'p Handshake)> {
        preset.handshakes().iter().enumerate().find(|(_, handshake)| {
            handshake.verified == verified
                && *handshake.method == *method
                && handshake.when.iter().all(|condition| self.holds(condition, reading))
        })
    }

    fn holds(&self, condition: &Condition, reading: &Reading<'_>) -> bool {
        match condition {
            Condition::Present(text) => written(text, reading).is_some_and(|text| !text.is_empty()),
            Condition::Equal(one, other) => {
                let texts = written(one, reading).zip(written(other, reading));
                texts.is_some_and(|(one, other)| one.ct_eq(&other).into())
            }
            Condition::Secret(text, slot) => {
                let slot = self.slots.iter().find(|known| *known.name == **slot);
                written(text, reading).zip(slot).is_some_and(|(text, slot)| slot.has(&text))
            }
        }
    }
}

/// A template's text; none where a variable does not exist, or not once.
pub(super) fn written(template: &Template, reading: &Reading<'_>) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for part in template.parts() {
        match part {
            Part::Text(literal) => text.extend_from_slice(literal.as_bytes()),
            Part::Variable { locator, optional } => match reading.read(locator) {
                Value::Text(value) => text.extend_from_slice(value),
                Value::Absent | Value::NotJson if *optional => {}
                _ => return None,
            },
        }
    }
    Some(text)
}

/// The answer to a handshake; `computed` is what it computed, if it does.
///
/// # Errors
/// [`Refusal::HandshakeUnfit`] where a value of the request must not go back.
pub(super) fn answer(handshake: &Handshake, computed: Option<&str>, reading: &Reading<'_>) -> Result<Reply, Refusal> {
    let ReplyRule { status, headers, body, limit } = &handshake.reply;
    let echo = |template: &Template| echo(template, computed, reading, *limit);
    let mut fields = Headers::with_capacity(headers.len() + 2);
    fields.push("x-content-type-options", "nosniff");
    for (name, template) in headers {
        fields.push(name.lower(), echo(template)?);
    }
    let text = match body {
        ReplyText::Empty => String::new(),
        ReplyText::Plain(template) => {
            fields.push("content-type", "text/plain");
            echo(template)?
        }
        ReplyText::Json(json) => {
            fields.push("content-type", "application/json");
            let mut text = String::new();
            write_json(json, &echo, &mut text)?;
            text
        }
    };
    Ok(Reply { status: *status, headers: fields, body: text.into(), verified: handshake.verified })
}

/// A template's text, every value of the request in it 1 to `limit` bytes of printable ASCII.
fn echo(template: &Template, computed: Option<&str>, reading: &Reading<'_>, limit: usize) -> Result<String, Refusal> {
    let mut text = String::new();
    for part in template.parts() {
        let (locator, optional) = match part {
            Part::Text(literal) => {
                text.push_str(literal);
                continue;
            }
            Part::Variable { locator, optional } => (locator, *optional),
        };
        let value = match (locator, reading.read(locator)) {
            (Locator::Computed, _) => computed.ok_or(Refusal::HandshakeUnfit)?.as_bytes(),
            (_, Value::Text([])) if optional => continue,
            (_, Value::Text(value)) => value,
            (_, Value::Absent | Value::NotJson) if optional => continue,
            _ => return Err(Refusal::HandshakeUnfit),
        };
        let printable = value.iter().all(|byte| matches!(byte, 0x20..=0x7e));
        if !printable || !(1..=limit).contains(&value.len()) {
            return Err(Refusal::HandshakeUnfit);
        }
        text.push_str(&String::from_utf8_lossy(value));
    }
    Ok(text)
}

fn write_json(json: &JsonText, echo: &impl Fn(&Template) -> Result<String, Refusal>, text: &mut String) -> Result<(), Refusal> {
    match json {
        JsonText::Text(template) => text.push_str(&quoted(&echo(template)?)),
        JsonText::Bare(bare) => text.push_str(bare),
        JsonText::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                write_json(item, echo, text)?;
            }
            text.push(']');
        }
        JsonText::Object(entries) => {
            text.push('{');
            for (place, (key, value)) in entries.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                text.push_str(&quoted(key));
                text.push(':');
                write_json(value, echo, text)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
