//! Secrets that are sent themselves: compared by their SHA-256, so that neither the bytes nor the length show in the time it takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::model::Secret;

/// What a sent secret is compared by. An empty one has none, so that it never matches.
pub(super) fn digest(sent: &[u8]) -> Option<[u8; 32]> {
    (!sent.is_empty()).then(|| Sha256::digest(sent).into())
}

/// `user:password` out of an `Authorization` of the scheme Basic, its name in any case.
pub(super) fn read_basic(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (scheme, encoded) = value.split_at_checked(5)?;
    let encoded = encoded.strip_prefix(b" ").filter(|_| scheme.eq_ignore_ascii_case(b"basic"))?;
    STANDARD.decode(encoded.trim_ascii_start()).ok().map(Zeroizing::new)
}

/// The same from a secret.
pub(super) fn write_basic(secret: &[u8]) -> String {
    format!("Basic {}", STANDARD.encode(secret))
}

/// The secrets of a slot that a handshake compares with.
pub(super) struct Slot {
    /// Its name.
    pub(super) name: Box<str>,
    digests: Vec<[u8; 32]>,
}

impl Slot {
    /// Prepares them.
    pub(super) fn new<'s>(name: &str, secrets: impl Iterator<Item = &'s Secret>) -> Self {
        Self { name: name.into(), digests: secrets.filter_map(|secret| digest(secret.reveal())).collect() }
    }

    /// Whether this is one of them. All are compared.
    pub(super) fn has(&self, sent: &[u8]) -> bool {
        let Some(sent) = digest(sent) else { return false };
        let compare = |found: Choice, digest: &[u8; 32]| found | digest.ct_eq(&sent);
        self.digests.iter().fold(Choice::from(0), compare).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_keep_every_colon_and_take_the_scheme_in_any_case() {
        let read = |value: &str| read_basic(value.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        // RFC 7617, section 2.
        assert_eq!(read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").as_deref(), Some("Aladdin:open sesame"));
        assert_eq!(read("bAsIc  YTpiOmM=").as_deref(), Some("a:b:c"));
        assert_eq!(write_basic(b"Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        for bad in ["", "Basic", "BasicYTpi", "Bearer YTpi", "Basic YTpi=", "Basic !", "Basic a b", "Basi\u{e9} YTpi"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_empty_secret_matches_nothing() {
        let secret = Secret::new(b"token".to_vec()).expect("not empty");
        let slot = Slot::new("verify", std::iter::once(&secret));
        assert!(slot.has(b"token"));
        for other in [&b""[..], b"toke", b"token ", b"tokens", b"Token"] {
            assert!(!slot.has(other));
        }
        assert!(!Slot::new("verify", std::iter::empty()).has(b""));
    }
}
