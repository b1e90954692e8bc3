//! How things look: the lines of `serve`, tables, errors. Colour and arrows only on a terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Effects, Style};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::exit::Failure;
pub(super) use crate::config::{duration_text as duration, size_text as size};
use crate::gateway::{AttemptNotice, DeliveryNotice, HandlerChange, HandlerNotice, StrayNotice};
use crate::handler::Call;
use crate::ledger::Settlement;
use crate::model::{CommandEnd, Ending, Outcome, Timestamp, Verdict, signal_name};

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

/// A line of a story: what it is about, and what is to be said of that.
pub(super) fn fact(name: &str, value: impl std::fmt::Display) {
    line(&format!("  {}  {value}", paint(format!("{name:<9}"), DIM)));
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
    aside(&format!("{}: {message}", paint("error", RED.bold())));
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

/// How long something took, in whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// How long ago something was, in its two largest units.
pub(super) fn age(age: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(age.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// A word of a command, as a shell takes it: ids come from elsewhere, and paths may have blanks.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A count and its noun.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A piece of a table: text and its style.
pub(super) type Piece = (String, Style);

/// A piece without a style.
pub(super) fn plain(text: impl Into<String>) -> Piece {
    (text.into(), Style::new())
}

/// Columns that may be cut where a terminal is too narrow: what they say is read, and never copied into a command.
const ELASTIC: [&str; 2] = ["TYPE", "NOTE"];

/// Characters of such a column that are left in any case.
const ELASTIC_MIN: u16 = 8;

/// A table without borders: headed columns, two blanks apart; on a terminal no wider than that, as far as can be.
pub(super) fn table(head: &[&str], rows: Vec<Vec<Piece>>, right: &[usize]) -> String {
    let is_seen = Stdout::look() == Stdout::Terminal;
    table_within(if is_seen { Table::new().width() } else { None }, head, &rows, right)
}

fn table_within(width: Option<u16>, head: &[&str], rows: &[Vec<Piece>], right: &[usize]) -> String {
    let mut table = plain_table(head, rows, right);
    let columns = table.column_max_content_widths();
    let whole: usize = columns.iter().map(|content| usize::from(*content) + 2).sum();
    let narrow = width.filter(|width| whole > usize::from(*width) + 2 && head.iter().any(|name| ELASTIC.contains(name)));
    if let Some(width) = narrow {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_truncation_indicator("…").set_width(width);
        table.row_iter_mut().for_each(|row| {
            row.max_height(1);
        });
        for (index, column) in table.column_iter_mut().enumerate() {
            let elastic = head.get(index).is_some_and(|name| ELASTIC.contains(name)) && columns[index] > ELASTIC_MIN;
            let least = ColumnConstraint::LowerBoundary(Width::Fixed(ELASTIC_MIN + 2));
            column.set_constraint(if elastic { least } else { ColumnConstraint::ContentWidth });
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn plain_table(head: &[&str], rows: &[Vec<Piece>], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    // The one judge of colour for everything that is printed: the table's own would not hear NO_COLOR and CLICOLOR_FORCE.
    if anstream::AutoStream::choice(&std::io::stdout()) == anstream::ColorChoice::Never {
        table.force_no_tty();
    } else {
        table.enforce_styling();
    }
    table.set_header(head.iter().map(|text| cell(&((*text).to_owned(), DIM))));
    for row in rows {
        table.add_row(row.iter().map(cell));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
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
    let took = millis(micros(notice.duration));
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

/// The end of a command by itself.
pub(super) fn exit_words(code: u8) -> String {
    format!("[exit {code}]")
}

/// The end of a command by a signal.
pub(super) fn signal_words(signal: i32) -> String {
    signal_name(signal).map_or_else(|| format!("[signal {signal}]"), |name| format!("[{name}]"))
}

/// A call of a handler that went otherwise than well, as `serve` prints it. With `options` a command reaches this gateway.
pub(super) fn attempt(notice: &AttemptNotice, options: &str, stdout: Stdout) -> String {
    let time = paint(clock(notice.at), DIM);
    let how = match &notice.outcome {
        Outcome::Answered { status, .. } => status_words(*status),
        Outcome::Command(CommandEnd { ending: Ending::Exited(code), .. }) => {
            paint(exit_words(*code), if *code == 0 { GREEN } else { RED })
        }
        Outcome::Command(CommandEnd { ending: Ending::Signalled(signal), .. }) => paint(signal_words(*signal), RED),
        other => paint(other.error().unwrap_or("failed"), RED),
    };
    let then = match notice.settlement {
        Settlement::Done => paint("done", GREEN),
        Settlement::RetryIn(delay) => {
            paint(format!("again in {}", duration(Duration::from_secs(delay.as_secs().max(1)))), YELLOW)
        }
        Settlement::Dead(reason) => {
            let id = word(&format!("{}/{}", notice.source, notice.event_id));
            format!("{} ({reason}); hookgate redrive {id}{options}", paint("dead", RED))
        }
        Settlement::GivenBack => paint("again after the next start", YELLOW),
    };
    let took = millis(micros(notice.duration));
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
    fn a_narrow_terminal_cuts_what_is_read_and_never_what_is_copied() {
        let head = ["EVENT", "TYPE", "NOTE"];
        let rows = || {
            vec![vec![
                plain("stripe/evt_1SkXjOHGqT8wVn2RK2GAm0Da"),
                plain("customer.subscription.updated"),
                plain("body differs"),
            ]]
        };
        let narrow = table_within(Some(60), &head, &rows(), &[]);
        assert!(narrow.lines().all(|line| line.chars().count() <= 60) && narrow.lines().count() == 2, "{narrow}");
        assert!(narrow.contains("stripe/evt_1SkXjOHGqT8wVn2RK2GAm0Da") && narrow.contains('…'), "{narrow}");
        for width in [None, Some(200)] {
            let whole = table_within(width, &head, &rows(), &[]);
            assert!(whole.contains("customer.subscription.updated  body differs"), "{whole}");
        }
        let far_too_narrow = table_within(Some(10), &head, &rows(), &[]);
        assert!(far_too_narrow.contains("stripe/evt_1SkXjOHGqT8wVn2RK2GAm0Da"), "{far_too_narrow}");
    }

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
