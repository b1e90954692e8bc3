//! From a secret's text to its key, and to the fingerprint that names it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::hmac::Keyed;
use crate::model::{Fingerprint, Secret};
use crate::preset::{Algorithm, Check, KeyEncoding, KeyRule};

/// Below this many bytes a key could be found by trying.
pub const KEY_BYTES_SHORT: usize = 16;
/// Stands before the secret in its fingerprint, so that it is no plain digest of the secret.
const FINGERPRINT_LABEL: &[u8] = b"hookgate fingerprint 1\0";
/// How many hex digits name a secret.
const FINGERPRINT_DIGITS: usize = 8;

/// Why a source's settings make no verifier. A secret's text is never told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A secret is not written as the provider writes them.
    #[error("a secret in slot `{slot}` is not {expected}")]
    Undecodable {
        /// Its place in the settings' list, from 0.
        place: usize,
        /// Its slot.
        slot: String,
        /// How the provider writes them.
        expected: &'static str,
    },
    /// Nothing is left of a secret once it is decoded.
    #[error("a secret in slot `{slot}` is empty once decoded")]
    Empty {
        /// Its place in the settings' list, from 0.
        place: usize,
        /// Its slot.
        slot: String,
    },
    /// The provider has no such slot.
    #[error("the provider has no secret slot `{slot}`; it has {known}")]
    UnknownSlot {
        /// The place of a secret of that slot in the settings' list, from 0.
        place: usize,
        /// The slot.
        slot: String,
        /// Those that there are.
        known: String,
    },
    /// The provider has no such check.
    #[error("`allow`: the provider has no check `{check}`; it has {known}")]
    UnknownCheck {
        /// The check.
        check: String,
        /// Those that there are.
        known: String,
    },
    /// Nothing proves the provider's deliveries, and the source does not say that it wants them all the same.
    #[error(
        "nothing proves the provider's deliveries: whoever knows the URL can send; `allow = [\"{check}\"]` says that you want that"
    )]
    UnsignedNotAllowed {
        /// Its check of kind `none`.
        check: String,
    },
    /// No check is allowed.
    #[error("`allow` is empty: no delivery could ever pass")]
    NothingAllowed,
    /// A parameter of the provider is not given.
    #[error("the provider needs the parameter `{name}`: {help}")]
    ParamMissing {
        /// The parameter.
        name: String,
        /// The provider's line of help.
        help: String,
    },
    /// The provider has no such parameter.
    #[error("the provider has no parameter `{name}`")]
    ParamUnknown {
        /// The parameter.
        name: String,
    },
}

impl KeyError {
    /// Which of the settings' secrets is at fault, where one is.
    #[must_use]
    pub const fn place(&self) -> Option<usize> {
        match self {
            Self::Undecodable { place, .. } | Self::Empty { place, .. } | Self::UnknownSlot { place, .. } => Some(*place),
            Self::UnknownCheck { .. }
            | Self::UnsignedNotAllowed { .. }
            | Self::NothingAllowed
            | Self::ParamMissing { .. }
            | Self::ParamUnknown { .. } => None,
        }
    }
}

/// A secret, ready to be tried.
pub(super) struct Key {
    /// Its keyed state.
    pub(super) keyed: Keyed,
    /// What names it.
    pub(super) fingerprint: Fingerprint,
    /// Whether it is short enough to be guessed.
    pub(super) is_short: bool,
}

impl Key {
    /// Makes a key by the rule of a check. `place` is the secret's in the settings' list.
    pub(super) fn new(check: &Check, secret: &Secret, place: usize) -> Result<Self, KeyError> {
        Self::of((check.algorithm, &check.key, &check.slot), secret, place)
    }

    /// Makes a key for an algorithm by the rule of a slot.
    pub(super) fn of(
        (algorithm, rule, slot): (Algorithm, &KeyRule, &str),
        secret: &Secret,
        place: usize,
    ) -> Result<Self, KeyError> {
        let slot = || slot.to_owned();
        let bytes =
            key_bytes(rule, secret.reveal()).map_err(|expected| KeyError::Undecodable { place, slot: slot(), expected })?;
        let keyed = Keyed::new(algorithm, &bytes).ok_or_else(|| KeyError::Empty { place, slot: slot() })?;
        Ok(Self { keyed, fingerprint: fingerprint(secret), is_short: is_short(&bytes) })
    }
}

/// Whether a key could be found by trying.
pub(super) const fn is_short(key: &[u8]) -> bool {
    key.len() < KEY_BYTES_SHORT
}

/// The key bytes of a secret's text, or how it should have been written. What a failed decoding leaves is wiped too.
pub(crate) fn key_bytes(rule: &KeyRule, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let strip = rule.strip.as_deref().unwrap_or_default();
    let text = text.strip_prefix(strip.as_bytes()).unwrap_or(text);
    // No encoding is shorter than what it encodes; the base64 decoder wants room for whole groups.
    let mut bytes = Zeroizing::new(vec![0; text.len().next_multiple_of(4)]);
    let length = match rule.encoding {
        KeyEncoding::Utf8 => {
            bytes[..text.len()].copy_from_slice(text);
            text.len()
        }
        KeyEncoding::Hex => {
            let length = text.len() / 2;
            hex::decode_to_slice(text, &mut bytes[..length]).or(Err("hex digits, two a byte"))?;
            length
        }
        KeyEncoding::Base64 => STANDARD.decode_slice(text, &mut bytes).or(Err("padded base64"))?,
    };
    bytes.truncate(length);
    Ok(bytes)
}

/// What names a secret where people read: the first 8 hex digits of SHA-256 over a label and the secret as written.
#[must_use]
pub fn fingerprint(secret: &Secret) -> Fingerprint {
    let digest = Sha256::new().chain_update(FINGERPRINT_LABEL).chain_update(secret.reveal()).finalize();
    Fingerprint(hex::encode(digest).chars().take(FINGERPRINT_DIGITS).collect::<String>().into())
}
