//! The statements of retention.

pub(super) const ADD_DONE: &str = "INSERT INTO done (ended_at_us, event) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
pub(super) const DONE_BEFORE: &str =
    "SELECT ended_at_us, event FROM done WHERE ended_at_us <= ?1 ORDER BY ended_at_us, event LIMIT ?2";
pub(super) const OLDEST_DONE: &str = "SELECT ended_at_us FROM done ORDER BY ended_at_us LIMIT 1";
pub(super) const FORGET_DONE: &str = "DELETE FROM done WHERE ended_at_us = ?1 AND event = ?2";

pub(super) const ADD_TOMBSTONE: &str = "INSERT INTO tombstone (ended_at_us, event) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
pub(super) const TOMBSTONES_BEFORE: &str =
    "SELECT ended_at_us, event FROM tombstone WHERE ended_at_us <= ?1 ORDER BY ended_at_us, event LIMIT ?2";
pub(super) const OLDEST_TOMBSTONE: &str = "SELECT ended_at_us FROM tombstone ORDER BY ended_at_us LIMIT 1";
pub(super) const FORGET_TOMBSTONE: &str = "DELETE FROM tombstone WHERE ended_at_us = ?1 AND event = ?2";

/// Whether an event is accepted or dead, and since when it is done otherwise.
pub(super) const STANDING: &str = "SELECT EXISTS (SELECT 1 FROM task t WHERE t.event = e.id AND t.state IN ('pending', 'running', 'dead')), \
     max(e.received_at_us, coalesce((SELECT max(t.ended_at_us) FROM task t WHERE t.event = e.id), 0)) FROM event e WHERE e.id = ?1";

pub(super) const FORGET_PAYLOAD: &str = "DELETE FROM payload WHERE event = ?1";
pub(super) const FORGET_ATTEMPTS: &str = "DELETE FROM attempt WHERE task IN (SELECT id FROM task WHERE event = ?1)";
pub(super) const FORGET_TASKS: &str = "DELETE FROM task WHERE event = ?1";
pub(super) const FORGET_EVENT: &str = "DELETE FROM event WHERE id = ?1";

pub(super) const PART_DELIVERIES: &str = "UPDATE delivery SET event = NULL \
     WHERE delivery_id IN (SELECT delivery_id FROM delivery WHERE event = ?1 LIMIT ?2)";
pub(super) const OLDEST_DELIVERIES: &str = "SELECT delivery_id, received_at_us, \
     coalesce(length(event_id), 0) + coalesce(length(reason), 0) FROM delivery ORDER BY delivery_id LIMIT ?1";
pub(super) const FORGET_DELIVERY: &str = "DELETE FROM delivery WHERE delivery_id = ?1";
pub(super) const LOG_BYTES: &str = "SELECT bytes FROM log_size WHERE id = 1";
pub(super) const SET_LOG_BYTES: &str = "UPDATE log_size SET bytes = ?1 WHERE id = 1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::sqlite::sql::tests::{schema, steps};

    #[test]
    fn a_batch_costs_what_it_purges_whatever_else_there_is() {
        let conn = schema();
        let task = "sqlite_autoindex_task_1 (event=?)";
        for (statement, table) in [(DONE_BEFORE, "done"), (TOMBSTONES_BEFORE, "tombstone")] {
            assert_eq!(steps(&conn, statement), format!("SEARCH {table} USING PRIMARY KEY (ended_at_us<?)"), "and no sort");
        }
        for (statement, table) in [(FORGET_DONE, "done"), (FORGET_TOMBSTONE, "tombstone")] {
            assert_eq!(steps(&conn, statement), format!("SEARCH {table} USING PRIMARY KEY (ended_at_us=? AND event=?)"));
        }
        for (statement, table) in [(OLDEST_DONE, "done"), (OLDEST_TOMBSTONE, "tombstone"), (OLDEST_DELIVERIES, "delivery")] {
            assert_eq!(steps(&conn, statement), format!("SCAN {table}"), "in the order of its key, so to its limit only");
        }
        let standing = steps(&conn, STANDING);
        assert!(standing.starts_with("SEARCH e USING INTEGER PRIMARY KEY (rowid=?)"), "{standing}");
        assert_eq!(standing.matches(&format!("SEARCH t USING INDEX {task}")).count(), 2, "{standing}");
        assert_eq!(steps(&conn, FORGET_PAYLOAD), "SEARCH payload USING INTEGER PRIMARY KEY (rowid=?)");
        let attempts = steps(&conn, FORGET_ATTEMPTS);
        assert!(attempts.contains("SEARCH attempt USING PRIMARY KEY (task=?)"), "{attempts}");
        assert!(attempts.contains(&format!("SEARCH task USING COVERING INDEX {task}")), "{attempts}");
        assert!(steps(&conn, FORGET_TASKS).contains(task));
        assert_eq!(steps(&conn, FORGET_EVENT), "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)");
        let parted = steps(&conn, PART_DELIVERIES);
        assert!(parted.contains("SEARCH delivery USING PRIMARY KEY (delivery_id=?)"), "{parted}");
        assert!(parted.contains("SEARCH delivery USING COVERING INDEX delivery_event (event=?)"), "{parted}");
        assert_eq!(steps(&conn, FORGET_DELIVERY), "SEARCH delivery USING PRIMARY KEY (delivery_id=?)");
    }

    #[test]
    fn every_statement_of_retention_fits_the_schema() {
        let conn = schema();
        for statement in [ADD_DONE, ADD_TOMBSTONE, LOG_BYTES, SET_LOG_BYTES] {
            conn.prepare(statement).expect(statement);
        }
    }
}
