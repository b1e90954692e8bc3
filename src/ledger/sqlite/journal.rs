//! Rows of the delivery log.

use rusqlite::{OptionalExtension, params};

use super::command::Tx;
use super::row::micros;
use super::sql;
use crate::ledger::Note;
use crate::model::Digest;

/// What a row takes besides its texts: its own bytes, those of its index entries, and the part of pages that stays free. Measured,
/// and a test holds it to that.
const ROW_BYTES: i64 = 190;

/// What a row takes with an event id and a reason of so many bytes together, as far as one can tell without looking.
pub(super) const fn row_bytes(texts: i64) -> i64 {
    ROW_BYTES + texts
}

/// Writes one row, and asks for the replay guard whether its signed content came before. Says how many bytes it takes.
pub(super) fn write(tx: &mut Tx<'_>, note: &Note) -> rusqlite::Result<i64> {
    let source = tx.names.source(tx.conn, &note.source)?;
    let event: Option<i64> = match &note.event {
        None => None,
        Some((key, _)) => {
            tx.conn.prepare_cached(sql::EVENT_BY_KEY)?.query_row([key.0.as_bytes()], |row| row.get(0)).optional()?
        }
    };
    let signed = note.signed_digest.map(|digest| digest.0);
    let guard_key = note.signed_digest.filter(|_| note.guard_replay).map(|digest| guard_key(&digest));
    let seen_before = match guard_key {
        None => false,
        Some(key) => {
            tx.conn.prepare_cached(sql::SIGNED_BEFORE)?.query_row(params![source, signed, event, key], |row| row.get(0))?
        }
    };
    let written = tx.execute(
        sql::ADD_DELIVERY,
        params![
            note.delivery_id.0.as_bytes(),
            note.received_at.0,
            source,
            event,
            note.event.as_ref().map(|(_, id)| id.as_str()),
            note.verdict.as_str(),
            note.status,
            note.reason,
            note.body_differs,
            seen_before,
            micros(note.duration),
            note.body_digest.map(|digest| digest.0),
            signed,
            guard_key,
        ],
    )?;
    let texts = note.event.as_ref().map_or(0, |(_, id)| id.as_str().len()) + note.reason.map_or(0, str::len);
    Ok(if written > 0 { row_bytes(i64::try_from(texts).unwrap_or(0)) } else { 0 })
}

/// Its first 8 bytes: enough to find it by, few enough for a small index.
fn guard_key(digest: &Digest) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = digest.0;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}
