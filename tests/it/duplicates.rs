//! One event is claimed once: repeats get the recorded answer, whatever came between.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::helpers::balky::Bodies;
use crate::helpers::gateway::{GITHUB, Gateway, SOURCES, STRIPE, handler, problem, stripe_body};
use crate::helpers::http::{self, Answer, Connection};
use crate::helpers::sender;
use crate::helpers::target::Target;

const SENDERS: usize = 100;
const ROUNDS: usize = 200;

/// What must be equal in all answers to one event.
fn recorded(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let own = |name: &str| matches!(name, "date" | "idempotent-replayed");
    let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| !own(name)).cloned().collect();
    headers.sort();
    (answer.status, headers, answer.body.clone())
}

fn is_replay(answer: &Answer) -> bool {
    match answer.header("idempotent-replayed") {
        None => false,
        Some("true") => true,
        Some(other) => panic!("Idempotent-Replayed: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_copies_at_once_one_is_first_and_all_get_its_answer() {
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), ""))).await;
    let requests: Arc<Vec<Vec<u8>>> =
        Arc::new((0..ROUNDS).map(|round| gateway.stripe(&stripe_body(&format!("evt_{round}"), "invoice.paid"))).collect());
    let barrier = Arc::new(Barrier::new(SENDERS));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (requests, barrier, to) = (Arc::clone(&requests), Arc::clone(&barrier), gateway.public);
            tokio::spawn(async move {
                let mut connection = Connection::to(to).await;
                let mut answers = Vec::with_capacity(ROUNDS);
                for request in &*requests {
                    barrier.wait().await;
                    connection.send(request).await;
                    answers.push(connection.answer().await);
                }
                answers
            })
        })
        .collect();
    let mut by_sender = Vec::new();
    for sender in senders {
        by_sender.push(sender.await.expect("no panic"));
    }
    for round in 0..ROUNDS {
        let answers: Vec<&Answer> = by_sender.iter().map(|answers| &answers[round]).collect();
        assert_eq!(answers.iter().filter(|answer| !is_replay(answer)).count(), 1, "round {round}: one first");
        for answer in &answers {
            assert_eq!(recorded(answer), recorded(answers[0]), "round {round}");
            assert_eq!(answer.status, 200);
        }
    }
    for _ in 0..ROUNDS {
        assert_eq!(gateway.attempt().await.attempt, 1);
    }
    assert_eq!(target.count(), ROUNDS, "one call an event");
    assert_eq!(gateway.rows("event"), i64::try_from(ROUNDS).unwrap());
    assert_eq!(gateway.rows("task"), i64::try_from(ROUNDS).unwrap());
    assert_eq!(gateway.rows("attempt"), i64::try_from(ROUNDS).unwrap());
}

#[tokio::test]
async fn a_repeat_gets_the_recorded_answer_and_the_handler_hears_nothing_of_it() {
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), ""))).await;
    let first = gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(gateway.attempt().await.attempt, 1);
    for _ in 0..3 {
        // Signed anew, as a provider's retry is.
        gateway.clock.advance(Duration::from_secs(3600));
        let repeat = gateway.accept("evt_1", "invoice.paid").await;
        assert!(is_replay(&repeat));
        assert_eq!(recorded(&repeat), recorded(&first));
    }
    let event = gateway.event("stripe", "evt_1").await;
    assert_eq!(event["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!((target.count(), gateway.rows("attempt")), (1, 1));
    let log = gateway.deliveries().await;
    let verdicts: Vec<_> = log.iter().map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["duplicate", "duplicate", "duplicate", "first"]);
    assert_eq!(log[3]["duplicates"], 3);
}

#[tokio::test]
async fn another_body_under_a_known_id_is_answered_from_the_record_shown_and_not_forwarded() {
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), ""))).await;
    let first = gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(gateway.attempt().await.attempt, 1);
    let second = gateway.accept("evt_1", "invoice.voided").await;
    assert!(is_replay(&second));
    assert_eq!(recorded(&second), recorded(&first));
    let log = gateway.deliveries().await;
    assert_eq!((&log[0]["verdict"], &log[0]["body_differs"]), (&json!("conflict"), &json!(true)));
    assert_eq!((&log[1]["verdict"], &log[1]["body_differs"]), (&json!("first"), &json!(false)));
    let event = gateway.event("stripe", "evt_1").await;
    assert_eq!(event["event_type"], "invoice.paid", "the first body stays the truth");
    let key = event["key"].as_str().unwrap();
    let body = gateway.ask("GET", &format!("/api/v1/events/{key}/body"), &Vec::new(), b"").await;
    assert_eq!(body.body, stripe_body("evt_1", "invoice.paid"));
    assert_eq!((target.count(), gateway.rows("task"), gateway.rows("payload")), (1, 1, 1));
}

#[tokio::test]
async fn of_copies_at_once_with_different_bodies_one_is_handed_on_and_the_others_are_conflicts() {
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), ""))).await;
    let requests: Vec<_> = (0..10).map(|n| gateway.stripe(&stripe_body("evt_1", &format!("invoice.n{n}")))).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|request| gateway.send(request))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(answers.iter().filter(|answer| !is_replay(answer)).count(), 1);
    let first = answers.iter().position(|answer| !is_replay(answer)).unwrap();
    assert_eq!(target.call().await.body, stripe_body("evt_1", &format!("invoice.n{first}")), "the body of the first");
    gateway.attempt().await;
    let log = gateway.deliveries().await;
    assert_eq!(log.iter().filter(|row| row["verdict"] == "conflict").count(), 9);
    assert_eq!((target.count(), gateway.rows("event")), (1, 1));
}

#[tokio::test]
async fn a_body_that_differs_only_where_repeats_may_is_a_duplicate() {
    let gateway = Gateway::start(SOURCES).await;
    let body = |pending: u32| format!(r#"{{"id":"evt_1","type":"invoice.paid","pending_webhooks":{pending}}}"#);
    assert!(!is_replay(&gateway.send(&gateway.stripe(body(2).as_bytes())).await));
    assert!(is_replay(&gateway.send(&gateway.stripe(body(1).as_bytes())).await));
    let log = gateway.deliveries().await;
    assert_eq!((&log[0]["verdict"], &log[0]["body_differs"]), (&json!("duplicate"), &json!(true)));
}

#[tokio::test]
async fn a_source_that_rejects_mismatches_answers_409_and_keeps_the_first() {
    let config = format!("{}\non_mismatch = \"reject\"\n", SOURCES.trim_end());
    let gateway = Gateway::start(&config).await;
    let first = gateway.send(&gateway.github("one", "push", b"{\"n\":1}")).await;
    assert_eq!(first.status, 200);
    let other = gateway.send(&gateway.github("one", "push", b"{\"n\":2}")).await;
    assert_eq!((other.status, problem(&other).as_str()), (409, "conflict"));
    assert_eq!(other.header("retry-after"), None);
    let repeat = gateway.send(&gateway.github("one", "push", b"{\"n\":1}")).await;
    assert!(is_replay(&repeat), "the first is not harmed");
    let verdicts: Vec<Value> = gateway.deliveries().await.iter().map(|row| row["verdict"].clone()).collect();
    assert_eq!(verdicts, ["duplicate", "conflict", "first"]);
    assert_eq!(gateway.rows("event"), 1);
}

#[tokio::test]
async fn a_changed_acknowledgement_is_for_new_events_and_repeats_get_the_recorded_one() {
    let gateway = Gateway::start(SOURCES).await;
    let first = gateway.accept("evt_1", "invoice.paid").await;
    let home = gateway.stop().await;
    let ack = "ack = { status = 202, body = '{\"ok\":true}', type = 'application/json' }";
    let config = SOURCES.replacen("provider = \"stripe\"", &format!("provider = \"stripe\"\n{ack}"), 1);
    let gateway = Gateway::start_in(home, &config).await;
    let repeat = gateway.send(&gateway.stripe(&stripe_body("evt_1", "invoice.paid"))).await;
    assert!(is_replay(&repeat));
    assert_eq!(recorded(&repeat), recorded(&first));
    let request = gateway.stripe(&stripe_body("evt_2", "invoice.paid"));
    let new = gateway.send(&request).await;
    assert_eq!((new.status, new.text().as_str(), new.header("content-type")), (202, "{\"ok\":true}", Some("application/json")));
    let again = gateway.send(&request).await;
    assert!(is_replay(&again));
    assert_eq!(recorded(&again), recorded(&new));
    let home = gateway.stop().await;
    let gateway = Gateway::start_in(home, SOURCES).await;
    let again = gateway.send(&request).await;
    assert!(is_replay(&again));
    assert_eq!(recorded(&again), recorded(&new), "and back");
}

#[tokio::test]
async fn signed_content_that_comes_again_under_a_new_id_is_a_first_and_flagged() {
    let gateway = Gateway::start(SOURCES).await;
    for id in ["one", "two"] {
        let answer = gateway.send(&gateway.github(id, "push", b"{\"n\":1}")).await;
        assert_eq!((answer.status, is_replay(&answer)), (200, false), "{id}");
    }
    gateway.send(&gateway.github("three", "push", b"{\"n\":3}")).await;
    let flags: Vec<Value> = gateway.deliveries().await.iter().map(|row| row["signature_seen_before"].clone()).collect();
    assert_eq!(flags, [false, true, false]);
    assert_eq!(gateway.rows("event"), 3);
}

#[tokio::test]
async fn a_replay_guard_that_is_off_flags_nothing() {
    let gateway = Gateway::start(&format!("{}\nreplay_guard = \"off\"\n", SOURCES.trim_end())).await;
    for id in ["one", "two"] {
        gateway.send(&gateway.github(id, "push", b"{}")).await;
    }
    assert!(gateway.deliveries().await.iter().all(|row| row["signature_seen_before"] == false));
}

#[tokio::test]
async fn one_id_on_two_sources_is_two_events() {
    let more = "\n[sources.other]\nprovider = \"stripe\"\nsecrets = [{ literal = \"whsec_canaryStripe0123456789\" }]\n";
    let gateway = Gateway::start(&format!("{SOURCES}{more}")).await;
    let body = stripe_body("evt_1", "invoice.paid");
    for source in ["stripe", "other"] {
        let request = http::request("POST", &format!("/hooks/{source}"), &sender::stripe(STRIPE, gateway.now_s(), &body), &body);
        let answer = gateway.send(&request).await;
        assert_eq!((answer.status, is_replay(&answer)), (200, false));
        assert_eq!(answer.header("hookgate-event-id"), Some(format!("{source}/evt_1").as_str()));
    }
    assert_eq!(gateway.rows("event"), 2);
}

#[tokio::test]
async fn ids_are_compared_byte_for_byte() {
    let gateway = Gateway::start(SOURCES).await;
    let ids = ["evt_1", "EVT_1", "evt_1/x", "evt_1:x", "evt_01", "evt_1."];
    for id in ids {
        let answer = gateway.accept(id, "invoice.paid").await;
        assert!(!is_replay(&answer), "{id}");
        assert_eq!(answer.header("hookgate-event-id"), Some(format!("stripe/{id}").as_str()));
    }
    assert_eq!(gateway.rows("event"), 6);
}

#[tokio::test]
async fn an_id_that_cannot_be_kept_as_it_is_becomes_its_digest_and_still_names_one_event() {
    let gateway = Gateway::start(SOURCES).await;
    let long = "e".repeat(256);
    // The digests are those of `sha256sum`.
    let ids = [
        (long.as_str(), hex_digest(long.as_bytes())),
        ("evt 1", hex_digest(b"evt 1")),
        ("ev\u{e9}", hex_digest("ev\u{e9}".as_bytes())),
        ("sha256:aa", hex_digest(b"sha256:aa")),
    ];
    for (id, digest) in ids {
        let first = gateway.accept(id, "invoice.paid").await;
        assert_eq!(first.header("hookgate-event-id"), Some(format!("stripe/sha256:{digest}").as_str()), "{id}");
        assert!(is_replay(&gateway.accept(id, "invoice.paid").await), "{id}");
        assert_eq!(gateway.event("stripe", &format!("sha256:{digest}")).await["event_id_received"], id);
    }
}

/// By another implementation than the gateway's.
fn hex_digest(bytes: &[u8]) -> String {
    sender::hex_text(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

#[tokio::test]
async fn a_repeat_after_a_restart_meets_its_record() {
    let target = Target::start([]).await;
    let config = format!("{SOURCES}{}", handler("deploy", &target.url(), ""));
    let gateway = Gateway::start(&config).await;
    let body = b"{\"n\":1}";
    let request = http::request("POST", "/hooks/github", &sender::github(GITHUB, "one", "push", body), body);
    let first = gateway.send(&request).await;
    gateway.attempt().await;
    let home = gateway.stop().await;
    let gateway = Gateway::start_in(home, &config).await;
    let repeat = gateway.send(&request).await;
    assert!(is_replay(&repeat));
    assert_eq!(recorded(&repeat), recorded(&first));
    assert_eq!((target.count(), gateway.rows("event")), (1, 1));
}

#[tokio::test]
async fn another_body_after_the_first_is_purged_is_a_duplicate_as_nothing_is_left_to_compare() {
    let gateway = Gateway::start(SOURCES).await;
    let first = gateway.accept("evt_1", "invoice.paid").await;
    gateway.beside().execute("DELETE FROM payload", []).expect("the table is there");
    let second = gateway.accept("evt_1", "invoice.voided").await;
    assert!(is_replay(&second));
    assert_eq!(recorded(&second), recorded(&first));
    let log = gateway.deliveries().await;
    assert_not_compared(&log[0]);
    assert_eq!(gateway.rows("payload"), 0, "nor is the second kept in its place");
}

/// A repeat with another body that nobody compared with the first.
fn assert_not_compared(row: &Value) {
    assert_eq!(
        (&row["verdict"], &row["status"], &row["body_differs"], &row["reason"]),
        (&json!("duplicate"), &json!(200), &json!(true), &json!("not-compared")),
        "{row}"
    );
}

#[tokio::test]
async fn another_body_that_cannot_be_compared_is_answered_from_the_record_even_where_mismatches_are_rejected() {
    let config = format!("{}\non_mismatch = \"reject\"\n", SOURCES.trim_end());
    let (gateway, store) = Gateway::start_balky(&config).await;
    let (other, deadline) = (gateway.github("one", "push", b"{\"n\":2}"), Duration::from_secs(8));
    let first = gateway.send(&gateway.github("one", "push", b"{\"n\":1}")).await;
    assert_eq!(gateway.send(&other).await.status, 409, "it is one");

    store.set_bodies(Bodies::Broken);
    let broken = gateway.send(&other).await;

    store.set_bodies(Bodies::Stuck);
    let mut connection = Connection::to(gateway.public).await;
    connection.send(&other).await;
    store.bodies_asked(3).await;
    gateway.clock.advance(deadline);
    let late = connection.answer().await;

    gateway.beside().execute("DELETE FROM payload", []).expect("the table is there");
    store.set_bodies(Bodies::Read);
    let purged = gateway.send(&other).await;
    for answer in [broken, late, purged] {
        assert!(is_replay(&answer));
        assert_eq!(recorded(&answer), recorded(&first));
    }
    gateway.deliveries().await[..3].iter().for_each(assert_not_compared);
}
