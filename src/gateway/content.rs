//! JSON as it was written, for comparing two bodies: what parsers disagree on is never taken for equal.
//!
//! Numbers keep their text, as a parser that makes them doubles would take two amounts for one. An object with a key twice is
//! not read at all, as parsers disagree on which one wins.

use serde::de::IgnoredAny;

/// Most arrays and objects inside each other, as in `serde_json`.
const DEPTH_MAX: usize = 127;

/// A value.
#[derive(Debug, PartialEq)]
pub(super) enum Content<'t> {
    /// A number, `true`, `false` or `null`, as written.
    Plain(&'t str),
    /// A decoded string.
    Text(String),
    Array(Vec<Self>),
    /// By key.
    Object(Vec<(String, Self)>),
}

impl<'t> Content<'t> {
    /// Reads a document. None if it is no JSON, is nested too deeply, or has a string without a text or a key twice.
    pub(super) fn read(bytes: &'t [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        // It is well formed, so the rest need not see to that.
        Reader { rest: text }.value(DEPTH_MAX)
    }

    /// Puts `null` where this JSON pointer leads, if there is anything.
    pub(super) fn blank(&mut self, pointer: &str) {
        let mut keys = pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~"));
        if let Some(found) = keys.try_fold(self, |value, key| value.child(&key)) {
            *found = Content::Plain("null");
        }
    }

    fn child(&mut self, key: &str) -> Option<&mut Self> {
        match self {
            Self::Object(entries) => {
                let place = entries.binary_search_by(|(have, _)| have.as_str().cmp(key)).ok()?;
                Some(&mut entries[place].1)
            }
            Self::Array(items) if key == "0" || !key.starts_with(['0', '+']) => items.get_mut(key.parse::<usize>().ok()?),
            _ => None,
        }
    }
}

/// What is left of a well-formed document, in which commas and colons tell nothing more.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// One value, with so many levels left below it.
    fn value(&mut self, depth: usize) -> Option<Content<'t>> {
        match self.peek()? {
            b'"' => self.text().map(Content::Text),
            b'[' => self.array(depth.checked_sub(1)?),
            b'{' => self.object(depth.checked_sub(1)?),
            _ => {
                let ends = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}');
                let length = self.rest.bytes().position(ends).unwrap_or(self.rest.len());
                Some(Content::Plain(self.take(length)))
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Content<'t>> {
        self.take(1);
        let mut items = Vec::new();
        while self.peek()? != b']' {
            items.push(self.value(depth)?);
        }
        self.take(1);
        Some(Content::Array(items))
    }

    fn object(&mut self, depth: usize) -> Option<Content<'t>> {
        self.take(1);
        let mut entries = Vec::new();
        while self.peek()? != b'}' {
            let key = self.text()?;
            entries.push((key, self.value(depth)?));
        }
        self.take(1);
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let unique = entries.windows(2).all(|pair| pair[0].0 != pair[1].0);
        unique.then_some(Content::Object(entries))
    }

    fn text(&mut self) -> Option<String> {
        let mut escaped = false;
        let inside = self.rest.bytes().skip(1).position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        })?;
        serde_json::from_str(self.take(inside + 2)).ok()
    }

    /// The next byte that counts.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', ',', ':']);
        self.rest.bytes().next()
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a usual parser makes of it, which must be the same where no number and no key twice comes in between.
    fn plain(content: &Content<'_>) -> serde_json::Value {
        match content {
            Content::Plain(text) => serde_json::from_str(text).expect("a value"),
            Content::Text(text) => text.as_str().into(),
            Content::Array(items) => items.iter().map(plain).collect(),
            Content::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        }
    }

    fn document() -> impl Strategy<Value = serde_json::Value> {
        let text = "[a-c,:\\[\\]{}\\\\\" \u{e9}\u{1f600}]{0,4}";
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            text.prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((text, inner), 0..6).prop_map(|all| all.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_what_a_usual_parser_reads(document in document(), pretty in any::<bool>()) {
            let text = if pretty { format!("\r\n\t{document:#} ") } else { document.to_string() };
            let content = Content::read(text.as_bytes()).expect("JSON");
            prop_assert_eq!(plain(&content), document);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Content::read(&bytes);
        }

        #[test]
        fn random_pieces_never_panic(pieces in prop::collection::vec(prop::sample::select(
            vec!["{", "}", "[", "]", "\"a\"", "\"\\\\\"", ":", ",", "1e9", "null", "\"\\ud800\"", " ", "\\"]), 0..20)) {
            let _ = Content::read(pieces.concat().as_bytes());
        }
    }

    #[test]
    fn what_parsers_disagree_on_is_not_read() {
        for bad in
            ["", "{", "a=1", "[1,]", "[1 2]", "{\"a\" 1}", "1 2", "\"\\ud800\"", "{\"a\":1,\"\\u0061\":1}", "[{\"a\":1,\"a\":1}]"]
        {
            assert_eq!(Content::read(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Content::read(b"\"\xff\""), None);
    }

    #[test]
    fn depth_is_no_danger() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Content::read(nested(127).as_bytes()).is_some());
        assert!(serde_json::from_str::<serde_json::Value>(&nested(127)).is_ok(), "as deep as a usual parser goes");
        assert_eq!(Content::read(nested(128).as_bytes()), None);
        assert_eq!(Content::read(nested(200_000).as_bytes()), None);
    }

    #[test]
    fn a_pointer_blanks_what_is_there() {
        let blanked = |document: &str, pointer: &str| {
            let mut content = Content::read(document.as_bytes()).expect("JSON");
            content.blank(pointer);
            plain(&content).to_string()
        };
        assert_eq!(blanked(r#"{"b":2,"a":{"c":[1,2]}}"#, "/a/c/1"), r#"{"a":{"c":[1,null]},"b":2}"#);
        assert_eq!(blanked(r#"{"a/b":{"m~n":1}}"#, "/a~1b/m~0n"), r#"{"a/b":{"m~n":null}}"#);
        assert_eq!(blanked("[1,2]", "/01"), "[1,2]", "no index");
        assert_eq!(blanked("[1,2]", "/+1"), "[1,2]", "no index");
        assert_eq!(blanked(r#"{"a":1}"#, "/b"), r#"{"a":1}"#);
        assert_eq!(blanked(r#"{"a":1}"#, "/a/b"), r#"{"a":1}"#);
    }
}
