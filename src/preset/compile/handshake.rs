//! The load checks of `[[providers.NAME.handshake]]`.

use std::sync::Arc;

use toml::{Spanned, Value};

use super::{compile_method, compute, not_yet, template};
use crate::model::Headers;
use crate::preset::{
    Check, Condition, Handshake, HandshakeText, HeaderName, JsonText, Locator, Part, PresetError, ProviderText, ReplyRule,
    ReplyText, RespondText, Template,
};

/// Most bytes of a value of the request in an answer.
const LIMIT_MAX: usize = 512;
/// Headers of an answer that are not a preset's to set.
const OURS: [&str; 7] =
    ["content-type", "cache-control", "set-cookie", "location", "retry-after", "x-content-type-options", "idempotent-replayed"];

/// Compiles every handshake of a provider. `methods` are those of its events.
pub(super) fn compile(text: &ProviderText, methods: &[Box<str>], checks: &[Check]) -> Result<Vec<Handshake>, PresetError> {
    text.handshake.iter().map(|written| compile_one(text, written, methods, checks)).collect()
}

fn compile_one(
    text: &ProviderText,
    spanned: &Spanned<HandshakeText>,
    methods: &[Box<str>],
    checks: &[Check],
) -> Result<Handshake, PresetError> {
    let written = spanned.as_ref();
    not_yet("learn", &written.learn)?;
    let method = written.method.as_ref().map_or(Ok("POST".into()), compile_method)?;
    if written.when.is_empty() && methods.contains(&method) {
        let message = "`when` is empty: every delivery would be answered as a handshake, and none would become an event";
        return Err(PresetError::at(spanned.span(), message));
    }
    let compute = written.compute.as_ref().map(|compute| compute::compile(text, compute, written.verified, checks));
    let compute = compute.transpose()?;
    let reply = compile_reply(text, written)?;
    if compute.is_none()
        && reply.templates().into_iter().flat_map(Template::locators).any(|locator| *locator == Locator::Computed)
    {
        return Err(PresetError::at(spanned.span(), "`{computed}` needs a `compute` table in its handshake"));
    }
    Ok(Handshake {
        method,
        when: written.when.iter().map(|condition| compile_condition(text, condition)).collect::<Result<_, _>>()?,
        verified: written.verified,
        compute,
        reply,
    })
}

fn compile_condition(text: &ProviderText, written: &Spanned<Value>) -> Result<Condition, PresetError> {
    let at = |message: &str| PresetError::at(written.span(), message);
    let texts = match written.as_ref() {
        Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
        Value::Table(table) if table.contains_key("regex") => return Err(at("`regex` is not supported yet")),
        _ => None,
    };
    let one = |inner: &str| template(text, &Spanned::new(written.span(), inner.to_owned()));
    let condition = match texts.as_deref() {
        Some([present]) => Condition::Present(one(present)?),
        Some([left, right]) => {
            let (left, right) = (one(left)?, one(right)?);
            match (slot(&left), slot(&right)) {
                (_, Some(slot)) => Condition::Secret(left, slot),
                (Some(slot), None) => Condition::Secret(right, slot),
                (None, None) => Condition::Equal(left, right),
            }
        }
        _ => return Err(at("a condition is `[\"{t}\"]` or `[\"{t}\", \"{u}\"]`")),
    };
    let read: Vec<&Locator> = condition.templates().flat_map(Template::locators).collect();
    if read.iter().any(|locator| matches!(locator, Locator::Secret(_))) {
        return Err(at("`{secret:…}` stands alone on one side of a pair, and the value to compare on the other"));
    }
    if !read.iter().all(|locator| locator.is_named_value() || matches!(locator, Locator::Param(_))) {
        return Err(at("a condition reads `header:`, `query:`, `body:/`, `form:` and `param:`"));
    }
    if read.iter().all(|locator| matches!(locator, Locator::Param(_))) {
        return Err(at("a condition has a variable of the request, or it would always be the same"));
    }
    Ok(condition)
}

/// The slot, where a template is one `{secret:slot}` and nothing else.
fn slot(template: &Template) -> Option<Arc<str>> {
    match template.parts() {
        [Part::Variable { locator: Locator::Secret(slot), .. }] => Some(slot.as_ref().into()),
        _ => None,
    }
}

fn compile_reply(text: &ProviderText, written: &HandshakeText) -> Result<ReplyRule, PresetError> {
    let empty = RespondText::default();
    let respond = written.respond.as_ref().unwrap_or(&empty);
    let limit = match &written.limit {
        Some(limit) if !(1..=LIMIT_MAX).contains(limit.as_ref()) => {
            return Err(PresetError::at(limit.span(), format!("`limit` is 1 to {LIMIT_MAX} bytes")));
        }
        limit => limit.as_ref().map_or(LIMIT_MAX, |limit| *limit.as_ref()),
    };
    Ok(ReplyRule {
        status: super::event::status("status", respond.status.as_ref(), 200, 200..=299)?,
        headers: respond.headers.iter().map(|(name, value)| compile_header(text, name, value)).collect::<Result<_, _>>()?,
        body: compile_body(text, respond)?,
        limit,
    })
}

fn compile_header(
    text: &ProviderText,
    name: &Spanned<String>,
    value: &Spanned<String>,
) -> Result<(HeaderName, Template), PresetError> {
    let header = HeaderName::parse(name.as_ref());
    let header = header.ok_or_else(|| PresetError::at(name.span(), format!("`{}` is no header name", name.as_ref())))?;
    let lower = header.lower();
    if OURS.contains(&lower) || lower.starts_with("hookgate-") || Headers::is_of_connection(lower) {
        return Err(PresetError::at(name.span(), format!("`{}` is not a preset's to set", name.as_ref())));
    }
    Ok((header, echo(text, value)?))
}

fn compile_body(text: &ProviderText, respond: &RespondText) -> Result<ReplyText, PresetError> {
    let (body, kind) = match (&respond.body, &respond.json) {
        (Some(_), Some(json)) => return Err(PresetError::at(json.span(), "`body` and `json` are both there")),
        (Some(body), None) => (ReplyText::Plain(echo(text, body)?), "text/plain"),
        (None, Some(json)) if json.as_ref().is_table() => {
            (ReplyText::Json(compile_json(text, json.as_ref(), json)?), "application/json")
        }
        (None, Some(json)) => return Err(PresetError::at(json.span(), "`json` is a table")),
        (None, None) => (ReplyText::Empty, "text/plain"),
    };
    match &respond.content_type {
        Some(written) if written.as_ref() != kind => {
            let message = format!("`type` can only be `{kind}` here: nothing else is safe for what a stranger sent");
            Err(PresetError::at(written.span(), message))
        }
        _ => Ok(body),
    }
}

fn compile_json(text: &ProviderText, value: &Value, whole: &Spanned<Value>) -> Result<JsonText, PresetError> {
    match value {
        Value::String(inner) => echo(text, &Spanned::new(whole.span(), inner.clone())).map(JsonText::Text),
        Value::Integer(number) => Ok(JsonText::Bare(number.to_string().into())),
        Value::Boolean(truth) => Ok(JsonText::Bare(truth.to_string().into())),
        Value::Array(items) => {
            let items = items.iter().map(|item| compile_json(text, item, whole));
            Ok(JsonText::Array(items.collect::<Result<_, _>>()?))
        }
        Value::Table(entries) => {
            let entries = entries.iter().map(|(key, value)| Ok((key.as_str().into(), compile_json(text, value, whole)?)));
            Ok(JsonText::Object(entries.collect::<Result<_, PresetError>>()?))
        }
        Value::Float(_) | Value::Datetime(_) => {
            Err(PresetError::at(whole.span(), "`json` has texts, whole numbers, `true`, `false`, lists and tables"))
        }
    }
}

/// A template whose values go back to who sent them.
fn echo(text: &ProviderText, written: &Spanned<String>) -> Result<Template, PresetError> {
    let template = template(text, written)?;
    let legal = |locator: &Locator| locator.is_named_value() || matches!(locator, Locator::Param(_) | Locator::Computed);
    if !Headers::is_clean(written.as_ref().as_bytes()) {
        return Err(PresetError::at(written.span(), "an answer has no control characters"));
    }
    if template.locators().all(legal) {
        return Ok(template);
    }
    Err(PresetError::at(written.span(), "an answer is made of `header:`, `query:`, `body:/`, `form:`, `param:` and `computed`"))
}
