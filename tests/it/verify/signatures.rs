//! A signature is right as a whole or not at all, of the configured algorithm and of no other.

use super::{judge, samples};
use crate::helpers::sender;

#[test]
fn no_prefix_of_a_right_signature_passes() {
    for sample in samples() {
        let whole = sample.signature_value().to_owned();
        for length in 0..whole.len() {
            let code = sample.judge_signature(|value| value[..length].to_owned());
            assert_eq!(code, "signature-malformed", "{}: {length} of {}", sample.provider, whole.len());
        }
    }
}

#[test]
fn the_mark_of_a_scheme_alone_does_not_pass() {
    for sample in samples() {
        for mark in ["v1,", "v1=", "sha256=", "v1", "sha256", "t=1767225600", "t=1767225600,v1=", "=", ",", " ", "v1, v1,"] {
            assert_eq!(sample.judge_signature(|_| mark.to_owned()), "signature-malformed", "{}: {mark}", sample.provider);
        }
    }
}

#[test]
fn bytes_after_a_right_signature_do_not_pass() {
    for sample in samples() {
        for more in ["0", "00", "=", "A", "AAAA", ";", "\u{e9}", ".", "\""] {
            let code = sample.judge_signature(|value| format!("{value}{more}"));
            assert_eq!(code, "signature-malformed", "{}: {more}", sample.provider);
        }
    }
}

#[test]
fn hex_digits_may_be_of_any_case() {
    let [stripe, github, _] = samples();
    let upper = |value: &str, at: &str| {
        let (head, digits) = value.split_once(at).expect("the mark");
        format!("{head}{at}{}", digits.to_uppercase())
    };
    assert_eq!(stripe.judge_signature(|value| upper(value, "v1=")), "accepted");
    assert_eq!(github.judge_signature(|value| upper(value, "sha256=")), "accepted");
}

#[test]
fn base64_of_another_alphabet_or_padding_does_not_pass() {
    let [_, _, standard] = samples();
    let verifier = standard.verifier();
    // A message whose signature has both characters that differ between the alphabets.
    let body = (0..1000).map(|number| format!("{{\"number\":{number}}}")).find(|body| {
        let text = sender::standard_webhooks_signature(standard.secret, "m", &super::NOW_S.to_string(), body.as_bytes());
        text.contains('+') && text.contains('/')
    });
    let body = body.expect("one of a thousand");
    let fields = sender::standard_webhooks(standard.secret, "m", super::NOW_S, body.as_bytes());
    let judged = |change: &dyn Fn(&str) -> String| {
        let mut fields = fields.clone();
        fields.iter_mut().filter(|(name, _)| name == "webhook-signature").for_each(|(_, value)| *value = change(value));
        judge(&verifier, &fields, &body)
    };
    assert_eq!(judged(&|value| value.to_owned()), "accepted");
    assert_eq!(judged(&|value| value.replace('+', "-").replace('/', "_")), "signature-malformed");
    assert_eq!(judged(&|value| value.replace('=', "")), "signature-malformed");
    assert_eq!(judged(&|value| format!("{value}=")), "signature-malformed");
    assert_eq!(judged(&|value| value.replace('=', "A")), "signature-malformed", "33 bytes that begin right");
    assert_eq!(judged(&|value| format!("{}==", &value[..value.len() - 2])), "signature-malformed", "31 bytes that begin right");
    assert_eq!(judged(&|value| value.replace("v1,", "v1, ")), "signature-malformed");
}

#[test]
fn the_algorithm_is_never_taken_from_the_request() {
    let [stripe, github, standard] = samples();
    for mark in ["sha1=", "none=", "sha512=", "SHA256=", "sha-256=", ""] {
        let code = github.judge_signature(|value| value.replace("sha256=", mark));
        assert_eq!(code, "signature-malformed", "{mark}");
    }
    for mark in ["v0", "v1a", "v2", "V1", "none", ""] {
        let code = stripe.judge_signature(|value| value.replace("v1=", &format!("{mark}=")));
        assert_eq!(code, "signature-malformed", "{mark}");
        let code = standard.judge_signature(|value| value.replace("v1,", &format!("{mark},")));
        assert_eq!(code, "signature-malformed", "{mark}");
    }
    for (algorithm, digits) in [(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, 40), (ring::hmac::HMAC_SHA512, 128)] {
        let other = sender::hex_text(&sender::tag(algorithm, github.secret.as_bytes(), &[&github.body]));
        assert_eq!(other.len(), digits);
        assert_eq!(github.judge_signature(|_| format!("sha256={other}")), "signature-malformed");
    }
}

#[test]
fn a_right_signature_is_found_at_each_place_among_sixteen_and_seventeen_are_refused() {
    let [stripe, _, standard] = samples();
    let wrong_hex = format!("v1={}", "0".repeat(64));
    let wrong_base64 = format!("v1,{}=", "A".repeat(43));
    for bad in [wrong_hex.as_str(), "v1=", "v1=zz"] {
        for place in 0..16 {
            let code = stripe.judge_signature(|value| {
                let (time, right) = value.split_once(',').expect("time and signature");
                let mut list = vec![bad; 16];
                list[place] = right;
                format!("{time},{}", list.join(","))
            });
            assert_eq!(code, "accepted", "{bad} around place {place}");
        }
    }
    for place in 0..16 {
        let code = standard.judge_signature(|right| {
            let mut list = vec![wrong_base64.as_str(); 16];
            list[place] = right;
            list.join(" ")
        });
        assert_eq!(code, "accepted", "place {place}");
    }
    let sixteen_before = |value: &str, wrong: &str, at: &str| format!("{}{value}", format!("{wrong}{at}").repeat(16));
    assert_eq!(stripe.judge_signature(|value| sixteen_before(value, &wrong_hex, ",")), "too-many-signatures");
    assert_eq!(standard.judge_signature(|value| sixteen_before(value, &wrong_base64, " ")), "too-many-signatures");
    assert_eq!(standard.judge_signature(|value| sixteen_before(value, "v1a,AAAA", " ")), "accepted", "others do not count");
}

#[test]
fn malformed_elements_neither_help_nor_harm() {
    let [stripe, _, standard] = samples();
    assert_eq!(stripe.judge_signature(|value| format!(",,=,x,v1,v1=zz, {value} ,v0=00,scheme=,=v1,")), "accepted");
    assert_eq!(standard.judge_signature(|value| format!("v1 ,v1 v1,!!! v1a,AAAA  {value}  v2,x")), "accepted");
}

#[test]
fn a_signature_for_somebody_else_does_not_pass() {
    for sample in samples() {
        let body = b"{\"id\":\"evt_2\"}";
        assert_eq!(judge(&sample.verifier(), &sample.fields, body), "signature-mismatch", "{}", sample.provider);
    }
}
