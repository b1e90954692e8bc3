//! What is not proven, and what is proven and cannot be read.

use std::time::Duration;

use super::{LIMITED, assert_refused, rejected};
use crate::helpers::gateway::{GITHUB, Gateway, SOURCES, STRIPE, stripe_body};
use crate::helpers::http::{self, Answer};
use crate::helpers::sender::{self, Fields, fields};

/// Requests that must all be told the same.
fn unproven(gateway: &Gateway) -> Vec<(&'static str, Fields)> {
    let body = stripe_body("evt_canary", "invoice.paid");
    let now = gateway.now_s();
    let value = |time: &str| sender::stripe_signature(STRIPE, time, &body);
    let one = |text: String| fields(&[("Stripe-Signature", &text)]);
    let right = format!("t={now},v1={}", value(&now.to_string()));
    vec![
        ("none", Fields::new()),
        ("empty", one(String::new())),
        ("garbage", one("canary".to_owned())),
        ("another secret", sender::stripe("whsec_another0123456789", now, &body)),
        ("another body", sender::stripe(STRIPE, now, b"{}")),
        ("stale", sender::stripe(STRIPE, now - 301, &body)),
        ("future", sender::stripe(STRIPE, now + 301, &body)),
        ("no time", one(format!("v1={}", value(&now.to_string())))),
        ("cut", one(right[..right.len() - 32].to_owned())),
        ("another version", one(format!("t={now},v0={}", value(&now.to_string())))),
        ("twice", fields(&[("Stripe-Signature", &right), ("Stripe-Signature", &right)])),
        ("too many", one(format!("t={now}{}", ",v1=00".repeat(17)))),
    ]
}

#[tokio::test]
async fn every_unproven_delivery_is_told_the_same_401_and_the_cause_is_in_the_log_alone() {
    let gateway = Gateway::start(SOURCES).await;
    let body = stripe_body("evt_canary", "invoice.paid");
    let mut first: Option<Answer> = None;
    for (cause, signed) in unproven(&gateway) {
        let answer = gateway.send(&http::request("POST", "/hooks/stripe", &signed, &body)).await;
        assert_eq!(answer.status, 401, "{cause}");
        assert_refused(&gateway, &answer, 401, "not-authentic").await;
        let answer = answer.without_date();
        assert_eq!(first.get_or_insert_with(|| answer.clone()), &answer, "{cause} is told apart");
        gateway.clock.advance(Duration::from_millis(100));
    }
    let reasons = rejected(&gateway).await;
    assert_eq!(reasons.len(), unproven(&gateway).len());
    for reason in ["signature-missing", "signature-malformed", "signature-mismatch"] {
        assert!(reasons.iter().any(|have| have == reason), "{reason} among {reasons:?}");
    }
}

#[tokio::test]
async fn an_unknown_and_a_known_id_under_a_wrong_signature_are_told_the_same() {
    let gateway = Gateway::start(SOURCES).await;
    gateway.accept("evt_known", "invoice.paid").await;
    let mut answers = Vec::new();
    for id in ["evt_known", "evt_other"] {
        let body = stripe_body(id, "invoice.paid");
        let signed = sender::stripe("whsec_another0123456789", gateway.now_s(), &body);
        answers.push(gateway.send(&http::request("POST", "/hooks/stripe", &signed, &body)).await.without_date());
    }
    assert_eq!(answers[0].status, 401);
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn the_signed_time_may_be_off_by_300_seconds_either_way_and_no_more() {
    let gateway = Gateway::start(SOURCES).await;
    for (index, (off, status)) in
        [(299, 200), (300, 200), (301, 401), (-299, 200), (-300, 200), (-301, 401)].into_iter().enumerate()
    {
        let body = stripe_body(&format!("evt_{index}"), "invoice.paid");
        let signed = sender::stripe(STRIPE, gateway.now_s() + off, &body);
        let answer = gateway.send(&http::request("POST", "/hooks/stripe", &signed, &body)).await;
        assert_eq!(answer.status, status, "{off} s");
    }
}

#[tokio::test]
async fn a_proven_body_without_a_readable_id_is_400() {
    let gateway = Gateway::start(SOURCES).await;
    let cases: [(&[u8], &str); 7] = [
        (b"canary", "malformed-body"),
        (b"{\"id\":\"evt_canary\"", "malformed-body"),
        (b"{\"id\":\"evt_canary\",\"id\":\"evt_b\"}", "malformed-body"),
        (b"", "malformed-body"),
        (b"{\"canary\":1}", "event-id-missing"),
        (b"{\"id\":null}", "event-id-missing"),
        (b"{\"id\":\"\"}", "event-id-missing"),
    ];
    for (body, code) in cases {
        let answer = gateway.send(&gateway.stripe(body)).await;
        assert_refused(&gateway, &answer, 400, code).await;
        gateway.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(rejected(&gateway).await, cases.map(|(_, code)| code));
}

#[tokio::test]
async fn an_unreadable_type_is_no_refusal() {
    let gateway = Gateway::start(SOURCES).await;
    assert_eq!(gateway.send(&gateway.stripe(b"{\"id\":\"evt_1\",\"type\":{}}")).await.status, 200);
    assert_eq!(gateway.event("stripe", "evt_1").await["event_type"], "unknown");
}

#[tokio::test]
async fn a_source_without_a_secret_is_503_while_the_others_serve() {
    let gateway = Gateway::start(LIMITED).await;
    let body = b"{\"canary\":1}";
    // With no key, with the empty key, and with another source's key: none is let in.
    for secret in ["", " ", GITHUB] {
        let request = http::request("POST", "/hooks/pending", &sender::github(secret, "canary-1", "push", body), body);
        assert_refused(&gateway, &gateway.send(&request).await, 503, "source-not-ready").await;
    }
    assert_eq!(rejected(&gateway).await, ["source-not-ready"; 3]);
    assert_eq!(gateway.send(&gateway.github("one", "push", b"{}")).await.status, 200, "another source serves");
}

#[tokio::test]
async fn at_most_ten_rejected_deliveries_a_second_and_source_are_logged() {
    let gateway = Gateway::start(SOURCES).await;
    let bad = |path: &str| http::request("POST", path, &Fields::new(), b"{}");
    for _ in 0..2 {
        for path in ["/hooks/stripe", "/hooks/github"] {
            for _ in 0..25 {
                assert_eq!(gateway.send(&bad(path)).await.status, 401);
            }
        }
        gateway.clock.advance(Duration::from_secs(1));
    }
    gateway.write_log().await;
    for source in ["stripe", "github"] {
        let page = gateway.get(&format!("deliveries?source={source}&limit=1000")).await;
        assert_eq!(page["deliveries"].as_array().map(Vec::len), Some(20), "10 in each of two seconds");
    }
    gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(gateway.deliveries().await[0]["verdict"], "first", "what is taken is logged beside them");
}
