//! What listings show of deliveries, and what the log may lose.

use hookgate::ledger::{DeliveryFilter, EventName, Settlement};
use hookgate::model::{DeliveryPage, Digest, EventState, Verdict};

use crate::helpers::evidence::{BEGIN, delivery, event, handler, source};
use crate::helpers::store::{Stand, note, pair};

super::promises! {
    a_first_delivery_is_shown_also_where_the_log_lost_it,
    repeats_are_counted_over_the_log,
    a_page_says_how_to_get_the_next,
    a_follower_gets_what_is_newer_oldest_first,
    every_condition_must_hold,
    an_event_is_found_by_any_of_its_deliveries,
    the_same_signed_content_under_another_id_is_seen,
}

fn filter() -> DeliveryFilter {
    DeliveryFilter { limit: 10, ..DeliveryFilter::default() }
}

async fn page(stand: &Stand, filter: DeliveryFilter) -> DeliveryPage {
    stand.store.deliveries(filter).await.expect("a page")
}

async fn numbers(stand: &Stand, filter: DeliveryFilter) -> Vec<u128> {
    let base = delivery(0).0.as_u128();
    page(stand, filter).await.deliveries.iter().map(|row| row.delivery_id.0.as_u128() - base).collect()
}

/// Notes are written with the next group: this is one.
async fn written(stand: &Stand) {
    stand.lease("nobody", 1).await;
}

async fn a_first_delivery_is_shown_also_where_the_log_lost_it(stand: Stand) {
    stand.claim("evt_1", 1, &[]).await;
    stand.claim("evt_2", 2, &[]).await;
    stand.store.note(note(2, 2, "evt_2", Verdict::First));
    written(&stand).await;
    let page = page(&stand, filter()).await;
    let told: Vec<_> = page.deliveries.iter().map(|row| (row.delivery_id, row.verdict, row.status, row.duration_us)).collect();
    assert_eq!(told, [(delivery(2), Verdict::First, Some(202), Some(900)), (delivery(1), Verdict::First, None, None)]);
    assert_eq!(page.deliveries[0].reason.as_deref(), Some("no-handler"));
    assert_eq!(page.deliveries[1].provider, "stripe");
    assert_eq!((page.next, page.dropped, page.log_since.map(|time| time.0)), (None, 0, Some(BEGIN.0 + 2)));
}

async fn repeats_are_counted_over_the_log(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    let _lease = stand.lease_one("mail").await;
    stand.store.note(note(1, 1, "evt_1", Verdict::First));
    stand.store.note(note(2, 1, "evt_1", Verdict::Duplicate));
    stand.store.note(note(3, 1, "evt_1", Verdict::Conflict));
    written(&stand).await;
    let page = page(&stand, filter()).await;
    let told: Vec<_> = page.deliveries.iter().map(|row| (row.verdict, row.duplicates, row.attempts)).collect();
    assert_eq!(told, [(Verdict::Conflict, 2, 1), (Verdict::Duplicate, 2, 1), (Verdict::First, 2, 1)]);
    assert!(page.deliveries.iter().all(|row| row.state == Some(EventState::Accepted)));
    let of_event: Vec<_> = stand.report("evt_1").await.deliveries.iter().map(|row| row.delivery_id).collect();
    assert_eq!(of_event, [delivery(1), delivery(2), delivery(3)]);
}

async fn a_page_says_how_to_get_the_next(stand: Stand) {
    for number in 1..=5 {
        stand.claim(&format!("evt_{number}"), number, &[]).await;
        if number % 2 == 0 {
            stand.store.note(note(number, number, &format!("evt_{number}"), Verdict::First));
        }
    }
    written(&stand).await;
    let two = |before| DeliveryFilter { limit: 2, before, ..filter() };
    let first = page(&stand, two(None)).await;
    assert_eq!(first.next, Some(delivery(4)));
    let second = page(&stand, two(first.next)).await;
    assert_eq!(second.deliveries.iter().map(|row| row.delivery_id).collect::<Vec<_>>(), [delivery(3), delivery(2)]);
    let third = page(&stand, two(second.next)).await;
    assert_eq!((third.deliveries.len(), third.next), (1, None));
}

async fn a_follower_gets_what_is_newer_oldest_first(stand: Stand) {
    for number in 1..=4 {
        stand.claim(&format!("evt_{number}"), number, &[]).await;
    }
    assert_eq!(numbers(&stand, DeliveryFilter { after: Some(delivery(1)), limit: 2, ..filter() }).await, [2, 3]);
    assert_eq!(numbers(&stand, DeliveryFilter { after: Some(delivery(4)), ..filter() }).await, [0_u128; 0]);
}

async fn every_condition_must_hold(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    stand.claim("evt_2", 2, &[]).await;
    stand.store.note(note(3, 1, "evt_1", Verdict::Duplicate));
    let mut rejected = note(4, 1, "evt_1", Verdict::Rejected);
    (rejected.event, rejected.source, rejected.reason) = (None, source("other"), Some("signature-wrong"));
    stand.store.note(rejected);
    written(&stand).await;
    let all = || filter();
    assert_eq!(numbers(&stand, all()).await, [4, 3, 2, 1]);
    assert_eq!(numbers(&stand, DeliveryFilter { source: Some(source("shop")), ..all() }).await, [3, 2, 1]);
    assert_eq!(numbers(&stand, DeliveryFilter { source: Some(source("nope")), ..all() }).await, [0_u128; 0]);
    assert_eq!(numbers(&stand, DeliveryFilter { event_id: Some(event("evt_1")), ..all() }).await, [3, 1]);
    assert_eq!(numbers(&stand, DeliveryFilter { verdict: Some(Verdict::First), ..all() }).await, [2, 1]);
    assert_eq!(numbers(&stand, DeliveryFilter { verdict: Some(Verdict::Rejected), ..all() }).await, [4]);
    assert_eq!(numbers(&stand, DeliveryFilter { state: Some(EventState::Done), ..all() }).await, [2]);
    assert_eq!(numbers(&stand, DeliveryFilter { handler: Some(handler("mail")), ..all() }).await, [3, 1]);
    assert_eq!(
        numbers(&stand, DeliveryFilter { since: Some(hookgate::model::Timestamp(BEGIN.0 + 2)), ..all() }).await,
        [4, 3, 2]
    );
    for (pattern, expected) in [("order", vec![3, 2, 1]), ("order.*", vec![3, 2, 1]), ("ord", vec![]), ("*.paid", vec![3, 2, 1])]
    {
        let by_type = DeliveryFilter { event_type: Some(pattern.into()), ..all() };
        assert_eq!(numbers(&stand, by_type).await, expected, "{pattern}");
    }
    let both = DeliveryFilter { verdict: Some(Verdict::Duplicate), state: Some(EventState::Done), ..all() };
    assert_eq!(numbers(&stand, both).await, [0_u128; 0]);
}

async fn an_event_is_found_by_any_of_its_deliveries(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    stand.store.note(note(2, 1, "evt_1", Verdict::Duplicate));
    written(&stand).await;
    let lease = stand.lease_one("mail").await;
    stand.settle(lease, Settlement::Done).await;
    for name in [EventName::Delivery(delivery(1)), EventName::Delivery(delivery(2)), pair("evt_1")] {
        let report = stand.store.find(name).await.expect("a read").expect("it is there");
        assert_eq!((report.key, report.state), (delivery(1).0, EventState::Done));
    }
    assert_eq!(stand.store.find(EventName::Delivery(delivery(3))).await, Ok(None));
    assert_eq!(stand.store.body(EventName::Delivery(delivery(3))).await, Ok(None));
}

async fn the_same_signed_content_under_another_id_is_seen(stand: Stand) {
    let signed = |number: u64, id: &str, guard_replay| {
        let mut row = note(number, number, id, Verdict::First);
        (row.signed_digest, row.guard_replay) = (Some(Digest([7; 32])), guard_replay);
        row
    };
    for number in 1..=3 {
        stand.claim(&format!("evt_{number}"), number, &[]).await;
    }
    stand.store.note(signed(1, "evt_1", true));
    stand.store.note(signed(2, "evt_2", true));
    stand.store.note(signed(3, "evt_3", false));
    written(&stand).await;
    let seen: Vec<_> = page(&stand, filter()).await.deliveries.iter().map(|row| row.signature_seen_before).collect();
    assert_eq!(seen, [false, true, false], "newest first; the newest is not guarded");
}
