//! An operator ends what is left of an event.

use std::time::Duration;

use hookgate::ledger::{Discarded, LedgerError, Redrive, Settled, Settlement};
use hookgate::model::{EventReport, EventState, Reason};

use crate::helpers::store::{LEASE, Stand, discard, pair};

super::promises! {
    a_dead_task_is_discarded_with_who_and_why,
    what_waits_is_discarded_by_force_or_where_nobody_has_its_handler,
    a_running_task_refuses_and_nothing_is_discarded,
    a_running_task_of_a_handler_that_is_gone_can_be_ended_after_its_lease,
    a_running_task_of_a_handler_that_is_gone_can_be_moved_after_its_lease,
    an_event_is_done_once_nothing_of_it_is_open_or_dead,
    a_discard_is_taken_back_by_force_alone,
    what_is_not_there_is_not_discarded,
}

const DEAD: Settlement = Settlement::Dead(Reason::AttemptsExhausted);

fn states(report: &EventReport) -> Vec<(&str, &str)> {
    report.tasks.iter().map(|task| (task.handler.as_str(), task.state.as_str())).collect()
}

async fn end(stand: &Stand, handler_name: &str, settlement: Settlement) {
    let lease = stand.lease_one(handler_name).await;
    stand.settle(lease, settlement).await;
}

async fn tasks(stand: &Stand, only: Option<&str>, force: bool, known: &[&str]) -> Result<u64, LedgerError> {
    stand.store.discard(pair("evt_1"), discard(only, force, known)).await.map(|Discarded { tasks }| tasks)
}

async fn a_dead_task_is_discarded_with_who_and_why(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    end(&stand, "mail", DEAD).await;
    assert_eq!(tasks(&stand, None, false, &["mail"]).await, Ok(1));
    assert_eq!(tasks(&stand, None, true, &["mail"]).await, Ok(0), "it is discarded already");
    let report = stand.report("evt_1").await;
    assert_eq!((report.state, report.reason, report.body_kept), (EventState::Done, Some(Reason::Discarded), true));
    let discarded = report.tasks[0].discarded.clone().expect("who and why");
    assert_eq!((discarded.by.as_str(), discarded.reason.as_str()), ("ada", "a rehearsal"));
    assert_eq!(report.tasks[0].attempts.len(), 1, "its history stays");
    assert!(stand.lease("mail", 1).await.work.is_empty());
}

async fn what_waits_is_discarded_by_force_or_where_nobody_has_its_handler(stand: Stand) {
    stand.claim("evt_1", 1, &["mail", "gone", "audit"]).await;
    let known = ["mail", "audit"];
    assert_eq!(tasks(&stand, None, false, &known).await, Ok(1));
    let report = stand.report("evt_1").await;
    assert_eq!(states(&report), [("mail", "pending"), ("gone", "discarded"), ("audit", "pending")]);
    assert_eq!((report.state, report.reason), (EventState::Accepted, None));
    assert_eq!(tasks(&stand, Some("audit"), false, &known).await, Ok(0));
    assert_eq!(tasks(&stand, Some("audit"), true, &known).await, Ok(1));
    assert_eq!(states(&stand.report("evt_1").await), [("mail", "pending"), ("gone", "discarded"), ("audit", "discarded")]);
    assert_eq!(stand.lease("mail", 9).await.work.len(), 1);
    assert!(stand.lease("audit", 9).await.work.is_empty());
}

async fn a_running_task_refuses_and_nothing_is_discarded(stand: Stand) {
    stand.claim("evt_1", 1, &["mail", "audit"]).await;
    end(&stand, "audit", DEAD).await;
    let lease = stand.lease_one("mail").await;
    for force in [false, true] {
        assert_eq!(tasks(&stand, None, force, &["mail", "audit"]).await, Err(LedgerError::TaskRunning));
    }
    assert_eq!(tasks(&stand, Some("mail"), false, &[]).await, Err(LedgerError::TaskRunning), "gone, but in hand");
    assert_eq!(states(&stand.report("evt_1").await), [("mail", "running"), ("audit", "dead")]);
    assert_eq!(tasks(&stand, Some("audit"), false, &["mail", "audit"]).await, Ok(1), "of the chosen none runs");
    assert_eq!(stand.settle(lease, Settlement::Done).await, Settled::Recorded);
}

async fn a_running_task_of_a_handler_that_is_gone_can_be_ended_after_its_lease(stand: Stand) {
    stand.claim("evt_1", 1, &["gone"]).await;
    let lease = stand.lease_one("gone").await;
    stand.clock.advance(LEASE);
    assert_eq!(tasks(&stand, None, false, &["gone"]).await, Ok(0), "its handler is there and will be called again");
    assert_eq!(tasks(&stand, None, false, &[]).await, Ok(1));
    let report = stand.report("evt_1").await;
    assert_eq!((report.state, states(&report)), (EventState::Done, vec![("gone", "discarded")]));
    assert_eq!(report.tasks[0].attempts[0].outcome, "lost");
    assert_eq!(stand.settle(lease, Settlement::Done).await, Settled::LeaseLost, "a late result counts no more");
}

async fn a_running_task_of_a_handler_that_is_gone_can_be_moved_after_its_lease(stand: Stand) {
    stand.claim("evt_1", 1, &["gone"]).await;
    let lease = stand.lease_one("gone").await;
    let moved = || Redrive {
        handler: Some(crate::helpers::evidence::handler("gone")),
        to_handler: Some(crate::helpers::evidence::handler("new")),
        ..Redrive::default()
    };
    stand.clock.advance(LEASE - Duration::from_micros(1));
    assert_eq!(stand.redrive("evt_1", moved()).await, Ok(0), "somebody may still be at it");
    stand.clock.advance(Duration::from_micros(1));
    assert_eq!(stand.redrive("evt_1", moved()).await, Ok(1));
    assert_eq!(stand.settle(lease, Settlement::Done).await, Settled::LeaseLost);
    let leased = stand.lease("new", 1).await;
    assert_eq!((leased.work[0].attempt, leased.work[0].tries), (2, 1));
}

async fn an_event_is_done_once_nothing_of_it_is_open_or_dead(stand: Stand) {
    stand.claim("evt_1", 1, &["a", "b", "c"]).await;
    end(&stand, "a", Settlement::Done).await;
    end(&stand, "b", DEAD).await;
    end(&stand, "c", DEAD).await;
    assert_eq!(tasks(&stand, Some("b"), false, &[]).await, Ok(1));
    let report = stand.report("evt_1").await;
    assert_eq!((report.state, report.reason), (EventState::Dead, None), "one is dead still");
    assert_eq!(tasks(&stand, None, false, &[]).await, Ok(1));
    let report = stand.report("evt_1").await;
    assert_eq!((report.state, report.reason), (EventState::Done, Some(Reason::Discarded)));
    let listed =
        stand.store.deliveries(hookgate::ledger::DeliveryFilter { limit: 9, ..Default::default() }).await.expect("a page");
    assert_eq!(listed.deliveries[0].reason.as_deref(), Some("discarded"));
}

async fn a_discard_is_taken_back_by_force_alone(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    end(&stand, "mail", DEAD).await;
    assert_eq!(tasks(&stand, None, false, &[]).await, Ok(1));
    assert_eq!(stand.redrive("evt_1", Redrive::default()).await, Ok(0));
    assert_eq!(stand.redrive("evt_1", Redrive { force: true, ..Redrive::default() }).await, Ok(1));
    let report = stand.report("evt_1").await;
    assert_eq!((report.state, report.reason, report.tasks[0].discarded.clone()), (EventState::Accepted, None, None));
    assert!(stand.is_woken("mail").await);
    let leased = stand.lease("mail", 1).await;
    assert_eq!((leased.work[0].attempt, leased.work[0].redrives), (2, 1));
}

async fn what_is_not_there_is_not_discarded(stand: Stand) {
    assert_eq!(tasks(&stand, None, true, &[]).await, Err(LedgerError::NotFound));
    stand.claim("evt_1", 1, &[]).await;
    assert_eq!(tasks(&stand, None, true, &[]).await, Ok(0));
    assert_eq!(stand.report("evt_1").await.reason, Some(Reason::NoHandler));
}
