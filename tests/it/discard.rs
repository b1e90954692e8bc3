//! Discard, and redrive and discard by filter, on the admin API: what is ended, by whom, and what is passed over.

use std::time::Duration;

use serde_json::{Value, json};

use crate::helpers::gateway::{Gateway, SOURCES, handler, problem};
use crate::helpers::http::Answer;
use crate::helpers::sender::Fields;
use crate::helpers::target::{Gate, Reply, Target};

const NO_RETRY: &str = "timeout = \"10s\"\nretry = []";

async fn post(gateway: &Gateway, path: &str, body: &Value) -> Answer {
    gateway.ask("POST", &format!("/api/v1/{path}"), &Fields::new(), body.to_string().as_bytes()).await
}

/// What a deed by filter says it did.
async fn all(gateway: &Gateway, verb: &str, body: Value) -> Value {
    let answer = post(gateway, &format!("events/{verb}"), &body).await;
    assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    answer.json()
}

/// Discards one event, with these words.
async fn discard(gateway: &Gateway, id: &str, body: Value) -> Answer {
    let key = gateway.event("stripe", id).await["key"].as_str().expect("a key").to_owned();
    post(gateway, &format!("events/{key}/discard"), &body).await
}

fn why() -> Value {
    json!({ "reason": "a rehearsal", "by": "ada" })
}

/// A gateway whose one handler has refused these events for good.
async fn with_dead(ids: &[&str]) -> (Gateway, Target) {
    let target = Target::start(ids.iter().map(|_| Reply::status(410)).collect::<Vec<_>>()).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), NO_RETRY))).await;
    for id in ids {
        gateway.accept(id, "invoice.paid").await;
        gateway.attempt().await;
    }
    (gateway, target)
}

async fn state(gateway: &Gateway, id: &str) -> String {
    gateway.event("stripe", id).await["state"].as_str().expect("a word").to_owned()
}

#[tokio::test]
async fn a_dead_event_is_done_once_it_is_discarded_and_says_who_and_why() {
    let (gateway, target) = with_dead(&["evt_1"]).await;
    for expected in [1, 0] {
        let answer = discard(&gateway, "evt_1", why()).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "v": 1, "tasks": expected })));
    }
    let event = gateway.event("stripe", "evt_1").await;
    assert_eq!((&event["state"], &event["reason"], &event["body_kept"]), (&json!("done"), &json!("discarded"), &json!(true)));
    let task = &event["tasks"][0];
    assert_eq!((&task["state"], &task["reason"]), (&json!("discarded"), &json!("handler-refused")));
    assert_eq!((&task["discarded"]["by"], &task["discarded"]["reason"]), (&json!("ada"), &json!("a rehearsal")));
    assert_eq!(gateway.deliveries().await[0]["reason"], "discarded");
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({})).await, 0);
    assert_eq!(gateway.redrive("stripe", "evt_1", json!({ "force": true })).await, 1, "it is taken back");
    assert_eq!(gateway.attempt().await.attempt, 2);
    let event = gateway.event("stripe", "evt_1").await;
    assert_eq!((&event["reason"], &event["tasks"][0]["discarded"]), (&Value::Null, &Value::Null));
    assert_eq!(target.count(), 2);
}

#[tokio::test]
async fn a_discard_without_who_or_why_or_with_words_that_cannot_be_kept_is_refused() {
    let (gateway, _target) = with_dead(&["evt_1"]).await;
    let cases = [
        (json!({}), "`reason`"),
        (json!({ "by": "ada" }), "`reason`"),
        (json!({ "reason": "x" }), "`by`"),
        (json!({ "reason": "", "by": "ada" }), "`reason`"),
        (json!({ "reason": " \t", "by": "ada" }), "`reason`"),
        (json!({ "reason": "x".repeat(513), "by": "ada" }), "`reason`"),
        (json!({ "reason": "a\u{1b}[2J", "by": "ada" }), "`reason`"),
        (json!({ "reason": "two\nlines", "by": "ada" }), "`reason`"),
        (json!({ "reason": "x", "by": "a\u{0}" }), "`by`"),
        (json!({ "reason": "x", "by": "a".repeat(129) }), "`by`"),
        (json!({ "reason": 7, "by": "ada" }), ""),
        (json!({ "reason": "x", "by": "ada", "forse": true }), "`forse`"),
        (json!([]), ""),
    ];
    for (body, name) in cases {
        let answer = discard(&gateway, "evt_1", body.clone()).await;
        assert_eq!((answer.status, problem(&answer).as_str()), (400, "bad-request"), "{body}");
        assert!(answer.json()["title"].as_str().unwrap().contains(name), "{body}: {}", answer.text());
    }
    assert_eq!(state(&gateway, "evt_1").await, "dead");
    let longest = json!({ "reason": "\u{e9}".repeat(512), "by": "a".repeat(128) });
    assert_eq!(discard(&gateway, "evt_1", longest).await.status, 200);
}

#[tokio::test]
async fn a_discard_that_cannot_be_done_says_why() {
    let (gateway, _target) = with_dead(&["evt_1"]).await;
    let nobody = "events/019b0000-0000-7000-8000-000000000000/discard";
    let answer = post(&gateway, nobody, &why()).await;
    assert_eq!((answer.status, problem(&answer).as_str()), (404, "not-found"));
    let body = json!({ "handler": "never-was", "reason": "x", "by": "ada" });
    let answer = discard(&gateway, "evt_1", body).await;
    assert_eq!((answer.status, problem(&answer).as_str()), (404, "no-task"));
}

#[tokio::test]
async fn an_event_in_a_handlers_hands_is_not_discarded() {
    let gate = Gate::closed();
    let target = Target::start([Reply::After(gate.clone(), Box::new(Reply::status(200)))]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), NO_RETRY))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    target.call().await;
    for force in [false, true] {
        let answer = discard(&gateway, "evt_1", json!({ "force": force, "reason": "x", "by": "ada" })).await;
        assert_eq!((answer.status, problem(&answer).as_str()), (409, "task-running"));
    }
    let done = all(&gateway, "discard", json!({ "source": "stripe", "force": true, "reason": "x", "by": "ada" })).await;
    assert_eq!((&done["tasks"], &done["skipped"]), (&json!(0), &json!({ "task-running": 1 })));
    gate.let_through(1);
    gateway.attempt().await;
    assert_eq!(state(&gateway, "evt_1").await, "done");
}

#[tokio::test]
async fn every_dead_event_is_redriven_by_one_word_and_a_dry_run_tells_before() {
    let (gateway, target) = with_dead(&["evt_1", "evt_2", "evt_3"]).await;
    let told = all(&gateway, "redrive", json!({ "state": "dead", "dry_run": true })).await;
    let ids: Vec<&str> = told["events"].as_array().unwrap().iter().map(|event| event["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["evt_1", "evt_2", "evt_3"]);
    let key = gateway.event("stripe", "evt_1").await["key"].clone();
    let expected = json!({
        "v": 1, "key": key, "source": "stripe", "event_id": "evt_1", "event_type": "invoice.paid", "state": "dead", "tasks": 1,
        "skipped": null,
    });
    assert_eq!(told["events"][0], expected);
    assert_eq!(target.count(), 3, "nothing was changed");
    assert_eq!(state(&gateway, "evt_1").await, "dead");
    let done = all(&gateway, "redrive", json!({ "state": "dead" })).await;
    let expected = json!({ "v": 1, "dry_run": false, "matched": 3, "changed": 3, "tasks": 3, "skipped": {}, "next": null });
    assert_eq!(done, expected);
    for _ in 0..3 {
        assert_eq!(gateway.attempt().await.attempt, 2);
    }
    assert_eq!(all(&gateway, "redrive", json!({ "state": "dead" })).await["matched"], 0);
    assert_eq!(target.count(), 6);
}

#[tokio::test]
async fn a_cursor_goes_on_where_the_answer_ended() {
    let (gateway, _target) = with_dead(&["evt_1", "evt_2", "evt_3"]).await;
    let first = all(&gateway, "discard", json!({ "state": "dead", "limit": 2, "reason": "x", "by": "ada" })).await;
    assert_eq!((&first["matched"], &first["tasks"]), (&json!(2), &json!(2)));
    assert_eq!(state(&gateway, "evt_3").await, "dead");
    let body = json!({ "state": "dead", "limit": 2, "reason": "x", "by": "ada", "cursor": first["next"] });
    let second = all(&gateway, "discard", body).await;
    assert_eq!((&second["tasks"], &second["next"]), (&json!(1), &Value::Null));
    assert_eq!(state(&gateway, "evt_3").await, "done");
}

#[tokio::test]
async fn an_event_without_a_body_is_passed_over_and_the_rest_is_redriven() {
    let (gateway, _target) = with_dead(&["evt_1", "evt_2", "evt_3"]).await;
    let purge = "DELETE FROM payload WHERE event = (SELECT id FROM event WHERE event_id = 'evt_2')";
    assert_eq!(gateway.beside().execute(purge, []).expect("the table is there"), 1);
    let done = all(&gateway, "redrive", json!({ "source": "stripe", "list": true })).await;
    assert_eq!((&done["changed"], &done["skipped"]), (&json!(2), &json!({ "body-purged": 1 })));
    assert_eq!((&done["events"][1]["tasks"], &done["events"][1]["skipped"]), (&json!(0), &json!("body-purged")));
    gateway.attempt().await;
    gateway.attempt().await;
    assert_eq!(state(&gateway, "evt_2").await, "dead");
}

#[tokio::test]
async fn all_tasks_of_a_vanished_handler_are_moved_by_its_name_alone() {
    let old = Target::start([Reply::status(410), Reply::status(500)]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("old", &old.url(), "timeout = \"10s\""))).await;
    for id in ["dead", "waits", "done"] {
        gateway.accept(id, "invoice.paid").await;
        gateway.attempt().await;
    }
    let new = Target::start([]).await;
    let gateway = Gateway::start_in(gateway.stop().await, &format!("{SOURCES}{}", handler("new", &new.url(), ""))).await;
    let stuck = all(&gateway, "redrive", json!({ "state": "dead" })).await;
    assert_eq!(stuck["skipped"], json!({ "handler-vanished": 1 }), "nobody would be called");
    let unknown = post(&gateway, "events/redrive", &json!({ "handler": "old", "to_handler": "nobody" })).await;
    assert_eq!((unknown.status, problem(&unknown).as_str()), (404, "unknown-handler"));
    let moved = all(&gateway, "redrive", json!({ "handler": "old", "to_handler": "new" })).await;
    assert_eq!((&moved["matched"], &moved["tasks"], &moved["skipped"]), (&json!(2), &json!(2), &json!({})));
    for _ in 0..2 {
        assert_eq!(gateway.attempt().await.handler.as_str(), "new");
    }
    for id in ["dead", "waits"] {
        assert_eq!(gateway.event("stripe", id).await["tasks"][0]["handler"], "new", "{id}");
    }
    assert_eq!(gateway.event("stripe", "done").await["tasks"][0]["handler"], "old", "what it did it did");
    assert_eq!(all(&gateway, "redrive", json!({ "handler": "old", "to_handler": "new" })).await["tasks"], 0);
    assert_eq!((old.count(), new.count()), (3, 2));
}

#[tokio::test]
async fn waiting_tasks_of_a_vanished_handler_are_discarded_without_force() {
    let old = Target::start([Reply::status(500)]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("old", &old.url(), "timeout = \"10s\""))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    let by_handler = json!({ "handler": "old", "reason": "x", "by": "ada" });
    assert_eq!(all(&gateway, "discard", by_handler.clone()).await["tasks"], 0, "while it is there, it waits for a call");
    let new = Target::start([]).await;
    let gateway = Gateway::start_in(gateway.stop().await, &format!("{SOURCES}{}", handler("new", &new.url(), ""))).await;
    assert_eq!(all(&gateway, "discard", by_handler).await["tasks"], 1);
    assert_eq!(state(&gateway, "evt_1").await, "done");
    gateway.clock.advance(Duration::from_secs(86_400));
    gateway.write_log().await;
    assert_eq!((old.count(), new.count()), (1, 0));
}

#[tokio::test]
async fn what_a_source_ignores_is_handed_to_nobody_by_a_filter() {
    let home = Gateway::start(&SOURCES.replace("[sources.github]", "ignore = [\"ping\"]\n\n[sources.github]")).await;
    home.accept("ignored", "ping").await;
    home.accept("unwanted", "invoice.paid").await;
    let target = Target::start([]).await;
    let tables = handler("all", &target.url(), "");
    let gateway = Gateway::start_in(home.stop().await, &format!("{SOURCES}{tables}")).await;
    let done = all(&gateway, "redrive", json!({ "source": "stripe", "list": true })).await;
    assert_eq!((&done["matched"], &done["events"][0]["event_id"]), (&json!(1), &json!("unwanted")));
    gateway.attempt().await;
    assert_eq!(all(&gateway, "redrive", json!({ "source": "stripe", "type": "ping", "force": true })).await["tasks"], 1);
    gateway.attempt().await;
    assert_eq!(target.count(), 2);
}

#[tokio::test]
async fn a_deed_by_filter_that_cannot_be_understood_is_400_and_names_the_field() {
    let (gateway, _target) = with_dead(&["evt_1"]).await;
    let cases = [
        ("redrive", json!({}), "`state`"),
        ("redrive", json!({ "force": true, "to_handler": "billing" }), "`state`"),
        ("redrive", json!({ "state": "deed" }), "`state`"),
        ("redrive", json!({ "source": "Not A Name" }), "`source`"),
        ("redrive", json!({ "event_id": "" }), "`event_id`"),
        ("redrive", json!({ "type": "" }), "`type`"),
        ("redrive", json!({ "handler": "NO" }), "`handler`"),
        ("redrive", json!({ "since": "yesterday" }), "`since`"),
        ("redrive", json!({ "state": "dead", "to_handler": "NO" }), "`to_handler`"),
        ("redrive", json!({ "state": "dead", "limit": 0 }), "`limit`"),
        ("redrive", json!({ "state": "dead", "limit": 10_001 }), "`limit`"),
        ("redrive", json!({ "state": "dead", "cursor": "7" }), "`cursor`"),
        ("redrive", json!({ "state": "dead", "verdict": "first" }), "`verdict`"),
        ("redrive", json!({ "state": "dead", "reason": "x" }), "`reason`"),
        ("discard", json!({ "state": "dead" }), "`reason`"),
        ("discard", json!({ "state": "dead", "reason": "x" }), "`by`"),
        ("discard", json!({ "reason": "x", "by": "ada" }), "`state`"),
        ("discard", json!({ "state": "dead", "reason": "x", "by": "ada", "to_handler": "billing" }), "`to_handler`"),
    ];
    for (verb, body, name) in cases {
        let answer = post(&gateway, &format!("events/{verb}"), &body).await;
        assert_eq!((answer.status, problem(&answer).as_str()), (400, "bad-request"), "{verb} {body}");
        assert!(answer.json()["title"].as_str().unwrap().contains(name), "{verb} {body}: {}", answer.text());
    }
    assert_eq!(state(&gateway, "evt_1").await, "dead");
    for verb in ["redrive", "discard"] {
        let answer = gateway.ask("GET", &format!("/api/v1/events/{verb}"), &Fields::new(), b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{verb}");
    }
}

#[tokio::test]
async fn the_counts_of_the_api_have_every_field() {
    let (gateway, _target) = with_dead(&["evt_1"]).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.write_log().await;
    let stats = gateway.get("stats").await;
    let none = json!({ "first": 0, "duplicate": 0, "conflict": 0, "rejected": 0, "handshake": 0 });
    let expected = json!({
        "v": 1,
        "sources": [
            { "v": 1, "source": "github", "provider": "github", "events": { "accepted": 0, "done": 0, "dead": 0 },
              "deliveries": none, "oldest_dead_at": null, "oldest_waiting_at": null },
            { "v": 1, "source": "stripe", "provider": "stripe", "events": { "accepted": 0, "done": 0, "dead": 1 },
              "deliveries": { "first": 1, "duplicate": 1, "conflict": 0, "rejected": 0, "handshake": 0 },
              "oldest_dead_at": "2026-01-01T00:00:00.000Z", "oldest_waiting_at": null },
        ],
        "handlers": [
            { "v": 1, "handler": "billing", "tasks": { "waiting": 0, "running": 0, "done": 0, "dead": 1, "discarded": 0 },
              "attempts": 1, "unhandled": false },
        ],
        "dropped": 0,
        "log_since": "2026-01-01T00:00:00.000Z",
    });
    assert_eq!(stats, expected);
    let later = gateway.get("stats?since=2026-01-01T00:00:01Z&source=stripe").await;
    assert_eq!((later["sources"].as_array().unwrap().len(), &later["sources"][0]["deliveries"]), (1, &none));
    for (query, status) in [("source=nobody", 404), ("source=NO", 400), ("since=x", 400), ("until=x", 400)] {
        let answer = gateway.ask("GET", &format!("/api/v1/stats?{query}"), &Fields::new(), b"").await;
        assert_eq!(answer.status, status, "{query}");
        problem(&answer);
        assert!(!answer.text().contains("event"), "it is asked of a source: {}", answer.text());
    }
}
