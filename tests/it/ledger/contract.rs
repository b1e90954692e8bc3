//! What every store promises of claims, leases, settlements and restarts.

use std::time::Duration;

use futures_util::future::join_all;
use hookgate::ledger::{Claim, EventName, Leased, LedgerError, Settled, Settlement, StoreState};
use hookgate::model::{EventState, Reason, TaskState, Timestamp};

use crate::helpers::evidence::{BEGIN, admitted, delivery, event, handler, plan, source};
use crate::helpers::store::{LEASE, PATIENCE, Stand};

super::promises! {
    one_of_many_claims_at_once_is_first,
    a_repeat_finds_the_first_ones_answer_whatever_came_between,
    the_parts_of_an_identity_do_not_run_together,
    an_event_without_a_handler_is_done_and_says_why,
    a_handler_is_told_everything_about_its_event,
    an_ended_lease_is_taken_over_and_its_attempt_is_lost,
    a_stale_lease_settles_nothing,
    a_restart_keeps_leases_their_full_length,
    a_restart_makes_no_task_wait_longer_than_its_delay,
    setting_the_wall_clock_moves_no_task,
    a_commit_wakes_its_handlers_and_nobody_else,
    the_longest_due_is_leased_first_and_the_next_is_told,
    no_source_waits_for_the_tasks_of_another,
    a_closed_store_takes_nothing,
    tasks_that_nobody_calls_are_counted,
}

async fn one_of_many_claims_at_once_is_first(stand: Stand) {
    let claims = (0..100).map(|number| stand.claim("evt_1", number, &["mail"]));
    let claims = join_all(claims).await;
    let firsts = claims.iter().filter(|claim| matches!(claim, Claim::First)).count();
    assert_eq!(firsts, 1);
    assert_eq!(stand.lease("mail", 10).await.work.len(), 1);
}

async fn a_repeat_finds_the_first_ones_answer_whatever_came_between(mut stand: Stand) {
    let first = stand.claim("evt_1", 1, &["mail"]).await;
    assert!(matches!(first, Claim::First));
    for number in 2..7 {
        match number {
            3 => {
                let _running = stand.lease_one("mail").await;
            }
            4 => stand.restart().await,
            5 => {
                stand.clock.advance(LEASE);
                let lease = stand.lease_one("mail").await;
                stand.settle(lease, Settlement::Dead(Reason::AttemptsExhausted)).await;
            }
            6 => {
                stand.redrive("evt_1", Default::default()).await.expect("a redrive");
                let lease = stand.lease_one("mail").await;
                stand.settle(lease, Settlement::Done).await;
            }
            _ => {}
        }
        let Claim::Found(found) = stand.claim("evt_1", number, &["other"]).await else { panic!("{number} is no first") };
        assert_eq!(found.key, delivery(1));
        assert_eq!(found.ack, plan("ack of 1", &[]).ack);
        assert_eq!(found.body_digest, admitted("shop", "evt_1", 1).body_digest());
    }
    let report = stand.report("evt_1").await;
    assert_eq!(report.state, EventState::Done);
    assert_eq!(report.tasks.len(), 1, "a repeat makes no task");
}

async fn the_parts_of_an_identity_do_not_run_together(stand: Stand) {
    let pairs = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a-b", "-c"), ("a", "B"), ("a", "b:c"), ("b", "b")];
    for (number, (source_name, id)) in (1..).zip(pairs) {
        let claim = stand.store.claim(admitted(source_name, id, number), plan("", &[]), PATIENCE).await;
        assert!(matches!(claim, Ok(Claim::First)), "{source_name} {id}");
    }
    let bare = stand.store.find(EventName::Bare(event("b"))).await;
    assert_eq!(bare.expect_err("two sources have it"), LedgerError::Ambiguous);
    let one = stand.store.find(EventName::Bare(event("B"))).await.expect("a read").expect("one source has it");
    assert_eq!((one.source, one.key), (source("a"), delivery(5).0));
    assert_eq!(stand.store.find(EventName::Bare(event("nope"))).await, Ok(None));
}

async fn an_event_without_a_handler_is_done_and_says_why(stand: Stand) {
    stand.claim("evt_1", 1, &[]).await;
    let report = stand.report("evt_1").await;
    assert_eq!((report.state, report.reason), (EventState::Done, Some(Reason::NoHandler)));
    assert_eq!(report.tasks, []);
}

async fn a_handler_is_told_everything_about_its_event(stand: Stand) {
    stand.claim("evt_1", 7, &["mail", "audit"]).await;
    let leased = stand.lease("mail", 5).await;
    assert_eq!(leased.next_due, Some(LEASE), "its own lease's end");
    let [work] = &leased.work[..] else { panic!("one task") };
    let evidence = admitted("shop", "evt_1", 7);
    assert_eq!((&work.source, &*work.provider), (&source("shop"), "stripe"));
    assert_eq!((&work.event_id, &*work.event_type), (&event("evt_1"), "order.paid"));
    assert_eq!((work.key, work.received_at), (delivery(7), Timestamp(BEGIN.0 + 7)));
    assert_eq!((work.attempt, work.tries, work.redrives), (1, 1, 0));
    assert_eq!((&work.headers, &work.body), (evidence.headers(), evidence.body()));
    assert_eq!(stand.store.body(EventName::Delivery(delivery(7))).await, Ok(Some(Some(evidence.body().clone()))));
    let report = stand.report("evt_1").await;
    assert_eq!((report.id_from.as_str(), report.check.as_str()), ("{body:/id}", "test"));
    assert_eq!((report.ack_status, report.body_bytes, report.body_kept), (202, 29, true));
    let tasks: Vec<_> = report.tasks.iter().map(|task| (task.handler.as_str(), task.state)).collect();
    assert_eq!(tasks, [("mail", TaskState::Running), ("audit", TaskState::Pending)]);
}

async fn an_ended_lease_is_taken_over_and_its_attempt_is_lost(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    let _first = stand.lease_one("mail").await;
    stand.clock.advance(LEASE - Duration::from_micros(1));
    let early = stand.lease("mail", 1).await;
    assert!(early.work.is_empty(), "the lease still stands");
    assert_eq!(early.next_due, Some(Duration::from_micros(1)));
    stand.clock.advance(Duration::from_micros(1));
    let mut second = stand.lease("mail", 1).await;
    assert_eq!((second.work[0].attempt, second.work[0].tries), (2, 2));
    assert_eq!(stand.settle(second.work.remove(0).lease, Settlement::Done).await, Settled::Recorded);
    let attempts = &stand.report("evt_1").await.tasks[0].attempts;
    let told: Vec<_> = attempts.iter().map(|attempt| (attempt.number, attempt.outcome.as_str(), attempt.duration_us)).collect();
    assert_eq!(told, [(1, "lost", None), (2, "answered", Some(5000))]);
    assert_eq!(attempts[0].started_at, BEGIN);
}

async fn a_stale_lease_settles_nothing(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    let stale = stand.lease_one("mail").await;
    stand.clock.advance(LEASE);
    let fresh = stand.lease_one("mail").await;
    assert_eq!(stand.settle(stale, Settlement::Dead(Reason::HandlerRefused)).await, Settled::LeaseLost);
    assert_eq!(stand.report("evt_1").await.tasks[0].state, TaskState::Running);
    assert_eq!(stand.settle(fresh, Settlement::RetryIn(Duration::from_secs(5))).await, Settled::Recorded);
    let task = &stand.report("evt_1").await.tasks[0];
    assert_eq!((task.state, task.reason), (TaskState::Pending, None));
    assert_eq!(task.due_at, Some(BEGIN.plus(LEASE + Duration::from_secs(5))));
    assert_eq!(task.attempts.len(), 2);
}

async fn a_restart_keeps_leases_their_full_length(mut stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    let lease = stand.lease_one("mail").await;
    stand.clock.advance(Duration::from_secs(3600));
    stand.clock.set_wall(BEGIN.minus(Duration::from_secs(3600)));
    stand.restart().await;
    assert_eq!(stand.lease("mail", 1).await.next_due, Some(LEASE), "its full length from the start");
    stand.clock.advance(LEASE - Duration::from_micros(1));
    assert!(stand.lease("mail", 1).await.work.is_empty());
    assert_eq!(stand.settle(lease, Settlement::Done).await, Settled::Recorded, "nobody has taken it over");
}

async fn a_restart_makes_no_task_wait_longer_than_its_delay(mut stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    let lease = stand.lease_one("mail").await;
    let delay = Duration::from_secs(600);
    stand.settle(lease, Settlement::RetryIn(delay)).await;
    stand.clock.set_wall(BEGIN.minus(Duration::from_secs(86_400)));
    stand.restart().await;
    assert_eq!(stand.lease("mail", 1).await.next_due, Some(delay), "a day was taken back");
    stand.clock.advance(Duration::from_secs(500));
    stand.restart().await;
    assert_eq!(stand.lease("mail", 1).await.next_due, Some(Duration::from_secs(100)), "what had passed has passed");
}

async fn setting_the_wall_clock_moves_no_task(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    let lease = stand.lease_one("mail").await;
    stand.clock.set_wall(BEGIN.plus(Duration::from_secs(86_400)));
    assert_eq!(stand.lease("mail", 1).await.next_due, Some(LEASE));
    stand.settle(lease, Settlement::RetryIn(Duration::from_secs(5))).await;
    stand.clock.set_wall(BEGIN.minus(Duration::from_secs(86_400)));
    assert_eq!(stand.lease("mail", 1).await.next_due, Some(Duration::from_secs(5)));
}

async fn a_commit_wakes_its_handlers_and_nobody_else(stand: Stand) {
    assert!(!stand.is_woken("mail").await);
    stand.claim("evt_1", 1, &["mail"]).await;
    assert!(stand.is_woken("mail").await, "the commit came first");
    assert!(!stand.is_woken("mail").await, "once");
    assert!(!stand.is_woken("audit").await);
    stand.claim("evt_1", 2, &["mail"]).await;
    assert!(!stand.is_woken("mail").await, "a repeat makes no task");
    let lease = stand.lease_one("mail").await;
    stand.settle(lease, Settlement::RetryIn(Duration::ZERO)).await;
    assert!(stand.is_woken("mail").await, "it is due earlier than its lease's end");
    let lease = stand.lease_one("mail").await;
    stand.settle(lease, Settlement::Dead(Reason::HandlerRefused)).await;
    assert!(!stand.is_woken("mail").await);
    stand.redrive("evt_1", Default::default()).await.expect("a redrive");
    assert!(stand.is_woken("mail").await);
}

async fn the_longest_due_is_leased_first_and_the_next_is_told(stand: Stand) {
    for (number, id) in (1..).zip(["evt_1", "evt_2", "evt_3"]) {
        stand.claim(id, number, &["mail"]).await;
        stand.clock.advance(Duration::from_secs(1));
    }
    let leased = stand.lease("mail", 2).await;
    let ids: Vec<_> = leased.work.iter().map(|work| work.event_id.as_str()).collect();
    assert_eq!(ids, ["evt_1", "evt_2"]);
    assert_eq!(leased.next_due, Some(Duration::ZERO), "one more is due now");
    let rest = stand.lease("mail", 2).await;
    assert_eq!(rest.work.len(), 1);
    assert_eq!(stand.lease("nobody", 2).await.next_due, None);
}

async fn a_closed_store_takes_nothing(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    stand.store.close().await;
    let claim = stand.store.claim(admitted("shop", "evt_2", 2), plan("", &[]), PATIENCE).await;
    assert!(matches!(claim, Err(LedgerError::Failed(_))));
    assert!(stand.store.lease_tasks(&handler("mail"), 1, LEASE).await.is_err());
    assert_eq!(stand.store.state(), StoreState::Ready, "closing is no failure");
}

async fn tasks_that_nobody_calls_are_counted(stand: Stand) {
    stand.claim("evt_1", 1, &["mail", "old"]).await;
    stand.claim("evt_2", 2, &["old", "older"]).await;
    let lease = stand.lease_one("older").await;
    stand.settle(lease, Settlement::Done).await;
    assert_eq!(stand.store.unhandled(vec![handler("mail")]).await, Ok(vec![(handler("old"), 2)]));
}

async fn no_source_waits_for_the_tasks_of_another(stand: Stand) {
    for number in 0..50 {
        stand.claim_of("flood", &format!("evt_{number}"), number, &["mail"]).await;
    }
    for (number, of) in (50..).zip(["calm", "quiet"]) {
        stand.claim_of(of, "evt_1", number, &["mail"]).await;
    }
    let sources = |leased: Leased| leased.work.iter().map(|work| work.source.to_string()).collect::<Vec<_>>();
    let mut first = sources(stand.lease("mail", 3).await);
    first.sort();
    assert_eq!(first, ["calm", "flood", "quiet"], "fifty are longer due than either");
    assert_eq!(sources(stand.lease("mail", 3).await), ["flood"; 3], "nobody else has work, so it gets every slot");
    stand.claim_of("calm", "evt_2", 60, &["mail"]).await;
    let next = [sources(stand.lease("mail", 1).await), sources(stand.lease("mail", 1).await)].concat();
    assert!(next.contains(&"calm".to_owned()), "one slot goes round: {next:?}");
}
