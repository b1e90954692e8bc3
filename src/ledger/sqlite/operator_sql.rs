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

/// The condition that a task's lease has ended. Nobody else may take it in the same transaction.
const LEASE_ENDED: &str = "event = ?1 AND handler_id = ?2 AND state = 'running' AND due_at_us <= ?3";
pub(super) static ADD_LOST_ATTEMPT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO attempt (task, number, started_at_us, outcome) \
         SELECT id, attempts, coalesce(leased_at_us, ?3), 'lost' FROM task WHERE {LEASE_ENDED}"
    )
});
pub(super) static LOSE: LazyLock<String> = LazyLock::new(|| {
    let to = Verb::Lose.transition().to;
    format!("UPDATE task SET state = '{to}', due_at_us = ?3, delay_us = 0 WHERE {LEASE_ENDED} AND {}", from(Verb::Lose))
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

/// Of a count: the source's number, none for every one; the first key at the beginning, none for all time; and that time itself.
pub(super) const SOURCES: &str = "SELECT id, name, provider FROM source WHERE ?1 IS NULL OR id = ?1";
pub(super) const COUNT_EVENTS: &str = "SELECT e.source_id, count(*) FROM event e WHERE (?1 IS NULL OR e.source_id = ?1) \
     AND ?2 IS NULL AND ?3 IS NULL GROUP BY e.source_id";
pub(super) const COUNT_EVENTS_SINCE: &str = "SELECT e.source_id, count(*) FROM event e \
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
     WHERE (?1 IS NULL OR d.source_id = ?1) AND ?2 IS NULL AND ?3 IS NULL GROUP BY d.source_id, d.verdict";
pub(super) const COUNT_DELIVERIES_SINCE: &str = "SELECT d.source_id, d.verdict, count(*) FROM delivery d \
     WHERE d.delivery_id >= ?2 AND d.received_at_us >= ?3 AND (?1 IS NULL OR d.source_id = ?1) \
     GROUP BY d.source_id, d.verdict";
/// Of all tasks.
pub(super) const COUNT_TASKS: &str = "SELECT h.name, c.state, c.tasks, c.attempts FROM (SELECT t.handler_id, t.state, \
     count(*) AS tasks, sum(t.attempts) AS attempts FROM task t WHERE ?1 IS NULL AND ?2 IS NULL AND ?3 IS NULL \
     GROUP BY t.handler_id, t.state) c JOIN handler h ON h.id = c.handler_id";
/// Of the tasks of some events.
pub(super) const COUNT_TASKS_OF: &str = "SELECT h.name, c.state, c.tasks, c.attempts FROM (SELECT t.handler_id, t.state, \
     count(*) AS tasks, sum(t.attempts) AS attempts FROM event e CROSS JOIN task t ON t.event = e.id \
     WHERE e.key >= coalesce(?2, x'') AND (?3 IS NULL OR e.received_at_us >= ?3) AND (?1 IS NULL OR e.source_id = ?1) \
     GROUP BY t.handler_id, t.state) c JOIN handler h ON h.id = c.handler_id";
