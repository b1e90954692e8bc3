//! Requests that want an answer of their own instead of becoming events.

use std::sync::Arc;

use super::{Algorithm, Encoding, HeaderName, KeyRule, Locator, Template};

/// One kind of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Its method, in upper case.
    pub method: Box<str>,
    /// What tells it from other requests; all must hold.
    pub when: Vec<Condition>,
    /// Whether it is answered only after the check has passed.
    pub verified: bool,
    /// What is computed for the answer.
    pub compute: Option<Compute>,
    /// The answer.
    pub reply: ReplyRule,
}

/// What a handshake computes: it shows that we have the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compute {
    /// What is computed.
    pub algorithm: Algorithm,
    /// How the result is written.
    pub encoding: Encoding,
    /// The slot of the secret; its newest one is taken.
    pub slot: Arc<str>,
    /// How it becomes a key.
    pub key: KeyRule,
    /// What is signed.
    pub message: Template,
}

/// What must hold of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The text exists and is not empty.
    Present(Template),
    /// The two texts are equal.
    Equal(Template, Template),
    /// The text is one of the source's secrets of this slot.
    Secret(Template, Arc<str>),
}

/// The answer to a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyRule {
    /// The status.
    pub status: u16,
    /// Header fields beside the content type.
    pub headers: Vec<(HeaderName, Template)>,
    /// The body.
    pub body: ReplyText,
    /// Most bytes of each value that is taken from the request.
    pub limit: usize,
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyText {
    /// None.
    Empty,
    /// Plain text.
    Plain(Template),
    /// JSON.
    Json(JsonText),
}

/// A JSON value whose texts are templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonText {
    /// A text.
    Text(Template),
    /// A number, `true` or `false`, as JSON writes it.
    Bare(Box<str>),
    /// An array.
    Array(Vec<Self>),
    /// An object, by key.
    Object(Vec<(Box<str>, Self)>),
}

impl Condition {
    /// The texts of the request that it reads.
    pub(super) fn templates(&self) -> impl Iterator<Item = &Template> {
        let (one, other) = match self {
            Self::Present(text) | Self::Secret(text, _) => (text, None),
            Self::Equal(one, other) => (one, Some(other)),
        };
        std::iter::once(one).chain(other)
    }

    fn sentence(&self) -> String {
        match self {
            Self::Present(text) => format!("`{}`", text.text()),
            Self::Equal(one, other) => format!("`{}` = `{}`", one.text(), other.text()),
            Self::Secret(text, slot) => format!("`{}` = the secret `{slot}`", text.text()),
        }
    }
}

impl JsonText {
    fn templates<'t>(&'t self, found: &mut Vec<&'t Template>) {
        match self {
            Self::Text(template) => found.push(template),
            Self::Bare(_) => {}
            Self::Array(items) => items.iter().for_each(|item| item.templates(found)),
            Self::Object(entries) => entries.iter().for_each(|(_, value)| value.templates(found)),
        }
    }
}

impl ReplyRule {
    /// The texts that it is made of.
    pub(super) fn templates(&self) -> Vec<&Template> {
        let mut found: Vec<&Template> = self.headers.iter().map(|(_, template)| template).collect();
        match &self.body {
            ReplyText::Empty => {}
            ReplyText::Plain(template) => found.push(template),
            ReplyText::Json(json) => json.templates(&mut found),
        }
        found
    }
}

impl Handshake {
    /// Every locator that it reads.
    pub fn locators(&self) -> impl Iterator<Item = &Locator> {
        let conditions = self.when.iter().flat_map(Condition::templates);
        let computed = self.compute.as_ref().map(|compute| &compute.message);
        conditions.chain(self.reply.templates()).chain(computed).flat_map(Template::locators)
    }

    /// The slots of the secrets that it compares with.
    pub fn compared_slots(&self) -> impl Iterator<Item = &str> {
        self.when.iter().filter_map(|condition| match condition {
            Condition::Secret(_, slot) => Some(&**slot),
            Condition::Present(_) | Condition::Equal(..) => None,
        })
    }

    /// The slots of all secrets that it needs.
    pub fn slots(&self) -> impl Iterator<Item = &str> {
        self.compared_slots().chain(self.compute.as_ref().map(|compute| &*compute.slot))
    }

    /// What it is, as a part of a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let conditions: Vec<String> = self.when.iter().map(Condition::sentence).collect();
        let with = if conditions.is_empty() { String::new() } else { format!(" with {}", conditions.join(" and ")) };
        let when = if self.verified { "after" } else { "before" };
        format!("{}{with} is a handshake, answered {when} the check", self.method)
    }
}
