//! The id that names an event within its source.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Digest;

/// Why a text cannot be an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event id is 1 to 255 bytes of visible ASCII")]
pub struct InvalidEventId;

/// An event's id as the gateway keys it. Compared byte for byte: no trimming, no case folding.
///
/// Limits: 1 to 255 bytes of visible ASCII.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventId(Arc<str>);

/// What stands before an id that is a digest.
const DIGEST_PREFIX: &str = "sha256:";

impl EventId {
    /// Most bytes of an id.
    pub const BYTES_MAX: usize = 255;

    /// Takes an id that keeps the rule.
    ///
    /// # Errors
    /// [`InvalidEventId`] for any other.
    pub fn parse(text: &str) -> Result<Self, InvalidEventId> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if (1..=Self::BYTES_MAX).contains(&text.len()) && visible { Ok(Self(text.into())) } else { Err(InvalidEventId) }
    }

    /// The id of something that is named by its content.
    #[must_use]
    pub fn of_digest(digest: &Digest) -> Self {
        Self(format!("{DIGEST_PREFIX}{digest}").into())
    }

    /// Whether a provider's own text could be taken for an id made by [`EventId::of_digest`].
    #[must_use]
    pub fn looks_like_digest(text: &str) -> bool {
        text.starts_with(DIGEST_PREFIX)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EventId {
    type Error = InvalidEventId;
    fn try_from(text: String) -> Result<Self, InvalidEventId> {
        Self::parse(&text)
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_1_to_255_bytes_of_visible_ascii() {
        for good in ["e", "evt_1Nq", "a:b", "%2F", &"x".repeat(255)] {
            assert!(EventId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "a ", "\u{e9}", "a\0b", "a\n", "\u{7f}", &"x".repeat(256)] {
            assert_eq!(EventId::parse(bad), Err(InvalidEventId), "{bad:?}");
        }
    }
}
