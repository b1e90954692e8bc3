//! How things look: the lines of `serve`, tables, errors. Colour and arrows only on a terminal.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Effects, Style};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use super::exit::Failure;
use crate::gateway::{AttemptNotice, DeliveryNotice, HandlerChange, HandlerNotice, StrayNotice};
use crate::handler::Call;
use crate::ledger::Settlement;
use crate::model::{Outcome, Timestamp, Verdict};

/// Dim, for what is seldom needed.
pub(super) const DIM: Style = Style::new().dimmed();
/// Bold, for what is looked for.
pub(super) const BOLD: Style = Style::new().bold();
/// Good news.
pub(super) const GREEN: Style = AnsiColor::Green.on_default();
/// Bad news.
pub(super) const RED: Style = AnsiColor::Red.on_default();
/// Neither.
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default();

/// A line to stdout. Who has stopped reading (`| head`) is no error.
pub(super) fn line(text: &str) {
    drop(writeln!(anstream::stdout(), "{text}"));
}

/// Bytes to stdout, as they are.
pub(super) fn bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(bytes).and_then(|()| out.flush()));
}

/// A line to stderr.
pub(super) fn aside(text: &str) {
    drop(writeln!(anstream::stderr(), "{text}"));
}

/// What went wrong, to stderr.
pub(super) fn error(message: &str) {
    if !message.is_empty() {
        aside(&format!("{}: {message}", paint("error", RED.bold())));
    }
}

/// What is not wrong but should be known, to stderr.
pub(super) fn warning(message: &str) {
    aside(&format!("{}: {message}", paint("warning", YELLOW.bold())));
}

/// A value as one JSON line.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::new(super::NO, format!("cannot write JSON: {error}")))?;
    line(&text);
    Ok(())
}

/// Text in a style; the stream takes the style off where it does not belong.
pub(super) fn paint(text: impl std::fmt::Display, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// What stdout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stdout {
    /// Somebody looks at it.
    Terminal,
    /// A pipe or a file.
    Other,
}

impl Stdout {
    /// Asks the system, which is not done for each line.
    pub(super) fn look() -> Self {
        if std::io::stdout().is_terminal() { Self::Terminal } else { Self::Other }
    }
}

/// Time of day, here.
pub(super) fn clock(at: Timestamp) -> String {
    at.to_utc().with_timezone(&chrono::Local).format("%H:%M:%S").to_string()
}

/// Date and time, here.
pub(super) fn date(at: Timestamp) -> String {
    at.to_utc().with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A duration as people read it.
pub(super) fn millis(us: u64) -> String {
    match us {
        0..1_000 => format!("{us}us"),
        1_000..1_000_000 => format!("{:.1}ms", us as f64 / 1e3),
        _ => format!("{:.1}s", us as f64 / 1e6),
    }
}

/// A duration that somebody set, as it would be written in the config.
pub(super) fn duration(duration: std::time::Duration) -> String {
    let text = humantime::format_duration(duration).to_string();
    text.replace("days", "d").replace("day", "d").replace(' ', "")
}

/// A count and its noun.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A size as people read it.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string().replace(".0 ", " ")
}

/// A piece of a table: text and its style.
pub(super) type Piece = (String, Style);

/// A piece without a style.
pub(super) fn plain(text: impl Into<String>) -> Piece {
    (text.into(), Style::new())
}

/// A table without borders: headed columns, two blanks apart.
pub(super) fn table(head: &[&str], rows: Vec<Vec<Piece>>, right: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    // The one judge of colour for everything that is printed: the table's own would not hear NO_COLOR and CLICOLOR_FORCE.
    if anstream::AutoStream::choice(&std::io::stdout()) == anstream::ColorChoice::Never {
        table.force_no_tty();
    } else {
        table.enforce_styling();
    }
    table.set_header(head.iter().map(|text| cell(&((*text).to_owned(), DIM))));
    rows.iter().for_each(|row| {
        table.add_row(row.iter().map(cell));
    });
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The table measures text, so its styles are not escape codes in the text but its own.
fn cell((text, style): &Piece) -> Cell {
    let mut cell = Cell::new(text);
    if style.get_effects().contains(Effects::DIMMED) {
        cell = cell.add_attribute(Attribute::Dim);
    }
    match *style {
        GREEN => cell.fg(Color::Green),
        YELLOW => cell.fg(Color::Yellow),
        RED => cell.fg(Color::Red),
        _ => cell,
    }
}

/// A delivery that was answered, as `serve` prints it.
pub(super) fn delivery(notice: &DeliveryNotice, stdout: Stdout) -> String {
    let time = paint(clock(notice.at), DIM);
    let what = match &notice.event {
        Some((id, event_type)) => format!("{}/{id}  {event_type}", notice.source),
        None => notice.source.to_string(),
    };
    let verdict = verdict_words(notice);
    let status = status_words(notice.status);
    let took = millis(u64::try_from(notice.duration.as_micros()).unwrap_or(u64::MAX));
    if stdout == Stdout::Terminal {
        let (there, back) = (paint("-->", DIM), paint("<--", DIM));
        format!("{time}  {there} {what}  {verdict}\n{time}  {back} {status} {took}")
    } else {
        format!("{time}  {what}  {verdict}  {status} {took}")
    }
}

/// A request that reached no source.
pub(super) fn stray(notice: &StrayNotice) -> String {
    let time = paint(clock(notice.at), DIM);
    let what = format!("{} /hooks/{}", notice.method.escape_debug(), notice.source.escape_debug());
    let from = notice.from.map_or_else(String::new, |address| format!(" from {address}"));
    format!("{time}  {what}{from}  {}  {}", paint(notice.problem.code(), RED), status_words(notice.problem.status()))
}

/// A handler that is called no more, or again.
pub(super) fn handler(notice: &HandlerNotice) -> String {
    let words = match notice.change {
        HandlerChange::Failing { probe_in } => paint(
            format!("fails: it is left alone now, and tried with one call in {} (its events wait)", duration(probe_in)),
            RED,
        ),
        HandlerChange::Recovered => paint("is well again", GREEN),
        HandlerChange::Paused => paint("paused: its events wait", YELLOW),
        HandlerChange::Resumed => paint("resumed", GREEN),
    };
    format!("{}  {}  {words}", paint(clock(notice.at), DIM), notice.handler)
}

fn verdict_words(notice: &DeliveryNotice) -> String {
    let since = |notice: &DeliveryNotice| {
        let first = notice.first.and_then(|key| key.0.get_timestamp());
        first.map_or_else(String::new, |time| {
            let (seconds, nanos) = time.to_unix();
            let at = Timestamp(i64::try_from(seconds).unwrap_or(0) * 1_000_000 + i64::from(nanos / 1_000));
            format!(" of {}", clock(at))
        })
    };
    match notice.verdict {
        Some(Verdict::First) => match notice.reason {
            None => paint("first", GREEN),
            Some("ignored") => format!("{}  ignored, as the source asks", paint("first", GREEN)),
            Some(_) => {
                format!("{}  {}", paint("first", GREEN), paint("no handler wants it (stored; redrive once one does)", YELLOW))
            }
        },
        Some(Verdict::Duplicate) => format!("{}{}, answered from the record", paint("duplicate", YELLOW), since(notice)),
        Some(Verdict::Conflict) => {
            let answer = if notice.problem.is_some() { "refused" } else { "answered from the record, not forwarded" };
            format!("{}{}: same id, other body; {answer}", paint("conflict", RED), since(notice))
        }
        Some(Verdict::Rejected) => format!("{}  {}", paint("rejected", RED), notice.reason.unwrap_or("no reason")),
        Some(Verdict::Handshake) => paint("handshake", GREEN),
        None => format!("{}  {}", paint("turned away", RED), notice.reason.unwrap_or("no reason")),
    }
}

fn status_words(status: u16) -> String {
    let style = if status < 300 { GREEN } else { RED };
    paint(format!("[{status}]"), style)
}

/// A call of a handler that went otherwise than well, as `serve` prints it.
pub(super) fn attempt(notice: &AttemptNotice, stdout: Stdout) -> String {
    let time = paint(clock(notice.at), DIM);
    let how = match &notice.outcome {
        Outcome::Answered { status, .. } => status_words(*status),
        other => paint(other.error().unwrap_or("failed"), RED),
    };
    let then = match notice.settlement {
        Settlement::Done => paint("done", GREEN),
        Settlement::RetryIn(delay) => {
            paint(format!("again in {}", duration(std::time::Duration::from_secs(delay.as_secs().max(1)))), YELLOW)
        }
        Settlement::Dead(reason) => {
            format!("{} ({reason}); hookgate redrive {}/{}", paint("dead", RED), notice.source, notice.event_id)
        }
    };
    let took = millis(u64::try_from(notice.duration.as_micros()).unwrap_or(u64::MAX));
    let arrow = call_arrow(stdout);
    format!(
        "{time}{arrow}{}  {}/{}  attempt {}  {how} {took}  {then}",
        notice.handler, notice.source, notice.event_id, notice.attempt
    )
}

/// Before what goes to a handler.
fn call_arrow(stdout: Stdout) -> String {
    match stdout {
        Stdout::Terminal => paint("  => ", DIM),
        Stdout::Other => "  ".to_owned(),
    }
}

/// An event, as the built-in printer shows it.
pub(super) fn event(call: &Call, stdout: Stdout) -> String {
    let arrow = call_arrow(stdout);
    let (time, size) = (paint(clock(call.now), DIM), size(call.body.len() as u64));
    format!("{time}{arrow}{}  {}/{}  {}  {size}", call.handler, call.source, call.event_id, call.event_type)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{DeliveryId, SourceName};

    #[test]
    fn arrows_are_for_a_terminal() {
        let notice = DeliveryNotice {
            at: Timestamp(0),
            id: DeliveryId(uuid::Uuid::nil()),
            source: SourceName::parse("stripe").expect("a name"),
            event: None,
            verdict: Some(Verdict::Rejected),
            first: None,
            body_differs: false,
            status: 401,
            problem: None,
            reason: Some("signature-missing"),
            duration: Duration::from_millis(1),
        };
        let looked_at = delivery(&notice, Stdout::Terminal);
        assert!(looked_at.contains("-->") && looked_at.contains("<--"), "{looked_at}");
        let piped = delivery(&notice, Stdout::Other);
        assert!(!piped.contains("--") && !piped.contains('\n'), "{piped}");
    }
}
