//! The load checks of `[providers.NAME.event]` and `[providers.NAME.ack]`.

use std::time::Duration;

use toml::Spanned;

use super::{not_yet, one_of, template};
use crate::model::Headers;
use crate::preset::{
    AckRule, AckText, Check, Derive, EventRule, EventText, IdRule, Locator, Pointer, PresetError, ProviderText, Template,
};

/// The provider gives up after this, unless the preset says otherwise.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(5);
/// The shortest deadline: the answer is due a second before it.
const DEADLINE_MIN_S: u64 = 2;

/// Compiles where id and type are.
pub(super) fn compile(text: &ProviderText, checks: &[Check]) -> Result<EventRule, PresetError> {
    let Some(spanned) = &text.event else {
        return Err(PresetError::nowhere("there is no `event` table: it says where the id is, by `id` or `derive`"));
    };
    let written = spanned.as_ref();
    not_yet("time", &written.time)?;
    not_yet("batch", &written.batch)?;
    not_yet("redact", &written.redact)?;
    let id = compile_id(text, spanned)?;
    let promised = written.id_signed.as_ref().is_some_and(|signed| *signed.as_ref());
    let by_body = id == IdRule::Derived(Derive::Body) && checks.iter().all(Check::covers_body);
    let event = EventRule {
        id,
        id_signed: promised || by_body,
        types: written.types.iter().map(|written| readable(text, written)).collect::<Result<_, _>>()?,
        volatile: written.volatile.iter().map(compile_pointer).collect::<Result<_, _>>()?,
    };
    judge_signed(&event, written, checks)?;
    Ok(event)
}

fn compile_id(text: &ProviderText, spanned: &Spanned<EventText>) -> Result<IdRule, PresetError> {
    const KNOWN: [(&str, Derive); 2] = [("body", Derive::Body), ("delivery", Derive::Delivery)];
    match (&spanned.as_ref().id, &spanned.as_ref().derive) {
        (Some(_), Some(derive)) => {
            Err(PresetError::at(derive.span(), "`id` and `derive` are both there; only one can name an event"))
        }
        (None, None) => Err(PresetError::at(spanned.span(), "neither `id` nor `derive` is there: say how an event is named")),
        (None, Some(derive)) => Ok(IdRule::Derived(one_of("derive", derive, &KNOWN, &[])?)),
        (Some(id), None) if id.as_ref().is_empty() => {
            Err(PresetError::at(id.span(), "`id` is empty; an event without an id of its own needs `derive`"))
        }
        (Some(id), None) => {
            let templates = id.as_ref().iter().map(|written| id_template(text, written));
            Ok(IdRule::Read(templates.collect::<Result<_, _>>()?))
        }
    }
}

fn id_template(text: &ProviderText, written: &Spanned<String>) -> Result<Template, PresetError> {
    let template = readable(text, written)?;
    let from_request = template.locators().any(|locator| !matches!(locator, Locator::Param(_)));
    if !from_request {
        return Err(PresetError::at(written.span(), "an id has a variable of the request, or every event would have the same"));
    }
    Ok(template)
}

/// A template of the event itself: what belongs to one check alone cannot name it.
fn readable(text: &ProviderText, written: &Spanned<String>) -> Result<Template, PresetError> {
    let template = template(text, written)?;
    let of_check = |locator: &Locator| {
        matches!(locator, Locator::Body | Locator::Method | Locator::Time)
            || matches!(locator, Locator::Secret(_) | Locator::Computed | Locator::SignatureKey(_) | Locator::SignaturePlace(_))
    };
    if template.locators().any(of_check) {
        let message = "id and type are read from `header:`, `query:`, `body:/`, `form:`, `sha256:` and `param:`";
        return Err(PresetError::at(written.span(), message));
    }
    Ok(template)
}

fn compile_pointer(written: &Spanned<String>) -> Result<Pointer, PresetError> {
    Pointer::parse(written.as_ref()).map_err(|error| PresetError::at(written.span(), format!("`{}`: {error}", written.as_ref())))
}

/// `id_signed` is a promise about every check, and is held to it.
fn judge_signed(event: &EventRule, written: &EventText, checks: &[Check]) -> Result<(), PresetError> {
    let Some(signed) = written.id_signed.as_ref().filter(|signed| *signed.as_ref()) else { return Ok(()) };
    if let IdRule::Derived(Derive::Delivery) = event.id {
        return Err(PresetError::at(signed.span(), "`id_signed` is true, but nothing signs the id of a delivery"));
    }
    let derived = matches!(event.id, IdRule::Derived(_)).then_some(&Locator::Body);
    for check in checks {
        if !event.id_locators().chain(derived).all(|locator| check.covers(locator)) {
            let message = format!("`id_signed` is true, but the message of check `{}` does not cover the id", check.id);
            return Err(PresetError::at(signed.span(), message));
        }
    }
    Ok(())
}

/// Compiles what the provider wants to be answered.
pub(super) fn compile_ack(text: &ProviderText) -> Result<AckRule, PresetError> {
    let default = AckText::default();
    let written = text.ack.as_ref().map_or(&default, |ack| ack.as_ref());
    if let Some(deadline) = written.deadline.as_ref().filter(|deadline| *deadline.as_ref() < DEADLINE_MIN_S) {
        return Err(PresetError::at(deadline.span(), format!("`deadline` is at least {DEADLINE_MIN_S} seconds")));
    }
    let clean = |kind: &&Spanned<String>| {
        let value = kind.as_ref().as_str();
        !value.is_empty() && value.is_ascii() && Headers::is_clean(value.as_bytes())
    };
    if let Some(kind) = written.content_type.as_ref().filter(|kind| !clean(kind)) {
        return Err(PresetError::at(kind.span(), "`type` is no content type"));
    }
    Ok(AckRule {
        status: status("status", written.status.as_ref(), 200, 200..=299)?,
        body: written.body.as_ref().map(|body| body.as_ref().clone()).unwrap_or_default(),
        content_type: written.content_type.as_ref().map(|kind| kind.as_ref().clone()),
        reject: status("reject", written.reject.as_ref(), 401, 400..=599)?,
        deadline: written.deadline.as_ref().map_or(DEADLINE_DEFAULT, |deadline| Duration::from_secs(*deadline.as_ref())),
        retries_for: written.retries_for.map(Duration::from_secs),
        resend_for: written.resend_for.map(Duration::from_secs),
    })
}

/// A status within a range.
pub(super) fn status(
    field: &str,
    written: Option<&Spanned<u16>>,
    default: u16,
    legal: std::ops::RangeInclusive<u16>,
) -> Result<u16, PresetError> {
    let Some(written) = written else { return Ok(default) };
    if legal.contains(written.as_ref()) {
        return Ok(*written.as_ref());
    }
    let message = format!("`{field}` is a status from {} to {}", legal.start(), legal.end());
    Err(PresetError::at(written.span(), message))
}
