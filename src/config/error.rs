//! What can be wrong with a configuration: where it stands, what it is, and what to do.

use std::ops::Range;

use toml::Spanned;

use super::embedded::UNPLACED;
use crate::preset::PresetError;

/// One thing that is wrong. Reads after "error: ".
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// Bytes of the file, where it stands in one.
    pub span: Option<Range<usize>>,
    /// What to do.
    pub help: Option<String>,
    /// Which exit code it deserves.
    pub kind: ConfigErrorKind,
    /// What else is wrong, where more was found than the first.
    pub more: Vec<ConfigError>,
}

/// What is wrong, gathered: who mends a file wants to be told everything at once.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<ConfigError>);

impl Faults {
    /// The value, or the fault kept for later.
    pub(super) fn keep<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// One more that is wrong.
    pub(super) fn add(&mut self, error: ConfigError) {
        self.0.push(error);
    }

    /// Ends where something was wrong.
    pub(super) fn judge(mut self) -> Result<(), ConfigError> {
        self.0.pop().map_or(Ok(()), |last| Err(in_order(last, self.0)))
    }

    /// Ends with this one and all before it: what else is wrong cannot be told without what this one spoils.
    pub(super) fn end_with(&mut self, error: ConfigError) -> ConfigError {
        in_order(error, std::mem::take(&mut self.0))
    }
}

/// In the order of the file; what has no place comes first.
fn in_order(mut last: ConfigError, mut all: Vec<ConfigError>) -> ConfigError {
    all.append(&mut last.more);
    all.push(last);
    all.sort_by_key(|error| error.span.as_ref().map(|span| span.start));
    let first = all.remove(0);
    ConfigError { more: all, ..first }
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigErrorKind {
    /// The operator, in the file, a flag or a secret.
    Usage,
    /// The operator, on the disk: a directory is missing, a file cannot be written.
    Unreachable,
}

impl ConfigError {
    /// It and what else is wrong.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.more)
    }

    /// Something wrong at a place of the file.
    pub(crate) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::plain(message) }
    }

    /// Something wrong outside the file: a flag, a variable.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, help: None, kind: ConfigErrorKind::Usage, more: Vec::new() }
    }

    /// Something on the disk that cannot be used.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self { kind: ConfigErrorKind::Unreachable, ..Self::plain(message) }
    }

    /// With a word on what to do.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Named by what it is wrong with, where that has no place in a file: it was said by a program.
    #[must_use]
    pub(super) fn of(self, what: &str, name: &Spanned<String>) -> Self {
        if self.span != Some(UNPLACED) {
            return self;
        }
        let named = format!("{what} `{}`", name.get_ref());
        let message = if self.message.starts_with(&named) { self.message } else { format!("{named}: {}", self.message) };
        Self { message, span: None, ..self }
    }

    /// With the known name that is nearest to `given`, where one is near.
    #[must_use]
    pub(crate) fn nearest<'a>(self, given: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(given, known) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// The known name that a misspelt one most likely meant.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

/// Settings that the interface knows and this version does not have yet.
const LATER: &[&str] = &[
    "database_password",
    "quarantine_retention",
    "idempotency",
    "mode",
    "accept_encoding",
    "quarantine",
    "quarantine_entries",
    "quarantine_bytes",
    "learn",
    "inflight_wait",
    "relay_sweep",
    "max_age",
];

/// The parser repeats a value of the wrong type, and that may be a secret written where its name belongs.
fn without_value(message: &str) -> String {
    let shown = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match shown.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((value, expected)) => format!("{} where {expected} is expected", kind(value)),
        None => message.to_owned(),
    }
}

/// What kind of value the parser speaks of, as people call it.
fn kind(value: &str) -> &'static str {
    match value.split_whitespace().next().unwrap_or_default() {
        "string" => "text",
        "integer" | "float" | "floating" => "a number",
        "boolean" => "true or false",
        "sequence" => "a list",
        "map" => "a table",
        _ => "another value",
    }
}

/// What to write instead, where the parser's words are those of a programmer.
fn shape_help(message: &str) -> Option<&'static str> {
    let known = [
        ("where a sequence is expected", "write a list: [ ... ]"),
        ("where a map is expected", "write a table, such as [sources.NAME] or [handlers.NAME]"),
        ("where usize is expected", "write a number without quotes"),
        ("where a string is expected", "write text in quotes, a duration as \"30s\", a size as \"1MiB\""),
        ("missing field `provider`", "say whose deliveries come here: provider = \"stripe\""),
        ("invalid socket address", "write an address and a port: \"127.0.0.1:8080\""),
        ("duplicate key", "give the second one another name"),
    ];
    known.into_iter().find(|(words, _)| message.contains(words)).map(|(_, help)| help)
}

impl From<toml::de::Error> for ConfigError {
    /// Takes the parser's own words, and the nearest name where it knows which names there are.
    fn from(error: toml::de::Error) -> Self {
        let message = without_value(error.message().lines().next().unwrap_or_default());
        let span = error.span();
        let mut words = message.split('`').skip(1).step_by(2);
        let given = words.next().unwrap_or_default().to_owned();
        let known: Vec<String> = words.map(str::to_owned).collect();
        let unknown_field = message.starts_with("unknown field") || message.starts_with("unknown variant");
        let short = if unknown_field { message.split(", expected").next().unwrap_or(&message).to_owned() } else { message };
        let made = Self { span, ..Self::plain(short) };
        if !unknown_field {
            return match shape_help(&made.message) {
                Some(help) => made.help(help),
                None => made,
            };
        }
        if LATER.contains(&given.as_str()) {
            return made.help(format!("`{given}` is not in this version yet: take the line out"));
        }
        match nearest(&given, known.iter().map(String::as_str)) {
            Some(name) => made.help(format!("did you mean `{name}`?")),
            None if known.is_empty() => made,
            None => made.help(format!("known here: {}", known.join(", "))),
        }
    }
}

impl From<PresetError> for ConfigError {
    fn from(error: PresetError) -> Self {
        let help = error.nearest.map(|name| format!("did you mean `{name}`?"));
        Self { help, span: error.span, ..Self::plain(error.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_wrong_type_is_not_repeated() {
        for (message, told) in [
            ("invalid type: string \"whsec_c\", expected a sequence", "text where a sequence is expected"),
            ("invalid type: string \"a, expected b\", expected a sequence", "text where a sequence is expected"),
            ("invalid type: integer `123456`, expected a string", "a number where a string is expected"),
            ("invalid value: integer `-1`, expected u16", "a number where u16 is expected"),
            ("unclosed array", "unclosed array"),
        ] {
            assert_eq!(without_value(message), told);
        }
    }

    #[test]
    fn the_nearest_name_is_named_only_when_it_is_near() {
        let known = ["secrets", "provider", "params"];
        assert_eq!(nearest("secrts", known), Some("secrets"));
        assert_eq!(nearest("porvider", known), Some("provider"));
        assert_eq!(nearest("colour", known), None);
    }
}
