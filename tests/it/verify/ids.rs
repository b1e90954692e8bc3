//! Ids: kept byte for byte, never refused for their looks, never joined so that two become one.

use std::sync::Arc;

use hookgate::preset::Preset;
use hookgate::verify::{Admitted, Verifier};

use super::{acme, delivery, samples, settings, verify};
use crate::helpers::sender::{self, Fields, fields};

/// A provider whose id is made by `id`, signed over its body alone.
fn provider(event: &str) -> Arc<Preset> {
    acme(&format!(
        "[[providers.acme.check]]\nkind = 'hmac'\nalgorithm = 'sha256'\nsignature = {{ from = 'header:X-Sig', encoding = 'hex' }}\n\
         [providers.acme.event]\n{event}\n"
    ))
}

fn signed(body: &[u8]) -> Fields {
    let digits = sender::hex_text(&sender::tag(ring::hmac::HMAC_SHA256, b"secret of acme", &[body]));
    fields(&[("X-Sig", &digits)])
}

fn admit(event: &str, body: &str) -> Result<Admitted, &'static str> {
    let verifier = Verifier::new(settings(provider(event), &["secret of acme"])).expect("right settings");
    verify(&verifier, &signed(body.as_bytes()), body).map_err(|refusal| refusal.code())
}

fn id(event: &str, body: &str) -> String {
    admit(event, body).map_or_else(str::to_owned, |admitted| admitted.event_id().to_string())
}

fn github_id(header: &str) -> (String, Option<String>) {
    let [_, github, _] = samples();
    let fields = sender::github(github.secret, header, "push", &github.body);
    let admitted = verify(&github.verifier(), &fields, &github.body).expect("proven");
    (admitted.event_id().to_string(), admitted.event_id_received().map(str::to_owned))
}

fn sha256(text: &str) -> String {
    format!("sha256:{}", sender::hex_text(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()))
}

#[test]
fn an_id_is_kept_as_it_stands() {
    for usual in ["d-1", "a:b", "100%", "A", "a", "%3A", &"x".repeat(255)] {
        assert_eq!(github_id(usual), (usual.to_owned(), None));
    }
}

#[test]
fn an_unusual_id_is_replaced_by_its_digest_and_kept_beside() {
    for unusual in [&"x".repeat(256), "a b", "caf\u{e9}", "sha256:", &sha256("x"), "a\u{0}b", "\u{202e}x"] {
        assert_eq!(github_id(unusual), (sha256(unusual), Some(unusual.to_owned())), "{unusual:?}");
    }
    let long = format!("{}\u{e9}{}", "x".repeat(1023), "y".repeat(500));
    assert_eq!(github_id(&long), (sha256(&long), Some("x".repeat(1023))), "cut between characters");
}

#[test]
fn joined_values_stay_apart() {
    let event = "id = ['{body:/a}:{body:/b}']";
    let one = id(event, r#"{"a":"a:b","b":"c"}"#);
    let other = id(event, r#"{"a":"a","b":"b:c"}"#);
    assert_eq!((one.as_str(), other.as_str()), ("a%3Ab:c", "a:b%3Ac"));
    assert_eq!(id(event, r#"{"a":"a%3Ab","b":"c"}"#), "a%253Ab:c");
}

#[test]
fn values_are_escaped_in_every_template_once_one_joins_some() {
    let event = "id = ['{body:/a}:{body:/b}', '{body:/c}']";
    assert_eq!(id(event, r#"{"c":"a:b"}"#), "a%3Ab");
    assert_eq!(id("id = ['{body:/a}', '{body:/c}']", r#"{"c":"a:b"}"#), "a:b");
}

#[test]
fn the_first_template_that_can_be_read_names_the_event() {
    let event = "id = ['{body:/a}-{body:/b?}', 'c-{header:X-Id}', '{body:/d}']";
    assert_eq!(id(event, r#"{"a":1,"d":4}"#), "1-");
    assert_eq!(id(event, r#"{"a":"","d":4}"#), "4");
    assert_eq!(id(event, r#"{"a":null,"d":true}"#), "true");
    assert_eq!(id(event, r#"{"d":{}}"#), "event-id-missing");
    assert_eq!(id(event, "d=4"), "malformed-body");
    assert_eq!(id(event, r#"{"a":1,"a":2,"d":4}"#), "malformed-body");
}

#[test]
fn a_header_that_any_template_of_the_id_reads_is_there_once() {
    let event = "id = ['{body:/id}', '{header:X-Id}']";
    let verifier = Verifier::new(settings(provider(event), &["secret of acme"])).expect("right settings");
    let body = r#"{"id":"a"}"#;
    let twice = [signed(body.as_bytes()), fields(&[("X-Id", "a"), ("x-id", "a")])].concat();
    assert_eq!(verify(&verifier, &twice, body).err().map(|refusal| refusal.code()), Some("header-repeated"));
}

#[test]
fn a_body_with_two_content_types_is_no_form() {
    let verifier = Verifier::new(settings(provider("id = ['{form:id}']"), &["secret of acme"])).expect("right settings");
    let form = ("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    let json = ("Content-Type".to_owned(), "application/json".to_owned());
    for types in [[form.clone(), json.clone()], [json, form.clone()], [form.clone(), form]] {
        let fields = [signed(b"id=a"), types.to_vec()].concat();
        assert_eq!(verify(&verifier, &fields, "id=a").err().map(|refusal| refusal.code()), Some("event-id-missing"));
    }
}

#[test]
fn an_id_in_a_form_is_read_strictly() {
    let verifier = Verifier::new(settings(provider("id = ['{form:id}']"), &["secret of acme"])).expect("right settings");
    let judged = |content_type: &str, body: &str| {
        let mut fields = signed(body.as_bytes());
        fields.push(("Content-Type".to_owned(), content_type.to_owned()));
        let result = verify(&verifier, &fields, body);
        result.map_or_else(|refusal| refusal.code().to_owned(), |admitted| admitted.event_id().to_string())
    };
    let form = "application/x-www-form-urlencoded";
    assert_eq!(judged(form, "x=1&id=a%2Bb"), "a+b");
    assert_eq!(judged(form, "i%64=a"), "a");
    assert_eq!(judged(form, "id=a&id=a"), "header-repeated");
    assert_eq!(judged(form, "id=a&%69d=b"), "header-repeated");
    assert_eq!(judged(form, "id=%ff"), "event-id-missing");
    assert_eq!(judged(form, "ID=a"), "event-id-missing");
    assert_eq!(judged("application/json", "id=a"), "event-id-missing");
    assert_eq!(judged("multipart/form-data; boundary=id", "id=a"), "event-id-missing");
}

#[test]
fn an_event_without_an_id_is_named_by_its_body_or_by_the_delivery() {
    let body = r#"{"any":1}"#;
    let by_body = admit("derive = 'body'", body).expect("proven");
    assert_eq!(by_body.event_id().as_str(), sha256(body));
    assert_eq!((&**by_body.id_from(), by_body.event_id_received()), ("derive = body", None));
    let by_delivery = admit("derive = 'delivery'", body).expect("proven");
    assert_eq!(by_delivery.event_id().as_str(), delivery(&[], body).id.to_string());
}

#[test]
fn a_captured_delivery_under_another_id_or_time_has_the_same_signed_digest() {
    let [stripe, github, standard] = samples();
    let digest = |sample: &super::Sample, fields: &Fields, body: &[u8]| {
        verify(&sample.verifier(), fields, body).expect("proven").signed_digest()
    };
    let other = sender::github(github.secret, "another id", "push", &github.body);
    assert_eq!(digest(&github, &github.fields, &github.body), digest(&github, &other, &github.body));
    let later = sender::stripe(stripe.secret, super::NOW_S + 60, &stripe.body);
    assert_eq!(digest(&stripe, &stripe.fields, &stripe.body), digest(&stripe, &later, &stripe.body));
    let later = sender::standard_webhooks(standard.secret, "msg_1", super::NOW_S + 60, &standard.body);
    assert_eq!(digest(&standard, &standard.fields, &standard.body), digest(&standard, &later, &standard.body));
    let other_id = sender::standard_webhooks(standard.secret, "msg_2", super::NOW_S, &standard.body);
    assert_ne!(digest(&standard, &standard.fields, &standard.body), digest(&standard, &other_id, &standard.body));
    let other_body = sender::stripe(stripe.secret, super::NOW_S, b"{\"id\":\"evt_1\"}");
    assert_ne!(digest(&stripe, &stripe.fields, &stripe.body), digest(&stripe, &other_body, b"{\"id\":\"evt_1\"}"));
}
