//! What can be wrong with a preset's text, and where.

use std::ops::Range;

/// Why a provider's table is no preset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PresetError {
    /// What is wrong, and what to do about it.
    pub message: String,
    /// Where in the document, in bytes.
    pub span: Option<Range<usize>>,
    /// The word that was probably meant.
    pub nearest: Option<String>,
}

impl PresetError {
    /// Something wrong at a known place.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span), nearest: None }
    }

    /// Something that has no place, because it is missing.
    pub(super) fn nowhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, nearest: None }
    }

    /// The same with the one of `known` that was probably meant.
    pub(super) fn near<'a>(self, text: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        Self { nearest: nearest(text, known), ..self }
    }
}

impl From<toml::de::Error> for PresetError {
    fn from(error: toml::de::Error) -> Self {
        let message = error.message();
        // The decoder tells an unknown field only in words: "unknown field `x`, expected one of `a`, `b`".
        let mut quoted = message.split('`').skip(1).step_by(2);
        let nearest =
            if message.starts_with("unknown field") { quoted.next().and_then(|field| nearest(field, quoted)) } else { None };
        Self { message: message.to_owned(), span: error.span(), nearest }
    }
}

/// Something that is allowed and should be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresetWarning {
    /// What to know.
    pub message: String,
    /// Where in the document, in bytes.
    pub span: Option<Range<usize>>,
}

/// The one of `known` that `text` was probably meant to be.
pub(super) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let scored = known.into_iter().map(|word| (strsim::jaro_winkler(text, word), word));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(score, _)| *score > 0.8).map(|(_, word)| word.to_owned())
}
