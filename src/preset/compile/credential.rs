//! The load checks of a check whose secret itself is sent, kinds `token` and `basic`, and of one without any, kind `none`.

use std::sync::Arc;

use toml::Spanned;

use super::check::{compile_id, compile_signature, compile_slot};
use crate::preset::{
    Algorithm, Check, CheckText, Encoding, EventRule, KeyRule, Locator, Parts, PresetError, PresetWarning, ProviderText,
    SignatureRule, Template,
};

/// Compiles such a check.
pub(super) fn compile(
    text: &ProviderText,
    spanned: &Spanned<CheckText>,
    is_basic: bool,
    warnings: &mut Vec<PresetWarning>,
) -> Result<Check, PresetError> {
    let written = spanned.as_ref();
    let (kind, algorithm) = if is_basic { ("basic", Algorithm::Basic) } else { ("token", Algorithm::Token) };
    refuse_fields(kind, spanned)?;
    let signature = if is_basic { basic(spanned)? } else { token(text, spanned)? };
    if matches!(signature.from, Locator::Json(_) | Locator::Form(..)) {
        let message = "the token stands in the body, so it is stored and handed on with it".to_owned();
        warnings.push(PresetWarning { message, span: Some(spanned.span()) });
    }
    compiled(spanned, algorithm, compile_slot(written.secret.as_ref())?, signature)
}

/// Compiles a check that passes everything: alone in its provider, with nothing to say.
pub(super) fn compile_unsigned(text: &ProviderText, spanned: &Spanned<CheckText>) -> Result<Check, PresetError> {
    let written = spanned.as_ref();
    refuse_fields("none", spanned)?;
    if text.check.len() > 1 {
        return Err(PresetError::at(spanned.span(), "a check of kind `none` passes everything, so it stands alone"));
    }
    if written.secret.is_some() || written.signature.is_some() {
        return Err(PresetError::at(spanned.span(), "a check of kind `none` has neither `secret` nor `signature`"));
    }
    let parts = Parts::Placed { skip: 0 };
    let nowhere = SignatureRule { from: Locator::Body, split: None, parts, prefix: None, encoding: Encoding::Plain };
    compiled(spanned, Algorithm::Unsigned, "none".into(), nowhere)
}

fn refuse_fields(kind: &str, spanned: &Spanned<CheckText>) -> Result<(), PresetError> {
    let written = spanned.as_ref();
    for (field, found) in [
        ("algorithm", written.algorithm.as_ref().map(Spanned::span)),
        ("time", written.time.as_ref().map(Spanned::span)),
        ("message", written.message.as_ref().map(Spanned::span)),
        ("key", written.key.as_ref().map(|_| spanned.span())),
    ] {
        if let Some(span) = found {
            return Err(PresetError::at(span, format!("a `{kind}` check has no `{field}`: nothing is computed")));
        }
    }
    Ok(())
}

fn compiled(
    spanned: &Spanned<CheckText>,
    algorithm: Algorithm,
    slot: Arc<str>,
    signature: SignatureRule,
) -> Result<Check, PresetError> {
    Ok(Check {
        id: compile_id(spanned.as_ref())?,
        algorithm,
        slot,
        key: KeyRule::default(),
        signature,
        time: None,
        message: Template::parse("").map_err(|error| PresetError::at(spanned.span(), error.message))?,
    })
}

fn token(text: &ProviderText, spanned: &Spanned<CheckText>) -> Result<SignatureRule, PresetError> {
    let Some(written) = &spanned.as_ref().signature else {
        return Err(PresetError::at(spanned.span(), "a `token` check needs its `signature`: where the token is"));
    };
    if let Some(encoding) = &written.encoding {
        return Err(PresetError::at(encoding.span(), "a token has no `encoding`: it is compared as it stands"));
    }
    compile_signature(text, written, Encoding::Plain)
}

fn basic(spanned: &Spanned<CheckText>) -> Result<SignatureRule, PresetError> {
    let span = spanned.span();
    if spanned.as_ref().signature.is_some() {
        return Err(PresetError::at(span, "a `basic` check has no `signature`: it reads the header `Authorization`"));
    }
    let from = Locator::parse("header:Authorization").map_err(|error| PresetError::at(span, error.message))?;
    Ok(SignatureRule { from, split: None, parts: Parts::Placed { skip: 0 }, prefix: None, encoding: Encoding::Basic })
}

/// A secret that is sent must not become an id or a type, which are stored and shown.
pub(super) fn judge_readers(event: &EventRule, text: &ProviderText, checks: &[Check]) -> Result<(), PresetError> {
    let sent = |locator: &Locator| checks.iter().any(|check| check.algorithm.is_credential() && check.signature.from == *locator);
    if event.id_locators().chain(event.type_locators()).any(sent) {
        let span = text.event.as_ref().map(Spanned::span);
        let message = "the secret itself would become a part of the id or the type, which are stored and shown".to_owned();
        return Err(PresetError { message, span, nearest: None });
    }
    Ok(())
}
