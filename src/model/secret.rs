//! Secrets: bytes that are never shown, and the fingerprint that names them instead.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Why bytes are no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is empty")]
pub struct InvalidSecret;

/// A secret's bytes: never empty, wiped when the last clone is dropped, without a text form.
///
/// Keys that are prepared from it are wiped too. What libraries copy is not: headers in the hands of the HTTP client, the text of a
/// configuration with a literal.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes bytes that are not empty and not only white space.
    ///
    /// # Errors
    /// [`InvalidSecret`] for those.
    pub fn new(bytes: Vec<u8>) -> Result<Self, InvalidSecret> {
        let bytes = Zeroizing::new(bytes);
        if bytes.trim_ascii().is_empty() { Err(InvalidSecret) } else { Ok(Self(Arc::new(bytes))) }
    }

    /// The one way to its bytes.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What names a secret where people read: 8 hex digits, too few to guess the secret by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub Arc<str>);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_empty_and_never_shown() {
        for empty in ["", " ", "\n\t "] {
            assert!(Secret::new(empty.into()).is_err(), "{empty:?}");
        }
        let secret = Secret::new(b"canary".to_vec()).expect("not empty");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
