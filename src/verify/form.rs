//! Fields of a urlencoded form, or of a query, decoded strictly: a name is there once, its value is UTF-8.

use std::cell::OnceCell;

use super::json::{Found, Trie};

/// A field that templates read, and the pointers into the JSON inside it.
#[derive(Clone, Debug)]
pub(super) struct FieldPlan {
    /// The decoded name.
    pub(super) name: Box<str>,
    /// What is read inside it.
    pub(super) json: Trie,
}

/// What a form has in one such field.
#[derive(Debug)]
pub(super) enum Field {
    /// Nothing, or a value that is not UTF-8.
    Absent,
    /// The name occurs twice.
    Repeated,
    /// Its value.
    Value(FieldValue),
}

/// The decoded value of a field, whose JSON is parsed at most once, and only if somebody asks.
#[derive(Debug)]
pub(super) struct FieldValue {
    text: String,
    found: OnceCell<Option<Vec<Found>>>,
}

impl FieldValue {
    /// The text.
    pub(super) const fn text(&self) -> &str {
        self.text.as_str()
    }

    /// What the plan's pointers find in it; none where it is no JSON.
    pub(super) fn json(&self, plan: &FieldPlan) -> Option<&[Found]> {
        self.found.get_or_init(|| plan.json.extract(self.text.as_bytes())).as_deref()
    }
}

/// Reads the wanted fields, in the order of `plans`. A name that is not well formed is none of them.
pub(super) fn read(plans: &[FieldPlan], body: &[u8]) -> Vec<Field> {
    let mut fields: Vec<Field> = plans.iter().map(|_| Field::Absent).collect();
    let mut seen = vec![false; plans.len()];
    for pair in body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
        let cut = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        let (name, raw) = (&pair[..cut], pair.get(cut + 1..).unwrap_or_default());
        // Names are compared as they are decoded, without a copy: a stranger can send very many.
        let Some(place) = plans.iter().position(|plan| decode(name).eq(plan.name.bytes())) else { continue };
        fields[place] = if std::mem::replace(&mut seen[place], true) { Field::Repeated } else { value(raw) };
    }
    fields
}

fn value(raw: &[u8]) -> Field {
    let mut bytes = Vec::with_capacity(raw.len());
    bytes.extend(decode(raw));
    String::from_utf8(bytes).map_or(Field::Absent, |text| Field::Value(FieldValue { text, found: OnceCell::new() }))
}

/// `+` is a blank, `%XX` a byte; a `%` that stands for none is kept.
fn decode(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        let escaped = match after {
            [high, low, ..] if first == b'%' => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        rest = if escaped.is_some() { &after[2..] } else { after };
        Some(escaped.unwrap_or(if first == b'+' { b' ' } else { first }))
    })
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Whether a content type is that of a urlencoded form.
pub(super) fn is_urlencoded(content_type: &[u8]) -> bool {
    let media = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    media.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Pointer;

    fn field(name: &str, body: &[u8]) -> Field {
        let plan = FieldPlan { name: name.into(), json: Trie::new(&[Pointer::parse("/a").expect("pointer")]) };
        read(std::slice::from_ref(&plan), body).remove(0)
    }

    #[test]
    fn a_field_is_decoded() {
        for (body, expected) in [
            ("x=1&payload=a+b%2Bc%C3%A9", "a b+cé"),
            ("payl%6Fad=1", "1"),
            ("payload=", ""),
            ("payload", ""),
            ("&&payload=a=b&", "a=b"),
            ("payload=%zz%", "%zz%"),
        ] {
            assert!(matches!(field("payload", body.as_bytes()), Field::Value(value) if value.text() == expected), "{body}");
        }
    }

    #[test]
    fn a_field_that_is_there_twice_or_not_utf_8_has_no_value() {
        for twice in ["a=1&a=1", "a=1&b=2&%61=3", "a&a", "a=1&a=2&a=3", "a=%ff&a=1"] {
            assert!(matches!(field("a", twice.as_bytes()), Field::Repeated), "{twice}");
        }
        for absent in [&b""[..], b"b=1", b"A=1", b"a=%ff", b"a =1", b"a%00=1"] {
            assert!(matches!(field("a", absent), Field::Absent), "{absent:?}");
        }
    }

    #[test]
    fn the_json_in_a_field_is_read_when_it_is_asked_for() {
        let plan = FieldPlan { name: "a".into(), json: Trie::new(&[Pointer::parse("/a").expect("pointer")]) };
        for (body, expected) in [("a=%7B%22a%22%3A1%7D", Some(&[Found::Text("1".to_owned())][..])), ("a=%7B", None)] {
            let fields = read(std::slice::from_ref(&plan), body.as_bytes());
            let [Field::Value(value)] = &fields[..] else { panic!("a value") };
            assert!(value.found.get().is_none(), "not before the check, where nothing needs it");
            assert_eq!(value.json(&plan), expected);
        }
    }

    #[test]
    fn content_types_of_forms() {
        assert!(is_urlencoded(b"Application/X-WWW-form-urlencoded ; charset=utf-8"));
        assert!(!is_urlencoded(b"application/json"));
        assert!(!is_urlencoded(b"application/x-www-form-urlencodedx"));
    }
}
