//! Header fields in our own type, as actix and reqwest hold two different generations of one.

use std::fmt;

use bytes::Bytes;

/// Header fields in the order received; names in lower case, repeated names kept apart.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Box<str>, Bytes)>);

impl Headers {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No fields yet, room for some.
    #[must_use]
    pub fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    /// Adds a field as it came. The name is folded to lower case, the value loses its outer blanks.
    pub fn push(&mut self, name: &str, value: impl Into<Bytes>) {
        let value = value.into();
        let trimmed = value.trim_ascii();
        let value = if trimmed.len() == value.len() { value } else { value.slice_ref(trimmed) };
        self.0.push((name.to_ascii_lowercase().into_boxed_str(), value));
    }

    /// The values of every field of this name, in order. `name` is in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Bytes> {
        debug_assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()), "look up by the lower-case name");
        self.0.iter().filter(move |(have, _)| **have == *name).map(|(_, value)| value)
    }

    /// The first value of this name. `name` is in lower case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|(have, _)| **have == *name).map(|(_, value)| value)
    }

    /// Every field in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// How many fields there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a field of this name (in lower case) speaks of one connection and its framing. Handed on, it would tell the next
    /// peer of a message that it does not get.
    #[must_use]
    pub fn is_of_connection(name: &str) -> bool {
        matches!(
            name,
            "connection"
                | "content-length"
                | "expect"
                | "host"
                | "keep-alive"
                | "proxy-connection"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        )
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a value could be sent on: no control characters but a tab.
    #[must_use]
    pub fn is_clean(value: &[u8]) -> bool {
        value.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
    }

    /// Whether a name is an RFC 9110 token.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !name.is_empty() && name.bytes().all(legal)
    }
}

impl FromIterator<(String, Bytes)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, Bytes)>>(fields: I) -> Self {
        let mut headers = Self::new();
        fields.into_iter().for_each(|(name, value)| headers.push(&name, value));
        headers
    }
}

impl fmt::Debug for Headers {
    /// Names only: values may hold signatures and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_values_lose_their_outer_blanks() {
        let mut headers = Headers::new();
        headers.push("X-Hook", " a b\t");
        headers.push("x-hook", "c");
        assert_eq!(headers.all("x-hook").map(|value| &value[..]).collect::<Vec<_>>(), [&b"a b"[..], b"c"]);
        assert_eq!(format!("{headers:?}"), r#"["x-hook", "x-hook"]"#, "Debug shows no value");
    }
}
