//! Every statement on our tables, one for each verb; those of operators alone are in `operator_sql`, those of retention in
//! `purge::sql`. Beside them only `listing` and `select` put conditions together, and `open` and `migrate` speak of the schema itself.
//!
//! A statement that moves a task takes its legal from-states from [`TRANSITIONS`](crate::ledger::TRANSITIONS).

use std::sync::LazyLock;

use crate::ledger::Verb;

pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
pub(super) const SAVEPOINT: &str = "SAVEPOINT one";
pub(super) const RELEASE: &str = "RELEASE one";
pub(super) const UNDO: &str = "ROLLBACK TO one";

pub(super) const ADD_SOURCE: &str = "INSERT INTO source (name, provider) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
pub(super) const SET_PROVIDER: &str = "UPDATE source SET provider = ?2 WHERE name = ?1 AND provider <> ?2";
pub(super) const SOURCE: &str = "SELECT id FROM source WHERE name = ?1";
pub(super) const ADD_HANDLER: &str = "INSERT INTO handler (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
pub(super) const HANDLER: &str = "SELECT id FROM handler WHERE name = ?1";
pub(super) const HANDLER_NAME: &str = "SELECT name FROM handler WHERE id = ?1";
pub(super) const HANDLERS: &str = "SELECT id, name FROM handler ORDER BY name";
pub(super) const PAUSE: &str = "UPDATE handler SET paused_at_us = ?2 WHERE id = ?1 AND paused_at_us IS NULL";
pub(super) const RESUME: &str = "UPDATE handler SET paused_at_us = NULL WHERE id = ?1 AND paused_at_us IS NOT NULL";
pub(super) const PAUSED: &str = "SELECT name, paused_at_us FROM handler WHERE paused_at_us IS NOT NULL ORDER BY name";
pub(super) const SOURCES: &str = "SELECT id FROM source";

macro_rules! insert_event {
    () => {
        "INSERT INTO event (key, source_id, event_id, event_id_received, event_type, id_from, check_id, secret, received_at_us, \
         body_digest, body_bytes, ack_status, ack_headers, ack_body, reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    };
}

/// Who is first is decided here and nowhere else.
pub(super) const CLAIM: &str = concat!(insert_event!(), " ON CONFLICT (source_id, event_id) DO NOTHING");
/// Test only, for the flaw `unique-constraint-ignored`: without the index there is nothing to conflict with.
pub(super) const CLAIM_UNGUARDED: &str = insert_event!();
/// Test only, for the same flaw.
pub(super) const DROP_IDENTITY: &str = "DROP INDEX IF EXISTS event_identity; \
     CREATE INDEX IF NOT EXISTS event_identity_lost ON event (source_id, event_id);";
pub(super) const FOUND: &str =
    "SELECT key, ack_status, ack_headers, ack_body, body_digest FROM event WHERE source_id = ?1 AND event_id = ?2";
pub(super) const ADD_PAYLOAD: &str = "INSERT INTO payload (event, headers, body) VALUES (?1, ?2, ?3)";
pub(super) const ADD_TASK: &str =
    "INSERT INTO task (event, source_id, handler_id, state, due_at_us) VALUES (?1, ?2, ?3, 'pending', ?4)";
pub(super) const SOURCE_OF_EVENT: &str = "SELECT source_id FROM event WHERE id = ?1";

/// Open tasks: the words of the partial index `task_due`, which serves only a query that says the same.
const OPEN: &str = "state IN ('pending', 'running')";

/// The sources whose open tasks a handler has, each with the time at which its first is due. It steps from one source to the next
/// and passes the tasks between them by.
pub(super) static TURNS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH RECURSIVE turn (source_id) AS ( \
         SELECT (SELECT source_id FROM task WHERE handler_id = ?1 AND {OPEN} ORDER BY source_id LIMIT 1) \
         UNION ALL SELECT (SELECT task.source_id FROM task WHERE handler_id = ?1 AND task.source_id > turn.source_id AND {OPEN} \
         ORDER BY task.source_id LIMIT 1) FROM turn WHERE turn.source_id IS NOT NULL) \
         SELECT source_id, (SELECT due_at_us FROM task WHERE handler_id = ?1 AND task.source_id = turn.source_id AND {OPEN} \
         ORDER BY due_at_us LIMIT 1) FROM turn WHERE source_id IS NOT NULL"
    )
});
pub(super) static DUE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT id, event, state, attempts, tries, redrives, claim_seq, leased_at_us, \
         coalesce((SELECT body_bytes FROM event e WHERE e.id = task.event), 0) FROM task \
         WHERE handler_id = ?1 AND source_id = ?2 AND due_at_us <= ?3 AND {} ORDER BY due_at_us, id LIMIT ?4",
        from(Verb::Lease)
    )
});
pub(super) static LEASE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "UPDATE task SET state = '{}', claim_seq = claim_seq + 1, attempts = attempts + 1, tries = tries + 1, due_at_us = ?3, \
         delay_us = ?4, leased_at_us = ?5 WHERE id = ?1 AND claim_seq = ?2 AND {}",
        Verb::Lease.transition().to,
        from(Verb::Lease)
    )
});
pub(super) const ADD_ATTEMPT: &str = "INSERT INTO attempt (task, number, started_at_us, duration_us, outcome, status, error, \
     exit_code, signal, output, output_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
/// One that nobody told the end of.
pub(super) const ADD_LOST_ATTEMPT: &str =
    "INSERT INTO attempt (task, number, started_at_us, outcome) VALUES (?1, ?2, ?3, 'lost')";
pub(super) const WORK: &str = "SELECT s.name, s.provider, e.event_id, e.event_type, e.key, e.received_at_us, p.headers, p.body \
     FROM event e JOIN source s ON s.id = e.source_id JOIN payload p ON p.event = e.id WHERE e.id = ?1";

pub(super) static FINISH: LazyLock<String> = LazyLock::new(|| settle(Verb::Finish));
pub(super) static RETRY: LazyLock<String> = LazyLock::new(|| settle(Verb::Retry));
pub(super) static BURY: LazyLock<String> = LazyLock::new(|| settle(Verb::Bury));
pub(super) static GIVE_BACK: LazyLock<String> =
    LazyLock::new(|| settle(Verb::GiveBack).replace("SET ", "SET tries = tries - 1, "));
/// Test only, for the flaw `fencing-missing`: a result counts whoever holds the lease.
pub(super) const SETTLE_UNFENCED: &str = "UPDATE task SET state = ?3, due_at_us = ?4, delay_us = ?5, reason = ?6, ended_at_us = ?7 \
     WHERE id = ?1 AND ?2 IS NOT NULL RETURNING handler_id, attempts, leased_at_us, event";

fn settle(verb: Verb) -> String {
    format!(
        "UPDATE task SET state = ?3, due_at_us = ?4, delay_us = ?5, reason = ?6, ended_at_us = ?7 \
         WHERE id = ?1 AND claim_seq = ?2 AND {} RETURNING handler_id, attempts, leased_at_us, event",
        from(verb)
    )
}

pub(super) static REDRIVE: LazyLock<String> = LazyLock::new(|| redrive(&from(Verb::Redrive)));
pub(super) static FORCE_REDRIVE: LazyLock<String> = LazyLock::new(|| redrive(&from(Verb::ForceRedrive)));
/// A task that waits changes its handler only, so this is no line of the table of transitions.
pub(super) static MOVE: LazyLock<String> = LazyLock::new(|| change_handler(&from(Verb::Redrive)));
pub(super) static FORCE_MOVE: LazyLock<String> = LazyLock::new(|| change_handler(&from(Verb::ForceRedrive)));

const ANEW: &str = "state = 'pending', due_at_us = ?2, delay_us = 0, tries = 0, redrives = redrives + 1, reason = NULL, ended_at_us = NULL, \
     discarded_by = NULL, discarded_why = NULL";

fn redrive(from: &str) -> String {
    format!("UPDATE task SET {ANEW} WHERE event = ?1 AND {from} AND (?3 IS NULL OR handler_id = ?3) RETURNING handler_id")
}

fn change_handler(from: &str) -> String {
    format!(
        "UPDATE task SET {ANEW}, handler_id = ?4 WHERE event = ?1 AND handler_id = ?3 AND ({from} OR state = 'pending') \
         RETURNING handler_id"
    )
}

/// The condition that a task may leave its state by this verb.
pub(super) fn from(verb: Verb) -> String {
    let states: Vec<_> = verb.transition().from.iter().map(|state| format!("'{state}'")).collect();
    format!("state IN ({})", states.join(", "))
}

pub(super) const TASKED: &str = "SELECT EXISTS (SELECT 1 FROM task WHERE event = ?1), \
     EXISTS (SELECT 1 FROM task WHERE event = ?1 AND handler_id = ?2), EXISTS (SELECT 1 FROM payload WHERE event = ?1)";

/// Work in hand at the last stop keeps its full lease from now.
pub(super) const KEEP_LEASES: &str = "UPDATE task SET due_at_us = ?1 + delay_us WHERE state = 'running'";
/// No task waits longer than its own delay, whatever the wall clock did meanwhile. By handler and source, so that tasks long due are
/// passed by.
pub(super) static CLAMP_DELAYS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "UPDATE task SET due_at_us = ?3 + delay_us WHERE handler_id = ?1 AND source_id = ?2 AND due_at_us > ?3 AND {OPEN} \
         AND state = 'pending' AND due_at_us > ?3 + delay_us"
    )
});

pub(super) const EVENT_BY_KEY: &str = "SELECT id FROM event WHERE key = ?1";
pub(super) const EVENT_BY_DELIVERY: &str =
    "SELECT d.event FROM delivery d JOIN event e ON e.id = d.event WHERE d.delivery_id = ?1";
pub(super) const EVENT_BY_PAIR: &str =
    "SELECT e.id FROM source s JOIN event e ON e.source_id = s.id WHERE s.name = ?1 AND e.event_id = ?2";
/// Source by source, so that the identity's index serves.
pub(super) const EVENT_BY_ID: &str =
    "SELECT e.id FROM source s CROSS JOIN event e ON e.source_id = s.id AND e.event_id = ?1 LIMIT 2";

/// Where the event `e` stands. Derived, never stored.
pub(super) const STATE: &str = "CASE WHEN e.id IS NULL THEN NULL \
     WHEN EXISTS (SELECT 1 FROM task t WHERE t.event = e.id AND t.state IN ('pending', 'running')) THEN 'accepted' \
     WHEN EXISTS (SELECT 1 FROM task t WHERE t.event = e.id AND t.state = 'dead') THEN 'dead' \
     WHEN EXISTS (SELECT 1 FROM payload b WHERE b.event = e.id) THEN 'done' ELSE 'tombstone' END";
/// Whether what was left of the event `e` was ended by an operator.
const DISCARDED: &str = "EXISTS (SELECT 1 FROM task t WHERE t.event = e.id AND t.state = 'discarded') \
     AND NOT EXISTS (SELECT 1 FROM task t WHERE t.event = e.id AND t.state IN ('pending', 'running', 'dead'))";
const DUPLICATES: &str = "(SELECT count(*) FROM delivery x WHERE x.event = e.id AND x.verdict <> 'first')";
const ATTEMPTS: &str = "(SELECT coalesce(sum(t.attempts), 0) FROM task t WHERE t.event = e.id)";

pub(super) static EVENT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT e.key, s.name, s.provider, e.event_id, e.event_id_received, e.id_from, e.event_type, {STATE}, \
         CASE WHEN {DISCARDED} THEN 'discarded' WHEN EXISTS (SELECT 1 FROM task t WHERE t.event = e.id) THEN NULL \
         ELSE e.reason END, e.received_at_us, e.check_id, \
         e.secret, e.body_digest, e.body_bytes, EXISTS (SELECT 1 FROM payload p WHERE p.event = e.id), e.ack_status \
         FROM event e JOIN source s ON s.id = e.source_id WHERE e.id = ?1"
    )
});
pub(super) const TASKS: &str = "SELECT t.id, h.name, t.state, t.reason, t.due_at_us, t.redrives, t.ended_at_us, t.discarded_by, t.discarded_why FROM task t \
     JOIN handler h ON h.id = t.handler_id WHERE t.event = ?1 ORDER BY t.id";
pub(super) const ATTEMPTS_OF_TASK: &str = "SELECT number, started_at_us, duration_us, outcome, status, error, exit_code, signal, output, output_bytes \
     FROM attempt WHERE task = ?1 ORDER BY number";
pub(super) const BODY: &str = "SELECT body FROM payload WHERE event = ?1";
pub(super) const OPEN_TASKS: &str = "SELECT count(*) FROM task WHERE handler_id = ?1 AND state IN ('pending', 'running')";

/// Deliveries as the log has them, without a `WHERE`. The log is the outer loop, so its own order serves.
pub(super) static LOGGED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT d.delivery_id, d.received_at_us, s.name, s.provider, d.event_id, e.event_type, d.verdict, d.status, {STATE}, \
         {DUPLICATES}, {ATTEMPTS}, CASE WHEN d.verdict <> 'first' THEN d.reason WHEN {DISCARDED} THEN 'discarded' \
         ELSE coalesce(d.reason, e.reason) END, d.body_differs, \
         d.signature_seen_before, d.duration_us \
         FROM delivery d CROSS JOIN source s ON s.id = d.source_id LEFT JOIN event e ON e.id = d.event"
    )
});
/// First deliveries as the events know them, without a `WHERE`.
pub(super) static FIRSTS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT e.key, e.received_at_us, s.name, s.provider, e.event_id, e.event_type, 'first', NULL, {STATE}, {DUPLICATES}, \
         {ATTEMPTS}, CASE WHEN {DISCARDED} THEN 'discarded' ELSE e.reason END, 0, 0, NULL FROM event e CROSS JOIN source s ON s.id = e.source_id"
    )
});
/// The condition that the row's event stands so.
pub(super) static STANDS: LazyLock<String> = LazyLock::new(|| format!("({STATE}) = ?"));
/// The condition that a handler has a task of the row's event.
pub(super) const HANDLED: &str =
    "EXISTS (SELECT 1 FROM task t JOIN handler h ON h.id = t.handler_id WHERE t.event = e.id AND h.name = ?)";
pub(super) const LOG_SINCE: &str = "SELECT received_at_us FROM delivery ORDER BY delivery_id LIMIT 1";

pub(super) const ADD_DELIVERY: &str = "INSERT INTO delivery (delivery_id, received_at_us, source_id, event, event_id, verdict, status, \
     reason, body_differs, signature_seen_before, duration_us, body_digest, signed_digest, guard_key) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT (delivery_id) DO NOTHING";
pub(super) const GROW_LOG: &str = "UPDATE log_size SET bytes = bytes + ?1 WHERE id = 1";
pub(super) const SIGNED_BEFORE: &str = "SELECT EXISTS (SELECT 1 FROM delivery \
     WHERE guard_key = ?4 AND guard_key IS NOT NULL AND signed_digest = ?2 AND source_id = ?1 AND event IS NOT ?3)";

pub(super) const DATABASE_ID: &str = "SELECT value FROM meta WHERE name = 'database-id'";
pub(super) const SET_DATABASE_ID: &str =
    "INSERT INTO meta (name, value) VALUES ('database-id', ?1) ON CONFLICT (name) DO NOTHING";

/// One look at the first and the last page of each table.
pub(super) const ENDS: &[&str] = &[
    "SELECT min(name), max(name) FROM meta",
    "SELECT min(id), max(id) FROM source",
    "SELECT min(id), max(id) FROM handler",
    "SELECT min(id), max(id) FROM event",
    "SELECT min(event), max(event) FROM payload",
    "SELECT min(id), max(id) FROM task",
    "SELECT min(delivery_id), max(delivery_id) FROM delivery",
    "SELECT min(ended_at_us), max(ended_at_us) FROM done",
    "SELECT min(ended_at_us), max(ended_at_us) FROM tombstone",
    "SELECT task FROM attempt ORDER BY task LIMIT 1",
    "SELECT task FROM attempt ORDER BY task DESC LIMIT 1",
];

#[cfg(test)]
pub(super) mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::ledger::sqlite::migrate::migrate;

    pub(in crate::ledger::sqlite) fn schema() -> Connection {
        let mut conn = Connection::open_in_memory().expect("memory");
        migrate(&mut conn, 0).expect("the schema");
        conn
    }

    /// What SQLite would do, without the numbers of parameters.
    pub(in crate::ledger::sqlite) fn steps(conn: &Connection, statement: &str) -> String {
        let mut explained = conn.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).expect("a statement");
        let parameters = vec![rusqlite::types::Null; explained.parameter_count()];
        let rows = explained.query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>(3)).expect("a plan");
        rows.collect::<Result<Vec<_>, _>>().expect("a plan").join("; ")
    }

    #[test]
    fn a_million_waiting_tasks_cost_no_more_than_ten() {
        let conn = schema();
        let by_due = "USING INDEX task_due (handler_id=? AND source_id=? AND due_at_us<?)";
        let size = "CORRELATED SCALAR SUBQUERY 1; SEARCH e USING INTEGER PRIMARY KEY (rowid=?)";
        assert_eq!(steps(&conn, &DUE), format!("SEARCH task {by_due}; {size}"), "and no sort");
        let turns = steps(&conn, &TURNS);
        for step in ["(handler_id=?)", "(handler_id=? AND source_id>?)", "(handler_id=? AND source_id=?)"] {
            assert!(turns.contains(&format!("SEARCH task USING INDEX task_due {step}")), "{turns}");
        }
        assert!(!turns.contains("B-TREE"), "{turns}");
        assert_eq!(steps(&conn, &LEASE), "SEARCH task USING INTEGER PRIMARY KEY (rowid=?)");
        for settle in [&FINISH, &RETRY, &BURY, &GIVE_BACK] {
            assert_eq!(steps(&conn, settle), "SEARCH task USING INTEGER PRIMARY KEY (rowid=?)");
        }
        assert_eq!(steps(&conn, KEEP_LEASES), "SCAN task USING INDEX task_running");
        assert_eq!(
            steps(&conn, &CLAMP_DELAYS),
            "SEARCH task USING INDEX task_due (handler_id=? AND source_id=? AND due_at_us>?)"
        );
        assert_eq!(steps(&conn, OPEN_TASKS), "SEARCH task USING INDEX task_due (handler_id=?)");
    }

    #[test]
    fn an_event_is_found_by_its_identity() {
        let conn = schema();
        let identity = "USING INDEX event_identity (source_id=? AND event_id=?)";
        assert_eq!(steps(&conn, FOUND), format!("SEARCH event {identity}"));
        for (statement, sources) in [(EVENT_BY_PAIR, "SEARCH"), (EVENT_BY_ID, "SCAN")] {
            let plan = steps(&conn, statement);
            assert!(plan.starts_with(sources) && plan.contains("event_identity (source_id=? AND event_id=?)"), "{plan}");
        }
        for statement in [&REDRIVE, &FORCE_REDRIVE, &MOVE, &FORCE_MOVE] {
            let plan = steps(&conn, statement);
            assert!(plan.contains("USING INDEX sqlite_autoindex_task_1 (event=?"), "{plan}");
        }
        assert!(steps(&conn, SIGNED_BEFORE).contains("delivery_signed (guard_key=?)"));
    }

    #[test]
    fn a_page_is_read_in_the_order_of_its_index() {
        let conn = schema();
        let logged = steps(&conn, &format!("{} ORDER BY d.delivery_id DESC LIMIT ?", *LOGGED));
        assert!(logged.starts_with("SCAN d;") && !logged.contains("TEMP B-TREE"), "{logged}");
        let firsts = steps(&conn, &format!("{} ORDER BY e.key DESC LIMIT ?", *FIRSTS));
        assert!(firsts.starts_with("SCAN e USING INDEX event_key;") && !firsts.contains("TEMP B-TREE"), "{firsts}");
        assert!(logged.contains("SEARCH x USING INDEX delivery_event (event=?)"), "{logged}");
    }

    #[test]
    fn every_statement_fits_the_schema() {
        let conn = schema();
        let all = [
            ADD_SOURCE,
            SET_PROVIDER,
            SOURCE,
            ADD_HANDLER,
            HANDLER,
            HANDLER_NAME,
            HANDLERS,
            SOURCES,
            PAUSE,
            RESUME,
            PAUSED,
            CLAIM,
            CLAIM_UNGUARDED,
            ADD_PAYLOAD,
            ADD_TASK,
            SOURCE_OF_EVENT,
            ADD_ATTEMPT,
            ADD_LOST_ATTEMPT,
            WORK,
            SETTLE_UNFENCED,
            TASKED,
            EVENT_BY_KEY,
            EVENT_BY_DELIVERY,
            &EVENT,
            TASKS,
            ATTEMPTS_OF_TASK,
            BODY,
            LOG_SINCE,
            ADD_DELIVERY,
            GROW_LOG,
            DATABASE_ID,
            SET_DATABASE_ID,
        ];
        for statement in all.iter().chain(ENDS) {
            conn.prepare(statement).expect(statement);
        }
    }
}
