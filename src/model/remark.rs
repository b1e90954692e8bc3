//! What an operator says about a deed: who did it, and why.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is no remark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRemark {
    /// Nothing, or white space alone.
    #[error("is empty")]
    Empty,
    /// Longer than is kept.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// It could move a cursor, forge a line or turn the text around where it is shown.
    #[error("has a control character")]
    Control,
}

/// Characters that change how what follows is shown, though Unicode does not count them among the control characters.
const fn is_control_like(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn check(text: &str, most: usize) -> Result<&str, InvalidRemark> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidRemark::Empty);
    }
    if text.chars().take(most + 1).count() > most {
        return Err(InvalidRemark::TooLong(most));
    }
    let bad = |c: char| c.is_control() || is_control_like(c);
    if text.chars().any(bad) { Err(InvalidRemark::Control) } else { Ok(text) }
}

macro_rules! remark {
    ($(#[$doc:meta])* $name:ident: $most:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a text that keeps the rule, without white space around it.
            ///
            /// # Errors
            /// [`InvalidRemark`] for any other.
            pub fn parse(text: &str) -> Result<Self, InvalidRemark> {
                check(text, $most).map(|text| Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidRemark;
            fn try_from(text: String) -> Result<Self, InvalidRemark> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(remark: $name) -> Self {
                remark.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

remark! {
    /// Why an operator did something.
    ///
    /// Limits: 1 to 512 characters, no control characters.
    Why: 512
}
remark! {
    /// Who did it, as the caller says.
    ///
    /// Limits: 1 to 128 characters, no control characters.
    Who: 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_bounded_and_moves_no_cursor() {
        assert_eq!(
            Why::parse("  test events of the r\u{e9}hearsal ").expect("a remark").as_str(),
            "test events of the r\u{e9}hearsal"
        );
        assert!(Why::parse(&"\u{e9}".repeat(512)).is_ok());
        assert_eq!(Why::parse(&"x".repeat(513)), Err(InvalidRemark::TooLong(512)));
        assert_eq!(Who::parse(&"x".repeat(129)), Err(InvalidRemark::TooLong(128)));
        for empty in ["", " ", "\n"] {
            assert_eq!(Why::parse(empty), Err(InvalidRemark::Empty), "{empty:?}");
        }
        for bad in ["a\nb", "a\0", "\u{1b}[2J", "a\u{9b}b", "a\u{202e}b", "a\u{2028}b"] {
            assert_eq!(Why::parse(bad), Err(InvalidRemark::Control), "{bad:?}");
        }
    }
}
