//! What a canary looks like, and the search for it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::helpers::cli::Output;
use crate::helpers::http::Answer;
use crate::helpers::sender::hex_text;

/// In every canary, so that a part of one is found as well.
pub(super) const MARK: &str = "kanarienvogel";
/// In the body of each delivery: the database keeps it as it came, and nothing shows it unasked.
pub(super) const BODY: &str = "nachtigall-of-the-body";

/// A canary of this name: long enough to be a secret.
pub(super) fn canary(name: &str) -> String {
    format!("{MARK}-{name}-0123456789")
}

/// The canary of the source with a Standard Webhooks secret, whose key is the canary and whose text is the base64 of it.
pub(super) fn standard() -> String {
    format!("whsec_{}", STANDARD.encode(canary("standard")))
}

/// What a mark looks like in every encoding: as text, as hex digits, as base64 at each of the three places of a group.
fn looks(mark: &str) -> Vec<Vec<u8>> {
    let mut looks =
        vec![mark.to_owned(), mark.to_uppercase(), hex_text(mark.as_bytes()), hex_text(mark.as_bytes()).to_uppercase()];
    for before in 0..3_usize {
        let shifted = [vec![b'x'; before], mark.as_bytes().to_vec()].concat();
        // Characters that hold bits of a neighbour are left out.
        let (first, last) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        looks.extend(
            [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)].map(|text| text[first..last].to_owned()),
        );
    }
    looks.into_iter().map(String::into_bytes).collect()
}

/// The first of these marks in a text, with what is around it.
pub(super) fn found(marks: &[&str], bytes: &[u8]) -> Option<String> {
    let looks = marks.iter().flat_map(|mark| looks(mark));
    let at = looks.filter_map(|look| bytes.windows(look.len()).position(|window| window == look.as_slice())).next()?;
    let around = &bytes[at.saturating_sub(80)..bytes.len().min(at + 80)];
    Some(String::from_utf8_lossy(around).escape_debug().to_string())
}

#[track_caller]
pub(super) fn assert_clean(what: &str, bytes: impl AsRef<[u8]>) {
    if let Some(found) = found(&[MARK, BODY], bytes.as_ref()) {
        panic!("{what} holds a canary: …{found}…");
    }
}

#[track_caller]
pub(super) fn clean(what: &str, output: Output) -> Output {
    assert_clean(&format!("stdout of {what}"), &output.stdout);
    assert_clean(&format!("stderr of {what}"), &output.stderr);
    output
}

/// An answer with its fields.
pub(super) fn whole(answer: &Answer) -> Vec<u8> {
    let head: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    [head.as_bytes(), &answer.body].concat()
}
