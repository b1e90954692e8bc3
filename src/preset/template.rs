//! Templates and locators: texts that say where in a request a value is taken from.
//!
//! Parsed once at load. Who reads the values is `verify`.

use std::sync::Arc;

use super::error::nearest;
use super::{Encoding, InvalidPointer, Pointer};
use crate::model::Headers;

/// Why a text is no template, or no locator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// The word that was probably meant.
    pub nearest: Option<String>,
}

impl TemplateError {
    fn new(message: String) -> Self {
        Self { message, nearest: None }
    }
}

/// A header's name, kept as written too: senders are shown the provider's own spelling.
#[derive(Clone, Debug)]
pub struct HeaderName {
    lower: Box<str>,
    written: Box<str>,
}

impl HeaderName {
    /// Takes an RFC 9110 token.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Headers::is_name(name).then(|| Self { lower: name.to_ascii_lowercase().into(), written: name.into() })
    }

    /// The name in lower case, as requests are searched.
    #[must_use]
    pub fn lower(&self) -> &str {
        &self.lower
    }

    /// The name as the preset writes it.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.lower == other.lower
    }
}

impl Eq for HeaderName {}

/// Where in a request a value is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locator {
    /// The raw body.
    Body,
    /// The method, in upper case.
    Method,
    /// The text of the time value, as received.
    Time,
    /// A parameter of the source.
    Param(Box<str>),
    /// A header's value, outer blanks removed.
    Header(HeaderName),
    /// A decoded parameter of the query.
    Query(Box<str>),
    /// A scalar in the JSON body.
    Json(Pointer),
    /// A decoded field of a form, or with a pointer a scalar in the JSON inside that field.
    Form(Box<str>, Option<Pointer>),
    /// The SHA-256 of the raw body, as hex or base64.
    BodyDigest(Encoding),
    /// The source's secrets of a slot, to be compared with. Never a part of a text.
    Secret(Box<str>),
    /// What a handshake computed.
    Computed,
    /// Another named element of the signature's value.
    SignatureKey(Box<str>),
    /// An element of the signature's value by its place.
    SignaturePlace(usize),
}

/// The words that a locator may begin with.
const KNOWN: [&str; 11] =
    ["body", "method", "time", "param", "header", "query", "form", "sha256", "secret", "computed", "signature"];
/// Words of the language that are not supported yet.
const NOT_YET: [&str; 3] = ["url", "item", "claim"];

impl Locator {
    /// Whether it is a value that the request carries under a name.
    #[must_use]
    pub const fn is_named_value(&self) -> bool {
        matches!(self, Self::Header(_) | Self::Query(_) | Self::Json(_) | Self::Form(..))
    }

    /// Whether it is the body or something out of it.
    #[must_use]
    pub const fn is_of_body(&self) -> bool {
        matches!(self, Self::Body | Self::BodyDigest(_) | Self::Json(_) | Self::Form(..))
    }

    /// Takes a locator: a variable's name without its braces.
    ///
    /// # Errors
    /// [`TemplateError`] for any other text, and for what is not supported yet.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        match (word, rest) {
            ("body", None) => Ok(Self::Body),
            ("method", None) => Ok(Self::Method),
            ("time", None) => Ok(Self::Time),
            ("computed", None) => Ok(Self::Computed),
            ("body", Some(pointer)) => parse_pointer(text, pointer).map(Self::Json),
            ("param", Some(name)) if !name.is_empty() => Ok(Self::Param(name.into())),
            ("header", Some(name)) => parse_header(text, name),
            ("query", Some(name)) if !name.is_empty() => Ok(Self::Query(name.into())),
            ("form", Some(name)) => parse_form(text, name),
            ("sha256", Some("hex:body")) => Ok(Self::BodyDigest(Encoding::Hex)),
            ("sha256", Some("base64:body")) => Ok(Self::BodyDigest(Encoding::Base64)),
            ("secret", Some(slot)) if !slot.is_empty() => Ok(Self::Secret(slot.into())),
            ("secret", None) => Err(TemplateError::new(format!("`{text}` is not supported yet"))),
            ("signature", Some(name)) if !name.is_empty() => parse_element(text, name),
            _ if NOT_YET.contains(&word) => Err(TemplateError::new(format!("`{text}` is not supported yet"))),
            _ if KNOWN.contains(&word) => Err(TemplateError::new(format!("`{text}` is not how `{word}` is written"))),
            _ => Err(TemplateError { message: format!("`{text}` names nothing in a request"), nearest: nearest(word, KNOWN) }),
        }
    }
}

fn parse_pointer(text: &str, pointer: &str) -> Result<Pointer, TemplateError> {
    Pointer::parse(pointer).map_err(|error: InvalidPointer| TemplateError::new(format!("`{text}`: {error}")))
}

fn parse_header(text: &str, name: &str) -> Result<Locator, TemplateError> {
    if name.ends_with("-*") {
        return Err(TemplateError::new(format!("`{text}`: several headers by a common beginning are not supported yet")));
    }
    let header = HeaderName::parse(name);
    header.map(Locator::Header).ok_or_else(|| TemplateError::new(format!("`{text}`: `{name}` is no header name")))
}

fn parse_form(text: &str, name: &str) -> Result<Locator, TemplateError> {
    let (name, pointer) = name.split_once('#').map_or((name, None), |(name, pointer)| (name, Some(pointer)));
    match name {
        "" => Err(TemplateError::new(format!("`{text}` lacks the field's name"))),
        "sorted" => Err(TemplateError::new(format!("`{text}` is not supported yet"))),
        _ => Ok(Locator::Form(name.into(), pointer.map(|pointer| parse_pointer(text, pointer)).transpose()?)),
    }
}

fn parse_element(text: &str, name: &str) -> Result<Locator, TemplateError> {
    let Some(place) = name.strip_prefix('#') else { return Ok(Locator::SignatureKey(name.into())) };
    let digits = !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit());
    let place = if digits { place.parse().ok() } else { None };
    place.map(Locator::SignaturePlace).ok_or_else(|| TemplateError::new(format!("`{text}`: after `#` stands a place, from 0")))
}

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that stands for itself.
    Text(Box<str>),
    /// A value of the request.
    Variable {
        /// Where it is.
        locator: Locator,
        /// Whether it may be missing, and is then empty text.
        optional: bool,
    },
}

/// Text with `{variables}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Arc<str>,
    parts: Vec<Part>,
}

impl Template {
    /// Takes a template as written.
    ///
    /// # Errors
    /// [`TemplateError`] for a brace without its partner and for what is no variable.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(place);
            literal.push_str(before);
            if brace.starts_with("{{") || brace.starts_with("}}") {
                literal.push_str(&brace[..1]);
                rest = &brace[2..];
                continue;
            }
            let inner = brace.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((name, after)) = inner else {
                return Err(TemplateError::new(format!("`{text}` has a brace without its partner; a literal one is doubled")));
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal).into()));
            }
            let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
            parts.push(Part::Variable { locator: Locator::parse(name)?, optional });
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self { text: text.into(), parts })
    }

    /// The template as written.
    #[must_use]
    pub const fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Its pieces in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether it writes an id as we do ourselves: `sha256:` and the body's digest.
    #[must_use]
    pub fn is_body_digest(&self) -> bool {
        &*self.text == "sha256:{sha256:hex:body}"
    }

    /// Its variables in order.
    pub fn locators(&self) -> impl Iterator<Item = &Locator> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable { locator, .. } => Some(locator),
            Part::Text(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> TemplateError {
        Template::parse(text).expect_err(text)
    }

    #[test]
    fn a_template_is_text_and_variables() {
        let template = Template::parse("v0:{time}{{{header:X-A?}}}.{body}").expect("right");
        let variable = |text: &str, optional| Part::Variable { locator: Locator::parse(text).expect("right"), optional };
        let expected = [
            Part::Text("v0:".into()),
            variable("time", false),
            Part::Text("{".into()),
            variable("header:x-a", true),
            Part::Text("}.".into()),
            variable("body", false),
        ];
        assert_eq!(template.parts(), expected);
        assert_eq!(Template::parse("").expect("right").parts(), []);
    }

    #[test]
    fn locators_name_places_of_a_request() {
        let parse = |text| Locator::parse(text).expect("right");
        assert_eq!(parse("signature:#12"), Locator::SignaturePlace(12));
        assert_eq!(parse("signature:t"), Locator::SignatureKey("t".into()));
        assert_eq!(parse("form:payload#/a"), Locator::Form("payload".into(), Pointer::parse("/a").ok()));
        assert_eq!(parse("computed"), Locator::Computed);
        assert_eq!(parse("query:hub.mode"), Locator::Query("hub.mode".into()));
        assert_eq!(parse("sha256:base64:body"), Locator::BodyDigest(Encoding::Base64));
        assert_eq!(parse("secret:verify"), Locator::Secret("verify".into()));
        assert_eq!(parse("header:X-A"), parse("header:x-a"));
        assert!(matches!(parse("header:X-A"), Locator::Header(name) if name.written() == "X-A"));
    }

    #[test]
    fn what_is_no_variable_is_refused_and_the_nearest_word_named() {
        for bad in
            ["{", "}", "a{body", "body}", "{}", "{header:}", "{header:a b}", "{body:id}", "{form:}", "{signature:#}", "{time:s}"]
        {
            Template::parse(bad).expect_err(bad);
        }
        for bad in ["{query:}", "{query}", "{secret:}", "{sha256:body}", "{sha256:hex:form:x}", "{sha1:hex:body}"] {
            Template::parse(bad).expect_err(bad);
        }
        assert_eq!(error("{haeder:X}").nearest.as_deref(), Some("header"));
        assert_eq!(error("{bdy}").nearest.as_deref(), Some("body"));
    }

    #[test]
    fn what_comes_later_is_refused_as_such() {
        for later in ["{url}", "{secret}", "{item:/a}", "{claim:a}", "{form:sorted}", "{header:X-*}"] {
            assert!(error(later).message.contains("not supported yet"), "{later}");
        }
    }
}
