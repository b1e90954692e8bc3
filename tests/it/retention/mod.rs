//! Retention while a gateway runs: when it purges by itself, and when an operator says so.

mod command;
mod show;

use std::time::Duration;

use serde_json::json;

use crate::helpers::gateway::{Gateway, SOURCES, problem};
use crate::helpers::sender::Fields;

const QUIET: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Both sources, and this retention.
fn config(lines: &str) -> String {
    format!("{SOURCES}[retention]\n{lines}\n")
}

/// What is there of events and bodies.
fn kept(gateway: &Gateway) -> (i64, i64) {
    (gateway.rows("event"), gateway.rows("payload"))
}

/// Ready once the purger has looked after the last move of the clock, and rests.
async fn looked(gateway: &Gateway) {
    gateway.clock.sleeper(s(1), s(60)).await;
}

/// A gateway that has been up for so long that it purges.
async fn settled(lines: &str) -> Gateway {
    let gateway = Gateway::start(&config(lines)).await;
    gateway.clock.sleeper(QUIET, QUIET).await;
    gateway.clock.advance(QUIET);
    looked(&gateway).await;
    gateway
}

#[tokio::test]
async fn nothing_is_purged_in_the_first_ten_minutes_after_a_start() {
    let config = config("body_retention = \"0s\"");
    let mut home = None;
    for event in ["evt_1", "evt_2"] {
        let gateway = match home.take() {
            None => Gateway::start(&config).await,
            Some(home) => Gateway::start_in(home, &config).await,
        };
        gateway.accept(event, "invoice.paid").await;
        gateway.clock.advance(QUIET - s(1));
        gateway.clock.sleeper(s(1), s(1)).await;
        assert_eq!(gateway.rows("payload"), 1, "{event}");
        gateway.clock.advance(s(1));
        looked(&gateway).await;
        assert_eq!(gateway.rows("payload"), 0, "{event}");
        assert_eq!(gateway.accept(event, "invoice.paid").await.header("idempotent-replayed"), Some("true"));
        home = Some(gateway.stop().await);
    }
}

#[tokio::test]
async fn bodies_go_and_then_events_when_they_are_due() {
    let gateway = settled("body_retention = \"1h\"\ndedupe_retention = \"2h\"\nallow_short_retention = true").await;
    gateway.accept("evt_1", "invoice.paid").await;
    // It looks once a minute or when something is due, whichever is sooner.
    let pass_an_hour = async |is_kept| {
        for minute in 0..60 {
            assert_eq!(kept(&gateway), is_kept, "after {minute} minutes");
            gateway.clock.advance(s(60));
            looked(&gateway).await;
        }
    };
    pass_an_hour((1, 1)).await;
    assert_eq!(gateway.event("stripe", "evt_1").await["state"], "tombstone");
    pass_an_hour((1, 0)).await;
    assert_eq!(kept(&gateway), (0, 0));
}

#[tokio::test]
async fn after_a_forward_jump_of_more_than_an_hour_nothing_is_purged_for_ten_minutes() {
    let gateway = settled("body_retention = \"1h\"").await;
    gateway.accept("evt_1", "invoice.paid").await;
    let wall = hookgate::clock::Clock::wall(&*gateway.clock);
    gateway.clock.set_wall(wall.plus(HOUR + s(1)));
    gateway.clock.advance(s(60));
    gateway.clock.sleeper(QUIET, QUIET).await;
    assert_eq!(kept(&gateway), (1, 1), "by the clock it is old enough");
    // Somebody sets it right again.
    gateway.clock.set_wall(wall.plus(s(60)));
    gateway.clock.advance(QUIET);
    looked(&gateway).await;
    assert_eq!(kept(&gateway), (1, 1), "nothing is lost");
    gateway.clock.set_wall(wall.plus(3 * HOUR));
    gateway.clock.advance(s(60));
    gateway.clock.sleeper(QUIET, QUIET).await;
    gateway.clock.advance(QUIET);
    looked(&gateway).await;
    assert_eq!(kept(&gateway), (1, 0), "nobody did");
}

#[tokio::test]
async fn a_wall_clock_set_back_only_delays() {
    let gateway = settled("body_retention = \"10m\"").await;
    gateway.accept("evt_1", "invoice.paid").await;
    let wall = hookgate::clock::Clock::wall(&*gateway.clock);
    gateway.clock.set_wall(wall.minus(s(300)));
    for minute in 1..=15 {
        assert_eq!(kept(&gateway), (1, 1), "minute {minute}");
        gateway.clock.advance(s(60));
        looked(&gateway).await;
    }
    assert_eq!(kept(&gateway), (1, 0));
}

#[tokio::test]
async fn a_reload_changes_the_retention_at_once() {
    let gateway = settled("").await;
    gateway.accept("evt_1", "invoice.paid").await;
    assert_eq!(kept(&gateway), (1, 1));
    gateway.reload(&config("body_retention = \"0s\"")).await;
    // It has looked, and rests as shortly as it may; it was to look in a minute.
    gateway.clock.sleeper(s(1), s(1)).await;
    assert_eq!(kept(&gateway), (1, 0));
}

#[tokio::test]
async fn an_operator_purges_at_once_and_is_told_what() {
    let gateway = Gateway::start(&config("body_retention = \"0s\"")).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.accept("evt_2", "invoice.paid").await;
    gateway.accept("evt_2", "invoice.paid").await;
    gateway.write_log().await;
    let purge = async |body: &[u8]| gateway.ask("POST", "/api/v1/purge", &Fields::new(), body).await;
    let none = json!({ "v": 1, "bodies": 0, "events": 0, "deliveries": 0, "more": false });
    let first = purge(b"").await;
    assert_eq!((first.status, first.json()["bodies"].as_u64()), (200, Some(2)), "within the first ten minutes");
    assert_eq!(purge(b"{}").await.json(), none);
    // Not so that the purger hears of it.
    gateway.clock.set_wall(hookgate::clock::Clock::wall(&*gateway.clock).plus(s(35 * 86_400)));
    let all = json!({ "v": 1, "bodies": 0, "events": 2, "deliveries": 3, "more": false });
    assert_eq!(purge(b" ").await.json(), all);
    assert_eq!(kept(&gateway), (0, 0));
    for body in [&b"{\"dry_run\":true}"[..], b"[]", b"null", b"nonsense"] {
        let refused = purge(body).await;
        assert_eq!((refused.status, problem(&refused).as_str()), (400, "bad-request"));
    }
    assert_eq!(gateway.ask("GET", "/api/v1/purge", &Fields::new(), b"").await.status, 405);
}
