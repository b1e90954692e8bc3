//! The signed message as pieces, never joined: they are fed to the keyed state one by one, the body without a copy.

use sha2::{Digest as _, Sha256};

use super::Refusal;
use super::candidates::Elements;
use super::reading::{Reading, Value};
use crate::model::Digest;
use crate::preset::{Check, Locator, Part};

/// The first part of every signed digest. A change of the layout changes it.
const LAYOUT: &[u8] = b"hookgate signed digest 1";

/// What a piece of the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'m> {
    /// Literal text or a value.
    Text(&'m [u8]),
    /// The time value, which changes with each retry.
    Time(&'m [u8]),
    /// The raw body.
    Body(&'m [u8]),
}

impl<'m> Piece<'m> {
    /// Its bytes.
    pub(super) const fn bytes(self) -> &'m [u8] {
        match self {
            Self::Text(bytes) | Self::Time(bytes) | Self::Body(bytes) => bytes,
        }
    }
}

/// What a check reads: the request, the elements of the signature's value, the time once it is known.
#[derive(Clone, Copy)]
pub(super) struct Context<'m> {
    /// The check.
    pub(super) check: &'m Check,
    /// The request.
    pub(super) reading: &'m Reading<'m>,
    /// The elements of the signature's value; none when it is we who sign.
    pub(super) elements: Option<&'m Elements<'m>>,
    /// The text of the time.
    pub(super) time: Option<&'m [u8]>,
}

impl<'m> Context<'m> {
    /// Reads one value.
    ///
    /// # Errors
    /// [`Refusal`] where it is there in more than one way.
    pub(super) fn read(&self, locator: &Locator) -> Result<Option<&'m [u8]>, Refusal> {
        match locator {
            Locator::SignatureKey(name) => self.elements.map_or(Ok(None), |elements| elements.named(name)),
            Locator::SignaturePlace(place) => Ok(self.elements.and_then(|elements| elements.placed(*place))),
            _ => match self.reading.read(locator) {
                Value::Text(text) => Ok(Some(text)),
                Value::Absent | Value::NotJson => Ok(None),
                Value::NameRepeated => Err(Refusal::HeaderRepeated),
                Value::KeyUnclear => Err(Refusal::MessageUnreadable),
            },
        }
    }

    /// The message, piece by piece.
    ///
    /// # Errors
    /// [`Refusal::MessageUnreadable`] where a variable does not exist, and as [`Context::read`].
    pub(super) fn message(&self) -> Result<Vec<Piece<'m>>, Refusal> {
        let piece = |part: &'m Part| match part {
            Part::Text(text) => Ok(Piece::Text(text.as_bytes())),
            Part::Variable { locator: Locator::Body, .. } => Ok(Piece::Body(self.reading.body())),
            Part::Variable { locator, optional } => {
                let is_time = self.check.is_time(locator);
                let value = if is_time && self.time.is_some() { self.time } else { self.read(locator)? };
                let value = if *optional { value.or(Some(b"")) } else { value };
                let value = value.ok_or(Refusal::MessageUnreadable)?;
                Ok(if is_time { Piece::Time(value) } else { Piece::Text(value) })
            }
        };
        self.check.message.parts().iter().map(piece).collect()
    }
}

/// SHA-256 over the scheme and the signed message without its time value, and over the body in any case: what stays the same
/// when somebody sends a captured delivery again.
pub(super) fn signed_digest(check: &Check, message: &[Piece<'_>], body_digest: &Digest) -> Digest {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(LAYOUT);
    add(check.id.as_bytes());
    add(check.algorithm.as_str().as_bytes());
    for piece in message {
        match piece {
            Piece::Text(bytes) => add(bytes),
            Piece::Time(_) => {}
            Piece::Body(_) => add(&body_digest.0),
        }
    }
    if !check.covers_body() {
        add(&body_digest.0);
    }
    Digest(hash.finalize().into())
}
