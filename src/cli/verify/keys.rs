//! What may be wrong with a secret: each common mistake undone, to see whether the signature fits then. Secrets are never shown.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::model::Secret;
use crate::preset::{KeyEncoding, KeyRule};
use crate::verify::key_bytes;

/// Another secret, and what it is compared with the given one.
pub(super) struct Candidate {
    /// Written so that the provider's rule makes the wanted key of it.
    pub(super) secret: Secret,
    /// Completes "the signature fits the secret".
    pub(super) how: &'static str,
    /// Who has to act.
    pub(super) fault: Fault,
}

/// Where the mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// In the secret as it was put down.
    Secret,
    /// In the provider's rule: the sender makes its key otherwise.
    Rule,
}

/// Prefixes that tell people what a secret is, and that some schemes leave out of the key.
const PREFIXES: [&[u8]; 2] = [b"whsec_", b"whpk_"];

/// Every mistake that is known, undone.
pub(super) fn candidates(rule: &KeyRule, secret: &Secret) -> Vec<Candidate> {
    let text = secret.reveal();
    let bare = bare(text);
    let short = PREFIXES.iter().find_map(|prefix| bare.strip_prefix(*prefix)).unwrap_or(bare);
    let base64 = STANDARD.decode(short).or_else(|_padded| STANDARD_NO_PAD.decode(short)).ok();
    // As the rule would read the text once it is put right.
    let mended = |text: &[u8]| rule_reads(rule, text);
    let mut found = Vec::new();
    let mut add = |key: Option<Vec<u8>>, how: &'static str, fault: Fault| {
        let secret = key.filter(|key| !key.is_empty()).and_then(|key| Secret::new(written(rule, &key)).ok());
        found.extend(secret.map(|secret| Candidate { secret, how, fault }));
    };
    if bare.len() < text.len() {
        add(mended(bare), "without the blanks, line ends or quotes around it", Fault::Secret);
    }
    add(mended(&[b"whsec_", short].concat()), "with `whsec_` before it", Fault::Secret);
    add(mended(&[text, b"\n"].concat()), "with a line end after it", Fault::Secret);
    add(Some(bare.to_vec()), "as plain text, not decoded", Fault::Rule);
    add(Some(short.to_vec()), "without its prefix, as plain text", Fault::Rule);
    add(base64, "decoded from base64", Fault::Rule);
    add(hex::decode(short).ok(), "decoded from hex", Fault::Rule);
    found
}

/// A text without what copying puts around it.
fn bare(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    let quoted = |quote: &[u8]| text.strip_prefix(quote)?.strip_suffix(quote);
    quoted(b"\"").or_else(|| quoted(b"'")).unwrap_or(text).trim_ascii()
}

/// The key that the rule makes of a text.
fn rule_reads(rule: &KeyRule, text: &[u8]) -> Option<Vec<u8>> {
    key_bytes(rule, text).ok().map(|key| key.to_vec())
}

/// A text that the rule makes this key of.
fn written(rule: &KeyRule, key: &[u8]) -> Vec<u8> {
    let encoded = match rule.encoding {
        KeyEncoding::Utf8 => key.to_vec(),
        KeyEncoding::Hex => hex::encode(key).into_bytes(),
        KeyEncoding::Base64 => STANDARD.encode(key).into_bytes(),
    };
    [rule.strip.as_deref().unwrap_or_default().as_bytes(), &encoded].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [(Option<&str>, KeyEncoding); 4] = [
        (None, KeyEncoding::Utf8),
        (Some("whsec_"), KeyEncoding::Base64),
        (None, KeyEncoding::Hex),
        (Some("x_"), KeyEncoding::Utf8),
    ];

    fn rule((strip, encoding): (Option<&str>, KeyEncoding)) -> KeyRule {
        KeyRule { strip: strip.map(Box::from), encoding }
    }

    /// The keys that the rule makes of the candidates.
    fn keys(rule: &KeyRule, secret: &[u8]) -> Vec<Vec<u8>> {
        let secret = Secret::new(secret.to_vec()).expect("not empty");
        let made = candidates(rule, &secret);
        assert!(made.len() <= 8);
        made.iter().map(|made| rule_reads(rule, made.secret.reveal()).expect("written as the rule wants it")).collect()
    }

    #[test]
    fn a_candidate_is_written_so_that_the_rule_makes_the_wanted_key_of_it() {
        for parts in RULES {
            let rule = rule(parts);
            let keys = keys(&rule, b" \"whsec_YWJj\"\n");
            for wanted in [&b"whsec_YWJj"[..], b"YWJj", b"abc"] {
                assert!(keys.iter().any(|key| key == wanted), "{parts:?}: {}", wanted.escape_ascii());
            }
        }
        assert!(keys(&rule(RULES[0]), b"00ff").contains(&vec![0, 0xff]), "decoded from hex");
        assert!(keys(&rule(RULES[0]), b"abc").contains(&b"whsec_abc".to_vec()));
        assert!(keys(&rule(RULES[0]), b"abc").contains(&b"abc\n".to_vec()));
    }
}
