//! The provider's own signature, made anew, is one that its provider could have made.

use hookgate::model::{Headers, Timestamp};
use hookgate::verify::Verifier;

use super::{NOW_S, acme, delivery, judge, samples, settings, settings_by_slot, verifier};
use crate::helpers::sender;

const LATER: Timestamp = Timestamp((NOW_S + 5000) * 1_000_000);

fn sign(verifier: &Verifier, headers: &Headers, body: &[u8]) -> Vec<(String, String)> {
    verifier.sign(headers, body, LATER).expect("can be signed")
}

#[test]
fn it_is_what_the_provider_would_send_now() {
    for sample in samples() {
        let received = delivery(&sample.fields, &sample.body).headers;
        let signed = sign(&sample.verifier(), &received, &sample.body);
        let expected = match sample.provider {
            "stripe" => sender::stripe(sample.secret, NOW_S + 5000, &sample.body),
            "github" => sender::github(sample.secret, "d-1", "issues", &sample.body),
            _ => sender::standard_webhooks(sample.secret, "msg_1", NOW_S + 5000, &sample.body),
        };
        for field in &signed {
            assert!(expected.contains(field), "{}: {field:?}", sample.provider);
        }
        let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
        let own = expected.iter().map(|(name, _)| name.as_str());
        let of_scheme = own.filter(|name| *name == sample.signature || *name == "webhook-timestamp").count();
        assert_eq!(names.len(), of_scheme, "{}: {names:?}", sample.provider);
    }
}

#[test]
fn it_is_made_with_the_newest_secret() {
    let [stripe, ..] = samples();
    let two = verifier("stripe", &["whsec_newest secret", stripe.secret]);
    let signed = sign(&two, &Headers::new(), &stripe.body);
    assert_eq!(signed, [sender::stripe("whsec_newest secret", NOW_S + 5000, &stripe.body)[1].clone()]);
}

#[test]
fn elements_by_place_are_written_in_their_places() {
    let preset = acme(
        "[[providers.acme.check]]\nkind = 'hmac'\nalgorithm = 'sha256'\nmessage = '{time}.{body}'\ntime = { from = 'signature:#0' }\n\
         signature = { from = 'header:X-Sig', split = ', ', skip = 1, prefix = 'p-', encoding = 'base64' }\n\
         [providers.acme.event]\nid = ['{body:/id}']\n",
    );
    let verifier = Verifier::new(settings(preset, &["key"])).expect("right settings");
    let body = br#"{"id":1}"#;
    let signed = verifier.sign(&Headers::new(), body, super::NOW).expect("can be signed");
    assert!(signed[0].1.starts_with("1767225600, p-"), "{signed:?}");
    assert_eq!(judge(&verifier, &signed, body), "accepted");
}

#[test]
fn what_cannot_be_signed_so_is_not_signed() {
    let none = |check: &str| {
        let text = format!(
            "[[providers.acme.check]]\nkind = 'hmac'\nalgorithm = 'sha256'\n{check}\n[providers.acme.event]\nderive = 'body'\n"
        );
        let verifier = Verifier::new(settings(acme(&text), &["key"])).expect("right settings");
        verifier.sign(&Headers::new(), br#"{"t":1,"s":"x"}"#, LATER).is_none()
    };
    assert!(none("signature = { from = 'body:/s', encoding = 'hex' }\nmessage = '{body:/t}'"));
    assert!(none("signature = { from = 'header:S', encoding = 'hex' }\ntime = { from = 'body:/t' }"));
    assert!(none("signature = { from = 'header:S', encoding = 'hex' }\nmessage = '{header:X-Id}{body}'"));
    assert!(none("signature = { from = 'header:S', split = ',', skip = 1, encoding = 'hex' }"));
    assert!(!none("signature = { from = 'header:S', encoding = 'hex' }"));
    let pending = verifier("stripe", &[]);
    assert!(pending.sign(&Headers::new(), b"{}", LATER).is_none());
}

#[test]
fn what_cannot_be_signed_is_known_before_the_first_delivery() {
    let signed =
        "[[providers.acme.check]]\nkind = 'hmac'\nalgorithm = 'sha256'\nsignature = { from = 'header:S', encoding = 'hex' }\n";
    let sent = "[[providers.acme.check]]\nid = 'sent'\nkind = 'token'\nsecret = 'sent'\nsignature = { from = 'query:key' }\n";
    let event = "[providers.acme.event]\nderive = 'body'\n";
    let source = |checks: &str, slot: &str| {
        Verifier::new(settings_by_slot(acme(&format!("{checks}{event}")), &[(slot, "key")])).expect("right settings")
    };
    for message in ["{query:a}{body}", "{query:a?}{body}"] {
        let over_query = source(&format!("{signed}message = '{message}'\n"), "signing");
        assert!(!over_query.can_sign(), "no query is kept: {message}");
        assert!(over_query.sign(&Headers::new(), b"{}", LATER).is_none(), "{message}");
    }
    let both = format!("{signed}{sent}");
    assert!(source(&both, "signing").can_sign());
    assert!(!source(&both, "sent").can_sign(), "the check that takes part counts");
    assert!(source(signed, "signing").can_sign());
}
