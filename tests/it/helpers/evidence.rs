//! Deliveries that were really signed and really checked: there is no other way to evidence.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use hookgate::ledger::Plan;
use hookgate::model::{Ack, Delivery, DeliveryId, EventId, HandlerName, Headers, Reason, Secret, SourceName, Timestamp};
use hookgate::preset::{Preset, ProvidersText, compile};
use hookgate::verify::{Admitted, Verifier, VerifierSettings};
use ring::hmac;
use uuid::Uuid;

use super::sender;

/// When the tests' clocks begin: 2026-01-01.
pub(crate) const BEGIN: Timestamp = Timestamp::from_unix_s(1_767_225_600);

const SECRET: &str = "a secret of the tests' own";

/// A provider that signs the raw body.
static ORDERS: LazyLock<Arc<Preset>> = LazyLock::new(|| {
    let text = r#"
        [[providers.orders.check]]
        id = "test"
        kind = "hmac"
        algorithm = "sha256"
        signature = { from = "header:X-Signature", encoding = "hex" }
        [providers.orders.event]
        id = ["{body:/id}"]
        id_signed = true
        type = ["order.{body:/order}"]
    "#;
    let providers = ProvidersText::parse(text).expect("a provider").providers;
    Arc::new(compile("orders", &providers["orders"]).expect("a preset").0)
});

static VERIFIERS: LazyLock<Mutex<HashMap<SourceName, Arc<Verifier>>>> = LazyLock::new(Mutex::default);

pub(crate) fn source(name: &str) -> SourceName {
    SourceName::parse(name).expect("a source's name")
}

pub(crate) fn handler(name: &str) -> HandlerName {
    HandlerName::parse(name).expect("a handler's name")
}

pub(crate) fn event(id: &str) -> EventId {
    EventId::parse(id).expect("an event's id")
}

/// The delivery of this number. Ids sort as their numbers do.
pub(crate) fn delivery(number: u64) -> DeliveryId {
    DeliveryId(Uuid::from_u128(0x019b_76da_a800_7000_8000_0000_0000_0000 + u128::from(number)))
}

/// The body of an event's deliveries, padded where it is to be longer.
fn body(event_id: &str, padding: &[u8]) -> Bytes {
    let padding = std::str::from_utf8(padding).expect("text");
    let padding = if padding.is_empty() { String::new() } else { format!(r#","padding":"{padding}""#) };
    format!(r#"{{"id":"{event_id}","order":"paid"{padding}}}"#).into()
}

/// Delivery `number` of an event, received `number` microseconds after the beginning.
pub(crate) fn admitted(source_name: &str, event_id: &str, number: u64) -> Admitted {
    admitted_with(source_name, event_id, number, b"")
}

/// The same with a longer body.
pub(crate) fn admitted_with(source_name: &str, event_id: &str, number: u64, padding: &[u8]) -> Admitted {
    let body = body(event_id, padding);
    let signature = sender::hex_text(&sender::tag(hmac::HMAC_SHA256, SECRET.as_bytes(), &[&body]));
    let mut headers = Headers::new();
    headers.push("content-type", "application/json");
    headers.push("x-signature", signature);
    let received_at = Timestamp(BEGIN.0 + i64::try_from(number).expect("a small number"));
    let delivery = Delivery { id: delivery(number), method: "POST".into(), query: "".into(), headers, body, received_at };
    verifier(source_name).verify(&delivery, BEGIN).expect("rightly signed").event().expect("an event")
}

fn verifier(source_name: &str) -> Arc<Verifier> {
    let mut verifiers = VERIFIERS.lock().expect("no test panics inside");
    let verifier = verifiers.entry(source(source_name)).or_insert_with_key(|source| {
        let settings = VerifierSettings {
            source: source.clone(),
            preset: Arc::clone(&ORDERS),
            secrets: vec![("signing".to_owned(), Secret::new(SECRET.into()).expect("not empty"))],
            awaited: Vec::new(),
            allow: None,
            tolerance: None,
            params: BTreeMap::new(),
            kept_headers: Vec::new(),
        };
        Arc::new(Verifier::new(settings).expect("a verifier"))
    });
    Arc::clone(verifier)
}

/// A plan for these handlers, with an ack that says `body`.
pub(crate) fn plan(body: &str, handlers: &[&str]) -> Plan {
    let mut headers = Headers::new();
    headers.push("content-type", "text/plain");
    let reason = handlers.is_empty().then_some(Reason::NoHandler);
    let handlers = handlers.iter().map(|name| handler(name)).collect();
    Plan { ack: Ack { status: 202, headers, body: Bytes::from(body.to_owned()) }, handlers, reason }
}
