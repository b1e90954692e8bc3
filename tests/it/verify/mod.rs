//! What may become an event and what may not: each attack that is known, as a promise that is kept.

mod bodies;
mod fixtures;
mod handshakes;
mod headers;
mod ids;
mod language;
mod load;
mod official;
mod properties;
mod resign;
mod secrets;
mod signatures;
mod times;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hookgate::model::{Delivery, DeliveryId, Headers, Secret, SourceName, Timestamp};
use hookgate::preset::{Preset, ProvidersText, builtin, compile};
use hookgate::verify::{Admitted, Refusal, Verifier, VerifierSettings};
use uuid::Uuid;

use crate::helpers::sender::{self, Fields};

/// The wall clock of these tests, in Unix seconds.
pub(crate) const NOW_S: i64 = 1_767_225_600;
/// The same, at the very end of its second.
pub(crate) const NOW: Timestamp = Timestamp(NOW_S * 1_000_000 + 999_999);

/// A delivery as its provider sends it, rightly signed.
pub(crate) struct Sample {
    pub(crate) provider: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) signature: &'static str,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
}

/// One of each built-in provider.
pub(crate) fn samples() -> [Sample; 3] {
    let body = br#"{"id":"evt_1","type":"note.created","action":"opened"}"#;
    let (stripe, github) = ("whsec_sampleStripeSecret", "sample GitHub secret");
    let standard = "whsec_c2FtcGxlIHN0YW5kYXJkIHNlY3JldCE=";
    let sample = |provider, secret, signature, fields| Sample { provider, secret, signature, fields, body: body.to_vec() };
    [
        sample("stripe", stripe, "Stripe-Signature", sender::stripe(stripe, NOW_S, body)),
        sample("github", github, "X-Hub-Signature-256", sender::github(github, "d-1", "issues", body)),
        sample("standard-webhooks", standard, "webhook-signature", sender::standard_webhooks(standard, "msg_1", NOW_S, body)),
    ]
}

impl Sample {
    pub(crate) fn verifier(&self) -> Verifier {
        verifier(self.provider, &[self.secret])
    }

    /// Judged as it is.
    pub(crate) fn judge(&self) -> &'static str {
        judge(&self.verifier(), &self.fields, &self.body)
    }

    /// Judged with the signature header's value changed.
    pub(crate) fn judge_signature(&self, change: impl Fn(&str) -> String) -> &'static str {
        let change = |(name, value): &(String, String)| {
            let value = if name == self.signature { change(value) } else { value.clone() };
            (name.clone(), value)
        };
        judge(&self.verifier(), &self.fields.iter().map(change).collect::<Vec<_>>(), &self.body)
    }

    pub(crate) fn signature_value(&self) -> &str {
        self.fields.iter().find(|(name, _)| name == self.signature).map_or("", |(_, value)| value)
    }
}

/// A verifier of a built-in provider.
pub(crate) fn verifier(provider: &str, secrets: &[&str]) -> Verifier {
    Verifier::new(settings(builtin(provider).expect("a built-in preset"), secrets)).expect("right settings")
}

/// A provider of the user's own, from the text after `[providers.acme]`.
pub(crate) fn acme(text: &str) -> Arc<Preset> {
    preset("acme", text)
}

/// A provider of this name, from the text after its `[providers.NAME]`.
pub(crate) fn preset(name: &str, text: &str) -> Arc<Preset> {
    let providers = ProvidersText::parse(text).expect("right shape").providers;
    Arc::new(compile(name, &providers[name]).expect("a right preset").0)
}

pub(crate) fn settings(preset: Arc<Preset>, secrets: &[&str]) -> VerifierSettings {
    settings_by_slot(preset, &secrets.iter().map(|text| ("signing", *text)).collect::<Vec<_>>())
}

/// The same, with secrets in these slots.
pub(crate) fn settings_by_slot(preset: Arc<Preset>, secrets: &[(&str, &str)]) -> VerifierSettings {
    let secret = |(slot, text): &(&str, &str)| ((*slot).to_owned(), Secret::new(text.as_bytes().to_vec()).expect("not empty"));
    VerifierSettings {
        source: SourceName::parse("here").expect("a name"),
        preset,
        secrets: secrets.iter().map(secret).collect(),
        awaited: Vec::new(),
        allow: None,
        tolerance: None,
        params: BTreeMap::new(),
        kept_headers: Vec::new(),
    }
}

pub(crate) fn delivery(fields: &[(String, String)], body: impl AsRef<[u8]>) -> Delivery {
    let headers: Headers = fields.iter().map(|(name, value)| (name.clone(), Bytes::from(value.clone()))).collect();
    Delivery {
        id: DeliveryId(Uuid::from_u128(7)),
        method: "POST".into(),
        query: "".into(),
        headers,
        body: Bytes::copy_from_slice(body.as_ref()),
        received_at: NOW,
    }
}

pub(crate) fn verify(verifier: &Verifier, fields: &[(String, String)], body: impl AsRef<[u8]>) -> Result<Admitted, Refusal> {
    verifier.verify(&delivery(fields, body), NOW).map(|passed| passed.event().expect("an event"))
}

/// `accepted`, or the refusal's code.
pub(crate) fn judge(verifier: &Verifier, fields: &[(String, String)], body: impl AsRef<[u8]>) -> &'static str {
    verify(verifier, fields, body).map_or_else(Refusal::code, |_| "accepted")
}

#[test]
fn what_its_provider_signed_is_admitted() {
    for sample in samples() {
        assert_eq!(sample.judge(), "accepted", "{}", sample.provider);
    }
}

#[test]
fn evidence_says_what_was_proven() {
    let [stripe, github, standard] = samples();
    let admitted = |sample: &Sample| verify(&sample.verifier(), &sample.fields, &sample.body).expect("right");
    let facts = |sample: &Sample| {
        let admitted = admitted(sample);
        let facts = [admitted.event_id().as_str(), admitted.event_type(), admitted.id_from(), admitted.check()];
        (facts.join(" "), admitted.id_signed())
    };
    assert_eq!(facts(&stripe), ("evt_1 note.created {body:/id} default".to_owned(), true));
    assert_eq!(facts(&github), ("d-1 issues.opened {header:X-GitHub-Delivery} default".to_owned(), false));
    assert_eq!(facts(&standard), ("msg_1 note.created {header:webhook-id} default".to_owned(), true));
    let admitted = admitted(&stripe);
    assert_eq!(admitted.source().as_str(), "here");
    assert_eq!(admitted.delivery_id(), DeliveryId(Uuid::from_u128(7)));
    assert_eq!(&admitted.body()[..], stripe.body);
    let digest = ring::digest::digest(&ring::digest::SHA256, &stripe.body);
    assert_eq!(admitted.body_digest().to_string(), sender::hex_text(digest.as_ref()));
}

#[test]
fn a_verifier_is_shared_between_threads() {
    const fn shared<T: Send + Sync>() {}
    shared::<Verifier>();
    shared::<Admitted>();
}
