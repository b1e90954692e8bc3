//! What is known of a provider, as data: the small language of presets, and the presets that are built in.
//!
//! A provider is a TOML table ([`ProviderText`]) and compiles to a [`Preset`], which `verify` interprets. Users' own
//! `[providers.NAME]` tables and the built-in ones take the same road. This room holds no secret and no code of a provider:
//! a preset only picks a scheme and fills its parameters.

mod check;
mod compile;
mod error;
mod event;
mod handshake;
mod pointer;
mod registry;
mod template;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use check::{Algorithm, Check, Encoding, KeyEncoding, KeyRule, Parts, SignatureRule, TimeRule};
pub use compile::compile;
pub use error::{PresetError, PresetWarning};
pub use event::{AckRule, Derive, EventRule, IdRule};
pub use handshake::{Compute, Condition, Handshake, JsonText, ReplyRule, ReplyText};
pub use pointer::{InvalidPointer, Pointer};
pub use registry::{ProvidersText, builtin, builtin_names, builtin_text};
pub use template::{HeaderName, Locator, Part, Template, TemplateError};
pub use text::{
    AckText, CheckText, ComputeText, EventText, HandshakeText, KeyText, ProviderText, RespondText, SignatureText, TimeText,
};

/// How well the signature rules of a preset are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Checked against the provider's own library or published vectors.
    Verified,
    /// As the provider's documentation says.
    Documented,
    /// As others say. Never built in.
    Reported,
}

impl Mark {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Documented => "documented",
            Self::Reported => "reported",
        }
    }
}

/// A provider, compiled: every rule parsed, every load check passed.
///
/// Only [`compile`] makes one, so that an interpreter may trust what it finds.
#[derive(Clone, Debug)]
pub struct Preset {
    name: Arc<str>,
    title: Option<String>,
    docs: Option<String>,
    setup: Vec<String>,
    mark: Option<Mark>,
    methods: Vec<Box<str>>,
    body_limit: Option<usize>,
    params: BTreeMap<String, String>,
    checks: Vec<Check>,
    handshakes: Vec<Handshake>,
    event: EventRule,
    ack: AckRule,
}

impl Preset {
    /// The provider's name, as sources give it.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The provider's name for people.
    #[must_use]
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }

    /// The page that the rules were taken from.
    #[must_use]
    pub fn docs(&self) -> Option<&str> {
        self.docs.as_deref()
    }

    /// How a source of it is set up, step by step. `{url}` stands for the address to register, `{secret}` for where its secret is put.
    #[must_use]
    pub fn setup(&self) -> &[String] {
        &self.setup
    }

    /// How well its rules are known.
    #[must_use]
    pub const fn mark(&self) -> Option<Mark> {
        self.mark
    }

    /// The provider's own cap on a body in bytes, where it states one.
    #[must_use]
    pub const fn body_limit(&self) -> Option<usize> {
        self.body_limit
    }

    /// The methods that may carry events, in upper case.
    #[must_use]
    pub fn methods(&self) -> &[Box<str>] {
        &self.methods
    }

    /// The methods that are taken at all: those of events, and those of handshakes.
    #[must_use]
    pub fn taken_methods(&self) -> Vec<&str> {
        let mut methods: Vec<&str> = self.methods.iter().map(|method| &**method).collect();
        for handshake in &self.handshakes {
            if !methods.contains(&&*handshake.method) {
                methods.push(&handshake.method);
            }
        }
        methods
    }

    /// The requests that want an answer of their own, in file order.
    #[must_use]
    pub fn handshakes(&self) -> &[Handshake] {
        &self.handshakes
    }

    /// Whether anybody can have a text signed by a handshake. A body that could be such a text then proves nothing.
    #[must_use]
    pub fn signs_for_strangers(&self) -> bool {
        self.handshakes.iter().any(|handshake| !handshake.verified && handshake.compute.is_some())
    }

    /// The settings that a source must give, with a line of help for each.
    #[must_use]
    pub const fn params(&self) -> &BTreeMap<String, String> {
        &self.params
    }

    /// The ways to prove a delivery, in file order.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Where id and type are.
    #[must_use]
    pub const fn event(&self) -> &EventRule {
        &self.event
    }

    /// What the provider wants to be answered.
    #[must_use]
    pub const fn ack(&self) -> &AckRule {
        &self.ack
    }

    /// What may differ between two deliveries of one event.
    #[must_use]
    pub fn volatile(&self) -> &[Pointer] {
        &self.event.volatile
    }

    /// How an event without an id of its own is named.
    #[must_use]
    pub const fn derive(&self) -> Option<Derive> {
        match self.event.id {
            IdRule::Derived(derive) => Some(derive),
            IdRule::Read(_) => None,
        }
    }

    /// Whether the signature covers the id.
    #[must_use]
    pub const fn id_signed(&self) -> bool {
        self.event.id_signed
    }

    /// Whether nothing proves its deliveries.
    #[must_use]
    pub fn is_unsigned(&self) -> bool {
        self.checks.iter().any(|check| check.algorithm == Algorithm::Unsigned)
    }

    /// The checks that a source has: those in `allow`, by default the first of each secret slot, and none that proves nothing.
    #[must_use]
    pub fn allowed(&self, allow: Option<&[String]>) -> Vec<&Check> {
        let Some(allow) = allow else {
            let first_of_slot = |place: usize| !self.checks[..place].iter().any(|other| other.slot == self.checks[place].slot);
            let first = (0..self.checks.len()).filter(|&place| first_of_slot(place)).map(|place| &self.checks[place]);
            return first.filter(|check| check.algorithm != Algorithm::Unsigned).collect();
        };
        self.checks.iter().filter(|check| allow.iter().any(|id| **id == *check.id)).collect()
    }

    /// The secret slots of its checks, then those of its handshakes, in file order, each once.
    #[must_use]
    pub fn slots(&self) -> Vec<&str> {
        let signed = self.checks.iter().filter(|check| check.algorithm != Algorithm::Unsigned);
        let of_checks = signed.map(|check| &*check.slot);
        let mut slots: Vec<&str> = Vec::new();
        for slot in of_checks.chain(self.handshakes.iter().flat_map(Handshake::slots)) {
            if !slots.contains(&slot) {
                slots.push(slot);
            }
        }
        slots
    }

    /// The slot of the secret that most people have: the first.
    #[must_use]
    pub fn first_slot(&self) -> &str {
        self.slots().first().copied().unwrap_or("signing")
    }

    /// Every header that the preset names, in lower case, each once: of signatures, times, messages, ids and types.
    #[must_use]
    pub fn named_headers(&self) -> Vec<&str> {
        let signatures = self.checks.iter().map(|check| &check.signature.from);
        let times = self.checks.iter().filter_map(|check| check.time.as_ref()).map(|time| &time.from);
        let messages = self.checks.iter().flat_map(|check| check.message.locators());
        let events = self.event.id_locators().chain(self.event.type_locators());
        let mut names: Vec<&str> = Vec::new();
        for locator in signatures.chain(times).chain(messages).chain(events) {
            if let Locator::Header(header) = locator
                && !names.contains(&header.lower())
            {
                names.push(header.lower());
            }
        }
        names
    }

    /// One sentence, without its full stop: how a delivery is proven and where its id comes from.
    ///
    /// `allow` and `tolerance` are the source's own settings, where it has any.
    #[must_use]
    pub fn sentence(&self, allow: Option<&[String]>, tolerance: Option<Duration>) -> String {
        let checks: Vec<String> = self.allowed(allow).iter().map(|check| check.sentence(tolerance)).collect();
        let handshakes: String = self.handshakes.iter().map(|handshake| format!("; {}", handshake.sentence())).collect();
        format!("{}; {}{handshakes}", checks.join(", or "), self.event.sentence())
    }
}
