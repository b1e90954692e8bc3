//! What a secret makes of a message. HMAC: a keyed state is prepared once per secret and cloned per delivery; digests are compared in
//! constant time.

use hmac::{Hmac, KeyInit as _, Mac};
use sha2::{Sha256, Sha384, Sha512};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::candidates::Candidate;
use super::credential;
use super::message::Piece;
use crate::preset::Algorithm;

/// The largest digest, in bytes.
const DIGEST_BYTES_MAX: usize = 64;

/// A digest that was computed with a key. It has no equality but the constant-time one.
pub(super) struct Tag {
    buffer: [u8; DIGEST_BYTES_MAX],
    bytes: usize,
}

impl Tag {
    fn of(digest: &[u8]) -> Self {
        let mut tag = Self { buffer: [0; DIGEST_BYTES_MAX], bytes: digest.len() };
        tag.buffer[..digest.len()].copy_from_slice(digest);
        tag
    }

    /// Its bytes, to be written by who signs.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.buffer[..self.bytes]
    }

    /// Whether any of the offered signatures is this one. All are compared.
    pub(super) fn is_among(&self, candidates: &[Candidate]) -> bool {
        let compare = |found: Choice, candidate: &Candidate| found | candidate.as_bytes().ct_eq(self.as_bytes());
        candidates.iter().fold(Choice::from(0), compare).into()
    }
}

/// The keyed state of one secret.
#[derive(Clone)]
pub(super) enum Keyed {
    /// For HMAC with SHA-256.
    Sha256(Hmac<Sha256>),
    /// For HMAC with SHA-384.
    Sha384(Hmac<Sha384>),
    /// For HMAC with SHA-512.
    Sha512(Hmac<Sha512>),
    /// A secret that is sent itself, and what it is compared by.
    Sent(Zeroizing<Vec<u8>>, [u8; 32]),
}

impl Keyed {
    /// Prepares the state. None where the key is empty.
    pub(super) fn new(algorithm: Algorithm, key: &[u8]) -> Option<Self> {
        if key.is_empty() {
            return None;
        }
        match algorithm {
            Algorithm::HmacSha256 => Hmac::new_from_slice(key).ok().map(Self::Sha256),
            Algorithm::HmacSha384 => Hmac::new_from_slice(key).ok().map(Self::Sha384),
            Algorithm::HmacSha512 => Hmac::new_from_slice(key).ok().map(Self::Sha512),
            Algorithm::Unsigned => None,
            Algorithm::Token | Algorithm::Basic => {
                credential::digest(key).map(|digest| Self::Sent(Zeroizing::new(key.to_vec()), digest))
            }
        }
    }

    /// The secret's bytes, where it is sent itself.
    pub(super) fn sent(&self) -> Option<&[u8]> {
        match self {
            Self::Sent(secret, _) => Some(secret),
            Self::Sha256(_) | Self::Sha384(_) | Self::Sha512(_) => None,
        }
    }

    /// The digest of a message; of a secret that is sent itself, its own.
    pub(super) fn tag(&self, message: &[Piece<'_>]) -> Tag {
        match self {
            Self::Sha256(mac) => finish(mac.clone(), message),
            Self::Sha384(mac) => finish(mac.clone(), message),
            Self::Sha512(mac) => finish(mac.clone(), message),
            Self::Sent(_, digest) => Tag::of(digest),
        }
    }
}

fn finish(mut mac: impl Mac, message: &[Piece<'_>]) -> Tag {
    message.iter().for_each(|piece| mac.update(piece.bytes()));
    Tag::of(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn published_vectors_come_out() {
        let message = [Piece::Text(b"what do ya want "), Piece::Body(b"for nothing?")];
        let tag = |algorithm| Keyed::new(algorithm, b"Jefe").map(|keyed| hex::encode(keyed.tag(&message).as_bytes()));
        assert_eq!(
            tag(Algorithm::HmacSha256).as_deref(),
            Some("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
        assert_eq!(
            tag(Algorithm::HmacSha384).as_deref(),
            Some("af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649")
        );
        assert_eq!(
            tag(Algorithm::HmacSha512).as_deref(),
            Some(concat!(
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd",
                "caeab1a34d4a6b4b636e070a38bce737"
            ))
        );
    }

    /// Does not compile where the libraries leave states behind. Those of an HMAC are two of its hash and no more.
    #[test]
    fn a_state_is_wiped_when_it_goes() {
        const fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
        is_wiped::<Sha256>();
        is_wiped::<Sha384>();
        is_wiped::<Sha512>();
        assert!(std::mem::needs_drop::<Hmac<Sha256>>());
    }

    #[test]
    fn an_empty_key_makes_no_state() {
        assert!(Keyed::new(Algorithm::HmacSha256, b"").is_none());
    }
}
