//! Scalars out of JSON, by pointers that are known at load: one pass over the text, no tree of the document.
//!
//! What parsers disagree on is never guessed: a key on the way that occurs twice, in any spelling, is told as repeated.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::preset::Pointer;

/// What a pointer found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or null, an array or an object.
    Absent,
    /// A scalar: a decoded string, a number as its text in the document, `true` or `false`.
    Text(String),
    /// A key on the way occurs twice in its object.
    Repeated,
    /// A scalar that has no text, as half a surrogate pair.
    Unreadable,
}

/// Pointers, laid out for one pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    root: Node,
    /// How many nodes there are beside the root.
    nodes: usize,
    pointers: Vec<Pointer>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    number: usize,
    /// Which pointer ends here.
    slot: Option<usize>,
    children: Vec<(Box<str>, Node)>,
}

impl Trie {
    /// Lays out pointers; equal ones share their place.
    pub(super) fn new<'p>(pointers: impl IntoIterator<Item = &'p Pointer>) -> Self {
        let mut trie = Self::default();
        pointers.into_iter().for_each(|pointer| trie.add(pointer));
        trie
    }

    /// Adds one more pointer.
    pub(super) fn add(&mut self, pointer: &Pointer) {
        if self.slot(pointer).is_some() {
            return;
        }
        let mut node = &mut self.root;
        for key in pointer.keys() {
            let place = node.children.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
                self.nodes += 1;
                node.children.push((key.clone(), Node { number: self.nodes, ..Node::default() }));
                node.children.len() - 1
            });
            node = &mut node.children[place].1;
        }
        node.slot = Some(self.pointers.len());
        self.pointers.push(pointer.clone());
    }

    /// The place of a pointer in what [`Trie::extract`] returns.
    pub(super) fn slot(&self, pointer: &Pointer) -> Option<usize> {
        self.pointers.iter().position(|known| known == pointer)
    }

    /// What each pointer finds, in order; none where the text is no JSON document.
    pub(super) fn extract(&self, text: &[u8]) -> Option<Vec<Found>> {
        let text = std::str::from_utf8(text).ok()?;
        if let Some(found) = self.pass(text) {
            return Some(found);
        }
        // Either this is no JSON, or one value on the way cannot be represented, which must not cost the other pointers.
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        let alone = |pointer| Self::new([pointer]).pass(text).and_then(|found| found.into_iter().next());
        Some(self.pointers.iter().map(|pointer| alone(pointer).unwrap_or(Found::Unreadable)).collect())
    }

    fn pass(&self, text: &str) -> Option<Vec<Found>> {
        let mut state = State { found: vec![Found::Absent; self.pointers.len()], visited: vec![false; self.nodes + 1] };
        state.descend(&self.root, text).ok()?;
        Some(state.found)
    }
}

struct State {
    found: Vec<Found>,
    visited: Vec<bool>,
}

impl State {
    /// Reads one whole document, or the raw text of one value.
    fn descend(&mut self, node: &Node, text: &str) -> serde_json::Result<()> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Walk { node, state: self }.deserialize(&mut deserializer)?;
        deserializer.end()
    }

    /// Takes the value at which a pointer ends.
    fn take(&mut self, node: &Node, slot: usize, raw: &str) -> serde_json::Result<()> {
        let found = match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).map_or(Found::Unreadable, Found::Text),
            Some(b'{' | b'[') if !node.children.is_empty() => {
                // Another pointer goes on from here. The walk must not end at this node again.
                let onward = Node { slot: None, ..node.clone() };
                return self.descend(&onward, raw);
            }
            Some(b'{' | b'[' | b'n') | None => Found::Absent,
            Some(_) => Found::Text(raw.to_owned()),
        };
        self.found[slot] = found;
        Ok(())
    }

    /// Marks every pointer that goes through a node.
    fn repeat(&mut self, node: &Node) {
        if let Some(slot) = node.slot {
            self.found[slot] = Found::Repeated;
        }
        node.children.iter().for_each(|(_, child)| self.repeat(child));
    }
}

/// The walk over one value.
struct Walk<'n, 's> {
    node: &'n Node,
    state: &'s mut State,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if let Some(slot) = self.node.slot {
            let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?;
            return self.state.take(self.node, slot, raw.get()).map_err(serde::de::Error::custom);
        }
        if self.node.children.is_empty() {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(place) = map.next_key_seed(Key(self.node))? {
            let Some(place) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let child = &self.node.children[place].1;
            if std::mem::replace(&mut self.state.visited[child.number], true) {
                self.state.repeat(child);
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Walk { node: child, state: self.state })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let child = self.node.children.iter().find(|(key, _)| as_index(key) == Some(index));
            let more = match child {
                Some((_, child)) => items.next_element_seed(Walk { node: child, state: self.state })?.is_some(),
                None => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// An array index as RFC 6901 writes it: digits, no leading zero.
fn as_index(key: &str) -> Option<usize> {
    let plain = key == "0" || (!key.starts_with('0') && key.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { key.parse().ok() } else { None }
}

/// Which child a key leads to, whatever way it is spelt. One that has no text, as half a surrogate pair, leads nowhere.
struct Key<'n>(&'n Node);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?.get();
        let plain = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|text| !text.contains('\\'));
        let place = |text: &str| self.0.children.iter().position(|(key, _)| **key == *text);
        Ok(match plain {
            Some(text) => place(text),
            None => serde_json::from_str::<String>(raw).ok().and_then(|text| place(&text)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(pointers: &[&str], text: impl AsRef<[u8]>) -> Option<Vec<Found>> {
        let pointers: Vec<Pointer> = pointers.iter().map(|pointer| Pointer::parse(pointer).expect(pointer)).collect();
        Trie::new(&pointers).extract(text.as_ref())
    }

    fn one(pointer: &str, text: impl AsRef<[u8]>) -> Found {
        extract(&[pointer], text).expect("JSON").remove(0)
    }

    fn text(text: &str) -> Found {
        Found::Text(text.to_owned())
    }

    #[test]
    fn scalars_are_read_and_nothing_else_exists() {
        assert_eq!(one("/id", r#"{"id":"evt_\u0031\n"}"#), text("evt_1\n"));
        assert_eq!(one("/id", r#" {"x":[{"id":2}], "id" : 1.50e+3 } "#), text("1.50e+3"));
        assert_eq!(one("/id", r#"{"id":12345678901234567890123456789}"#), text("12345678901234567890123456789"));
        assert_eq!(one("/id", r#"{"id":true}"#), text("true"));
        for absent in [r#"{"id":null}"#, r#"{"id":[1]}"#, r#"{"id":{"id":1}}"#, "{}", "[]", "1", "\"id\"", "null", "true", "-1.5"]
        {
            assert_eq!(one("/id", absent), Found::Absent, "{absent}");
        }
    }

    #[test]
    fn pointers_go_into_objects_and_arrays() {
        let document = r#"{"a":{"b":[{"c":"x"},{"c":"y"}]},"":"empty","a/b":1,"m~n":2,"0":"zero"}"#;
        let pointers = ["/a/b/1/c", "/a/b/0/c", "/", "/a~1b", "/m~0n", "/0", "/a/b/01/c", "/a/b/-/c", "/a/b/2/c"];
        let found = extract(&pointers, document).expect("JSON");
        let absent = || Found::Absent;
        let expected = [text("y"), text("x"), text("empty"), text("1"), text("2"), text("zero"), absent(), absent(), absent()];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_pointer_may_end_where_another_goes_on() {
        assert_eq!(extract(&["/a", "/a/b"], r#"{"a":{"b":1}}"#), Some(vec![Found::Absent, text("1")]));
        assert_eq!(extract(&["/a/b", "/a"], r#"{"a":1}"#), Some(vec![Found::Absent, text("1")]));
        assert_eq!(extract(&["/a", "/a/b"], r#"{"a":{"b":1,"b":1}}"#), Some(vec![Found::Absent, Found::Repeated]));
    }

    #[test]
    fn a_key_on_the_way_that_occurs_twice_is_told() {
        for twice in [
            r#"{"id":"a","id":"b"}"#,
            r#"{"id":"a","id":"a"}"#,
            r#"{"id":"a","\u0069d":"b"}"#,
            r#"{"\u0069\u0064":"a","x":1,"i\u0064":null}"#,
            r#"{"id":null,"id":"a"}"#,
        ] {
            assert_eq!(one("/id", twice), Found::Repeated, "{twice}");
        }
        assert_eq!(one("/a/id", r#"{"a":{"id":1},"a":{}}"#), Found::Repeated);
        assert_eq!(one("/a/id", r#"{"a":{"id":1,"id":2},"b":1,"b":2}"#), Found::Repeated);
        assert_eq!(one("/id", r#"{"id":1,"x":1,"x":2,"o":{"id":1,"id":2}}"#), text("1"), "keys elsewhere are no matter");
        assert_eq!(one("/id", r#"{"id":1,"ID":2,"id ":3}"#), text("1"), "other spellings are other keys");
    }

    #[test]
    fn what_is_no_json_document_is_none() {
        for bad in [
            "",
            " ",
            "{",
            r#"{"id":1"#,
            r#"{"id":1}}"#,
            r#"{"id":1} x"#,
            r#"{"id":1,}"#,
            r#"{id:1}"#,
            r#"{'id':1}"#,
            r#"{"id":01}"#,
            "\u{feff}{\"id\":1}",
            r#"{"id":1}//"#,
            r#"{"id":NaN}"#,
            "{\"id\":\"a\nb\"}",
            "a=b",
            r#"{"id":1}{"id":1}"#,
        ] {
            assert_eq!(extract(&["/id"], bad), None, "{bad:?}");
        }
        assert_eq!(extract(&["/id"], b"{\"id\":1,\"x\":\"\xff\"}"), None, "not UTF-8");
    }

    #[test]
    fn a_value_without_text_costs_only_its_own_pointer() {
        assert_eq!(extract(&["/id", "/type"], r#"{"id":"a","type":"\ud800"}"#), Some(vec![text("a"), Found::Unreadable]));
        assert_eq!(extract(&["/id", "/data/type"], r#"{"id":"a","data":1e999}"#), Some(vec![text("a"), Found::Unreadable]));
        assert_eq!(one("/id", r#"{"id":"a","data":1e999,"other":"\ud800"}"#), text("a"));
    }

    #[test]
    fn a_key_without_text_is_no_known_key() {
        for document in [
            r#"{"\ud800":1,"id":"a"}"#,
            r#"{"id":"a","\udc00\ud800":{"id":1}}"#,
            r#"{"x\ud800":1,"x\ud800":2,"id":"a"}"#,
            r#"{"id\ud800":1,"i\u0064":"a"}"#,
            r#"{"\ud83d\ude00":1,"id":"a"}"#,
        ] {
            assert_eq!(one("/id", document), text("a"), "{document}");
        }
        assert_eq!(one("/\u{1f600}", r#"{"\ud83d\ude00":1}"#), text("1"), "a whole pair has a text");
        assert_eq!(one("/id", r#"{"\ud800":1,"id":"a","i\u0064":"b"}"#), Found::Repeated);
        for bad in [r#"{"\ud80":1,"id":"a"}"#, r#"{"\x":1,"id":"a"}"#, "{\"a\nb\":1,\"id\":\"a\"}", r#"{1:1,"id":"a"}"#] {
            assert_eq!(extract(&["/id"], bad), None, "{bad}");
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = format!("{{\"id\":1,\"x\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(one("/id", deep), text("1"));
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = extract(&["/id", "/a/0", "/a"], bytes);
        }

        #[test]
        fn random_pieces_never_panic(pieces in proptest::collection::vec(proptest::sample::select(
            vec!["{", "}", "[", "]", "\"a\"", "\"id\"", ":", ",", "1", "null", "\"\\ud800\"", " ", "\\"]), 0..20)) {
            let _ = extract(&["/id", "/a/0", "/a"], pieces.concat());
        }
    }
}
