//! What may have been done to a body between signing and capture: each change undone, to see whether the signature fits then.

use super::reformat::{Escapes, Style, escaped, styled};
use crate::model::Headers;

/// Longer bodies are not tried: each try is a copy and a signature.
const BODY_BYTES_MAX: usize = 2 << 20;

/// Another body, and what it is compared with the captured one.
pub(super) struct Candidate {
    /// Its bytes.
    pub(super) body: Vec<u8>,
    /// Completes "the signature fits the body".
    pub(super) how: String,
    /// What happened, then, and what to do.
    pub(super) then: &'static str,
}

const ADDED: &str = "the capture has a line end that was not sent: `printf %s` and `curl --data-binary` add none";
const LOST: &str = "the capture lost it";
const LINE_ENDS: &str = "something on the way converted line ends: hand over the body's bytes as they came";
const REWRITTEN: &str = "it was parsed and written anew on its way: hand over the raw body, before any JSON parser";

/// Every change that is known, undone one at a time; JSON in every style and spelling.
pub(super) fn candidates(body: &[u8], headers: &Headers) -> Vec<Candidate> {
    if body.len() > BODY_BYTES_MAX {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut add = |how: &str, then: &'static str, changed: Option<Vec<u8>>| {
        found.extend(changed.filter(|changed| changed != body).map(|body| Candidate { body, how: how.to_owned(), then }));
    };
    add("without its last line end", ADDED, without_line_end(body));
    add("without the blanks at its end", ADDED, Some(body.trim_ascii_end().to_vec()));
    add("with a line end after it", LOST, Some([body, b"\n"].concat()));
    add("with CR LF after it", LOST, Some([body, b"\r\n"].concat()));
    add("with LF for each CR LF", LINE_ENDS, Some(with_lf(body)));
    add("with CR LF for each LF", LINE_ENDS, Some(with_crlf(body)));
    add("cut to its Content-Length", "the capture goes on behind the body: cut it off", cut(body, headers));
    add(
        "with its chunks joined",
        "the capture has the body in chunks, and the signature covers what is in them",
        joined(body, headers),
    );
    add("without its byte order mark", "an editor put one there", body.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec));
    json(body, &mut found);
    let empty = Candidate {
        body: Vec::new(),
        how: "when it is empty".to_owned(),
        then: "an empty body was signed: nothing vouches for this one",
    };
    if !body.is_empty() {
        found.push(empty);
    }
    found
}

fn without_line_end(body: &[u8]) -> Option<Vec<u8>> {
    let line = body.strip_suffix(b"\n")?;
    Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}

fn with_lf(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for (at, &byte) in body.iter().enumerate() {
        if byte != b'\r' || body.get(at + 1) != Some(&b'\n') {
            out.push(byte);
        }
    }
    out
}

fn with_crlf(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for (at, &byte) in body.iter().enumerate() {
        if byte == b'\n' && (at == 0 || body[at - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

fn cut(body: &[u8], headers: &Headers) -> Option<Vec<u8>> {
    body.get(..said_length(headers)?).map(<[u8]>::to_vec)
}

/// How long the head says that the body is.
pub(super) fn said_length(headers: &Headers) -> Option<usize> {
    std::str::from_utf8(headers.find("content-length")?).ok()?.parse().ok()
}

/// A body in the chunked coding of HTTP/1.1, without its framing.
fn joined(body: &[u8], headers: &Headers) -> Option<Vec<u8>> {
    headers.find("transfer-encoding")?;
    let mut rest = body;
    let mut out = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(out);
        }
        out.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

fn json(body: &[u8], found: &mut Vec<Candidate>) {
    let styles = [
        ("as it is, but", None),
        ("as compact JSON", Some(Style::Compact)),
        ("as JSON with a blank after each `:` and `,`", Some(Style::Spaced)),
        ("as JSON indented by 2", Some(Style::Indented(2))),
        ("as JSON indented by 4", Some(Style::Indented(4))),
    ];
    let spellings: [(&str, Option<Escapes>); 5] = [
        ("", None),
        (" with `/` as `\\/`", Some(Escapes::Slashes)),
        (" with `\\/` as `/`", Some(Escapes::NoSlashes)),
        (" with \\u escapes beyond ASCII", Some(Escapes::Ascii)),
        (" without \\u escapes beyond ASCII", Some(Escapes::Unicode)),
    ];
    // What is no JSON has no style.
    if styled(body, Style::Compact).is_none() {
        return;
    }
    for (style_words, style) in styles {
        let Some(text) = style.map_or_else(|| Some(body.to_vec()), |style| styled(body, style)) else { continue };
        for (words, escapes) in spellings {
            let Some(changed) = escapes.map_or_else(|| Some(text.clone()), |escapes| escaped(&text, escapes)) else { continue };
            // A spelling that changes nothing is the one before.
            if escapes.is_some() && changed == text {
                continue;
            }
            let with_end = [&changed[..], b"\n"].concat();
            for (body_now, end) in [(changed, ""), (with_end, ", with a line end after it")] {
                let new = body_now != body && (style.is_some() || escapes.is_some());
                found.extend(new.then(|| Candidate {
                    body: body_now,
                    how: format!("{style_words}{words}{end}"),
                    then: REWRITTEN,
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(body: &[u8], headers: &[(&str, &str)]) -> Vec<Vec<u8>> {
        let mut fields = Headers::new();
        headers.iter().for_each(|(name, value)| fields.push(name, (*value).to_owned()));
        candidates(body, &fields).into_iter().map(|candidate| candidate.body).collect()
    }

    #[test]
    fn each_common_change_is_undone() {
        type Fields = &'static [(&'static str, &'static str)];
        let cases: [(&[u8], Fields, &[u8]); 9] = [
            (b"{}\n", &[], b"{}"),
            (b"{}\r\n", &[], b"{}"),
            (b"a \n\n", &[], b"a"),
            (b"a", &[], b"a\n"),
            (b"a\r\nb", &[], b"a\nb"),
            (b"a\nb", &[], b"a\r\nb"),
            (b"{}trailing", &[("content-length", "2")], b"{}"),
            (b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", &[("transfer-encoding", "chunked")], b"abcde"),
            (b"\xef\xbb\xbf{}", &[], b"{}"),
        ];
        for (captured, headers, sent) in cases {
            assert!(bodies(captured, headers).iter().any(|body| body == sent), "{}", captured.escape_ascii());
        }
    }

    #[test]
    fn no_candidate_is_the_body_itself_and_their_number_is_bounded() {
        for body in [&b""[..], b"{}", b"{\"a\": [1, \"\\/\", \"\\u00e9\"]}\r\n", b"no json"] {
            let tried = bodies(body, &[("content-length", "1"), ("transfer-encoding", "chunked")]);
            assert!(tried.len() <= 60 && tried.iter().all(|tried| tried != body), "{}", body.escape_ascii());
        }
        assert!(bodies(&vec![b' '; BODY_BYTES_MAX + 1], &[]).is_empty());
    }
}
