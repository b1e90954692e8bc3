//! One request, read on demand: its JSON and its form are parsed at most once, and only if somebody asks.

use std::cell::OnceCell;

use super::form::{self, Field};
use super::json::Found;
use super::plan::Plan;
use crate::model::Headers;
use crate::preset::Locator;

/// What a locator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'r> {
    /// Its bytes, perhaps none.
    Text(&'r [u8]),
    /// It does not exist.
    Absent,
    /// It does not exist, as what it should be in is no JSON.
    NotJson,
    /// A header or form field of this name is there twice.
    NameRepeated,
    /// A key on the way to it is there twice, or it has no text.
    KeyUnclear,
}

/// A request and what was read from it so far.
pub(super) struct Reading<'r> {
    plan: &'r Plan,
    method: &'r str,
    headers: &'r Headers,
    body: &'r [u8],
    json: OnceCell<Option<Vec<Found>>>,
    form: OnceCell<Option<Vec<Field>>>,
}

impl<'r> Reading<'r> {
    /// Nothing read yet.
    pub(super) const fn new(plan: &'r Plan, method: &'r str, headers: &'r Headers, body: &'r [u8]) -> Self {
        Self { plan, method, headers, body, json: OnceCell::new(), form: OnceCell::new() }
    }

    /// The raw body.
    pub(super) const fn body(&self) -> &'r [u8] {
        self.body
    }

    /// Whether a header of this name is there more than once.
    pub(super) fn is_repeated(&self, lower: &str) -> bool {
        self.headers.all(lower).nth(1).is_some()
    }

    /// Reads what belongs to the request itself. Signature elements and the time belong to a check, and do not exist here.
    pub(super) fn read(&self, locator: &Locator) -> Value<'_> {
        match locator {
            Locator::Body => Value::Text(self.body),
            Locator::Method => Value::Text(self.method.as_bytes()),
            Locator::Param(name) => self.plan.params.get(&**name).map_or(Value::Absent, |value| Value::Text(value.as_bytes())),
            Locator::Header(name) if self.is_repeated(name.lower()) => Value::NameRepeated,
            Locator::Header(name) => self.headers.find(name.lower()).map_or(Value::Absent, |value| Value::Text(value)),
            Locator::Json(pointer) => match self.json.get_or_init(|| self.plan.body.extract(self.body)) {
                None => Value::NotJson,
                Some(found) => self.plan.body.slot(pointer).and_then(|slot| found.get(slot)).map_or(Value::Absent, found_value),
            },
            Locator::Form(name, pointer) => {
                let Some((place, field)) = self.field(name) else { return Value::Absent };
                match (field, pointer) {
                    (Field::Absent, _) => Value::Absent,
                    (Field::Repeated, _) => Value::NameRepeated,
                    (Field::Value(text, _), None) => Value::Text(text.as_bytes()),
                    (Field::Value(_, None), Some(_)) => Value::NotJson,
                    (field, Some(pointer)) => field.json(&self.plan.fields[place], pointer).map_or(Value::Absent, found_value),
                }
            }
            Locator::Time | Locator::SignatureKey(_) | Locator::SignaturePlace(_) => Value::Absent,
        }
    }

    /// A field of the body's form; none where the body is no urlencoded form.
    fn field(&self, name: &str) -> Option<(usize, &Field)> {
        let place = self.plan.field(name)?;
        let fields = self.form.get_or_init(|| self.is_form().then(|| form::read(&self.plan.fields, self.body)));
        fields.as_ref()?.get(place).map(|field| (place, field))
    }

    fn is_form(&self) -> bool {
        // Two content types would let two readers disagree on what the body is.
        let mut types = self.headers.all("content-type");
        let first = types.next().is_some_and(|value| form::is_urlencoded(value));
        first && types.next().is_none()
    }
}

fn found_value(found: &Found) -> Value<'_> {
    match found {
        Found::Absent => Value::Absent,
        Found::Text(text) => Value::Text(text.as_bytes()),
        Found::Repeated | Found::Unreadable => Value::KeyUnclear,
    }
}
