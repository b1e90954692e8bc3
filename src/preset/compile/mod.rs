//! From a provider as written to a [`Preset`]: every load check of the language is made here.

mod check;
mod compute;
mod credential;
mod event;
mod handshake;

use toml::Spanned;

use super::text::NotYet;
use super::{Locator, Mark, Preset, PresetError, PresetWarning, ProviderText, Template};
use crate::model::SourceName;

/// Compiles a provider's table.
///
/// # Errors
/// [`PresetError`] for the first thing that the language forbids, or that is not supported yet.
pub fn compile(name: &str, text: &ProviderText) -> Result<(Preset, Vec<PresetWarning>), PresetError> {
    // It becomes a header's value and a folder's name, so it keeps the rule of the other names.
    if SourceName::parse(name).is_err() {
        return Err(PresetError::nowhere(format!("`{name}` is no provider name: that is 1 to 64 of a-z, 0-9 and `-`")));
    }
    not_yet("like", &text.like)?;
    let mut warnings = Vec::new();
    let checks = check::compile(text, &mut warnings)?;
    let event = event::compile(text, &checks)?;
    credential::judge_readers(&event, text, &checks)?;
    let methods = compile_methods(text)?;
    let preset = Preset {
        name: name.into(),
        title: text.title.clone(),
        docs: text.docs.clone(),
        setup: text.setup.clone(),
        mark: text.mark.as_ref().map(compile_mark).transpose()?,
        handshakes: handshake::compile(text, &methods, &checks)?,
        methods,
        body_limit: text.body_limit.as_ref().map(compile_body_limit).transpose()?,
        params: text.params.clone(),
        checks,
        event,
        ack: event::compile_ack(text)?,
    };
    Ok((preset, warnings))
}

fn compile_mark(word: &Spanned<String>) -> Result<Mark, PresetError> {
    const MARKS: [(&str, Mark); 3] =
        [("verified", Mark::Verified), ("documented", Mark::Documented), ("reported", Mark::Reported)];
    one_of("mark", word, &MARKS, &[])
}

fn compile_methods(text: &ProviderText) -> Result<Vec<Box<str>>, PresetError> {
    let Some(methods) = &text.methods else { return Ok(vec!["POST".into()]) };
    if methods.is_empty() {
        return Err(PresetError::nowhere("`methods` is empty: no delivery could ever come"));
    }
    methods.iter().map(compile_method).collect()
}

fn compile_method(method: &Spanned<String>) -> Result<Box<str>, PresetError> {
    let legal = !method.as_ref().is_empty() && method.as_ref().bytes().all(|byte| byte.is_ascii_uppercase());
    let error = || PresetError::at(method.span(), format!("`{}` is no method in upper case", method.as_ref()));
    if legal { Ok(method.as_ref().as_str().into()) } else { Err(error()) }
}

fn compile_body_limit(bytes: &Spanned<u32>) -> Result<usize, PresetError> {
    match usize::try_from(*bytes.as_ref()) {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(PresetError::at(bytes.span(), "`body_limit` is a number of bytes, more than 0")),
    }
}

/// Refuses a field of the language that is not supported yet: never ignored, as what it demands would not be done.
fn not_yet(field: &str, found: &NotYet) -> Result<(), PresetError> {
    let error = |found: &Spanned<_>| PresetError::at(found.span(), format!("`{field}` is not supported yet"));
    found.as_ref().map_or(Ok(()), |found| Err(error(found)))
}

/// The value for a word, or which words there are.
fn one_of<T: Copy>(field: &str, word: &Spanned<String>, known: &[(&str, T)], later: &[&str]) -> Result<T, PresetError> {
    let text = word.as_ref().as_str();
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    if later.contains(&text) {
        return Err(PresetError::at(word.span(), format!("{field} `{text}` is not supported yet")));
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let message = format!("{field} `{text}` is none of {}", names.join(", "));
    Err(PresetError::at(word.span(), message).near(text, names))
}

/// A text that must not be empty.
fn filled(field: &str, text: &Spanned<String>) -> Result<Box<str>, PresetError> {
    if text.as_ref().is_empty() {
        return Err(PresetError::at(text.span(), format!("`{field}` is empty; leave it out instead")));
    }
    Ok(text.as_ref().as_str().into())
}

fn template(text: &ProviderText, written: &Spanned<String>) -> Result<Template, PresetError> {
    let template = Template::parse(written.as_ref()).map_err(|error| PresetError {
        message: error.message,
        span: Some(written.span()),
        nearest: error.nearest,
    })?;
    template.locators().try_for_each(|locator| known_param(text, locator, written))?;
    Ok(template)
}

fn locator(text: &ProviderText, written: &Spanned<String>) -> Result<Locator, PresetError> {
    let locator = Locator::parse(written.as_ref()).map_err(|error| PresetError {
        message: error.message,
        span: Some(written.span()),
        nearest: error.nearest,
    })?;
    known_param(text, &locator, written)?;
    Ok(locator)
}

fn known_param(text: &ProviderText, locator: &Locator, written: &Spanned<String>) -> Result<(), PresetError> {
    match locator {
        Locator::Param(name) if !text.params.contains_key(&**name) => {
            let message = format!("`param:{name}` is not one of the provider's `params`");
            Err(PresetError::at(written.span(), message).near(name, text.params.keys().map(String::as_str)))
        }
        _ => Ok(()),
    }
}
