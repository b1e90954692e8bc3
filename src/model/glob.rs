//! Patterns for event types: which handlers want a type, and which rows a listing shows.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a type pattern is 1 to 255 characters of printable ASCII")]
pub struct InvalidGlob;

/// A pattern for event types. `*` is any run of characters, dots too. A pattern without `*` matches the whole type or a whole
/// dotted prefix of it: `pull_request` matches `pull_request.opened`, not `pull_request_review`.
///
/// Limits: 1 to 255 bytes of printable ASCII, as types are.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TypeGlob(Box<str>);

impl TypeGlob {
    /// Takes a text that keeps the rule.
    ///
    /// # Errors
    /// [`InvalidGlob`] for any other.
    pub fn parse(text: &str) -> Result<Self, InvalidGlob> {
        let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if (1..=255).contains(&text.len()) && printable { Ok(Self(text.into())) } else { Err(InvalidGlob) }
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has a `*`, and so stands for the whole type alone.
    #[must_use]
    pub fn has_star(&self) -> bool {
        self.0.contains('*')
    }

    /// Whether a type matches.
    #[must_use]
    pub fn matches(&self, event_type: &str) -> bool {
        if self.has_star() {
            return run_matches(self.0.as_bytes(), event_type.as_bytes());
        }
        event_type.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// Goes back to the last `*` alone, so the time is bounded by the product of both lengths.
fn run_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                seen = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

impl TryFrom<String> for TypeGlob {
    type Error = InvalidGlob;
    fn try_from(text: String) -> Result<Self, InvalidGlob> {
        Self::parse(&text)
    }
}

impl From<TypeGlob> for String {
    fn from(glob: TypeGlob) -> Self {
        glob.0.into()
    }
}

impl fmt::Display for TypeGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TypeGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, event_type: &str) -> bool {
        TypeGlob::parse(pattern).expect("a pattern").matches(event_type)
    }

    #[test]
    fn a_pattern_without_a_star_is_a_whole_type_or_a_whole_dotted_prefix() {
        assert!(matches("pull_request", "pull_request"));
        assert!(matches("pull_request", "pull_request.opened"));
        assert!(matches("invoice.paid", "invoice.paid.late"));
        for other in ["pull_request_review", "pull", "Pull_request", "a.pull_request", ""] {
            assert!(!matches("pull_request", other), "{other}");
        }
        assert!(matches("a?[b]", "a?[b]"), "nothing but `*` is special");
        assert!(!matches("a?c", "abc"));
    }

    #[test]
    fn a_star_is_any_run_of_characters_dots_too() {
        for good in ["invoice.paid", "invoice.", "invoice.a.b"] {
            assert!(matches("invoice.*", good), "{good}");
        }
        assert!(!matches("invoice.*", "invoice"));
        assert!(!matches("invoice.*", "xinvoice.paid"));
        assert!(matches("*", "anything at all"));
        assert!(matches("*", ""));
        assert!(matches("*.paid", "a.b.paid"));
        assert!(!matches("*.paid", "a.paid.late"), "with a star there is no prefix rule");
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(matches("a**", "a"));
        assert!(!matches("a*b", "a-b-"));
    }

    #[test]
    fn a_pattern_is_printable_and_of_bounded_length() {
        for bad in ["", "\u{e9}", "a\n", &"x".repeat(256)] {
            assert_eq!(TypeGlob::parse(bad), Err(InvalidGlob), "{bad:?}");
        }
    }
}
