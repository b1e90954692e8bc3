//! Which deliveries a command is about: the filters that it takes, and what they ask for.

use clap::Args;

use super::access::Access;
use super::exit::{Failure, USAGE};
use crate::config::nearest;
use crate::model::{EventState, HandlerName, SourceName, Timestamp, Verdict};
use crate::web::{DeliveryQuery, StatsQuery};

/// Which deliveries.
#[derive(Debug, Args)]
pub(super) struct LogFilter {
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    /// Only of this event: its id, or SOURCE/EVENT_ID
    #[arg(long, value_name = "ID")]
    pub(super) event_id: Option<String>,
    /// Only of types that match; `*` is any run of characters, without one it is a type or its beginning up to a dot
    #[arg(long = "type", value_name = "GLOB")]
    pub(super) event_type: Option<String>,
    /// Only with this verdict: first, duplicate, conflict, rejected or handshake
    #[arg(long, value_name = "VERDICT")]
    pub(super) verdict: Option<String>,
    /// Only where the event is accepted, done, dead or tombstone now; one row an event unless --verdict asks for others
    #[arg(long, value_name = "STATE")]
    pub(super) state: Option<String>,
    /// Only where the event has a task of this handler
    #[arg(long, value_name = "NAME")]
    pub(super) handler: Option<String>,
    /// Only what is not older: a duration such as 2h, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "2h|TIME")]
    pub(super) since: Option<String>,
    /// At most so many, the newest
    #[arg(short = 'n', long, default_value_t = 50, value_name = "N")]
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
        let (source, event_id) = source_and_id(self.source.as_deref(), self.event_id.as_deref());
        // Where its event stands is the same for each repeat: the first delivery stands for it.
        let verdict = self.verdict.clone().or_else(|| self.state.as_ref().map(|_| Verdict::First.to_string()));
        Ok(DeliveryQuery {
            source,
            event_id,
            event_type: self.event_type.clone(),
            verdict,
            state: self.state.clone(),
            handler: self.handler.clone(),
            since: self.since.as_deref().map(|text| since(text, now)).transpose()?.map(|time| time.to_string()),
            before: None,
            after: None,
            limit: None,
        })
    }
}

/// A word that must be one of the known ones.
pub(super) fn check_word<'a>(flag: &str, word: Option<&str>, known: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let known: Vec<&str> = known.collect();
    match word.filter(|word| !known.contains(word)) {
        Some(word) => Err(unknown(flag, word, &known)),
        None => Ok(()),
    }
}

fn unknown(flag: &str, word: &str, known: &[&str]) -> Failure {
    let all = if known.is_empty() { "there is none yet".to_owned() } else { format!("known: {}", known.join(", ")) };
    let help = nearest(word, known.iter().copied()).map_or(all, |near| format!("did you mean `{near}`?"));
    Failure::new(USAGE, format!("{flag} `{}` is unknown\nhelp: {help}", word.escape_debug()))
}

/// A handler's name, as it was typed.
pub(super) fn handler_name(text: &str) -> Result<HandlerName, Failure> {
    HandlerName::parse(text).map_err(|error| Failure::new(USAGE, format!("`{}` is no handler: {error}", text.escape_debug())))
}

/// Where nothing was found: whether that is because nobody has such a name.
pub(super) async fn check_names(access: &Access, source: Option<&str>, handler: Option<&str>) -> Result<(), Failure> {
    if source.is_none() && handler.is_none() {
        return Ok(());
    }
    // Only the names are wanted: of nothing there is nothing to count.
    let never = Some("9999-12-31T00:00:00Z".to_owned());
    let stats = access.stats(StatsQuery { source: None, since: never }).await?;
    check_word("--source", source, stats.sources.iter().map(|stats| stats.source.as_str()))?;
    check_word("--handler", handler, stats.handlers.iter().map(|stats| stats.handler.as_str()))
}

/// `2h`, or an RFC 3339 time.
pub(super) fn since(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    // Nothing came before 1970, and a calendar does not go back as far as a duration can.
    let ago = humantime::parse_duration(text).ok().map(|ago| now.minus(ago).max(Timestamp(0)));
    ago.or_else(|| Timestamp::parse_rfc3339(text)).ok_or_else(|| {
        Failure::new(
            USAGE,
            format!("--since `{}` is no duration such as 2h and no time such as 2026-01-31T12:00:00Z", text.escape_debug()),
        )
    })
}

/// Source and event id, where the latter was given as listings print it and as `log show` takes it.
pub(super) fn source_and_id(source: Option<&str>, event_id: Option<&str>) -> (Option<String>, Option<String>) {
    let named = event_id.and_then(|text| text.split_once('/')).filter(|(name, _)| SourceName::parse(name).is_ok());
    let (source, event_id) = match named {
        Some((name, id)) => (Some(name), Some(id)),
        None => (source, event_id),
    };
    (source.map(str::to_owned), event_id.map(str::to_owned))
}
