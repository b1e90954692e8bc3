//! Rows into values and back. A row that does not hold what we wrote is an error of the database, never a panic.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};
use uuid::Uuid;

use crate::model::{
    Ack, AttemptReport, DeliveryId, DeliveryReport, Digest, EventId, Fingerprint, Headers, REPORT_VERSION, SourceName, Timestamp,
};

/// Whole microseconds, as stored.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A stored length of time. Negative ones are none.
pub(super) fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// A text column that one of our types must be able to read.
pub(super) fn parsed<T, E>(row: &Row<'_>, column: usize, parse: impl FnOnce(&str) -> Result<T, E>) -> rusqlite::Result<T>
where
    E: Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str()?;
    parse(text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// The same where the column may be empty.
pub(super) fn parsed_if_any<T, E>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<Option<T>>
where
    E: Error + Send + Sync + 'static,
{
    if row.get_ref(column)? == ValueRef::Null { Ok(None) } else { parsed(row, column, parse).map(Some) }
}

/// A count, which is never negative.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    count_if_any(row, column).map(Option::unwrap_or_default)
}

/// The same where the column may be empty.
pub(super) fn count_if_any(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|count| u64::try_from(count).unwrap_or(0)))
}

pub(super) fn delivery_id(row: &Row<'_>, column: usize) -> rusqlite::Result<DeliveryId> {
    Ok(DeliveryId(Uuid::from_bytes(row.get(column)?)))
}

pub(super) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    Ok(Digest(row.get(column)?))
}

pub(super) fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    Ok(Bytes::from(row.get::<_, Vec<u8>>(column)?))
}

pub(super) fn fingerprint(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Fingerprint>> {
    Ok(row.get::<_, Option<Arc<str>>>(column)?.map(Fingerprint))
}

/// Headers as a JSON list of pairs. Each byte of a value is the character of its number, so that any byte comes back.
pub(super) fn headers_text(headers: &Headers) -> String {
    let pairs: Vec<(&str, String)> =
        headers.iter().map(|(name, value)| (name, value.iter().copied().map(char::from).collect())).collect();
    // A list of texts always has a JSON form.
    serde_json::to_string(&pairs).unwrap_or_default()
}

/// What [`headers_text`] wrote.
pub(super) fn headers(text: &str) -> Result<Headers, serde_json::Error> {
    let pairs: Vec<(String, String)> = serde_json::from_str(text)?;
    // Every character was a byte; another one would be somebody else's writing.
    let byte = |character: char| u8::try_from(character).unwrap_or(b'?');
    Ok(pairs.into_iter().map(|(name, value)| (name, value.chars().map(byte).collect())).collect())
}

/// The recorded acknowledgement in three columns from `first` on.
pub(super) fn ack(row: &Row<'_>, first: usize) -> rusqlite::Result<Ack> {
    Ok(Ack {
        status: row.get(first)?,
        headers: parsed_if_any(row, first + 1, headers)?.unwrap_or_default(),
        body: bytes(row, first + 2)?,
    })
}

/// A row of `sql::LOGGED` or `sql::FIRSTS`.
pub(super) fn delivery_report(row: &Row<'_>) -> rusqlite::Result<DeliveryReport> {
    Ok(DeliveryReport {
        v: REPORT_VERSION,
        delivery_id: delivery_id(row, 0)?,
        received_at: Timestamp(row.get(1)?),
        source: parsed(row, 2, SourceName::parse)?,
        provider: row.get(3)?,
        event_id: parsed_if_any(row, 4, EventId::parse)?,
        event_type: row.get(5)?,
        verdict: parsed(row, 6, str::parse)?,
        status: row.get(7)?,
        state: parsed_if_any(row, 8, str::parse)?,
        duplicates: count(row, 9)?,
        attempts: count(row, 10)?,
        reason: row.get(11)?,
        body_differs: row.get(12)?,
        signature_seen_before: row.get(13)?,
        duration_us: count_if_any(row, 14)?,
    })
}

/// A row of `sql::ATTEMPTS_OF_TASK`.
pub(super) fn attempt_report(row: &Row<'_>) -> rusqlite::Result<AttemptReport> {
    Ok(AttemptReport {
        number: row.get(0)?,
        started_at: Timestamp(row.get(1)?),
        duration_us: count_if_any(row, 2)?,
        outcome: row.get(3)?,
        status: row.get(4)?,
        error: row.get(5)?,
        exit_code: row.get(6)?,
        signal: row.get(7)?,
        output: row.get(8)?,
        output_bytes: count_if_any(row, 9)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_byte_for_byte() {
        let mut written = Headers::new();
        written.push("x-a", Bytes::from_static(b"caf\xe9 \"q\" \xff\x01"));
        written.push("x-a", "");
        assert_eq!(headers(&headers_text(&written)).expect("our own"), written);
    }
}
