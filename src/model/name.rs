//! Names that the operator gives: of sources and of handlers.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 64 of a-z, 0-9 and `-`")]
pub struct InvalidName;

fn check(text: &str) -> Result<(), InvalidName> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(legal) { Ok(()) } else { Err(InvalidName) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Limits: `[a-z0-9-]{1,64}`, so that names can be joined by `/` and still split one way. A clone is cheap.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text that keeps the rule.
            ///
            /// # Errors
            /// [`InvalidName`] for any other.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                check(text).map(|()| Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// A configured inbound address: one registration at a provider.
    SourceName
}
name! {
    /// One that gets events.
    HandlerName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_lower_case_letters_digits_and_dashes() {
        for good in ["a", "stripe", "github-2", "0", &"x".repeat(64)] {
            assert!(SourceName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "Stripe", "a b", "a/b", "a_b", "..", "é", "a\n", "%2f", "a\0", &"x".repeat(65)] {
            assert_eq!(HandlerName::parse(bad), Err(InvalidName), "{bad:?}");
        }
    }
}
