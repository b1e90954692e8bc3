//! One compiled way to prove a delivery.

use std::sync::Arc;
use std::time::Duration;

use super::{HeaderName, Locator, Part, Template};

/// What a check computes, or compares as it stands. Always from the preset, never from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
    /// The secret itself is sent.
    Token,
    /// The secret is a user and a password, sent as HTTP Basic authentication.
    Basic,
    /// Nothing at all: for a source that is unsigned on purpose.
    Unsigned,
}

impl Algorithm {
    /// The size of what is compared, in bytes. Of what is sent as it stands, that is its SHA-256.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::HmacSha256 | Self::Token | Self::Basic | Self::Unsigned => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }

    /// Its name for people; also a part of the signed digest, so it never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "HMAC-SHA256",
            Self::HmacSha384 => "HMAC-SHA384",
            Self::HmacSha512 => "HMAC-SHA512",
            Self::Token => "token",
            Self::Basic => "user and password",
            Self::Unsigned => "none",
        }
    }

    /// Whether the secret itself is sent, which proves who sends, not what the body says.
    #[must_use]
    pub const fn is_credential(self) -> bool {
        matches!(self, Self::Token | Self::Basic)
    }
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Hex digits in any case.
    Hex,
    /// The standard alphabet, padded.
    Base64,
    /// A token, as it stands.
    Plain,
    /// HTTP Basic authentication: its scheme's name, then base64.
    Basic,
}

impl Encoding {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Plain => "plain",
            Self::Basic => "basic",
        }
    }
}

/// How a secret's text becomes key bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyEncoding {
    /// The bytes of the text.
    #[default]
    Utf8,
    /// Hex digits in any case.
    Hex,
    /// The standard alphabet, padded.
    Base64,
}

/// What is done to a secret's text to have its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRule {
    /// Removed from its beginning, if there.
    pub strip: Option<Box<str>>,
    /// How the rest is read.
    pub encoding: KeyEncoding,
}

impl KeyRule {
    /// What it takes, as a part of a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let encoded = match self.encoding {
            KeyEncoding::Utf8 => "the secret's text as it is",
            KeyEncoding::Hex => "the secret decoded from hex",
            KeyEncoding::Base64 => "the secret decoded from base64",
        };
        match &self.strip {
            None => encoded.to_owned(),
            Some(prefix) => format!("{encoded}, without `{prefix}`"),
        }
    }
}

/// How the elements of a signature's value are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    /// By place: signatures are those after the first `skip`.
    Placed {
        /// How many elements are no signatures.
        skip: usize,
    },
    /// By name: an element is a name, `pair` and a value.
    Named {
        /// What stands between name and value.
        pair: Box<str>,
        /// The names of signatures, at least one.
        keys: Vec<Box<str>>,
    },
}

/// Where the offered signatures are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRule {
    /// Where the value is.
    pub from: Locator,
    /// What the value is cut at.
    pub split: Option<Box<str>>,
    /// How its elements are told apart.
    pub parts: Parts,
    /// What each signature begins with.
    pub prefix: Option<Box<str>>,
    /// How it is written after that.
    pub encoding: Encoding,
}

/// Where the signed time is, and how fresh it must be. Its unit is Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRule {
    /// Where it is.
    pub from: Locator,
    /// How far it may lie on either side of now. Zero: it is not looked at.
    pub tolerance: Duration,
}

/// One way to prove a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name in logs and in `allow`.
    pub id: Arc<str>,
    /// What is computed.
    pub algorithm: Algorithm,
    /// The slot of the secrets that it takes.
    pub slot: Arc<str>,
    /// How they become keys.
    pub key: KeyRule,
    /// Where the offered signatures are.
    pub signature: SignatureRule,
    /// The signed time.
    pub time: Option<TimeRule>,
    /// The signed bytes.
    pub message: Template,
}

impl Check {
    /// Whether the signature covers the raw body.
    #[must_use]
    pub fn covers_body(&self) -> bool {
        self.message.locators().any(|locator| matches!(locator, Locator::Body | Locator::BodyDigest(_)))
    }

    /// The header that the secret itself is sent in, where it is. It is never kept nor handed on.
    #[must_use]
    pub fn credential_header(&self) -> Option<&HeaderName> {
        match &self.signature.from {
            Locator::Header(name) if self.algorithm.is_credential() => Some(name),
            _ => None,
        }
    }

    /// Whether a piece of the message is the time value.
    #[must_use]
    pub fn is_time(&self, locator: &Locator) -> bool {
        *locator == Locator::Time || self.time.as_ref().is_some_and(|time| time.from == *locator)
    }

    /// Whether what a locator reads is covered by the signature.
    #[must_use]
    pub fn covers(&self, locator: &Locator) -> bool {
        let same = self.message.locators().any(|signed| match (signed, locator) {
            (Locator::Time, _) => self.is_time(locator),
            (Locator::Form(signed, None), Locator::Form(read, _)) => signed == read,
            _ => signed == locator,
        });
        same || (locator.is_of_body() && self.covers_body()) || matches!(locator, Locator::Param(_))
    }

    /// Every locator that it reads.
    pub fn locators(&self) -> impl Iterator<Item = &Locator> {
        let time = self.time.as_ref().map(|time| &time.from);
        std::iter::once(&self.signature.from).chain(time).chain(self.message.locators())
    }

    /// What it computes, in a word.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        self.algorithm.as_str()
    }

    /// How it signs, as a part of a sentence. `tolerance` is the source's own, where it has one.
    #[must_use]
    pub fn sentence(&self, tolerance: Option<Duration>) -> String {
        if self.algorithm == Algorithm::Unsigned {
            return "not signed: whoever knows the URL can send".to_owned();
        }
        let place = match &self.signature.from {
            Locator::Header(name) => format!("header {}", name.written()),
            Locator::Query(name) => format!("query parameter `{name}`"),
            Locator::Json(pointer) => format!("`body:{pointer}`"),
            Locator::Form(name, _) => format!("form field `{name}`"),
            _ => "the request".to_owned(),
        };
        if self.algorithm.is_credential() {
            return format!("{} in {place}, which proves who sends, not what the body says", self.algorithm.as_str());
        }
        let message = match self.message.parts() {
            [Part::Variable { locator: Locator::Body, .. }] => "the raw body".to_owned(),
            _ => format!("`{}`", self.message.text()),
        };
        let named = match &self.signature.parts {
            Parts::Named { keys, .. } => format!("{}, ", keys.join(" or ")),
            Parts::Placed { .. } => String::new(),
        };
        let fresh = self.time.as_ref().map(|time| tolerance.unwrap_or(time.tolerance).as_secs());
        let fresh = match fresh {
            None => String::new(),
            Some(0) => ", at any time".to_owned(),
            Some(seconds) => format!(", fresh within {seconds} s"),
        };
        format!("{} over {message} in {place} ({named}{}){fresh}", self.algorithm.as_str(), self.signature.encoding.as_str())
    }
}
