//! Secrets: none verifies nothing, several are all tried, an undecodable one is told at start.

use std::sync::Arc;

use hookgate::model::Secret;
use hookgate::preset::builtin;
use hookgate::verify::{KeyError, Refusal, RefusalKind, Verifier};

use super::{NOW_S, judge, samples, settings, verifier, verify};
use crate::helpers::sender::{self, fields};

#[test]
fn a_source_without_a_secret_is_not_ready_and_never_passes_anything() {
    for sample in samples() {
        let pending = verifier(sample.provider, &[]);
        assert!(pending.is_pending());
        assert_eq!(judge(&pending, &sample.fields, &sample.body), "source-not-ready");
        assert_eq!(judge(&pending, &[], ""), "source-not-ready");
        assert!(!sample.verifier().is_pending());
    }
}

#[test]
fn every_secret_is_tried_and_the_one_that_matched_is_told() {
    for sample in samples() {
        let others = ["d2hzZWNfb25lIG90aGVyIHNlY3JldA==", "d2hzZWNfdHdvIG90aGVyIHNlY3JldHM="];
        for place in 0..3 {
            let mut secrets = others.to_vec();
            secrets.insert(place, sample.secret);
            let verifier = verifier(sample.provider, &secrets);
            let admitted = verify(&verifier, &sample.fields, &sample.body).expect("right");
            assert_eq!(admitted.secret(), Some(&verifier.fingerprints()[place].1), "{} at {place}", sample.provider);
        }
        assert_eq!(judge(&verifier(sample.provider, &others), &sample.fields, &sample.body), "signature-mismatch");
    }
}

#[test]
fn of_several_secrets_that_match_the_newest_is_told() {
    let [stripe, ..] = samples();
    let newest = "whsec_the newest of two";
    let verifier = verifier("stripe", &[newest, stripe.secret]);
    let signature = sender::stripe_signature(newest, &NOW_S.to_string(), &stripe.body);
    let fields = fields(&[("Stripe-Signature", &format!("{},v1={signature}", stripe.signature_value()))]);
    let admitted = verify(&verifier, &fields, &stripe.body).expect("right");
    assert_eq!(admitted.secret(), Some(&verifier.fingerprints()[0].1));
}

#[test]
fn a_secret_of_standard_webhooks_may_come_with_or_without_its_prefix() {
    let [_, _, standard] = samples();
    let bare = standard.secret.strip_prefix("whsec_").expect("the prefix");
    assert_eq!(judge(&verifier("standard-webhooks", &[bare]), &standard.fields, &standard.body), "accepted");
}

#[test]
fn the_prefix_of_a_stripe_secret_is_a_part_of_its_key() {
    let [stripe, ..] = samples();
    let bare = stripe.secret.strip_prefix("whsec_").expect("the prefix");
    assert_eq!(judge(&verifier("stripe", &[bare]), &stripe.fields, &stripe.body), "signature-mismatch");
}

#[test]
fn an_undecodable_secret_is_an_error_that_does_not_tell_it() {
    let error = |secret: &str| {
        let preset = builtin("standard-webhooks").expect("built in");
        Verifier::new(settings(preset, &[secret])).expect_err(secret)
    };
    for bad in ["whsec_canary!", "whsec_Y2FuYXJ5MQ", "canary_-", "whsec_whsec_Y2FuYXJ5"] {
        let error = error(bad);
        assert!(matches!(error, KeyError::Undecodable { place: 0, .. }), "{bad}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
    assert!(matches!(error("whsec_"), KeyError::Empty { .. }));
}

#[test]
fn a_short_secret_is_told_by_its_decoded_length() {
    let short = |provider, secret| verifier(provider, &[secret]).fingerprints()[0].2;
    assert!(short("github", "fifteen bytes!!"));
    assert!(!short("github", "sixteen bytes!!!"));
    assert!(short("standard-webhooks", "whsec_ZmlmdGVlbiBieXRlcyEh"));
    assert!(!short("standard-webhooks", "whsec_c2l4dGVlbiBieXRlcyEhIQ=="));
}

#[test]
fn a_fingerprint_names_a_secret_and_is_no_plain_digest_of_it() {
    let fingerprint = |secret| verifier("github", &[secret]).fingerprints()[0].1.to_string();
    let one = fingerprint("one secret of ours");
    assert_eq!(one.len(), 8);
    assert_eq!(one, fingerprint("one secret of ours"));
    assert_ne!(one, fingerprint("two secrets of ours"));
    let plain = ring::digest::digest(&ring::digest::SHA256, b"one secret of ours");
    assert!(!sender::hex_text(plain.as_ref()).starts_with(&one));
}

#[test]
fn settings_that_do_not_fit_the_provider_are_told() {
    let preset = builtin("github").expect("built in");
    let mut wrong_slot = settings(Arc::clone(&preset), &[]);
    wrong_slot.secrets.push(("public".to_owned(), Secret::new(b"x".to_vec()).expect("not empty")));
    assert!(matches!(Verifier::new(wrong_slot), Err(KeyError::UnknownSlot { .. })));
    let mut wrong_check = settings(Arc::clone(&preset), &["x"]);
    wrong_check.allow = Some(vec!["v2".to_owned()]);
    assert!(matches!(Verifier::new(wrong_check), Err(KeyError::UnknownCheck { .. })));
    let mut nothing = settings(Arc::clone(&preset), &["x"]);
    nothing.allow = Some(Vec::new());
    assert!(matches!(Verifier::new(nothing), Err(KeyError::NothingAllowed)));
    let mut parameter = settings(preset, &["x"]);
    parameter.params.insert("topic".to_owned(), "x".to_owned());
    assert!(matches!(Verifier::new(parameter), Err(KeyError::ParamUnknown { .. })));
}

#[test]
fn a_refusal_says_what_it_means_for_the_answer() {
    assert_eq!(Refusal::SourceNotReady.kind(), RefusalKind::NotReady);
    assert_eq!(Refusal::SignatureMismatch.kind(), RefusalKind::Unproven);
    assert!(Refusal::MalformedBody.is_authentic() && Refusal::EventIdMissing.is_authentic());
    assert!(!Refusal::HeaderRepeated.is_authentic());
}
