//! A store that cannot take anything.

use super::{assert_refused, rejected};
use crate::helpers::gateway::{Gateway, SOURCES, stripe_body};
use crate::helpers::sender::Fields;

#[tokio::test]
async fn on_a_disk_without_room_claims_stop_and_readyz_says_so() {
    let gateway = Gateway::start(&format!("[store]\nmin_free = \"900PiB\"\n{SOURCES}")).await;
    for request in [gateway.stripe(&stripe_body("evt_1", "invoice.paid")), gateway.github("one", "push", b"{}")] {
        let answer = gateway.send(&request).await;
        assert_refused(&gateway, &answer, 503, "storage-full").await;
        assert_eq!(answer.header("retry-after"), Some("60"));
    }
    assert_eq!(rejected(&gateway).await, Vec::<String>::new(), "our fault is counted, not logged");
    let ready = gateway.ask("GET", "/readyz", &Fields::new(), b"").await;
    assert_eq!((ready.status, ready.json()), (503, serde_json::json!({ "ready": false, "reason": "storage-full" })));
    let alive = gateway.ask("GET", "/healthz", &Fields::new(), b"").await;
    assert_eq!(alive.status, 200);
}

#[tokio::test]
async fn a_commit_that_fails_is_503_and_the_retry_finds_out() {
    let gateway = Gateway::start(SOURCES).await;
    let other = gateway.beside();
    // Somebody forbids the last statement of a claim, so that what came before it must not stay.
    other
        .execute_batch("CREATE TRIGGER stop BEFORE INSERT ON payload BEGIN SELECT RAISE(ABORT, 'canary'); END")
        .expect("a trigger");
    let request = gateway.stripe(&stripe_body("evt_1", "invoice.paid"));
    let answer = gateway.send(&request).await;
    assert_refused(&gateway, &answer, 503, "store-unavailable").await;
    let after: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("a number");
    assert!((5..=7).contains(&after), "{after}");
    other.execute_batch("DROP TRIGGER stop").expect("it is there");
    let retry = gateway.send(&request).await;
    assert_eq!((retry.status, retry.header("idempotent-replayed")), (200, None), "nothing of the failed one stayed");
}
