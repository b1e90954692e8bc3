//! Numbers, sizes and durations, resolved: each within bounds in which it can work.

use std::time::Duration;

use toml::Spanned;

use super::Limits;
use super::error::ConfigError;
use super::file::{DurationText, LimitsText, SourceText};
use crate::preset::Preset;

/// Most requests in hand, and most sockets: more than a machine has, and few enough for what counts them.
const COUNT_MAX: usize = 1_000_000;
/// Bytes of bodies in hand unless said otherwise.
const BODIES_IN_HAND: u64 = 256 << 20;
/// Bytes of a head unless said otherwise.
const HEADER_LIMIT: u64 = 32 << 10;
/// The HTTP library reads no longer head than this.
const HEADER_LIMIT_MAX: u64 = 128 << 10;
/// Longest body unless the provider states a cap.
const BODY_LIMIT: usize = 1 << 20;
/// A row of the store holds less than a billion bytes.
pub(crate) const BODY_LIMIT_MAX: u64 = 512 << 20;
const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = HOUR.saturating_mul(24);
/// Longest time that a request or a claim may be waited for.
const DEADLINE_MAX: Duration = HOUR;
/// Longest wait for work in hand at a stop.
const DRAIN_MAX: Duration = DAY;
/// Furthest that a signed time may be off. Without any bound it is `"0s"`.
const TOLERANCE_MAX: Duration = DAY.saturating_mul(366);
/// Longest delay between two attempts.
const RETRY_DELAY_MAX: Duration = DAY.saturating_mul(30);
/// Most delays.
const RETRIES_MAX: usize = 100;

type Written<T> = Option<Spanned<T>>;

pub(super) fn limits(written: &LimitsText) -> Result<Limits, ConfigError> {
    let header_limit = match &written.header_limit {
        Some(size) if !(1..=HEADER_LIMIT_MAX).contains(&size.get_ref().0) => {
            return Err(ConfigError::at(size.span(), "`header_limit` is more than 0 and at most 128KiB"));
        }
        Some(size) => size.get_ref().0,
        None => HEADER_LIMIT,
    };
    Ok(Limits {
        in_flight: count("in_flight", &written.in_flight, 1024)?,
        connections: count("connections", &written.connections, 25_000)?,
        bodies_in_hand: match &written.bodies_in_hand {
            Some(zero) if zero.get_ref().0 == 0 => {
                return Err(ConfigError::at(zero.span(), "`bodies_in_hand` must be more than 0"));
            }
            Some(size) => size.get_ref().0,
            None => BODIES_IN_HAND,
        },
        header_limit: usize::try_from(header_limit).unwrap_or(usize::MAX),
        header_deadline: deadline("header_deadline", &written.header_deadline, 5)?,
        body_deadline: deadline("body_deadline", &written.body_deadline, 10)?,
    })
}

fn count(name: &str, written: &Written<usize>, default: usize) -> Result<usize, ConfigError> {
    match written {
        None => Ok(default),
        Some(value) if (1..=COUNT_MAX).contains(value.get_ref()) => Ok(*value.get_ref()),
        Some(wrong) => Err(ConfigError::at(wrong.span(), format!("`{name}` is 1 to {COUNT_MAX}"))),
    }
}

fn deadline(name: &str, written: &Written<DurationText>, default_s: u64) -> Result<Duration, ConfigError> {
    match written {
        Some(zero) if zero.get_ref().0.is_zero() => Err(ConfigError::at(zero.span(), format!("`{name}` must be more than 0"))),
        written => Ok(at_most(name, written, DEADLINE_MAX)?.unwrap_or(Duration::from_secs(default_s))),
    }
}

/// How long a stop waits, where it is said.
pub(super) fn drain(written: &Written<DurationText>) -> Result<Option<Duration>, ConfigError> {
    at_most("drain", written, DRAIN_MAX)
}

/// How long a claim waits for a locked database, where it is said.
pub(super) fn busy_timeout(written: &Written<DurationText>) -> Result<Option<Duration>, ConfigError> {
    at_most("busy_timeout", written, DEADLINE_MAX)
}

/// How far a signed time may be off, where it is said.
pub(super) fn tolerance(text: &SourceText) -> Result<Option<Duration>, ConfigError> {
    at_most("tolerance", &text.tolerance, TOLERANCE_MAX)
}

pub(super) fn at_most(name: &str, written: &Written<DurationText>, most: Duration) -> Result<Option<Duration>, ConfigError> {
    match written {
        Some(long) if long.get_ref().0 > most => Err(too_long(&format!("`{name}`"), long, most)),
        written => Ok(written.as_ref().map(|duration| duration.get_ref().0)),
    }
}

fn too_long(what: &str, written: &Spanned<DurationText>, most: Duration) -> ConfigError {
    ConfigError::at(written.span(), format!("{what} is at most {}", duration_text(most)))
}

/// A duration as it would be written in the config, in days as far as it has any.
pub(crate) fn duration_text(duration: Duration) -> String {
    let days = duration.as_secs() / DAY.as_secs();
    let rest = duration - Duration::from_secs(days * DAY.as_secs());
    let days = if days > 0 { format!("{days}d") } else { String::new() };
    if rest.is_zero() && !days.is_empty() {
        return days;
    }
    format!("{days}{}", humantime::format_duration(rest)).replace(' ', "")
}

/// The delays between attempts, where they are said.
pub(super) fn retry(written: &Written<Vec<Spanned<DurationText>>>) -> Result<Option<Vec<Duration>>, ConfigError> {
    let Some(delays) = written else { return Ok(None) };
    if delays.get_ref().len() > RETRIES_MAX {
        return Err(ConfigError::at(delays.span(), format!("`retry` has at most {RETRIES_MAX} delays")));
    }
    let delay = |written: &Spanned<DurationText>| match written.get_ref().0 {
        long if long > RETRY_DELAY_MAX => Err(too_long("a delay of `retry`", written, RETRY_DELAY_MAX)),
        delay => Ok(delay),
    };
    delays.get_ref().iter().map(delay).collect::<Result<_, _>>().map(Some)
}

/// The longest body unless a source says otherwise.
pub(crate) fn default_body_limit(preset: &Preset) -> usize {
    preset.body_limit().unwrap_or(BODY_LIMIT)
}

/// The longest body of a source. What is more than its share of `bodies_in_hand` would be told to come again for ever.
pub(super) fn body_limit(
    source: &Spanned<String>,
    text: &SourceText,
    preset: &Preset,
    bodies_in_hand: u64,
) -> Result<usize, ConfigError> {
    let default = default_body_limit(preset) as u64;
    let (bytes, span) = match &text.body_limit {
        None => (default, source.span()),
        Some(size) => (size.get_ref().0, size.span()),
    };
    let wrong =
        |message: String| ConfigError::at(span.clone(), format!("`body_limit` of source `{}` {message}", source.get_ref()));
    match bytes {
        0 => Err(wrong("must be more than 0".to_owned())),
        _ if bytes > BODY_LIMIT_MAX => Err(wrong("is at most 512MiB".to_owned())),
        _ if bytes > bodies_in_hand.div_ceil(2) => {
            let (body, all) = (size_text(bytes), size_text(bodies_in_hand));
            Err(wrong(format!("({body}) is more than half of `bodies_in_hand` ({all}), the most that one source takes"))
                .help("make the one smaller, or the other, in [limits], larger"))
        }
        _ => Ok(usize::try_from(bytes).unwrap_or(usize::MAX)),
    }
}

/// A size as people read it.
pub(crate) fn size_text(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string().replace(".0 ", " ")
}
