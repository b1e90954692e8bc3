//! What a handshake computes over a value of the request, with the newest secret.
//!
//! Before the check anybody can ask for it, so that it must never be the signature of a body: it is made over few characters only,
//! and a body of such characters is refused on such a source.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Refusal;
use super::handshake::written;
use super::key::{Key, KeyError};
use super::message::Piece;
use super::reading::Reading;
use crate::model::Secret;
use crate::preset::{Compute, Encoding, Handshake, Preset};

/// Most bytes that are signed for a stranger.
const STRANGERS_BYTES_MAX: usize = 256;
/// Most bytes that are signed after the check.
const PROVEN_BYTES_MAX: usize = 512;

/// The newest key of each handshake that computes, by the handshake's place in the preset.
pub(super) struct Keys(Vec<Option<Key>>);

impl Keys {
    /// Prepares them. All secrets have to be fit; `short` is told the place of each short one in the settings' list.
    pub(super) fn new(preset: &Preset, secrets: &[(String, Secret)], mut short: impl FnMut(usize)) -> Result<Self, KeyError> {
        let mut newest_of_each = Vec::new();
        for handshake in preset.handshakes() {
            let mut newest = None;
            if let Some(compute) = &handshake.compute {
                for (number, (_, secret)) in secrets.iter().enumerate().filter(|(_, (slot, _))| **slot == *compute.slot) {
                    let key = Key::of((compute.algorithm, &compute.key, &compute.slot), secret, number)?;
                    if key.is_short {
                        short(number);
                    }
                    newest = newest.or(Some(key));
                }
            }
            newest_of_each.push(newest);
        }
        Ok(Self(newest_of_each))
    }

    /// The text of `{computed}` for the handshake in this place; none where it computes nothing.
    ///
    /// # Errors
    /// [`Refusal::SourceNotReady`] without a secret, [`Refusal::HandshakeUnfit`] for what must not be signed.
    pub(super) fn compute(&self, place: usize, handshake: &Handshake, reading: &Reading<'_>) -> Result<Option<String>, Refusal> {
        let Some(compute) = &handshake.compute else { return Ok(None) };
        let key = self.0.get(place).and_then(Option::as_ref).ok_or(Refusal::SourceNotReady)?;
        let message = written(&compute.message, reading).ok_or(Refusal::HandshakeUnfit)?;
        let fits = if handshake.verified {
            (1..=PROVEN_BYTES_MAX).contains(&message.len()) && message.iter().all(|byte| matches!(byte, 0x20..=0x7e))
        } else {
            is_for_strangers(&message)
        };
        if !fits {
            return Err(Refusal::HandshakeUnfit);
        }
        Ok(Some(write(compute, key, &message)))
    }
}

fn write(compute: &Compute, key: &Key, message: &[u8]) -> String {
    let tag = key.keyed.tag(&[Piece::Text(message)]);
    match compute.encoding {
        Encoding::Base64 => STANDARD.encode(tag.as_bytes()),
        Encoding::Hex | Encoding::Plain | Encoding::Basic => hex::encode(tag.as_bytes()),
    }
}

/// Whether it may be signed for anybody: a short token with at most two `=` at its end.
fn is_for_strangers(message: &[u8]) -> bool {
    let bare = message.strip_suffix(b"==").or_else(|| message.strip_suffix(b"=")).unwrap_or(message);
    (1..=STRANGERS_BYTES_MAX).contains(&message.len()) && !bare.is_empty() && bare.iter().all(|byte| is_token(*byte))
}

/// Whether a body could have been signed for a stranger: it has nothing but a token's characters, or nothing at all.
pub(super) fn could_be_for_strangers(body: &[u8]) -> bool {
    body.iter().all(|byte| is_token(*byte) || *byte == b'=')
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'+' | b'/' | b'-')
}
