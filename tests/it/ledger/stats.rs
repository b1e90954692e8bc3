//! Counts by source and by handler.

use hookgate::ledger::{LedgerError, Redrive, Settlement};
use hookgate::model::{Reason, StatsReport, Timestamp, Verdict};

use crate::helpers::evidence::{BEGIN, source};
use crate::helpers::store::{Stand, discard, note, pair};

super::promises! {
    events_are_counted_by_where_they_stand,
    tasks_and_calls_are_counted_by_handler,
    deliveries_are_counted_as_far_as_the_log_reaches,
    since_and_source_leave_out_the_rest,
}

const DEAD: Settlement = Settlement::Dead(Reason::AttemptsExhausted);

async fn all(stand: &Stand) -> StatsReport {
    stand.store.stats(None, None).await.expect("counts")
}

async fn end(stand: &Stand, handler_name: &str, settlement: Settlement) {
    let lease = stand.lease_one(handler_name).await;
    stand.settle(lease, settlement).await;
}

/// Two dead events, one of them with a task that waits, one that is done, one without a handler, one discarded.
async fn story(stand: &Stand) {
    stand.claim("dead", 1, &["mail"]).await;
    end(stand, "mail", DEAD).await;
    stand.claim("half", 2, &["mail", "audit"]).await;
    end(stand, "mail", DEAD).await;
    stand.claim("done", 3, &["mail"]).await;
    end(stand, "mail", Settlement::Done).await;
    stand.claim("bare", 4, &[]).await;
    stand.claim("over", 5, &["mail"]).await;
    end(stand, "mail", DEAD).await;
    stand.store.discard(pair("over"), discard(None, false, &[])).await.expect("a discard");
}

async fn events_are_counted_by_where_they_stand(stand: Stand) {
    story(&stand).await;
    let stats = all(&stand).await;
    assert_eq!(stats.sources.len(), 1);
    let shop = &stats.sources[0];
    assert_eq!((shop.source.as_str(), shop.provider.as_str()), ("shop", "stripe"));
    assert_eq!((shop.events.accepted, shop.events.done, shop.events.dead), (1, 3, 1));
    assert_eq!(shop.oldest_dead_at, Some(Timestamp(BEGIN.0 + 1)));
    assert_eq!(shop.oldest_waiting_at, Some(Timestamp(BEGIN.0 + 2)));
}

async fn tasks_and_calls_are_counted_by_handler(stand: Stand) {
    story(&stand).await;
    assert_eq!(stand.redrive("dead", Redrive::default()).await, Ok(1));
    let _lease = stand.lease_one("audit").await;
    let mut stats = all(&stand).await;
    let told = |stats: &StatsReport| -> Vec<(String, [u64; 6], bool)> {
        let counts = |handler: &hookgate::model::HandlerStats| {
            let tasks = handler.tasks;
            [tasks.waiting, tasks.running, tasks.done, tasks.dead, tasks.discarded, handler.attempts]
        };
        stats.handlers.iter().map(|handler| (handler.handler.to_string(), counts(handler), handler.unhandled)).collect()
    };
    assert_eq!(told(&stats), [("audit".into(), [0, 1, 0, 0, 0, 1], false), ("mail".into(), [1, 0, 1, 1, 1, 4], false)]);
    stats.complete(&[crate::helpers::evidence::handler("mail"), crate::helpers::evidence::handler("idle")]);
    let expected =
        [("audit".into(), [0, 1, 0, 0, 0, 1], true), ("idle".into(), [0; 6], false), ("mail".into(), [1, 0, 1, 1, 1, 4], false)];
    assert_eq!(told(&stats), expected, "who has no handler now, and who never had a task");
}

async fn deliveries_are_counted_as_far_as_the_log_reaches(stand: Stand) {
    stand.claim("evt_1", 1, &[]).await;
    for (number, verdict) in [(1, Verdict::First), (2, Verdict::Duplicate), (3, Verdict::Duplicate), (4, Verdict::Rejected)] {
        stand.store.note(note(number, 1, "evt_1", verdict));
    }
    stand.lease("nobody", 1).await;
    let stats = all(&stand).await;
    let counts = stats.sources[0].deliveries;
    assert_eq!((counts.first, counts.duplicate, counts.conflict, counts.rejected, counts.handshake), (1, 2, 0, 1, 0));
    assert_eq!((stats.log_since, stats.dropped), (Some(Timestamp(BEGIN.0 + 1)), 0));
}

async fn since_and_source_leave_out_the_rest(stand: Stand) {
    story(&stand).await;
    for number in 1..=5 {
        stand.store.note(note(number, number, "any", Verdict::First));
    }
    stand.lease("nobody", 1).await;
    let since = stand.store.stats(None, Some(Timestamp(BEGIN.0 + 3))).await.expect("counts");
    let shop = &since.sources[0];
    assert_eq!((shop.events.accepted, shop.events.done, shop.events.dead, shop.deliveries.first), (0, 3, 0, 3));
    assert_eq!((shop.oldest_dead_at, shop.oldest_waiting_at), (None, None));
    let [audit, mail] = &since.handlers[..] else { panic!("each handler that ever had a task") };
    assert_eq!((audit.tasks.waiting, audit.attempts), (0, 0));
    assert_eq!((mail.tasks.done, mail.tasks.discarded, mail.attempts), (1, 1, 2));
    let own = stand.store.stats(Some(source("shop")), None).await.expect("counts");
    assert_eq!(own, all(&stand).await);
    assert_eq!(stand.store.stats(Some(source("nobody")), None).await, Err(LedgerError::NotFound));
}
