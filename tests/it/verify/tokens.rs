//! Secrets that are sent themselves: equal as a whole or not at all, of no use once a signature can be demanded, never kept.

use hookgate::model::{Headers, Secret};
use hookgate::preset::builtin;
use hookgate::verify::{KeyError, Verifier};

use super::{NOW, NOW_S, acme, delivery, judge, settings, settings_by_slot, verify};
use crate::helpers::sender::{self, Fields, fields};

const TOKEN: &str = "canary token of sixteen and more";
const SIGNING: &str = "whsec_Z2l0bGFiIHNpZ25pbmcgdG9rZW4sIGxvbmc=";
const BODY: &[u8] = br#"{"object_kind":"push"}"#;

/// GitLab with secrets in these slots.
fn gitlab(secrets: &[(&str, &str)]) -> Verifier {
    Verifier::new(settings_by_slot(builtin("gitlab").expect("built in"), secrets)).expect("right settings")
}

/// A provider with this check.
fn with(check: &str) -> Verifier {
    let preset = acme(&format!("[[providers.acme.check]]\n{check}\n[providers.acme.event]\nderive = 'delivery'\n"));
    Verifier::new(settings(preset, &[TOKEN])).expect("right settings")
}

fn sent(token: &str) -> Fields {
    sender::gitlab(token, "one")
}

#[test]
fn a_token_is_equal_as_a_whole_or_not_at_all() {
    let verifier = gitlab(&[("token", TOKEN)]);
    assert_eq!(judge(&verifier, &sent(TOKEN), BODY), "accepted");
    for length in 1..TOKEN.len() {
        let prefix = TOKEN[..length].trim_end();
        assert_eq!(judge(&verifier, &sent(prefix), BODY), "signature-mismatch", "{prefix}");
    }
    for other in
        [format!("{TOKEN}s"), format!("x{TOKEN}"), TOKEN.to_uppercase(), format!("{TOKEN},{TOKEN}"), format!("\"{TOKEN}\"")]
    {
        assert_eq!(judge(&verifier, &sent(&other), BODY), "signature-mismatch", "{other}");
    }
}

#[test]
fn an_empty_or_missing_token_never_passes() {
    let verifier = gitlab(&[("token", TOKEN)]);
    assert_eq!(judge(&verifier, &sent(""), BODY), "signature-malformed");
    assert_eq!(judge(&verifier, &sent(" \t "), BODY), "signature-malformed");
    let without: Fields = sent(TOKEN).into_iter().filter(|(name, _)| name != "X-Gitlab-Token").collect();
    assert_eq!(judge(&verifier, &without, BODY), "signature-missing");
    assert_eq!(judge(&gitlab(&[]), &sent(""), BODY), "source-not-ready");
}

#[test]
fn a_token_that_is_there_twice_is_refused_wherever_it_is() {
    let twice = |field: (&str, &str)| [sent(TOKEN), fields(&[field])].concat();
    for field in [("X-Gitlab-Token", TOKEN), ("x-gitlab-token", "other"), ("X-GITLAB-TOKEN", "")] {
        assert_eq!(judge(&gitlab(&[("token", TOKEN)]), &twice(field), BODY), "header-repeated", "{field:?}");
    }
    let in_query = with("kind = 'token'\nsignature = { from = 'query:key' }");
    let judge_query = |query: &str| {
        let mut received = delivery(&[], BODY);
        received.query = query.into();
        in_query.verify(&received, NOW).map_or_else(hookgate::verify::Refusal::code, |_| "accepted")
    };
    let right = TOKEN.replace(' ', "%20");
    assert_eq!(judge_query(&format!("a=b&key={right}")), "accepted");
    assert_eq!(judge_query(&format!("key={}", TOKEN.replace(' ', "+"))), "accepted");
    assert_eq!(judge_query(&format!("key={right}&key={right}")), "header-repeated");
    assert_eq!(judge_query(&format!("key={right}&k%65y=x")), "header-repeated");
    assert_eq!(judge_query("key="), "signature-malformed");
    assert_eq!(judge_query("key=x"), "signature-mismatch");
    assert_eq!(judge_query(&format!("Key={right}")), "signature-missing");
    assert_eq!(judge_query(""), "signature-missing");
}

#[test]
fn a_prefix_stands_before_the_token_and_nowhere_else() {
    let bearer = with("kind = 'token'\nsignature = { from = 'header:Authorization', prefix = 'Bearer ' }");
    let judged = |value: &str| judge(&bearer, &fields(&[("Authorization", value)]), BODY);
    assert_eq!(judged(&format!("Bearer {TOKEN}")), "accepted");
    assert_eq!(judged(TOKEN), "signature-malformed");
    assert_eq!(judged("Bearer "), "signature-malformed");
    assert_eq!(judged(&format!("Bearer Bearer {TOKEN}")), "signature-mismatch");
    assert_eq!(judged(&format!("Basic {TOKEN}")), "signature-malformed");
}

#[test]
fn a_user_and_a_password_are_compared_together() {
    let preset = acme("[[providers.acme.check]]\nkind = 'basic'\n[providers.acme.event]\nderive = 'delivery'\n");
    // RFC 7617, section 2.
    let verifier = Verifier::new(settings(preset, &["Aladdin:open sesame"])).expect("right settings");
    let judged = |value: &str| judge(&verifier, &fields(&[("Authorization", value)]), BODY);
    assert_eq!(judged("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "accepted");
    assert_eq!(judged("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "accepted");
    assert_eq!(judged("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"), "signature-malformed", "unpadded");
    assert_eq!(judged("Basic "), "signature-malformed");
    assert_eq!(judged("Basic QWxhZGRpbjo="), "signature-mismatch", "without a password");
    assert_eq!(judged("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "signature-malformed");
    let signed = verifier.sign(&Headers::new(), BODY, NOW).expect("can be signed");
    assert_eq!(signed, fields(&[("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")]));
}

#[test]
fn every_token_of_the_slot_is_tried_and_the_one_that_matched_is_told() {
    let verifier = gitlab(&[("token", "another token of ours"), ("token", TOKEN)]);
    let admitted = verify(&verifier, &sent(TOKEN), BODY).expect("right");
    assert_eq!(admitted.secret(), Some(&verifier.fingerprints()[1].1));
    assert_eq!((&**admitted.check(), admitted.id_signed()), ("token", false));
}

#[test]
fn with_a_signing_secret_there_the_token_alone_never_passes() {
    let both = [("signing", SIGNING), ("token", TOKEN)];
    let signed = [sender::standard_webhooks(SIGNING, "one", NOW_S, BODY), fields(&[("X-Gitlab-Token", "another")])].concat();
    assert_eq!(judge(&gitlab(&both), &signed, BODY), "accepted");
    assert_eq!(judge(&gitlab(&both), &sent(TOKEN), BODY), "signature-missing");
    assert_eq!(gitlab(&both).armed(), ["signing"]);
    assert_eq!(gitlab(&[("token", TOKEN)]).armed(), ["token"]);
}

#[test]
fn what_was_sent_is_not_kept_even_if_a_handler_asks_for_it() {
    let mut settings = settings_by_slot(builtin("gitlab").expect("built in"), &[("token", TOKEN)]);
    settings.kept_headers = vec!["x-gitlab-token".to_owned(), "authorization".to_owned()];
    let verifier = Verifier::new(settings).expect("right settings");
    let admitted = verify(&verifier, &[sent(TOKEN), fields(&[("Authorization", "canary")])].concat(), BODY).expect("right");
    let kept: Vec<&str> = admitted.headers().iter().map(|(name, _)| name).collect();
    assert_eq!(kept, ["content-type", "x-gitlab-event"]);
    assert!(!format!("{verifier:?} {admitted:?}").contains("canary"));
}

#[test]
fn signed_anew_a_delivery_carries_the_newest_token() {
    let verifier = gitlab(&[("token", TOKEN), ("token", "an older token of ours")]);
    assert!(verifier.can_sign());
    let signed = verifier.sign(&Headers::new(), BODY, NOW).expect("can be signed");
    assert_eq!(signed, fields(&[("X-Gitlab-Token", TOKEN)]));
}

#[test]
fn a_source_that_nothing_proves_has_to_say_that_it_wants_that() {
    let text = "[[providers.acme.check]]\nkind = 'none'\n[providers.acme.event]\nid = ['{body:/id}']\n";
    let mut settings = settings(acme(text), &[]);
    let refused = Verifier::new(settings.clone()).expect_err("not allowed");
    assert!(refused.to_string().contains("allow = [\"default\"]"), "{refused}");
    settings.allow = Some(vec!["default".to_owned()]);
    let open = Verifier::new(settings.clone()).expect("right settings");
    assert!(!open.is_pending());
    let admitted = verify(&open, &[], br#"{"id":"one"}"#).expect("anything passes");
    assert_eq!((admitted.event_id().as_str(), admitted.secret(), admitted.id_signed()), ("one", None, false));
    assert_eq!(judge(&open, &[], b"{}"), "event-id-missing");
    settings.secrets = vec![("signing".to_owned(), Secret::new(TOKEN.into()).expect("not empty"))];
    assert!(matches!(Verifier::new(settings), Err(KeyError::UnknownSlot { .. })), "it takes no secret");
}

#[test]
fn a_secret_that_takes_no_part_is_told() {
    assert_eq!(gitlab(&[("signing", SIGNING), ("token", TOKEN)]).idle_slots(), ["token"]);
    assert_eq!(gitlab(&[("token", TOKEN)]).idle_slots(), [""; 0]);
}

#[test]
fn a_short_token_is_told() {
    assert!(gitlab(&[("token", "fifteen bytes!!")]).fingerprints()[0].2);
    assert!(!gitlab(&[("token", "sixteen bytes!!!")]).fingerprints()[0].2);
}

#[test]
fn an_event_that_caused_another_does_not_share_its_id() {
    let verifier = gitlab(&[("token", TOKEN)]);
    let older: Fields = fields(&[("X-Gitlab-Event-UUID", "a:b"), ("X-Gitlab-Token", TOKEN)]);
    let id = |body: &[u8]| verify(&verifier, &older, body).expect("right").event_id().to_string();
    let digest = |body: &[u8]| sender::hex_text(ring::digest::digest(&ring::digest::SHA256, body).as_ref());
    assert_eq!(id(BODY), format!("a%3Ab:{}", digest(BODY)));
    assert_ne!(id(BODY), id(b"{}"));
}
