//! The claim: who is first, and everything that comes with it in the same commit.

use rusqlite::{Connection, OptionalExtension, params};

use super::command::{Fault, Tx};
use super::row::{ack, delivery_id, digest, headers_text};
use super::sql;
use crate::flaws::{Flaw, planted};
use crate::ledger::{Claim, Found, Plan};
use crate::model::Reason;
use crate::verify::Admitted;

/// A claim as it goes to the writer, with all that can be made ready before.
pub(super) struct Row {
    admitted: Admitted,
    plan: Plan,
    headers: String,
    ack_headers: Option<String>,
}

impl Row {
    pub(super) fn new(admitted: Admitted, plan: Plan) -> Self {
        let headers = headers_text(admitted.headers());
        let ack_headers = (!plan.ack.headers.is_empty()).then(|| headers_text(&plan.ack.headers));
        Self { admitted, plan, headers, ack_headers }
    }
}

/// See [`crate::ledger::Ledger::claim`].
pub(super) fn claim(tx: &mut Tx<'_>, row: &Row) -> Result<Claim, Fault> {
    let source = tx.names.source(tx.conn, row.admitted.source())?;
    // A read may prove a repeat, and then nothing is written: the insert counts the rowid up even where it finds a conflict. Only
    // the insert proves a first. The flaw trusts a read that does not see the rest of its group.
    let conn = if planted(Flaw::UniqueConstraintIgnored) { tx.beside.unwrap_or(tx.conn) } else { tx.conn };
    if let Some(found) = find(conn, source, &row.admitted)? {
        return Ok(Claim::Found(found));
    }
    if insert(tx, source, row)? == 0 {
        let found = find(tx.conn, source, &row.admitted)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        return Ok(Claim::Found(found));
    }
    let event = tx.conn.last_insert_rowid();
    tx.execute(sql::ADD_PAYLOAD, params![event, row.headers, &row.admitted.body()[..]])?;
    for name in &*row.plan.handlers {
        let handler = tx.names.handler(tx.conn, name)?;
        tx.execute(sql::ADD_TASK, params![event, source, handler, tx.now_us])?;
        tx.wakes.push(name.clone());
    }
    Ok(Claim::First)
}

fn insert(tx: &Tx<'_>, source: i64, row: &Row) -> rusqlite::Result<usize> {
    let Row { admitted, plan, .. } = row;
    let statement = if planted(Flaw::UniqueConstraintIgnored) { sql::CLAIM_UNGUARDED } else { sql::CLAIM };
    let body_bytes = i64::try_from(admitted.body().len()).unwrap_or(i64::MAX);
    tx.execute(
        statement,
        params![
            admitted.delivery_id().0.as_bytes(),
            source,
            admitted.event_id().as_str(),
            admitted.event_id_received(),
            &**admitted.event_type(),
            &**admitted.id_from(),
            &**admitted.check(),
            admitted.secret().map(|secret| &*secret.0),
            admitted.received_at().0,
            admitted.body_digest().0,
            body_bytes,
            plan.ack.status,
            row.ack_headers,
            &plan.ack.body[..],
            plan.reason.map(Reason::as_str),
        ],
    )
}

fn find(conn: &Connection, source: i64, admitted: &Admitted) -> rusqlite::Result<Option<Found>> {
    let mut statement = conn.prepare_cached(sql::FOUND)?;
    let found = statement.query_row(params![source, admitted.event_id().as_str()], |row| {
        Ok(Found { key: delivery_id(row, 0)?, ack: ack(row, 1)?, body_digest: digest(row, 4)? })
    });
    found.optional()
}
