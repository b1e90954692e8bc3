//! More than there is room for: places, bytes, deliveries a second.

use std::time::Duration;

use super::assert_refused;
use crate::helpers::gateway::{ANSWER_DEADLINE, Gateway, SOURCES, problem, stripe_body};
use crate::helpers::http::{self, Connection};
use crate::helpers::sender::Fields;

/// A gateway with room for one request, the database that keeps that one waiting, and who sent it.
async fn with_the_one_place_taken() -> (Gateway, rusqlite::Connection, Connection) {
    let gateway = Gateway::start(&format!("[limits]\nin_flight = 1\nbody_deadline = \"3s\"\n{SOURCES}")).await;
    let other = gateway.held_database();
    let mut first = Connection::to(gateway.public).await;
    first.send(&gateway.stripe(&stripe_body("evt_1", "invoice.paid"))).await;
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    (gateway, other, first)
}

/// The head of a request of which not a byte of the body is sent.
fn head_of_stripe() -> Vec<u8> {
    let mut head = http::head("POST", "/hooks/stripe", &Fields::new());
    head.extend(b"Content-Length: 100\r\n\r\n");
    head
}

#[tokio::test]
async fn with_every_place_taken_a_sender_that_retries_gets_503_and_the_others_are_served_again_after() {
    let (gateway, other, mut first) = with_the_one_place_taken().await;
    let second = gateway.send(&gateway.stripe(&stripe_body("evt_2", "invoice.paid"))).await;
    assert_refused(&gateway, &second, 503, "overloaded").await;
    assert_eq!(second.header("retry-after"), Some("2"));
    other.execute_batch("ROLLBACK").expect("the lock is ours");
    assert_eq!(first.answer().await.status, 200, "who had the place is not harmed");
    gateway.accept("evt_2", "invoice.paid").await;
    assert_eq!(gateway.deliveries().await.len(), 2, "what was turned away for want of room is not logged");
}

#[tokio::test]
async fn with_every_place_taken_a_sender_that_retries_is_turned_away_before_its_body_is_read() {
    let (gateway, other, mut first) = with_the_one_place_taken().await;
    let mut second = Connection::to(gateway.public).await;
    second.send(&head_of_stripe()).await;
    assert_refused(&gateway, &second.answer().await, 503, "overloaded").await;
    other.execute_batch("ROLLBACK").expect("the lock is ours");
    assert_eq!(first.answer().await.status, 200);
}

#[tokio::test]
async fn with_no_place_before_the_store_a_sender_that_retries_is_turned_away_before_its_body_is_read() {
    let (gateway, balky) = Gateway::start_balky(SOURCES).await;
    balky.set_full(true);
    let mut sender = Connection::to(gateway.public).await;
    sender.send(&head_of_stripe()).await;
    assert_refused(&gateway, &sender.answer().await, 503, "overloaded").await;
    let waits = gateway.send(&gateway.github("one", "push", b"{}")).await;
    assert_eq!(waits.status, 200, "who does not come again is read, and waits for a place");
    balky.set_full(false);
    gateway.accept("evt_1", "invoice.paid").await;
}

#[tokio::test]
async fn who_does_not_retry_waits_for_a_place_before_its_body_is_read() {
    let (gateway, other, mut first) = with_the_one_place_taken().await;
    let mut second = Connection::to(gateway.public).await;
    second.send(&gateway.github("one", "push", b"{}")).await;
    gateway.clock.sleeper(Duration::from_secs(8), Duration::from_secs(8)).await;
    other.execute_batch("ROLLBACK").expect("the lock is ours");
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(second.answer().await.status, 200, "it had its turn");
}

#[tokio::test]
async fn who_does_not_retry_gets_503_once_the_answer_deadline_has_passed() {
    let gateway = Gateway::start(&format!("[limits]\nin_flight = 1\nbody_deadline = \"3s\"\n{SOURCES}")).await;
    let other = gateway.held_database();
    let mut first = Connection::to(gateway.public).await;
    first.send(&gateway.github("one", "push", b"{}")).await;
    gateway.clock.sleepers(1, Duration::from_secs(8), Duration::from_secs(8)).await;
    let mut second = Connection::to(gateway.public).await;
    second.send(&gateway.github("two", "push", b"{}")).await;
    gateway.clock.sleepers(2, Duration::from_secs(8), Duration::from_secs(8)).await;
    gateway.clock.advance(Duration::from_secs(8));
    assert_eq!(first.answer().await.status, 503);
    // The first one's place comes free in the same moment: the second finds it, too late for its body, or does not.
    assert!(matches!(second.answer().await.status, 503 | 408));
    other.execute_batch("ROLLBACK").expect("the lock is ours");
}

#[tokio::test]
async fn one_source_takes_half_of_the_byte_budget_and_another_still_answers() {
    let sources = SOURCES.replace("provider =", "body_limit = \"32KiB\"\nprovider =");
    let gateway = Gateway::start(&format!("[limits]\nbodies_in_hand = \"64KiB\"\nbody_deadline = \"3s\"\n{sources}")).await;
    let padded = |id: &str| format!("{{\"id\":\"{id}\",\"pad\":\"{}\"}}", "x".repeat(20 << 10)).into_bytes();
    let other = gateway.held_database();
    let mut first = Connection::to(gateway.public).await;
    first.send(&gateway.stripe(&padded("evt_1"))).await;
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    let second = gateway.send(&gateway.stripe(&padded("evt_2"))).await;
    assert_refused(&gateway, &second, 503, "overloaded").await;
    let mut third = Connection::to(gateway.public).await;
    third.send(&gateway.github("one", "push", &padded("x"))).await;
    gateway.clock.sleeper(Duration::from_secs(8), Duration::from_secs(8)).await;
    other.execute_batch("ROLLBACK").expect("the lock is ours");
    assert_eq!(third.answer().await.status, 200, "the other source has its own half");
    assert_eq!(first.answer().await.status, 200);
    let again = gateway.send(&gateway.stripe(&padded("evt_2"))).await;
    assert_eq!(again.status, 200, "the bytes were given back");
    let told = gateway.deliveries().await;
    assert!(told.iter().all(|row| row["verdict"] == "first"), "our want of room is counted, not logged: {told:?}");
}

#[tokio::test]
async fn a_body_that_still_waits_for_the_store_counts_though_its_sender_was_answered() {
    let sources = SOURCES.replace("provider =", "body_limit = \"32KiB\"\nprovider =");
    let config = format!("[limits]\nbodies_in_hand = \"64KiB\"\nbody_deadline = \"3s\"\n{sources}");
    let (gateway, store) = Gateway::start_balky(&config).await;
    let padded = |id: &str| format!("{{\"id\":\"{id}\",\"pad\":\"{}\"}}", "x".repeat(20 << 10)).into_bytes();
    store.keep_claims();
    let mut first = Connection::to(gateway.public).await;
    first.send(&gateway.stripe(&padded("evt_1"))).await;
    gateway.clock.sleeper(ANSWER_DEADLINE, ANSWER_DEADLINE).await;
    gateway.clock.advance(ANSWER_DEADLINE);
    assert_eq!(problem(&first.answer().await), "store-busy");
    let second = gateway.send(&gateway.stripe(&padded("evt_2"))).await;
    assert_refused(&gateway, &second, 503, "overloaded").await;
    store.release_claims();
    let third = gateway.send(&gateway.stripe(&padded("evt_3"))).await;
    assert_eq!(third.status, 200, "the bytes were given back: {}", third.text());
}

#[tokio::test]
async fn more_deliveries_a_second_than_the_source_takes_are_429_and_the_next_second_takes_again() {
    let sources = SOURCES.replacen("provider =", "rate_limit = 2\nprovider =", 1);
    let gateway = Gateway::start(&sources).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.accept("evt_2", "invoice.paid").await;
    let third = gateway.send(&gateway.stripe(&stripe_body("evt_3", "invoice.paid"))).await;
    assert_eq!((third.status, problem(&third).as_str(), third.header("retry-after")), (429, "rate-limited", Some("1")));
    assert_eq!(gateway.rows("event"), 2, "what is turned away becomes no event");
    let other = gateway.send(&gateway.github("one", "push", b"{}")).await;
    assert_eq!(other.status, 200, "another source has no such limit");
    gateway.clock.advance(Duration::from_secs(1));
    gateway.accept("evt_3", "invoice.paid").await;
}
