//! Providers of the user's own: what the language can say, done as it says.

use std::sync::Arc;

use hookgate::preset::Preset;
use hookgate::verify::{Verifier, VerifierSettings};
use ring::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};

use super::{NOW_S, acme, judge, settings, settings_by_slot, verify};
use crate::helpers::sender::{fields, hex_text, tag};

const EVENT: &str = "[providers.acme.event]\nid = ['{body:/id}']\n";
const BODY: &str = r#"{"id":"e1","sig":"x"}"#;

fn check(rest: &str) -> Arc<Preset> {
    acme(&format!("[[providers.acme.check]]\nkind = 'hmac'\n{rest}\n{EVENT}"))
}

fn verifier(preset: Arc<Preset>) -> Verifier {
    Verifier::new(settings(preset, &["6b6579"])).expect("right settings")
}

#[test]
fn each_algorithm_and_key_encoding() {
    for (name, algorithm) in [("sha256", HMAC_SHA256), ("sha384", HMAC_SHA384), ("sha512", HMAC_SHA512)] {
        for (encoding, key) in [("utf8", &b"6b6579"[..]), ("hex", b"key")] {
            let rest = format!(
                "algorithm = '{name}'\nkey = {{ encoding = '{encoding}' }}\nsignature = {{ from = 'header:S', encoding = 'hex' }}"
            );
            let verifier = verifier(check(&rest));
            let right = hex_text(&tag(algorithm, key, &[BODY.as_bytes()]));
            assert_eq!(judge(&verifier, &fields(&[("s", &right)]), BODY), "accepted", "{name} {encoding}");
            let other = hex_text(&tag(algorithm, b"other", &[BODY.as_bytes()]));
            assert_eq!(judge(&verifier, &fields(&[("s", &other)]), BODY), "signature-mismatch");
        }
    }
}

#[test]
fn a_message_may_have_text_method_parameters_and_optional_values() {
    let head =
        "[providers.acme]\nparams = { topic = 'the topic' }\n[[providers.acme.check]]\nkind = 'hmac'\nalgorithm = 'sha256'\n";
    let signature = "signature = { from = 'header:S', encoding = 'hex' }\n";
    let message = "message = '{{{method}}}:{param:topic}:{header:A?}:{body}'\n";
    let preset = acme(&[head, signature, message, EVENT].concat());
    let mut settings = settings(preset, &["key"]);
    settings.params.insert("topic".to_owned(), "t".to_owned());
    let verifier = Verifier::new(settings).expect("right settings");
    let signed = |value: &str| hex_text(&tag(HMAC_SHA256, b"key", &[b"{POST}:t:", value.as_bytes(), b":", BODY.as_bytes()]));
    assert_eq!(judge(&verifier, &fields(&[("S", &signed(""))]), BODY), "accepted");
    assert_eq!(judge(&verifier, &fields(&[("S", &signed("x")), ("a", " x ")]), BODY), "accepted");
    assert_eq!(judge(&verifier, &fields(&[("S", &signed("")), ("a", "x")]), BODY), "signature-mismatch");
    assert_eq!(judge(&verifier, &fields(&[("S", &signed("")), ("a", ""), ("A", "")]), BODY), "header-repeated");
}

#[test]
fn elements_by_place_with_the_time_first() {
    let verifier = verifier(check(
        "algorithm = 'sha256'\nsignature = { from = 'header:S', split = ',', skip = 1, encoding = 'hex' }\n\
         time = { from = 'signature:#0' }\nmessage = '{time}.{body}'",
    ));
    let now = NOW_S.to_string();
    let right = hex_text(&tag(HMAC_SHA256, b"6b6579", &[now.as_bytes(), b".", BODY.as_bytes()]));
    let judged = |value: &str| judge(&verifier, &fields(&[("S", value)]), BODY);
    assert_eq!(judged(&format!("{now},{right}")), "accepted");
    assert_eq!(judged(&format!("{now}, 00 ,{right}")), "accepted");
    assert_eq!(judged(&right), "signature-malformed");
    assert_eq!(judged(&format!(",{right}")), "time-malformed");
    assert_eq!(judged(&format!("{right},{now}")), "signature-malformed");
}

#[test]
fn a_signature_may_go_by_several_names() {
    let verifier = verifier(check(
        "algorithm = 'sha256'\nsignature = { from = 'header:S', split = ',', pair = '=', key = ['new', 'old'], encoding = 'hex' }",
    ));
    let right = hex_text(&tag(HMAC_SHA256, b"6b6579", &[BODY.as_bytes()]));
    for name in ["new", "old"] {
        assert_eq!(judge(&verifier, &fields(&[("S", &format!("x=1,{name}={right}"))]), BODY), "accepted");
    }
    assert_eq!(judge(&verifier, &fields(&[("S", &format!("older={right}"))]), BODY), "signature-malformed");
}

#[test]
fn a_signature_and_a_time_inside_the_body() {
    let verifier = verifier(check(
        "algorithm = 'sha256'\nsignature = { from = 'body:/sig', encoding = 'hex' }\n\
         time = { from = 'body:/at' }\nmessage = '{body:/id}.{time}'",
    ));
    let judged = |at: &str, text: &str| {
        let sig = hex_text(&tag(HMAC_SHA256, b"6b6579", &[b"e1.", at.as_bytes()]));
        judge(&verifier, &[], text.replace("SIG", &sig).replace("AT", at))
    };
    let now = NOW_S.to_string();
    assert_eq!(judged(&now, r#"{"id":"e1","at":AT,"sig":"SIG"}"#), "accepted");
    assert_eq!(judged(&now, r#"{"id":"e2","at":AT,"sig":"SIG"}"#), "signature-mismatch");
    assert_eq!(judged(&now, r#"{"id":"e1","id":"e1","at":AT,"sig":"SIG"}"#), "message-unreadable");
    assert_eq!(judged(&now, r#"{"at":AT,"sig":"SIG"}"#), "message-unreadable");
    assert_eq!(judged(&now, r#"{"id":"e1","sig":"SIG"}"#), "time-missing");
    assert_eq!(judged("1.5", r#"{"id":"e1","at":AT,"sig":"SIG"}"#), "time-malformed");
    assert_eq!(judged(&now, r#"{"id":"e1","at":AT,"sig":"SIG","sig":"SIG"}"#), "signature-malformed");
    assert_eq!(judged(&now, r#"{"id":"e1","at":AT}"#), "signature-missing");
    assert_eq!(judged(&now, "SIG"), "signature-malformed");
}

/// Two checks in one slot, then one in another.
fn several() -> Arc<Preset> {
    let one = |id: &str, slot: &str, header: &str| {
        format!(
            "[[providers.acme.check]]\nid = '{id}'\nkind = 'hmac'\nalgorithm = 'sha256'\nsecret = '{slot}'\n\
             signature = {{ from = 'header:{header}', encoding = 'hex' }}\n"
        )
    };
    acme(&[one("a", "signing", "A"), one("b", "signing", "B"), one("c", "other", "C"), EVENT.to_owned()].concat())
}

fn with(secrets: &[(&str, &str)], allow: Option<&[&str]>) -> VerifierSettings {
    let mut settings = settings_by_slot(several(), secrets);
    settings.allow = allow.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
    settings
}

#[test]
fn of_checks_that_share_a_secret_only_the_first_is_allowed_unless_the_source_says_so() {
    let right = hex_text(&tag(HMAC_SHA256, b"key", &[BODY.as_bytes()]));
    let judged = |allow: Option<&[&str]>, header: &str| {
        let verifier = Verifier::new(with(&[("signing", "key"), ("other", "key")], allow)).expect("right settings");
        judge(&verifier, &fields(&[(header, &right)]), BODY)
    };
    assert_eq!(["A", "B", "C"].map(|header| judged(None, header)), ["accepted", "signature-missing", "accepted"]);
    assert_eq!(
        ["A", "B", "C"].map(|header| judged(Some(&["b"]), header)),
        ["signature-missing", "accepted", "signature-missing"]
    );
}

#[test]
fn the_first_check_that_finds_a_signature_decides_and_none_falls_through() {
    let verifier = Verifier::new(with(&[("signing", "key"), ("other", "key2")], None)).expect("right settings");
    let right = hex_text(&tag(HMAC_SHA256, b"key2", &[BODY.as_bytes()]));
    let wrong = "0".repeat(64);
    assert_eq!(judge(&verifier, &fields(&[("C", &right)]), BODY), "accepted");
    assert_eq!(judge(&verifier, &fields(&[("C", &right), ("A", &wrong)]), BODY), "signature-mismatch");
    assert_eq!(judge(&verifier, &fields(&[("C", &wrong), ("A", &right)]), BODY), "signature-mismatch");
    let right_a = hex_text(&tag(HMAC_SHA256, b"key", &[BODY.as_bytes()]));
    let twice = fields(&[("A", &right_a), ("C", "1"), ("C", "2")]);
    assert_eq!(judge(&verifier, &twice, BODY), "header-repeated", "of a check that would not decide, too");
}

#[test]
fn a_check_without_a_secret_does_not_take_part() {
    let verifier = Verifier::new(with(&[("other", "key")], None)).expect("right settings");
    let right = hex_text(&tag(HMAC_SHA256, b"key", &[BODY.as_bytes()]));
    assert_eq!(judge(&verifier, &fields(&[("A", &right)]), BODY), "signature-missing");
    assert_eq!(judge(&verifier, &fields(&[("A", "x"), ("C", &right)]), BODY), "accepted");
    let pending = Verifier::new(with(&[("other", "key")], Some(&["a"]))).expect("right settings");
    assert!(pending.is_pending());
}

#[test]
fn an_optional_value_that_is_there_in_two_ways_is_not_taken_for_missing() {
    let verifier = verifier(check(
        "algorithm = 'sha256'\nsignature = { from = 'header:S', encoding = 'hex' }\nmessage = '{body:/id}.{body:/more?}'",
    ));
    let right = hex_text(&tag(HMAC_SHA256, b"6b6579", &[b"e1."]));
    assert_eq!(judge(&verifier, &fields(&[("S", &right)]), r#"{"id":"e1","more":null}"#), "accepted");
    assert_eq!(judge(&verifier, &fields(&[("S", &right)]), r#"{"id":"e1","more":1,"more":2}"#), "message-unreadable");
}

#[test]
fn the_signed_digest_tells_checks_and_unsigned_bodies_apart() {
    let right = hex_text(&tag(HMAC_SHA256, b"key", &[BODY.as_bytes()]));
    let both = Verifier::new(with(&[("signing", "key"), ("other", "key")], None)).expect("right settings");
    let digest = |header: &str| verify(&both, &fields(&[(header, &right)]), BODY).expect("right").signed_digest();
    assert_ne!(digest("A"), digest("C"));
    let part =
        verifier(check("algorithm = 'sha256'\nsignature = { from = 'header:S', encoding = 'hex' }\nmessage = '{body:/id}'"));
    let right = hex_text(&tag(HMAC_SHA256, b"6b6579", &[b"e1"]));
    let digest = |body: &str| verify(&part, &fields(&[("S", &right)]), body).expect("right").signed_digest();
    assert_ne!(digest(r#"{"id":"e1","amount":1}"#), digest(r#"{"id":"e1","amount":2}"#));
}
