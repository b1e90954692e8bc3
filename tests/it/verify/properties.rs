//! Whatever changes, a changed delivery does not verify; whatever comes, nothing panics.

use proptest::prelude::*;

use super::{NOW_S, delivery, judge, samples};
use crate::helpers::sender;

proptest! {
    #[test]
    fn no_flipped_bit_of_a_body_verifies(which in 0_usize..3, place in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let sample = &samples()[which];
        let mut body = sample.body.clone();
        body[place.index(sample.body.len())] ^= 1 << bit;
        prop_assert_eq!(judge(&sample.verifier(), &sample.fields, &body), "signature-mismatch");
    }

    #[test]
    fn no_flipped_bit_of_what_is_signed_in_headers_verifies(which in 0_usize..3, place in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let sample = &samples()[which];
        for (name, value) in sample.fields.iter().filter(|(name, _)| is_signed(name)) {
            let mut received = delivery(&[], &sample.body);
            let mut changed = value.clone().into_bytes();
            changed[place.index(value.len())] ^= 1 << bit;
            let same = only_case_or_blanks_differ(name, value.as_bytes(), &changed);
            for (other, value) in &sample.fields {
                let bytes = if other == name { changed.clone() } else { value.clone().into_bytes() };
                received.headers.push(other, bytes);
            }
            let passed = sample.verifier().verify(&received, super::NOW).is_ok();
            prop_assert!(!passed || same, "{}: {:?}", name, String::from_utf8_lossy(&changed));
        }
    }

    #[test]
    fn any_body_that_was_signed_verifies(body in proptest::collection::vec(any::<u8>(), 0..300), id in "[!-~]{1,300}") {
        let [stripe, github, standard] = samples();
        let fields = sender::github(github.secret, &id, "push", &body);
        prop_assert_eq!(judge(&github.verifier(), &fields, &body), "accepted");
        let fields = sender::standard_webhooks(standard.secret, &id, NOW_S, &body);
        prop_assert_eq!(judge(&standard.verifier(), &fields, &body), "accepted");
        let fields = sender::stripe(stripe.secret, NOW_S, &body);
        let code = judge(&stripe.verifier(), &fields, &body);
        prop_assert!(["malformed-body", "event-id-missing", "accepted"].contains(&code), "{}", code);
    }

    #[test]
    fn random_requests_never_panic_and_never_pass(
        signature in proptest::collection::vec(any::<u8>(), 0..200),
        time in proptest::collection::vec(any::<u8>(), 0..30),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        for sample in samples() {
            let mut received = delivery(&[], &body);
            received.headers.push(sample.signature, signature.clone());
            received.headers.push("webhook-timestamp", time.clone());
            received.headers.push("webhook-id", time.clone());
            prop_assert!(sample.verifier().verify(&received, super::NOW).is_err());
        }
    }

    #[test]
    fn lists_of_elements_never_panic_and_never_pass(
        pieces in proptest::collection::vec(prop::sample::select(vec!["v1", "=", ",", " ", "t", "1767225600", "00", "sha256=", "v1a", "A"]), 0..60),
    ) {
        for sample in samples() {
            prop_assert_ne!(sample.judge_signature(|_| pieces.concat()), "accepted");
        }
    }

    #[test]
    fn templates_and_locators_never_panic(text in "[a-z{}:/#?~0-9-]{0,40}", noise in ".{0,40}") {
        for text in [text, noise] {
            let _ = hookgate::preset::Template::parse(&text);
            let _ = hookgate::preset::Locator::parse(&text);
        }
    }

    #[test]
    fn fixtures_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let head = b"POST / HTTP/1.1\r\n".to_vec();
        let _ = hookgate::fixture::RecordedRequest::parse([head, bytes.clone()].concat());
        let _ = hookgate::fixture::RecordedRequest::parse(bytes);
    }
}

/// Whether a check reads the header.
fn is_signed(name: &str) -> bool {
    !matches!(name, "Content-Type" | "X-GitHub-Event" | "X-GitHub-Delivery")
}

/// Hex digits may be of any case, and blanks around a value or an element do not count.
fn only_case_or_blanks_differ(name: &str, value: &[u8], changed: &[u8]) -> bool {
    let hex = matches!(name, "Stripe-Signature" | "X-Hub-Signature-256");
    let digits = |bytes: &[u8]| bytes.iter().rev().take_while(|byte| **byte != b'=').count();
    let cut = value.len() - digits(value);
    hex && value[..cut] == changed[..cut] && value[cut..].eq_ignore_ascii_case(&changed[cut..])
}
