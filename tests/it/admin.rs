//! The admin listener: who may ask, and what is told.

use std::time::Duration;

use serde_json::{Value, json};

use crate::helpers::gateway::{Gateway, SOURCES, handler, problem, stripe_body};
use crate::helpers::http::{self, Connection};
use crate::helpers::sender::{Fields, fields};
use crate::helpers::target::{Reply, Target};

const PATHS: [&str; 6] = [
    "/healthz",
    "/readyz",
    "/api/v1/deliveries",
    "/api/v1/events?source=stripe&event_id=evt_1",
    "/api/v1/events/019b0000-0000-7000-8000-000000000000",
    "/nothing/here",
];

async fn status(gateway: &Gateway, path: &str, with: &[(&str, &str)]) -> u16 {
    let answer = gateway.ask("GET", path, &fields(with), b"").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    answer.status
}

fn ids(page: &Value) -> Vec<String> {
    let rows = page["deliveries"].as_array().expect("a list");
    rows.iter().map(|row| row["event_id"].as_str().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn only_the_listeners_own_names_are_taken_without_a_token() {
    let gateway = Gateway::start(SOURCES).await;
    let port = gateway.admin.port();
    for host in ["localhost", "LocalHost:1", "127.0.0.1", &format!("127.0.0.1:{port}"), "[::1]:80"] {
        for path in ["/healthz", "/readyz", "/api/v1/deliveries"] {
            assert_eq!(status(&gateway, path, &[("Host", host)]).await, 200, "{host} {path}");
        }
    }
    for host in
        ["evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "", "localhost@evil"]
    {
        for path in PATHS {
            let answer = gateway.ask("GET", path, &fields(&[("Host", host)]), b"").await;
            assert_eq!((answer.status, problem(&answer).as_str()), (403, "unknown-host"), "{host} {path}");
        }
    }
}

#[tokio::test]
async fn a_page_of_another_origin_may_not_ask() {
    let gateway = Gateway::start(SOURCES).await;
    let host = gateway.admin.to_string();
    let own = format!("http://{host}");
    assert_eq!(status(&gateway, "/api/v1/deliveries", &[("Host", &host), ("Origin", &own)]).await, 200);
    for origin in ["https://evil.example", "http://127.0.0.1:1", "null", "", "file://", &format!("{own}.evil.example")] {
        for path in PATHS {
            let answer = gateway.ask("GET", path, &fields(&[("Host", &host), ("Origin", origin)]), b"").await;
            assert_eq!((answer.status, problem(&answer).as_str()), (403, "foreign-origin"), "{origin} {path}");
        }
    }
}

#[tokio::test]
async fn with_a_token_all_but_the_probes_need_it() {
    let gateway = Gateway::start(&format!("[admin]\ntoken = {{ literal = \"s3cret-token\" }}\n{SOURCES}")).await;
    for path in PATHS {
        let probe = matches!(path, "/healthz" | "/readyz");
        for wrong in [
            None,
            Some("Bearer s3cret-toke"),
            Some("Bearer s3cret-tokens"),
            Some("Bearer "),
            Some("Basic s3cret-token"),
            Some("s3cret-token"),
        ] {
            let with = wrong.map_or_else(Fields::new, |value| fields(&[("Authorization", value)]));
            let answer = gateway.ask("GET", path, &with, b"").await;
            assert_eq!(answer.status, if probe { 200 } else { 401 }, "{path} {wrong:?}");
            if !probe {
                assert_eq!(problem(&answer), "token-needed");
            }
        }
    }
    let token = [("Authorization", "Bearer s3cret-token")];
    assert_eq!(status(&gateway, "/api/v1/deliveries", &token).await, 200);
    assert_eq!(status(&gateway, "/nothing/here", &token).await, 404);
    assert_eq!(status(&gateway, "/api/v1/deliveries", &[token[0], ("Host", "hooks.example.com")]).await, 200, "any name will do");
    let redrive = gateway.ask("POST", "/api/v1/events/019b0000-0000-7000-8000-000000000000/redrive", &Fields::new(), b"").await;
    assert_eq!(redrive.status, 401);
}

#[tokio::test]
async fn the_admin_api_is_not_on_the_public_listener_nor_hooks_on_the_admin_one() {
    let gateway = Gateway::start(SOURCES).await;
    for path in ["/api/v1/deliveries", "/readyz", "/metrics", "/"] {
        let answer = gateway.send(&http::request("GET", path, &Fields::new(), b"")).await;
        assert_eq!((answer.status, problem(&answer).as_str()), (404, "not-found"), "{path}");
    }
    assert_eq!(gateway.send(&http::request("GET", "/healthz", &Fields::new(), b"")).await.status, 200);
    let answer = http::exchange(gateway.admin, &gateway.stripe(&stripe_body("evt_1", "invoice.paid"))).await;
    assert_eq!(answer.status, 404);
    assert_eq!(gateway.rows("event"), 0);
}

#[tokio::test]
async fn readyz_says_that_claims_are_taken() {
    let gateway = Gateway::start(SOURCES).await;
    let answer = gateway.ask("GET", "/readyz", &Fields::new(), b"").await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "ready": true })));
}

#[tokio::test]
async fn a_delivery_in_the_listing_has_every_field_of_the_contract() {
    let target = Target::start([]).await;
    let gateway = Gateway::start(&format!("{SOURCES}{}", handler("billing", &target.url(), ""))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    gateway.accept("evt_1", "invoice.paid").await;
    let mut first = gateway.deliveries().await[1].clone();
    let key = gateway.event("stripe", "evt_1").await["key"].clone();
    assert_eq!(first["delivery_id"], key);
    assert!(first["duration_us"].is_u64(), "{first}");
    for own in ["delivery_id", "duration_us"] {
        first.as_object_mut().unwrap().remove(own);
    }
    let expected = json!({
        "v": 1, "received_at": "2026-01-01T00:00:00.000Z", "source": "stripe", "provider": "stripe", "event_id": "evt_1",
        "event_type": "invoice.paid", "verdict": "first", "status": 200, "state": "done", "duplicates": 1, "attempts": 1,
        "reason": null, "body_differs": false, "signature_seen_before": false,
    });
    assert_eq!(first, expected);
}

#[tokio::test]
async fn pages_are_newest_first_and_together_the_whole() {
    let gateway = Gateway::start(SOURCES).await;
    for n in 0..7 {
        gateway.accept(&format!("evt_{n}"), "invoice.paid").await;
    }
    gateway.write_log().await;
    let mut seen = Vec::new();
    let mut path = "deliveries?limit=3".to_owned();
    let mut sizes = Vec::new();
    loop {
        let page = gateway.get(&path).await;
        let rows = ids(&page);
        sizes.push(rows.len());
        seen.extend(rows);
        match page["next"].as_str() {
            Some(next) => path = format!("deliveries?limit=3&before={next}"),
            None => break,
        }
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(seen, (0..7).rev().map(|n| format!("evt_{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_page_that_holds_just_all_has_no_next() {
    let gateway = Gateway::start(SOURCES).await;
    for n in 0..3 {
        gateway.accept(&format!("evt_{n}"), "invoice.paid").await;
    }
    gateway.write_log().await;
    let page = gateway.get("deliveries?limit=3").await;
    assert_eq!((ids(&page).len(), &page["next"]), (3, &Value::Null));
}

#[tokio::test]
async fn a_follower_gets_what_came_after_oldest_first() {
    let gateway = Gateway::start(SOURCES).await;
    for n in 0..5 {
        gateway.accept(&format!("evt_{n}"), "invoice.paid").await;
    }
    let all = gateway.deliveries().await;
    let second = all[3]["delivery_id"].as_str().unwrap();
    assert_eq!(ids(&gateway.get(&format!("deliveries?after={second}")).await), ["evt_2", "evt_3", "evt_4"]);
    assert_eq!(ids(&gateway.get(&format!("deliveries?after={second}&limit=2")).await), ["evt_2", "evt_3"]);
    let newest = all[0]["delivery_id"].as_str().unwrap();
    assert_eq!(ids(&gateway.get(&format!("deliveries?after={newest}")).await), Vec::<String>::new());
}

#[tokio::test]
async fn every_filter_takes_its_rows_alone() {
    let target = Target::start([Reply::status(410)]).await;
    let table = handler("billing", &target.url(), "events = [\"invoice.*\"]");
    let gateway = Gateway::start(&format!("{SOURCES}{table}")).await;
    gateway.accept("dead", "invoice.paid").await;
    gateway.attempt().await;
    gateway.accept("done", "invoice.voided").await;
    gateway.attempt().await;
    gateway.accept("none", "charge.refunded").await;
    gateway.clock.advance(Duration::from_secs(60));
    gateway.send(&gateway.github("hub", "push", b"{}")).await;
    gateway.accept("done", "invoice.voided").await;
    gateway.send(&http::request("POST", "/hooks/github", &Fields::new(), b"{}")).await;
    gateway.write_log().await;
    let cases: [(&str, &[&str]); 16] = [
        ("source=github", &["-", "hub"]),
        ("source=stripe&verdict=first", &["none", "done", "dead"]),
        ("verdict=duplicate", &["done"]),
        ("verdict=rejected", &["-"]),
        ("verdict=conflict", &[]),
        ("state=dead", &["dead"]),
        ("state=done&verdict=first", &["hub", "none", "done"]),
        ("state=accepted", &[]),
        ("type=invoice.*", &["done", "done", "dead"]),
        ("type=invoice", &["done", "done", "dead"]),
        ("type=*", &["done", "hub", "none", "done", "dead"]),
        ("handler=billing&verdict=first", &["done", "dead"]),
        ("handler=nobody", &[]),
        ("event_id=hub", &["hub"]),
        ("since=2026-01-01T00:01:00Z", &["-", "done", "hub"]),
        ("since=2026-01-01T00:01:00Z&source=stripe", &["done"]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&gateway.get(&format!("deliveries?{query}")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_understood_is_400_and_names_the_parameter() {
    let gateway = Gateway::start(SOURCES).await;
    let cases = [
        ("deliveries?limit=0", "limit"),
        ("deliveries?limit=1001", "limit"),
        ("deliveries?limit=many", "limit"),
        ("deliveries?limit=-1", "limit"),
        ("deliveries?before=yesterday", "before"),
        ("deliveries?after=1", "after"),
        ("deliveries?since=yesterday", "since"),
        ("deliveries?verdict=frist", "verdict"),
        ("deliveries?state=gone", "state"),
        ("deliveries?source=Not%20A%20Name", "source"),
        ("deliveries?handler=NO", "handler"),
        ("deliveries?event_id=", "event_id"),
        ("deliveries?sorce=stripe", "sorce"),
        ("deliveries?source=a&source=b", "source"),
        ("events", "event_id"),
        ("events?source=stripe", "event_id"),
        ("events?delivery_id=7", "delivery_id"),
        ("events?colour=red", "colour"),
    ];
    for (path, name) in cases {
        let answer = gateway.ask("GET", &format!("/api/v1/{path}"), &Fields::new(), b"").await;
        assert_eq!((answer.status, problem(&answer).as_str()), (400, "bad-query"), "{path}");
        assert!(answer.json()["title"].as_str().unwrap().contains(&format!("`{name}`")), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn every_refusal_of_the_admin_listener_is_problem_json() {
    let gateway = Gateway::start(SOURCES).await;
    let nobody = "019b0000-0000-7000-8000-000000000000";
    let cases = [
        ("GET", "/api/v1/nothing".to_owned(), 404),
        ("GET", format!("/api/v1/events/{nobody}"), 404),
        ("GET", format!("/api/v1/events/{nobody}/body"), 404),
        ("GET", format!("/api/v1/deliveries/{nobody}"), 404),
        ("GET", "/api/v1/events/not-a-uuid".to_owned(), 404),
        ("GET", "/api/v1/events/not-a-uuid/body".to_owned(), 404),
        ("GET", "/api/v1/deliveries/not-a-uuid".to_owned(), 404),
        ("POST", "/api/v1/events/not-a-uuid/redrive".to_owned(), 404),
        ("POST", "/api/v1/deliveries".to_owned(), 405),
        ("DELETE", format!("/api/v1/events/{nobody}"), 405),
        ("GET", format!("/api/v1/events/{nobody}/redrive"), 405),
    ];
    for (method, path, status) in cases {
        let answer = gateway.ask(method, &path, &Fields::new(), b"").await;
        assert_eq!(answer.status, status, "{method} {path}");
        problem(&answer);
        let allow = (status == 405).then_some(if path.ends_with("redrive") { "POST" } else { "GET" });
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    let path = format!("/api/v1/events/{nobody}/redrive");
    let answer = gateway.ask("POST", &path, &Fields::new(), &vec![b' '; 1 << 20]).await;
    assert_eq!((answer.status, problem(&answer).as_str()), (400, "bad-request"), "longer than anything that could be asked");
}

#[tokio::test]
async fn an_events_body_is_its_exact_bytes_and_nothing_that_a_browser_runs() {
    let gateway = Gateway::start(SOURCES).await;
    let body: Vec<u8> = b"<script>alert(1)</script>\0\xff\xfe".iter().copied().chain(0..=255).collect();
    gateway.send(&gateway.github("one", "push", &body)).await;
    let event = gateway.event("github", "one").await;
    let key = event["key"].as_str().unwrap();
    let answer = gateway.ask("GET", &format!("/api/v1/events/{key}/body"), &Fields::new(), b"").await;
    assert_eq!((answer.status, &answer.body), (200, &body));
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.header("content-disposition").is_some_and(|value| value.starts_with("attachment")));
    let digest = crate::helpers::sender::hex_text(ring::digest::digest(&ring::digest::SHA256, &body).as_ref());
    assert_eq!((&event["body_sha256"], &event["body_bytes"]), (&json!(digest), &json!(body.len())));
    gateway.beside().execute("DELETE FROM payload", []).expect("the table is there");
    let answer = gateway.ask("GET", &format!("/api/v1/events/{key}/body"), &Fields::new(), b"").await;
    assert_eq!((answer.status, problem(&answer).as_str()), (409, "body-purged"));
    assert_eq!(gateway.event("github", "one").await["body_kept"], false);
}

#[tokio::test]
async fn an_event_is_found_by_its_names() {
    let gateway = Gateway::start(SOURCES).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.clock.advance(Duration::from_secs(1));
    gateway.accept("evt_1", "invoice.paid").await;
    let repeat = gateway.deliveries().await[0]["delivery_id"].as_str().unwrap().to_owned();
    let by_pair = gateway.event("stripe", "evt_1").await;
    let key = by_pair["key"].as_str().unwrap();
    for path in ["events?event_id=evt_1".to_owned(), format!("events?delivery_id={key}"), format!("events?delivery_id={repeat}")]
    {
        assert_eq!(gateway.get(&path).await["events"], json!([by_pair]), "{path}");
    }
    assert_eq!(gateway.get(&format!("events/{key}")).await, by_pair);
    assert_eq!(gateway.get(&format!("deliveries/{repeat}")).await["verdict"], "duplicate");
    assert_eq!(gateway.get("events?event_id=evt_2").await["events"], json!([]));
    gateway.send(&gateway.github("evt_1", "push", b"{}")).await;
    let answer = gateway.ask("GET", "/api/v1/events?event_id=evt_1", &Fields::new(), b"").await;
    assert_eq!((answer.status, problem(&answer).as_str()), (409, "ambiguous-id"));
}

#[tokio::test]
async fn a_first_is_listed_though_the_log_has_lost_its_row() {
    let gateway = Gateway::start(SOURCES).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.write_log().await;
    gateway.beside().execute("DELETE FROM delivery", []).expect("the table is there");
    let log = gateway.deliveries().await;
    assert_eq!(log.len(), 1);
    assert_eq!((&log[0]["verdict"], &log[0]["event_id"]), (&json!("first"), &json!("evt_1")));
}

#[tokio::test]
async fn a_connection_is_kept_from_one_question_to_the_next() {
    let gateway = Gateway::start(SOURCES).await;
    let mut connection = Connection::to(gateway.admin).await;
    for _ in 0..3 {
        connection.send(&http::request("GET", "/healthz", &Fields::new(), b"")).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok\n"));
    }
}
