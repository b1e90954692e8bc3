//! The load checks of a check whose secret itself is sent: kinds `token` and `basic`.

use toml::Spanned;

use super::check::{compile_id, compile_signature, compile_slot};
use crate::preset::{
    Algorithm, Check, CheckText, Encoding, EventRule, KeyEncoding, KeyRule, Locator, Parts, PresetError, PresetWarning,
    ProviderText, SignatureRule, Template,
};

/// Compiles such a check.
pub(super) fn compile(
    text: &ProviderText,
    spanned: &Spanned<CheckText>,
    is_basic: bool,
    warnings: &mut Vec<PresetWarning>,
) -> Result<Check, PresetError> {
    let written = spanned.as_ref();
    let kind = if is_basic { "basic" } else { "token" };
    for (field, found) in [
        ("algorithm", written.algorithm.as_ref().map(Spanned::span)),
        ("time", written.time.as_ref().map(Spanned::span)),
        ("message", written.message.as_ref().map(Spanned::span)),
        ("key", written.key.as_ref().map(|_| spanned.span())),
    ] {
        if let Some(span) = found {
            return Err(PresetError::at(span, format!("a `{kind}` check has no `{field}`: its secret is compared as it stands")));
        }
    }
    let signature = if is_basic { basic(spanned)? } else { token(text, spanned)? };
    if matches!(signature.from, Locator::Json(_) | Locator::Form(..)) {
        let message = "the token stands in the body, so it is stored and handed on with it".to_owned();
        warnings.push(PresetWarning { message, span: Some(spanned.span()) });
    }
    Ok(Check {
        id: compile_id(written)?,
        algorithm: if is_basic { Algorithm::Basic } else { Algorithm::Token },
        slot: compile_slot(written)?,
        key: KeyRule { strip: None, encoding: KeyEncoding::Utf8 },
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
