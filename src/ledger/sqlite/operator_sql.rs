//! The statements that operators alone cause, beside those of `sql`.

use std::sync::LazyLock;

use super::sql::{STATE, from};
use crate::ledger::Verb;

pub(super) const TASKS_OF_EVENT: &str = "SELECT id, handler_id, state, due_at_us FROM task WHERE event = ?1 ORDER BY id";
pub(super) static DISCARD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "UPDATE task SET state = ?2, due_at_us = NULL, delay_us = 0, ended_at_us = ?3, discarded_by = ?4, discarded_why = ?5 \
         WHERE id = ?1 AND {}",
        from(Verb::Discard)
    )
});

/// A task whose lease has ended. Nobody else may take it in the same transaction.
pub(super) static LOSE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "UPDATE task SET state = '{}', due_at_us = ?3, delay_us = 0 WHERE event = ?1 AND handler_id = ?2 AND due_at_us <= ?3 AND {} \
         RETURNING id, attempts, coalesce(leased_at_us, ?3)",
        Verb::Lose.transition().to,
        from(Verb::Lose)
    )
});

pub(super) const TRIAL: &str = "SAVEPOINT trial";
pub(super) const UNDO_TRIAL: &str = "ROLLBACK TO trial";
pub(super) const END_TRIAL: &str = "RELEASE trial";

pub(super) const NEWEST_EVENT: &str = "SELECT coalesce(max(id), 0) FROM event";

/// Events in the order of their claims, up to the conditions. They are looked at in ranges of numbers.
pub(super) const EVENTS: &str = "SELECT e.id FROM event e CROSS JOIN source s ON s.id = e.source_id WHERE e.id > ? AND e.id <= ?";
/// The same of those with a dead task alone, by their own index.
pub(super) const DEAD_EVENTS: &str = "SELECT x.event FROM task x INDEXED BY task_dead CROSS JOIN event e ON e.id = x.event \
     CROSS JOIN source s ON s.id = e.source_id WHERE x.state = 'dead' AND x.event > ? AND x.event <= ?";
/// The condition that this event has a dead task, by their own index.
pub(super) fn has_dead_task(event: &str) -> String {
    format!("EXISTS (SELECT 1 FROM task x INDEXED BY task_dead WHERE x.state = 'dead' AND x.event = {event})")
}

pub(super) const IN_ORDER: &str = " ORDER BY e.id LIMIT ?";
pub(super) const DEAD_IN_ORDER: &str = " GROUP BY x.event ORDER BY x.event LIMIT ?";
/// One event as a deed finds it, up to the conditions.
pub(super) static FACTS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT e.key, s.name, e.event_id, e.event_type, {STATE} FROM event e CROSS JOIN source s ON s.id = e.source_id \
         WHERE e.id = ?"
    )
});
pub(super) const NAMED: &str = "e.id IN (SELECT i.id FROM source z CROSS JOIN event i ON i.source_id = z.id AND i.event_id = ?)";

/// The condition that a redrive could change something: a task that it takes, or, of an event without one, a task to be made. One
/// that its source ignores is left alone.
pub(super) fn redrivable(verb: Verb, force: bool) -> String {
    let taken = task_of_filter(&from(verb));
    let ignored = if force { "1" } else { "e.reason IS NOT 'ignored'" };
    format!("({taken} OR ({ignored} AND NOT EXISTS (SELECT 1 FROM task t WHERE t.event = e.id)))")
}

/// The condition that a chosen task could be moved.
pub(super) fn movable(verb: Verb) -> String {
    task_of_filter(&format!("({} OR state IN ('pending', 'running'))", from(verb)))
}

/// The condition that the handler that it goes to has no task yet, or one that a redrive takes.
pub(super) fn makable(verb: Verb) -> String {
    let own = "EXISTS (SELECT 1 FROM task t JOIN handler h ON h.id = t.handler_id WHERE t.event = e.id AND h.name = ?";
    format!("(NOT {own}) OR {own} AND {}))", from(verb))
}

/// The condition that a discard could change something.
pub(super) fn discardable(force: bool) -> String {
    let open = if force {
        "state IN ('pending', 'running')"
    } else {
        "state IN ('pending', 'running') AND handler_id NOT IN \
         (SELECT k.id FROM handler k WHERE k.name IN (SELECT value FROM json_each(?)))"
    };
    task_of_filter(&format!("(state = 'dead' OR {open})"))
}

/// A task of the filter's handler: the last value of the condition, none for every handler's. A handler that never had a task is
/// none too, and then the filter itself lets nothing through.
fn task_of_filter(condition: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM task WHERE event = e.id AND {condition} AND \
         coalesce(handler_id = (SELECT h.id FROM handler h WHERE h.name = ?), 1))"
    )
}

/// Of a count: the source's number, none for every one; then, where it is of a time and later, the first key and that time itself.
/// What is not needed is not in the statement: SQLite would leave an index that holds all.
pub(super) const SOURCES: &str = "SELECT id, name, provider FROM source WHERE ?1 IS NULL OR id = ?1";
pub(super) const COUNT_EVENTS: &str =
    "SELECT e.source_id, count(*) FROM event e WHERE (?1 IS NULL OR e.source_id = ?1) GROUP BY e.source_id";
pub(super) const COUNT_EVENTS_SINCE: &str = "SELECT e.source_id, count(*) FROM event e INDEXED BY event_key \
     WHERE e.key >= ?2 AND e.received_at_us >= ?3 AND (?1 IS NULL OR e.source_id = ?1) GROUP BY e.source_id";
/// Events with an open task, each once.
pub(super) static COUNT_WAITING: LazyLock<String> =
    LazyLock::new(|| count_by_tasks("SELECT DISTINCT event FROM task INDEXED BY task_due WHERE state IN ('pending', 'running')"));
/// Events with a dead task and none that is open, each once.
pub(super) static COUNT_DEAD: LazyLock<String> = LazyLock::new(|| {
    count_by_tasks(
        "SELECT DISTINCT d.event FROM task d INDEXED BY task_dead WHERE d.state = 'dead' AND NOT EXISTS \
         (SELECT 1 FROM task o WHERE o.event = d.event AND o.state IN ('pending', 'running'))",
    )
});

fn count_by_tasks(events: &str) -> String {
    format!(
        "SELECT e.source_id, count(*), min(e.received_at_us) FROM ({events}) x CROSS JOIN event e ON e.id = x.event \
         WHERE (?1 IS NULL OR e.source_id = ?1) AND (?2 IS NULL OR e.key >= ?2) AND (?3 IS NULL OR e.received_at_us >= ?3) \
         GROUP BY e.source_id"
    )
}

pub(super) const COUNT_DELIVERIES: &str = "SELECT d.source_id, d.verdict, count(*) FROM delivery d \
     WHERE (?1 IS NULL OR d.source_id = ?1) GROUP BY d.source_id, d.verdict";
pub(super) const COUNT_DELIVERIES_SINCE: &str = "SELECT d.source_id, d.verdict, count(*) FROM delivery d \
     WHERE d.delivery_id >= ?2 AND d.received_at_us >= ?3 AND (?1 IS NULL OR d.source_id = ?1) \
     GROUP BY d.source_id, d.verdict";
/// Of all tasks.
pub(super) const COUNT_TASKS: &str = "SELECT h.name, c.state, c.tasks, c.attempts FROM (SELECT t.handler_id, t.state, \
     count(*) AS tasks, sum(t.attempts) AS attempts FROM task t GROUP BY t.handler_id, t.state) c JOIN handler h ON h.id = c.handler_id";
/// Of the tasks of some events.
pub(super) const COUNT_TASKS_OF: &str = "SELECT h.name, c.state, c.tasks, c.attempts FROM (SELECT t.handler_id, t.state, \
     count(*) AS tasks, sum(t.attempts) AS attempts FROM event e INDEXED BY event_key CROSS JOIN task t ON t.event = e.id \
     WHERE e.key >= coalesce(?2, x'') AND (?3 IS NULL OR e.received_at_us >= ?3) AND (?1 IS NULL OR e.source_id = ?1) \
     GROUP BY t.handler_id, t.state) c JOIN handler h ON h.id = c.handler_id";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ledger::sqlite::select::Conditions;
    use crate::ledger::sqlite::sql::tests;
    use crate::ledger::{Aim, EventFilter};
    use crate::model::{EventId, EventState, HandlerName};

    fn steps(statement: &str) -> String {
        tests::steps(&tests::schema(), statement)
    }

    fn aims() -> Vec<Aim> {
        let name = HandlerName::parse("mail").expect("a name");
        let known: Arc<[HandlerName]> = Arc::new([name.clone()]);
        let mut aims = Vec::new();
        for force in [false, true] {
            aims.push(Aim::Redrive { to_handler: None, force });
            aims.push(Aim::Redrive { to_handler: Some(name.clone()), force });
            aims.push(Aim::Discard { force, known: Arc::clone(&known) });
        }
        aims
    }

    #[test]
    fn a_deed_on_one_event_costs_the_same_among_a_million() {
        let of_event = "SEARCH task USING INDEX sqlite_autoindex_task_1 (event=? AND handler_id=?)";
        assert!(steps(TASKS_OF_EVENT).starts_with("SEARCH task USING INDEX sqlite_autoindex_task_1 (event=?)"));
        assert_eq!(steps(&DISCARD), "SEARCH task USING INTEGER PRIMARY KEY (rowid=?)");
        assert_eq!(steps(&LOSE), of_event);
        for aim in aims() {
            let conditions = Conditions::of(&EventFilter::default(), &aim);
            let plan = steps(&format!("{}{}", *FACTS, conditions.text()));
            assert!(!plan.contains("SCAN e") && !plan.contains("SCAN task"), "{plan}");
        }
    }

    #[test]
    fn events_are_found_in_order_without_a_sort() {
        let name = || HandlerName::parse("mail").ok();
        for aim in aims() {
            for handler in [None, name()] {
                let any = Conditions::of(&EventFilter { handler, ..EventFilter::default() }, &aim);
                let plan = steps(&format!("{EVENTS}{}{IN_ORDER}", any.text()));
                assert!(plan.starts_with("SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{plan}");
                assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN task"), "{plan}");
            }
            let dead = EventFilter { state: Some(EventState::Dead), ..EventFilter::default() };
            let plan = steps(&format!("{DEAD_EVENTS}{}{DEAD_IN_ORDER}", Conditions::of(&dead, &aim).text()));
            assert!(plan.starts_with("SEARCH x USING COVERING INDEX task_dead (event>? AND event<?)"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            let named = EventFilter { event_id: EventId::parse("evt_1").ok(), ..EventFilter::default() };
            let plan = steps(&format!("{EVENTS}{}{IN_ORDER}", Conditions::of(&named, &aim).text()));
            assert!(plan.contains("event_identity (source_id=? AND event_id=?)"), "{plan}");
        }
    }

    #[test]
    fn what_is_open_or_dead_is_counted_by_its_index() {
        assert!(steps(&COUNT_WAITING).contains("SCAN task USING INDEX task_due"), "{}", steps(&COUNT_WAITING));
        assert!(steps(&COUNT_DEAD).contains("SCAN d USING COVERING INDEX task_dead"), "{}", steps(&COUNT_DEAD));
        assert!(steps(COUNT_EVENTS).contains("COVERING INDEX event_identity"), "{}", steps(COUNT_EVENTS));
        assert!(steps(COUNT_EVENTS_SINCE).contains("event_key (key>?)"), "{}", steps(COUNT_EVENTS_SINCE));
        assert!(steps(COUNT_DELIVERIES_SINCE).contains("PRIMARY KEY (delivery_id>?)"), "{}", steps(COUNT_DELIVERIES_SINCE));
        assert!(steps(COUNT_TASKS_OF).contains("event_key (key>?)"), "{}", steps(COUNT_TASKS_OF));
        for statement in [SOURCES, COUNT_DELIVERIES, COUNT_TASKS, NEWEST_EVENT, TRIAL] {
            steps(statement);
        }
    }
}
