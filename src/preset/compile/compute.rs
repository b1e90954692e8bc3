//! The load checks of a handshake's `compute`.

use toml::Spanned;

use super::check::{compile_algorithm, compile_encoding, compile_key, compile_slot};
use super::{one_of, template};
use crate::preset::{Check, Compute, ComputeText, KeyRule, Locator, PresetError, ProviderText};

/// Compiles it.
pub(super) fn compile(
    text: &ProviderText,
    spanned: &Spanned<ComputeText>,
    verified: bool,
    checks: &[Check],
) -> Result<Compute, PresetError> {
    let written = spanned.as_ref();
    one_of("kind", &written.kind, &[("hmac", ())], &["hash"])?;
    let message = template(text, &written.message)?;
    let legal = |locator: &Locator| locator.is_named_value() || matches!(locator, Locator::Param(_));
    if !message.locators().all(legal) || message.locators().next().is_none() {
        let fault = "what is computed over is made of `header:`, `query:`, `body:/`, `form:` and `param:`";
        return Err(PresetError::at(written.message.span(), fault));
    }
    let compute = Compute {
        algorithm: compile_algorithm(&written.algorithm)?,
        encoding: compile_encoding(&written.encoding)?,
        slot: compile_slot(written.secret.as_ref())?,
        key: written.key.as_ref().map_or(Ok(KeyRule::default()), compile_key)?,
        message,
    };
    if !verified {
        judge_oracle(&compute, spanned, checks)?;
    }
    Ok(compute)
}

/// What anybody can have signed must not be what proves a delivery. A body is told from it by its characters, so every check with
/// this secret has to sign the raw body itself, and a secret that is sent must not become a key here.
fn judge_oracle(compute: &Compute, spanned: &Spanned<ComputeText>, checks: &[Check]) -> Result<(), PresetError> {
    let signs_body = |check: &Check| check.message.locators().any(|locator| *locator == Locator::Body);
    match checks.iter().find(|check| check.slot == compute.slot && !signs_body(check)) {
        None => Ok(()),
        Some(check) => {
            let message = format!(
                "anybody could have signed what check `{}` takes: it needs `{{body}}` in its message, or `compute` another secret",
                check.id
            );
            Err(PresetError::at(spanned.span(), message))
        }
    }
}
