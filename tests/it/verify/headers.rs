//! A missing header never skips the check, and one that is there twice is never chosen from.

use super::{Sample, judge, samples, verify};

#[test]
fn a_delivery_without_one_of_its_headers_is_refused() {
    let expected = [
        ("Stripe-Signature", "signature-missing"),
        ("X-Hub-Signature-256", "signature-missing"),
        ("X-GitHub-Delivery", "event-id-missing"),
        ("webhook-signature", "signature-missing"),
        ("webhook-timestamp", "time-missing"),
        ("webhook-id", "message-unreadable"),
    ];
    for sample in samples() {
        for (missing, _) in &sample.fields {
            let rest: Vec<_> = sample.fields.iter().filter(|(name, _)| name != missing).cloned().collect();
            let code = expected.iter().find(|(name, _)| name == missing).map_or("accepted", |(_, code)| code);
            assert_eq!(judge(&sample.verifier(), &rest, &sample.body), code, "{} without {missing}", sample.provider);
        }
        assert_eq!(judge(&sample.verifier(), &[], &sample.body), "signature-missing", "{} without any", sample.provider);
    }
}

#[test]
fn a_header_alone_is_refused() {
    for sample in samples().into_iter().filter(|sample| sample.provider != "stripe") {
        for field in &sample.fields {
            let code = judge(&sample.verifier(), std::slice::from_ref(field), &sample.body);
            assert_ne!(code, "accepted", "{} with {} alone", sample.provider, field.0);
        }
    }
}

#[test]
fn a_header_that_is_read_and_there_twice_is_refused_whatever_its_spelling_and_place() {
    for sample in samples() {
        for (name, value) in sample.fields.iter().filter(|(name, _)| is_read(name)) {
            for spelling in [name.clone(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
                for other in [value.as_str(), "", "other"] {
                    let extra = (spelling.clone(), other.to_owned());
                    let before = [std::slice::from_ref(&extra), &sample.fields].concat();
                    let after = [&sample.fields, std::slice::from_ref(&extra)].concat();
                    for fields in [before, after] {
                        let code = judge(&sample.verifier(), &fields, &sample.body);
                        assert_eq!(code, "header-repeated", "{}: {spelling}: {other}", sample.provider);
                    }
                }
            }
        }
    }
}

fn is_read(name: &str) -> bool {
    !matches!(name, "Content-Type" | "X-GitHub-Event")
}

#[test]
fn a_type_header_that_is_there_twice_only_makes_the_type_unknown() {
    let [_, github, _] = samples();
    let fields = [github.fields.clone(), vec![("x-github-event".to_owned(), "push".to_owned())]].concat();
    let admitted = verify(&github.verifier(), &fields, &github.body).expect("still proven");
    assert_eq!(&**admitted.event_type(), "unknown");
}

#[test]
fn two_signatures_joined_by_a_comma_are_no_list_where_the_provider_has_none() {
    let [_, github, standard] = samples();
    let doubled = |value: &str| format!("{value}, {value}");
    assert_eq!(github.judge_signature(doubled), "signature-malformed");
    // A list at blanks: its first element is malformed by the comma, its second is right and enough.
    assert_eq!(standard.judge_signature(doubled), "accepted");
    assert_eq!(standard.judge_signature(|value| format!("{value},{value}")), "signature-malformed");
}

#[test]
fn a_joined_list_with_two_times_is_refused() {
    let [stripe, ..] = samples();
    assert_eq!(stripe.judge_signature(|value| format!("{value}, {value}")), "accepted", "the same said twice");
    assert_eq!(stripe.judge_signature(|value| format!("t=1,{value}")), "signature-ambiguous");
    assert_eq!(stripe.judge_signature(|value| format!("{value},t=1")), "signature-ambiguous");
}

#[test]
fn headers_of_the_scheme_are_kept_and_credentials_never() {
    let [stripe, ..] = samples();
    let mut fields = stripe.fields.clone();
    for (name, value) in [
        ("User-Agent", "Stripe/1.0"),
        ("X-Trace", "abc"),
        ("X-Broken", "a\u{1}b"),
        ("X-Other", "no"),
        ("Authorization", "canary"),
        ("Cookie", "canary"),
        ("Hookgate-Event-Id", "canary"),
        ("Idempotency-Key", "canary"),
    ] {
        fields.push((name.to_owned(), value.to_owned()));
    }
    let names = ["x-trace", "x-broken", "authorization", "cookie", "hookgate-event-id", "idempotency-key"];
    let mut settings = super::settings(std::sync::Arc::clone(stripe.verifier().preset()), &[stripe.secret]);
    settings.kept_headers = names.map(str::to_owned).to_vec();
    let verifier = hookgate::verify::Verifier::new(settings).expect("right settings");
    let admitted = verify(&verifier, &fields, &stripe.body).expect("right");
    let kept: Vec<&str> = admitted.headers().iter().map(|(name, _)| name).collect();
    assert_eq!(kept, ["content-type", "stripe-signature", "user-agent", "x-trace"]);
}

#[test]
fn a_value_that_is_not_text_is_refused_and_never_a_panic() {
    for sample in samples() {
        let mut delivery = super::delivery(&[], &sample.body);
        for (name, value) in &sample.fields {
            let bytes = if is_signature(&sample, name) { b"\xff\xfe=\x80,v1=\xff".to_vec() } else { value.clone().into_bytes() };
            delivery.headers.push(name, bytes);
        }
        let code = sample.verifier().verify(&delivery, super::NOW).map_err(hookgate::verify::Refusal::code).map(|_| ());
        assert_eq!(code, Err("signature-malformed"), "{}", sample.provider);
    }
}

fn is_signature(sample: &Sample, name: &str) -> bool {
    name == sample.signature
}
