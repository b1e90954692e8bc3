//! One request, read on demand: its JSON and its form are parsed at most once, and only if somebody asks.

use std::cell::OnceCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::form::{self, Field};
use super::json::{Found, Trie};
use super::plan::{Plan, find};
use crate::model::{Digest, Headers};
use crate::preset::{Encoding, Locator, Pointer};

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
    query: &'r str,
    headers: &'r Headers,
    body: &'r [u8],
    parameters: OnceCell<Vec<Field>>,
    digest: OnceCell<Digest>,
    digest_hex: OnceCell<String>,
    digest_base64: OnceCell<String>,
    json: OnceCell<Option<Vec<Found>>>,
    form: OnceCell<Option<Vec<Field>>>,
}

impl<'r> Reading<'r> {
    /// Nothing read yet.
    pub(super) const fn new(plan: &'r Plan, method: &'r str, query: &'r str, headers: &'r Headers, body: &'r [u8]) -> Self {
        Self {
            plan,
            method,
            query,
            headers,
            body,
            parameters: OnceCell::new(),
            digest: OnceCell::new(),
            digest_hex: OnceCell::new(),
            digest_base64: OnceCell::new(),
            json: OnceCell::new(),
            form: OnceCell::new(),
        }
    }

    /// SHA-256 of the raw body.
    pub(super) fn body_digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest(Sha256::digest(self.body).into()))
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
            Locator::Query(name) => {
                let Some(place) = find(&self.plan.query, name) else { return Value::Absent };
                let fields = self.parameters.get_or_init(|| form::read(&self.plan.query, self.query.as_bytes()));
                match fields.get(place) {
                    Some(Field::Value(value)) => Value::Text(value.text().as_bytes()),
                    Some(Field::Repeated) => Value::NameRepeated,
                    Some(Field::Absent) | None => Value::Absent,
                }
            }
            Locator::BodyDigest(Encoding::Base64) => {
                let text = self.digest_base64.get_or_init(|| STANDARD.encode(self.body_digest().0));
                Value::Text(text.as_bytes())
            }
            Locator::BodyDigest(_) => Value::Text(self.digest_hex.get_or_init(|| self.body_digest().to_string()).as_bytes()),
            Locator::Json(pointer) => match self.json.get_or_init(|| self.plan.body.extract(self.body)) {
                None => Value::NotJson,
                Some(found) => found_at(&self.plan.body, found, pointer),
            },
            Locator::Form(name, pointer) => {
                let Some((place, field)) = self.field(name) else { return Value::Absent };
                let plan = &self.plan.fields[place];
                match (field, pointer) {
                    (Field::Absent, _) => Value::Absent,
                    (Field::Repeated, _) => Value::NameRepeated,
                    (Field::Value(value), None) => Value::Text(value.text().as_bytes()),
                    (Field::Value(value), Some(pointer)) => match value.json(plan) {
                        None => Value::NotJson,
                        Some(found) => found_at(&plan.json, found, pointer),
                    },
                }
            }
            Locator::Time | Locator::Computed | Locator::Secret(_) | Locator::SignatureKey(_) | Locator::SignaturePlace(_) => {
                Value::Absent
            }
        }
    }

    /// A field of the body's form; none where the body is no urlencoded form.
    fn field(&self, name: &str) -> Option<(usize, &Field)> {
        let place = find(&self.plan.fields, name)?;
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

/// What a pointer found, among what all of its plan did.
fn found_at<'f>(plan: &Trie, found: &'f [Found], pointer: &Pointer) -> Value<'f> {
    match plan.slot(pointer).and_then(|slot| found.get(slot)) {
        None | Some(Found::Absent) => Value::Absent,
        Some(Found::Text(text)) => Value::Text(text.as_bytes()),
        Some(Found::Repeated | Found::Unreadable) => Value::KeyUnclear,
    }
}
