//! JSON text written in another style, token by token: order, numbers and names stay as they are, so that what comes out is what
//! another program may have written before somebody parsed and wrote it anew.

use serde::de::IgnoredAny;

/// How a program writes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// No blanks at all.
    Compact,
    /// A blank after each `:` and `,`.
    Spaced,
    /// A line for each member, so many blanks deeper for each level.
    Indented(usize),
}

/// How characters of texts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    /// `/` as `\/`.
    Slashes,
    /// `\/` as `/`.
    NoSlashes,
    /// Everything beyond ASCII as `\uXXXX`.
    Ascii,
    /// `\uXXXX` as the character, where it is beyond ASCII.
    Unicode,
}

/// What grows beyond this many times its size is given up.
const GROWTH_MAX: usize = 8;

/// The text in this style. None where it is no JSON.
pub(super) fn styled(json: &[u8], style: Style) -> Option<Vec<u8>> {
    serde_json::from_slice::<IgnoredAny>(json).ok()?;
    let mut out = Vec::with_capacity(json.len());
    let mut depth = 0_usize;
    let mut rest = json.trim_ascii();
    while let [byte, after @ ..] = rest {
        rest = after.trim_ascii_start();
        match byte {
            b'"' => {
                let end = text_end(after);
                out.push(b'"');
                out.extend_from_slice(&after[..end]);
                rest = after[end..].trim_ascii_start();
            }
            b'{' | b'[' => {
                out.push(*byte);
                if let [closing @ (b'}' | b']'), after @ ..] = rest {
                    out.push(*closing);
                    rest = after.trim_ascii_start();
                } else {
                    depth += 1;
                    line(&mut out, style, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, style, depth);
                out.push(*byte);
            }
            b',' => {
                out.push(b',');
                if style == Style::Spaced { out.push(b' ') } else { line(&mut out, style, depth) }
            }
            b':' => out.extend_from_slice(if style == Style::Compact { b":" } else { b": " }),
            other => out.push(*other),
        }
        if out.len() / GROWTH_MAX > json.len() {
            return None;
        }
    }
    Some(out)
}

fn line(out: &mut Vec<u8>, style: Style, depth: usize) {
    if let Style::Indented(blanks) = style {
        out.push(b'\n');
        out.resize(out.len() + blanks * depth, b' ');
    }
}

/// How long a text is, with the quote that ends it; `from` begins behind the one that begins it.
fn text_end(from: &[u8]) -> usize {
    let mut escaped = false;
    let end = from.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(from.len(), |end| end + 1)
}

/// The JSON text with its texts escaped otherwise. None where it is no UTF-8.
pub(super) fn escaped(json: &[u8], escapes: Escapes) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(json).ok()?;
    let mut out = String::with_capacity(text.len());
    let mut chars = text.char_indices();
    let mut in_text = false;
    while let Some((at, c)) = chars.next() {
        match (c, escapes) {
            ('\\', _) if in_text => {
                let (_, next) = chars.next()?;
                match (next, escapes) {
                    ('/', Escapes::NoSlashes) => out.push('/'),
                    ('u', Escapes::Unicode) => match decoded(&text[at..]) {
                        Some((c, bytes)) => {
                            out.push(c);
                            // All of an escape is ASCII, and `\u` is taken already.
                            chars.nth(bytes - 3);
                        }
                        None => out.push_str("\\u"),
                    },
                    (other, _) => out.extend(['\\', other]),
                }
                continue;
            }
            ('"', _) => in_text = !in_text,
            ('/', Escapes::Slashes) if in_text => out.push('\\'),
            (beyond, Escapes::Ascii) if !beyond.is_ascii() => {
                beyond.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    Some(out.into_bytes())
}

/// The character beyond ASCII that an escape at the beginning of a text stands for, and how long that escape is.
fn decoded(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(0)?;
    let units = [first, unit(6).unwrap_or_default()];
    let is_pair = (0xd800..0xdc00).contains(&first);
    let c = char::decode_utf16(units).next()?.ok()?;
    (!c.is_ascii()).then_some((c, if is_pair { 12 } else { 6 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &[u8] = br#" {"a" : [1.0e2, {}, [ ]],
        "b\"]": "x, y: \\"}
"#;

    #[test]
    fn a_style_moves_blanks_and_nothing_else() {
        let styled = |style| String::from_utf8(styled(JSON, style).expect("JSON")).expect("text");
        assert_eq!(styled(Style::Compact), r#"{"a":[1.0e2,{},[]],"b\"]":"x, y: \\"}"#);
        assert_eq!(styled(Style::Spaced), r#"{"a": [1.0e2, {}, []], "b\"]": "x, y: \\"}"#);
        assert_eq!(
            styled(Style::Indented(2)),
            "{\n  \"a\": [\n    1.0e2,\n    {},\n    []\n  ],\n  \"b\\\"]\": \"x, y: \\\\\"\n}"
        );
    }

    #[test]
    fn what_is_no_json_or_grows_without_end_has_no_style() {
        assert_eq!(styled(b"{\"a\":", Style::Compact), None);
        let deep = format!("{}{}{}", "[".repeat(100), "1,".repeat(1000) + "1", "]".repeat(100));
        assert_eq!(styled(deep.as_bytes(), Style::Indented(4)), None);
        assert!(styled(deep.as_bytes(), Style::Spaced).is_some());
    }

    #[test]
    fn escapes_are_changed_in_texts_alone_and_back() {
        let plain = "{\"u\":\"https://a/é😀\",\"w\":\"\\\\/\\n\"}";
        let text = |json: &str, escapes| String::from_utf8(escaped(json.as_bytes(), escapes).expect("UTF-8")).expect("text");
        let slashes = text(plain, Escapes::Slashes);
        assert_eq!(slashes, "{\"u\":\"https:\\/\\/a\\/é😀\",\"w\":\"\\\\\\/\\n\"}");
        assert_eq!(text(&slashes, Escapes::NoSlashes), plain);
        let ascii = text(plain, Escapes::Ascii);
        assert_eq!(ascii, "{\"u\":\"https://a/\\u00e9\\ud83d\\ude00\",\"w\":\"\\\\/\\n\"}");
        assert_eq!(text(&ascii, Escapes::Unicode), plain);
        assert_eq!(text("\"\\u0041\\ud83d\\uzz\"", Escapes::Unicode), "\"\\u0041\\ud83d\\uzz\"", "what is none stays");
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80), text in "[\\\\u\"/a0-9é😀{}:,\\[\\]]{0,40}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                for style in [Style::Compact, Style::Spaced, Style::Indented(4)] {
                    let _ = styled(bytes, style);
                }
                for escapes in [Escapes::Slashes, Escapes::NoSlashes, Escapes::Ascii, Escapes::Unicode] {
                    let _ = escaped(bytes, escapes);
                }
            }
        }
    }
}
