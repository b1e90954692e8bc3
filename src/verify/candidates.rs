//! From the signature's value to the signatures that it offers, decoded to the exact size or dropped.
//!
//! Of a secret that is sent itself the SHA-256 is taken: it is then compared like any other digest, whatever its length.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Refusal;
use super::credential;
use crate::preset::{Encoding, Parts, SignatureRule};

/// Most signatures that one request may offer.
pub(super) const CANDIDATES_MAX: usize = 16;
/// Room for the largest digest, 64 bytes, and for what base64 may write beyond before it knows the padding.
const BUFFER_BYTES: usize = 72;

/// An offered signature: bytes of exactly the digest's size.
pub(super) struct Candidate {
    buffer: [u8; BUFFER_BYTES],
    bytes: usize,
}

impl Candidate {
    /// The decoded bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.buffer[..self.bytes]
    }

    /// Takes a secret that was sent; none if it is empty.
    fn take_digest(&mut self, sent: &[u8]) -> Option<()> {
        let digest = credential::digest(sent).filter(|digest| digest.len() == self.bytes)?;
        self.buffer[..digest.len()].copy_from_slice(&digest);
        Some(())
    }

    /// Decodes strictly; none unless the text is exactly one digest.
    fn decode(text: &[u8], encoding: Encoding, digest_bytes: usize) -> Option<Self> {
        let mut candidate = Self { buffer: [0; BUFFER_BYTES], bytes: digest_bytes };
        match encoding {
            Encoding::Hex => hex::decode_to_slice(text, &mut candidate.buffer[..digest_bytes]).ok()?,
            Encoding::Base64 => {
                // Known before decoding, so that the buffer always has room.
                let right_size = text.len() == digest_bytes.div_ceil(3) * 4;
                let decoded = if right_size { STANDARD.decode_slice(text, &mut candidate.buffer).ok() } else { None };
                decoded.filter(|bytes| *bytes == digest_bytes)?;
            }
            Encoding::Plain => candidate.take_digest(text)?,
            Encoding::Basic => candidate.take_digest(&credential::read_basic(text)?)?,
        }
        Some(candidate)
    }
}

/// What a signature's value holds.
pub(super) struct Elements<'v> {
    /// The offered signatures.
    pub(super) candidates: Vec<Candidate>,
    named: Vec<(&'v [u8], &'v [u8])>,
    placed: Vec<&'v [u8]>,
}

impl<'v> Elements<'v> {
    /// Takes a value apart. What does not decode is dropped: a malformed element neither helps nor harms the others.
    ///
    /// # Errors
    /// [`Refusal::TooManySignatures`].
    pub(super) fn read(rule: &SignatureRule, digest_bytes: usize, value: &'v [u8]) -> Result<Self, Refusal> {
        let mut elements = Self { candidates: Vec::new(), named: Vec::new(), placed: Vec::new() };
        let mut offered = 0;
        let mut offer = |text: &[u8], candidates: &mut Vec<Candidate>| {
            offered += 1;
            // Malformed ones count too, or a sender could have us look at any number of them.
            if offered > CANDIDATES_MAX {
                return Err(Refusal::TooManySignatures);
            }
            let prefix = rule.prefix.as_deref().unwrap_or_default();
            let text = text.strip_prefix(prefix.as_bytes());
            candidates.extend(text.and_then(|text| Candidate::decode(text, rule.encoding, digest_bytes)));
            Ok(())
        };
        for (place, part) in cut(value, rule.split.as_deref()).enumerate() {
            match &rule.parts {
                Parts::Placed { skip } if place < *skip => elements.placed.push(part),
                Parts::Placed { .. } => offer(part, &mut elements.candidates)?,
                Parts::Named { pair, keys } => {
                    let Some((name, text)) = split_once(part, pair.as_bytes()) else { continue };
                    if keys.iter().any(|key| key.as_bytes() == name) {
                        offer(text, &mut elements.candidates)?;
                    } else {
                        elements.named.push((name, text));
                    }
                }
            }
        }
        Ok(elements)
    }

    /// The value of another element by name.
    ///
    /// # Errors
    /// [`Refusal::SignatureAmbiguous`] where it is there twice and differs. A name that nobody asks for may: senders add
    /// schemes of their own, and rotate those too.
    pub(super) fn named(&self, name: &str) -> Result<Option<&'v [u8]>, Refusal> {
        let mut values = self.named.iter().filter(|(have, _)| *have == name.as_bytes()).map(|(_, value)| *value);
        let first = values.next();
        if values.all(|value| Some(value) == first) { Ok(first) } else { Err(Refusal::SignatureAmbiguous) }
    }

    /// Another element by its place.
    pub(super) fn placed(&self, place: usize) -> Option<&'v [u8]> {
        self.placed.get(place).copied()
    }
}

/// The parts of a value without their outer blanks; the whole value where it is not a list.
fn cut<'v>(value: &'v [u8], at: Option<&str>) -> impl Iterator<Item = &'v [u8]> {
    let at = at.map(str::as_bytes);
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let value = rest?;
        let cut = at.and_then(|at| split_once(value, at));
        let (part, after) = cut.map_or((value, None), |(part, after)| (part, Some(after)));
        rest = after;
        Some(if at.is_some() { part.trim_ascii() } else { part })
    })
}

/// Cuts at the first occurrence.
fn split_once<'v>(value: &'v [u8], at: &[u8]) -> Option<(&'v [u8], &'v [u8])> {
    let place = value.windows(at.len()).position(|window| window == at)?;
    Some((&value[..place], &value[place + at.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::Locator;

    const DIGEST: [u8; 32] = [0xab; 32];

    fn rule(split: Option<&str>, parts: Parts, prefix: Option<&str>, encoding: Encoding) -> SignatureRule {
        let from = Locator::parse("header:x").expect("locator");
        SignatureRule { from, split: split.map(Box::from), parts, prefix: prefix.map(Box::from), encoding }
    }

    fn stripe() -> SignatureRule {
        rule(Some(","), Parts::Named { pair: "=".into(), keys: vec!["v1".into()] }, None, Encoding::Hex)
    }

    fn plain(encoding: Encoding) -> SignatureRule {
        rule(None, Parts::Placed { skip: 0 }, None, encoding)
    }

    fn count(rule: &SignatureRule, value: impl AsRef<[u8]>) -> Result<usize, Refusal> {
        let elements = Elements::read(rule, 32, value.as_ref())?;
        assert!(elements.candidates.iter().all(|candidate| candidate.as_bytes() == DIGEST));
        Ok(elements.candidates.len())
    }

    #[test]
    fn a_signature_decodes_to_exactly_its_size_or_not_at_all() {
        let right = hex::encode(DIGEST);
        assert_eq!(count(&plain(Encoding::Hex), &right), Ok(1));
        assert_eq!(count(&plain(Encoding::Hex), right.to_uppercase()), Ok(1));
        for length in 0..right.len() {
            assert_eq!(count(&plain(Encoding::Hex), &right[..length]), Ok(0), "{length}");
        }
        for bad in [format!("{right}00"), format!("{right} "), format!("0x{right}"), right.replacen('a', "g", 1)] {
            assert_eq!(count(&plain(Encoding::Hex), bad), Ok(0));
        }
    }

    #[test]
    fn base64_is_the_padded_standard_alphabet_in_its_one_spelling() {
        let bytes = [0xfb; 32];
        let right = STANDARD.encode(bytes);
        let read =
            |value: &str| Elements::read(&plain(Encoding::Base64), 32, value.as_bytes()).map(|found| found.candidates.len());
        assert_eq!(read(&right), Ok(1));
        for length in 0..right.len() {
            assert_eq!(read(&right[..length]), Ok(0), "{length}");
        }
        let url = right.replace('+', "-").replace('/', "_");
        let loose = right.replace("s=", "t=");
        assert_ne!(loose, right, "the last digit has two bits to spare");
        for bad in [url.as_str(), &loose, &format!("{right}="), &format!("{right}AAAA"), &format!(" {right}")] {
            assert_eq!(read(bad), Ok(0), "{bad}");
        }
    }

    #[test]
    fn malformed_elements_are_passed_over() {
        let right = hex::encode(DIGEST);
        let value = format!("t=1,,=,v1,v1=,v1=zz, v1 ={right},v0={right},v1={right}00,v1=v1={right}, v1={right} ,scheme");
        assert_eq!(count(&stripe(), value), Ok(1));
    }

    #[test]
    fn sixteen_signatures_are_looked_at_and_seventeen_refused() {
        let right = format!("v1={}", hex::encode(DIGEST));
        for place in 0..16 {
            let mut list = vec!["v1=00"; 16];
            list[place] = &right;
            assert_eq!(count(&stripe(), list.join(",")), Ok(1), "{place}");
        }
        assert_eq!(count(&stripe(), vec!["v1=00"; 17].join(",")), Err(Refusal::TooManySignatures));
        assert_eq!(count(&stripe(), vec![right; 17].join(",")), Err(Refusal::TooManySignatures));
    }

    #[test]
    fn another_element_must_not_say_two_things() {
        let named = |value: &'static str, name| Elements::read(&stripe(), 32, value.as_bytes()).expect("read").named(name);
        assert_eq!(named("t=1,v1=00", "t"), Ok(Some(&b"1"[..])));
        assert_eq!(named("t=1,t=1", "t"), Ok(Some(&b"1"[..])));
        assert_eq!(named("t=1,t=2", "t"), Err(Refusal::SignatureAmbiguous));
        assert_eq!(named("t=1,t=", "t"), Err(Refusal::SignatureAmbiguous));
        assert_eq!(named("t=1,v0=a,v0=b", "t"), Ok(Some(&b"1"[..])));
        assert_eq!(named("T=1", "t"), Ok(None));
    }

    #[test]
    fn elements_by_place_keep_their_place() {
        let rule = rule(Some(","), Parts::Placed { skip: 1 }, None, Encoding::Hex);
        let value = format!("17 , {}", hex::encode(DIGEST));
        let elements = Elements::read(&rule, 32, value.as_bytes()).expect("read");
        assert_eq!((elements.placed(0), elements.placed(1), elements.candidates.len()), (Some(&b"17"[..]), None, 1));
    }

    #[test]
    fn a_prefix_stands_at_the_beginning_and_nowhere_else() {
        let rule = rule(None, Parts::Placed { skip: 0 }, Some("sha256="), Encoding::Hex);
        let right = hex::encode(DIGEST);
        assert_eq!(count(&rule, format!("sha256={right}")), Ok(1));
        for bad in [
            right.clone(),
            format!("sha1={right}"),
            format!("SHA256={right}"),
            format!("sha256=sha256={right}"),
            "sha256=".into(),
        ] {
            assert_eq!(count(&rule, &bad), Ok(0), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            for rule in [stripe(), plain(Encoding::Hex), plain(Encoding::Base64)] {
                let _ = Elements::read(&rule, 32, &bytes);
            }
        }
    }
}
