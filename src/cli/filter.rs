//! Which deliveries a command is about: the filters that it takes, and what they ask for.

use clap::Args;

use super::exit::{Failure, USAGE};
use crate::config::nearest;
use crate::model::{EventState, SourceName, Timestamp, Verdict};
use crate::web::DeliveryQuery;

/// Which deliveries.
#[derive(Debug, Args)]
pub(super) struct LogFilter {
    /// Of this source
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    /// Of this event
    #[arg(long, value_name = "ID")]
    pub(super) event_id: Option<String>,
    /// Of a type that matches; `*` is any run of characters
    #[arg(long = "type", value_name = "GLOB")]
    pub(super) event_type: Option<String>,
    /// first, duplicate, conflict, rejected or handshake
    #[arg(long, value_name = "VERDICT")]
    pub(super) verdict: Option<String>,
    /// Whose event is accepted, done or dead now
    #[arg(long, value_name = "STATE")]
    pub(super) state: Option<String>,
    /// Whose event has a task of this handler
    #[arg(long, value_name = "NAME")]
    pub(super) handler: Option<String>,
    /// Not older than this: a duration such as 2h, or an RFC 3339 time
    #[arg(long, value_name = "2h|TIME")]
    pub(super) since: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(super) limit: usize,
}

impl LogFilter {
    /// As the admin listener is asked.
    pub(super) fn query(&self, now: Timestamp) -> Result<DeliveryQuery, Failure> {
        check_word("--verdict", self.verdict.as_deref(), Verdict::ALL.iter().map(|word| word.as_str()))?;
        check_word("--state", self.state.as_deref(), EventState::ALL.iter().map(|word| word.as_str()))?;
        if self.limit == 0 {
            return Err(Failure::new(USAGE, "--limit is at least 1"));
        }
        // As listings print it, and as `log show` takes it.
        let named =
            self.event_id.as_deref().and_then(|text| text.split_once('/')).filter(|(name, _)| SourceName::parse(name).is_ok());
        let (source, event_id) = match named {
            Some((source, id)) => (Some(source.to_owned()), Some(id.to_owned())),
            None => (self.source.clone(), self.event_id.clone()),
        };
        Ok(DeliveryQuery {
            source,
            event_id,
            event_type: self.event_type.clone(),
            verdict: self.verdict.clone(),
            state: self.state.clone(),
            handler: self.handler.clone(),
            since: self.since.as_deref().map(|text| since(text, now)).transpose()?.map(|time| time.to_string()),
            before: None,
            after: None,
            limit: None,
        })
    }
}

fn check_word<'a>(flag: &str, word: Option<&str>, known: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let known: Vec<&str> = known.collect();
    let Some(word) = word.filter(|word| !known.contains(word)) else { return Ok(()) };
    let help = nearest(word, known.iter().copied())
        .map_or_else(|| format!("known: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
    Err(Failure::new(USAGE, format!("{flag} `{}` is unknown\nhelp: {help}", word.escape_debug())))
}

/// `2h`, or an RFC 3339 time.
fn since(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    // Nothing came before 1970, and a calendar does not go back as far as a duration can.
    let ago = humantime::parse_duration(text).ok().map(|ago| now.minus(ago).max(Timestamp(0)));
    ago.or_else(|| Timestamp::parse_rfc3339(text)).ok_or_else(|| {
        Failure::new(
            USAGE,
            format!("--since `{}` is no duration such as 2h and no time such as 2026-01-31T12:00:00Z", text.escape_debug()),
        )
    })
}
