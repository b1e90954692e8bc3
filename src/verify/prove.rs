//! The check: which one decides, and whether it passes.

use std::sync::Arc;
use std::time::Duration;

use super::candidates::Elements;
use super::key::Key;
use super::message::{Context, Piece, signed_digest};
use super::reading::{Reading, Value};
use super::{Refusal, window};
use crate::flaws::{Flaw, planted};
use crate::model::{Digest, Fingerprint, Timestamp};
use crate::preset::{Algorithm, Check, Preset};

/// A check of the preset that the source allows and has secrets for.
pub(super) struct ArmedCheck {
    /// Its place in the preset.
    pub(super) place: usize,
    /// Its secrets, the newest first; at least one, unless it proves nothing.
    pub(super) keys: Vec<Key>,
    /// How far the signed time may lie on either side of now. Zero: it is not looked at.
    pub(super) tolerance: Duration,
}

impl ArmedCheck {
    /// The check's rules.
    pub(super) fn rules<'p>(&self, preset: &'p Preset) -> &'p Check {
        &preset.checks()[self.place]
    }
}

/// What a check that passed has proven.
pub(super) struct Proof {
    /// The check.
    pub(super) check: Arc<str>,
    /// The secret that matched; none where nothing had to be proven.
    pub(super) secret: Option<Fingerprint>,
    /// SHA-256 of the raw body.
    pub(super) body_digest: Digest,
    /// SHA-256 of what was signed, without its time.
    pub(super) signed_digest: Digest,
}

/// Lets the check decide that has to.
pub(super) fn prove(preset: &Preset, checks: &[ArmedCheck], reading: &Reading<'_>, now: Timestamp) -> Result<Proof, Refusal> {
    if let [armed] = checks
        && armed.rules(preset).algorithm == Algorithm::Unsigned
    {
        return Ok(proof(armed.rules(preset), None, &[], reading));
    }
    let (armed, elements) = deciding(preset, checks, reading)?;
    let rules = armed.rules(preset);
    let mut context = Context { check: rules, reading, elements: Some(&elements), time: None };
    if let Some(time) = &rules.time {
        context.time = context.read(&time.from)?;
        if !armed.tolerance.is_zero() {
            window::judge(context.time.ok_or(Refusal::TimeMissing)?, now, armed.tolerance)?;
        }
    }
    let message = context.message()?;
    let key = matching(&armed.keys, &message, &elements).ok_or(Refusal::SignatureMismatch)?;
    Ok(proof(rules, Some(key), &message, reading))
}

/// The first check that finds a signature, with the elements of its value. There is no falling through from a failed check to
/// another.
pub(super) fn deciding<'r>(
    preset: &Preset,
    checks: &'r [ArmedCheck],
    reading: &'r Reading<'_>,
) -> Result<(&'r ArmedCheck, Elements<'r>), Refusal> {
    let mut refusal = Refusal::SignatureMissing;
    for armed in checks {
        let rules = armed.rules(preset);
        let value = match reading.read(&rules.signature.from) {
            Value::Text(value) => value,
            Value::NameRepeated => return Err(Refusal::HeaderRepeated),
            Value::Absent => continue,
            Value::NotJson | Value::KeyUnclear => {
                refusal = Refusal::SignatureMalformed;
                continue;
            }
        };
        let elements = Elements::read(&rules.signature, rules.algorithm.digest_bytes(), value)?;
        if !elements.candidates.is_empty() {
            return Ok((armed, elements));
        }
        refusal = Refusal::SignatureMalformed;
    }
    Err(refusal)
}

fn proof(rules: &Check, key: Option<&Key>, message: &[Piece<'_>], reading: &Reading<'_>) -> Proof {
    let body_digest = reading.body_digest();
    Proof {
        check: Arc::clone(&rules.id),
        secret: key.map(|key| key.fingerprint.clone()),
        body_digest,
        signed_digest: signed_digest(rules, message, &body_digest),
    }
}

/// The first secret that any offered signature was made with. All are tried, whatever is found.
fn matching<'k>(keys: &'k [Key], message: &[Piece<'_>], elements: &Elements<'_>) -> Option<&'k Key> {
    let mut matched = None;
    for key in keys {
        let is_right = key.keyed.tag(message).is_among(&elements.candidates);
        if matched.is_none() && is_right {
            matched = Some(key);
        }
    }
    if planted(Flaw::VerificationSkipped) { matched.or_else(|| keys.first()) } else { matched }
}
