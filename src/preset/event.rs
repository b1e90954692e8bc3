//! Where an event's id and type are, and what its provider wants to be answered.

use std::time::Duration;

use super::{Locator, Pointer, Template};

/// How an event is named whose provider gives no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Derive {
    /// By the SHA-256 of its body: equal bodies are one event.
    Body,
    /// By the delivery: each delivery is an event.
    Delivery,
}

impl Derive {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Delivery => "delivery",
        }
    }
}

/// Where the id comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdRule {
    /// From the first of these that can be read.
    Read(Vec<Template>),
    /// From the delivery itself.
    Derived(Derive),
}

/// Where an event's id and type are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRule {
    /// Where the id comes from.
    pub id: IdRule,
    /// Whether the signature covers it.
    pub id_signed: bool,
    /// Where the type is; the first template that can be read.
    pub types: Vec<Template>,
    /// What may differ between two deliveries of one event.
    pub volatile: Vec<Pointer>,
}

impl EventRule {
    /// The templates of the id; none where it is derived.
    #[must_use]
    pub fn id_templates(&self) -> &[Template] {
        match &self.id {
            IdRule::Read(templates) => templates,
            IdRule::Derived(_) => &[],
        }
    }

    /// Whether an id may be joined from several values, which are then escaped.
    #[must_use]
    pub fn id_is_composite(&self) -> bool {
        self.id_templates().iter().any(|template| template.locators().count() > 1)
    }

    /// Every locator that the id reads.
    pub fn id_locators(&self) -> impl Iterator<Item = &Locator> {
        self.id_templates().iter().flat_map(Template::locators)
    }

    /// Every locator that the type reads.
    pub fn type_locators(&self) -> impl Iterator<Item = &Locator> {
        self.types.iter().flat_map(Template::locators)
    }

    /// Where the id comes from, as a part of a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let templates = match &self.id {
            IdRule::Derived(Derive::Body) => return "no id: equal bodies are one event".to_owned(),
            IdRule::Derived(Derive::Delivery) => return "no id: each delivery is an event, no deduplication".to_owned(),
            IdRule::Read(templates) => templates,
        };
        let texts: Vec<String> = templates.iter().map(|template| format!("`{}`", template.text())).collect();
        format!("id from {} ({})", texts.join(", else "), if self.id_signed { "signed" } else { "not signed" })
    }
}

/// What a provider wants to be answered, and how it sends again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckRule {
    /// The status for a stored delivery.
    pub status: u16,
    /// The body for it.
    pub body: String,
    /// The content type of that body.
    pub content_type: Option<String>,
    /// The status for a failed check.
    pub reject: u16,
    /// After this the provider gives up.
    pub deadline: Duration,
    /// From the first delivery to the last automatic retry. Zero: it does not retry. None: not known.
    pub retries_for: Option<Duration>,
    /// How long people can have it sent again. None: not known.
    pub resend_for: Option<Duration>,
}
