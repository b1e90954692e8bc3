//! What operators do with events.

use hookgate::ledger::{LedgerError, Redrive, Settlement};
use hookgate::model::{EventReport, EventState, Reason};

use crate::helpers::evidence::{admitted, handler, plan, source};
use crate::helpers::store::{PATIENCE, Stand, pair};

super::promises! {
    two_redrives_of_a_dead_task_make_one,
    a_redriven_task_goes_on_counting_and_begins_its_schedule_anew,
    only_dead_tasks_of_the_chosen_handler_are_redriven,
    force_takes_done_tasks_too,
    an_event_without_a_handler_gets_those_that_match_by_now,
    a_task_is_moved_to_another_handler,
    a_task_is_made_for_another_handler,
    what_is_not_there_is_not_redriven,
}

const DEAD: Settlement = Settlement::Dead(Reason::AttemptsExhausted);

/// Handler, state and number of redrives of each task.
fn tasks(report: &EventReport) -> Vec<(&str, &str, u32)> {
    report.tasks.iter().map(|task| (task.handler.as_str(), task.state.as_str(), task.redrives)).collect()
}

async fn end(stand: &Stand, handler_name: &str, settlement: Settlement) {
    let lease = stand.lease_one(handler_name).await;
    stand.settle(lease, settlement).await;
}

fn of(handler_name: &str) -> Redrive {
    Redrive { handler: Some(handler(handler_name)), ..Redrive::default() }
}

fn to(handler_name: &str) -> Redrive {
    Redrive { to_handler: Some(handler(handler_name)), ..Redrive::default() }
}

async fn two_redrives_of_a_dead_task_make_one(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    end(&stand, "mail", DEAD).await;
    assert_eq!(stand.report("evt_1").await.state, EventState::Dead);
    assert_eq!(stand.redrive("evt_1", Redrive::default()).await, Ok(1));
    assert_eq!(stand.redrive("evt_1", Redrive::default()).await, Ok(0));
    let report = stand.report("evt_1").await;
    assert_eq!((report.state, tasks(&report)), (EventState::Accepted, vec![("mail", "pending", 1)]));
    assert_eq!(report.tasks[0].reason, None);
}

async fn a_redriven_task_goes_on_counting_and_begins_its_schedule_anew(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    end(&stand, "mail", Settlement::RetryIn(std::time::Duration::ZERO)).await;
    end(&stand, "mail", DEAD).await;
    stand.redrive("evt_1", Redrive::default()).await.expect("a redrive");
    let leased = stand.lease("mail", 1).await;
    let work = &leased.work[0];
    assert_eq!((work.attempt, work.tries, work.redrives), (3, 1, 1));
}

async fn only_dead_tasks_of_the_chosen_handler_are_redriven(stand: Stand) {
    stand.claim("evt_1", 1, &["a", "b", "c", "d"]).await;
    end(&stand, "a", DEAD).await;
    end(&stand, "b", DEAD).await;
    end(&stand, "c", Settlement::Done).await;
    assert_eq!(stand.redrive("evt_1", of("b")).await, Ok(1));
    assert_eq!(stand.redrive("evt_1", of("c")).await, Ok(0));
    assert_eq!(stand.redrive("evt_1", of("stranger")).await, Ok(0));
    let report = stand.report("evt_1").await;
    assert_eq!(tasks(&report), [("a", "dead", 0), ("b", "pending", 1), ("c", "done", 0), ("d", "pending", 0)]);
}

async fn force_takes_done_tasks_too(stand: Stand) {
    stand.claim("evt_1", 1, &["a", "b", "c"]).await;
    end(&stand, "a", DEAD).await;
    end(&stand, "b", Settlement::Done).await;
    let _running = stand.lease_one("c").await;
    let force = Redrive { force: true, ..Redrive::default() };
    assert_eq!(stand.redrive("evt_1", force).await, Ok(2), "not the running one");
    let report = stand.report("evt_1").await;
    assert_eq!(tasks(&report), [("a", "pending", 1), ("b", "pending", 1), ("c", "running", 0)]);
}

async fn an_event_without_a_handler_gets_those_that_match_by_now(stand: Stand) {
    stand.claim("evt_1", 1, &[]).await;
    let matching = vec![handler("mail"), handler("audit")];
    let by_now = || Redrive { matching: matching.clone(), ..Redrive::default() };
    assert_eq!(stand.redrive("evt_1", Redrive::default()).await, Ok(0));
    assert_eq!(stand.redrive("evt_1", Redrive { handler: Some(handler("audit")), ..by_now() }).await, Ok(1));
    assert_eq!(stand.redrive("evt_1", by_now()).await, Ok(0), "it has a handler now");
    let report = stand.report("evt_1").await;
    assert_eq!(tasks(&report), [("audit", "pending", 0)]);
    assert_eq!((report.state, report.reason), (EventState::Accepted, None));
    assert!(stand.is_woken("audit").await);
}

async fn a_task_is_moved_to_another_handler(stand: Stand) {
    stand.claim("evt_1", 1, &["old", "dead", "both"]).await;
    end(&stand, "dead", DEAD).await;
    let moved = |from: &str, to_name: &str| Redrive { handler: Some(handler(from)), ..to(to_name) };
    assert_eq!(stand.redrive("evt_1", moved("old", "new")).await, Ok(1), "a waiting one");
    assert!(stand.is_woken("new").await);
    assert_eq!(stand.redrive("evt_1", moved("old", "newer")).await, Ok(0), "it has moved already");
    assert_eq!(stand.redrive("evt_1", moved("dead", "newest")).await, Ok(1), "a dead one");
    assert_eq!(stand.redrive("evt_1", moved("both", "new")).await, Ok(0), "a handler has one task of an event");
    let report = stand.report("evt_1").await;
    assert_eq!(tasks(&report), [("new", "pending", 1), ("newest", "pending", 1), ("both", "pending", 0)]);
    assert_eq!(report.tasks[1].attempts.len(), 1, "its history goes with it");
}

async fn a_task_is_made_for_another_handler(stand: Stand) {
    stand.claim("evt_1", 1, &["mail"]).await;
    end(&stand, "mail", Settlement::Done).await;
    assert_eq!(stand.redrive("evt_1", to("audit")).await, Ok(1));
    assert_eq!(stand.redrive("evt_1", to("audit")).await, Ok(0));
    assert_eq!(stand.redrive("evt_1", to("mail")).await, Ok(0), "done, and not forced");
    assert_eq!(stand.redrive("evt_1", Redrive { force: true, ..to("mail") }).await, Ok(1));
    assert_eq!(tasks(&stand.report("evt_1").await), [("mail", "pending", 1), ("audit", "pending", 0)]);
}

async fn what_is_not_there_is_not_redriven(stand: Stand) {
    assert_eq!(stand.redrive("evt_1", Redrive::default()).await, Err(LedgerError::NotFound));
    assert_eq!(stand.redrive("evt_1", to("mail")).await, Err(LedgerError::NotFound));
    let other = stand.store.claim(admitted("other", "evt_1", 1), plan("", &[]), PATIENCE).await;
    assert!(other.is_ok());
    assert_eq!(stand.store.find(pair("evt_1")).await, Ok(None));
    let there = hookgate::ledger::EventName::Pair(source("other"), crate::helpers::evidence::event("evt_1"));
    assert!(stand.store.redrive(there, to("mail")).await.is_ok());
}
