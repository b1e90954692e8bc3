//! A source's verifier: its preset and its secrets, prepared once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::candidates::Elements;
use super::compute::{self, could_be_for_strangers};
use super::handshake::{Handshakes, Passed, answer};
use super::key::{Key, KeyError, fingerprint, is_short};
use super::plan::Plan;
use super::prove::{ArmedCheck, deciding, prove};
use super::reading::Reading;
use super::{Admitted, Refusal, ident};
use crate::model::{Delivery, Fingerprint, Headers, Secret, SourceName, Timestamp};
use crate::preset::{Algorithm, Check, Handshake, Locator, Preset};

/// The type of an event whose own cannot be read.
pub const TYPE_UNKNOWN: &str = "unknown";
/// Headers that are kept beside those that the preset names.
const KEPT_ALWAYS: [&str; 2] = ["content-type", "user-agent"];

/// What a source says about its verification.
#[derive(Clone, Debug)]
pub struct VerifierSettings {
    /// The source.
    pub source: SourceName,
    /// Its provider.
    pub preset: Arc<Preset>,
    /// Its secrets by slot, the newest first.
    pub secrets: Vec<(String, Secret)>,
    /// Slots that a secret is named for which is not there yet.
    pub awaited: Vec<String>,
    /// The checks that it allows. None: the first of each slot.
    pub allow: Option<Vec<String>>,
    /// How far a signed time may lie on either side of now. None: as the preset says; zero: it is not looked at.
    pub tolerance: Option<Duration>,
    /// The provider's parameters.
    pub params: BTreeMap<String, String>,
    /// Headers to keep for handlers beyond the preset's own, in lower case.
    pub kept_headers: Vec<String>,
}

/// Judges the deliveries of one source.
pub struct Verifier {
    source: SourceName,
    preset: Arc<Preset>,
    checks: Vec<ArmedCheck>,
    handshakes: Handshakes,
    computing: compute::Keys,
    fingerprints: Vec<(String, Fingerprint, bool)>,
    plan: Plan,
    /// Headers that may be there once at most.
    read_once: Vec<Box<str>>,
    kept: Vec<Box<str>>,
    /// Those of both, and the content type, which says how to read a form.
    handed: Vec<Box<str>>,
    type_unknown: Arc<str>,
}

impl Verifier {
    /// Prepares every secret.
    ///
    /// # Errors
    /// [`KeyError`] where settings and preset do not fit.
    pub fn new(settings: VerifierSettings) -> Result<Self, KeyError> {
        judge(&settings)?;
        let VerifierSettings { source, preset, secrets, awaited, allow, tolerance, params, kept_headers } = settings;
        let mut fingerprints: Vec<(String, Fingerprint, bool)> =
            secrets.iter().map(|(slot, secret)| (slot.clone(), fingerprint(secret), false)).collect();
        let allowed: Vec<Arc<str>> = preset.allowed(allow.as_deref()).iter().map(|check| Arc::clone(&check.id)).collect();
        let mut checks = Vec::new();
        for (place, check) in preset.checks().iter().enumerate().filter(|(_, check)| allowed.contains(&check.id)) {
            let mut keys = Vec::new();
            for (number, (_, secret)) in secrets.iter().enumerate().filter(|(_, (slot, _))| **slot == *check.slot) {
                let key = Key::new(check, secret, number)?;
                fingerprints[number].2 |= key.is_short;
                keys.push(key);
            }
            let preset_tolerance = check.time.as_ref().map_or(Duration::ZERO, |time| time.tolerance);
            if !keys.is_empty() || check.algorithm == Algorithm::Unsigned {
                checks.push(ArmedCheck { place, keys, tolerance: tolerance.unwrap_or(preset_tolerance) });
            }
        }
        if allow.is_none() {
            forbid_downgrade(&preset, &awaited, &mut checks);
        }
        let compared: Vec<&str> = preset.handshakes().iter().flat_map(Handshake::compared_slots).collect();
        for (number, (_, secret)) in secrets.iter().enumerate().filter(|(_, (slot, _))| compared.contains(&&**slot)) {
            fingerprints[number].2 |= is_short(secret.reveal());
        }
        let handshakes = Handshakes::new(&preset, &secrets);
        let computing = compute::Keys::new(&preset, &secrets, |number| fingerprints[number].2 = true)?;
        let kept = kept(&preset, &kept_headers);
        let named = preset.named_headers().into_iter().map(Box::from);
        let greeted = preset.handshakes().iter().flat_map(Handshake::locators).filter_map(|locator| match locator {
            Locator::Header(name) => Some(Box::from(name.lower())),
            _ => None,
        });
        let handed = kept.iter().cloned().chain(named).chain(greeted).chain([Box::from("content-type")]).collect();
        Ok(Self {
            plan: Plan::new(&preset, params),
            read_once: read_once(&preset, &checks),
            kept,
            handed,
            source,
            preset,
            checks,
            handshakes,
            computing,
            fingerprints,
            type_unknown: TYPE_UNKNOWN.into(),
        })
    }

    /// Whether no check has a secret, so that nothing can be judged yet.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.checks.is_empty()
    }

    /// The slot and the fingerprint of each secret, and whether it is under 16 bytes once decoded.
    #[must_use]
    pub fn fingerprints(&self) -> &[(String, Fingerprint, bool)] {
        &self.fingerprints
    }

    /// The source's provider.
    #[must_use]
    pub const fn preset(&self) -> &Arc<Preset> {
        &self.preset
    }

    /// The checks that take part: those that are allowed and have a secret. None of a pending source.
    #[must_use]
    pub fn armed(&self) -> Vec<String> {
        self.rules().map(|check| check.id.as_ref().to_owned()).collect()
    }

    /// Slots that have a secret which nothing looks at.
    #[must_use]
    pub fn idle_slots(&self) -> Vec<&str> {
        let checked = self.rules().map(|check| &*check.slot);
        let used: Vec<&str> = checked.chain(self.preset.handshakes().iter().flat_map(Handshake::slots)).collect();
        let mut idle: Vec<&str> =
            self.fingerprints.iter().map(|(slot, ..)| &**slot).filter(|slot| !used.contains(slot)).collect();
        idle.dedup();
        idle
    }

    /// Whether a check that takes part has its secret sent with each delivery.
    #[must_use]
    pub fn takes_credentials(&self) -> bool {
        self.rules().any(|check| check.algorithm.is_credential())
    }

    /// Judges one request over the exact bytes received: handshakes that come before the check, the check, those that come after
    /// it, the event.
    ///
    /// # Errors
    /// [`Refusal`] unless it is a handshake that can be answered, or proven, fresh, and says which event it is about.
    pub fn verify(&self, delivery: &Delivery, now: Timestamp) -> Result<Passed, Refusal> {
        let reading = self.reading(delivery);
        let find = |verified| self.handshakes.find(&self.preset, verified, &delivery.method, &reading);
        if let Some(found) = find(false) {
            return self.greet(found, &reading);
        }
        if !self.preset.methods().contains(&delivery.method) && find(true).is_none() {
            return Err(Refusal::NoHandshake);
        }
        if self.is_pending() {
            return Err(Refusal::SourceNotReady);
        }
        if self.preset.signs_for_strangers() && could_be_for_strangers(&delivery.body) {
            return Err(Refusal::BodySignable);
        }
        if self.read_once.iter().any(|name| reading.is_repeated(name)) {
            return Err(Refusal::HeaderRepeated);
        }
        let proof = prove(&self.preset, &self.checks, &reading, now)?;
        if let Some(found) = find(true) {
            return self.greet(found, &reading);
        }
        let event = self.preset.event();
        let identity = ident::read_id(event, &reading, delivery.id, &proof.body_digest)?;
        let event_type = ident::read_type(event, &reading);
        Ok(Passed::Event(Admitted {
            source: self.source.clone(),
            delivery_id: delivery.id,
            received_at: delivery.received_at,
            event_id: identity.id,
            event_id_received: identity.received,
            event_type: event_type.map_or_else(|| Arc::clone(&self.type_unknown), Arc::from),
            id_from: identity.from,
            id_signed: event.id_signed,
            check: proof.check,
            secret: proof.secret,
            body_digest: proof.body_digest,
            signed_digest: proof.signed_digest,
            headers: self.keep(&delivery.headers),
            body: delivery.body.clone(),
        }))
    }

    fn greet(&self, (place, handshake): (usize, &Handshake), reading: &Reading<'_>) -> Result<Passed, Refusal> {
        let computed = self.computing.compute(place, handshake, reading)?;
        answer(handshake, computed.as_deref(), reading).map(Passed::Handshake)
    }

    /// Whether a header of this name, in lower case, is read or kept: the others need not be handed over.
    #[must_use]
    pub fn wants(&self, header: &str) -> bool {
        self.handed.iter().any(|name| **name == *header)
    }

    fn keep(&self, headers: &Headers) -> Headers {
        let mut kept = Headers::with_capacity(self.kept.len());
        for (name, value) in headers.iter() {
            if Headers::is_clean(value) && self.kept.iter().any(|wanted| **wanted == *name) {
                kept.push(name, value.clone());
            }
        }
        kept
    }

    /// A delivery, of which nothing is read yet.
    pub(super) fn reading<'r>(&'r self, delivery: &'r Delivery) -> Reading<'r> {
        Reading::new(&self.plan, &delivery.method, &delivery.query, &delivery.headers, &delivery.body)
    }

    /// The check that decides about a delivery, with the elements of its signature's value.
    pub(super) fn deciding<'r>(&'r self, reading: &'r Reading<'_>) -> Option<(&'r Check, Elements<'r>)> {
        let (armed, elements) = deciding(&self.preset, &self.checks, reading).ok()?;
        Some((armed.rules(&self.preset), elements))
    }

    /// The rules of the checks that take part, in order.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().map(|armed| armed.rules(&self.preset))
    }

    /// The check that signs anew, with its newest secret; its plan.
    pub(super) fn signing(&self) -> Option<(&Check, &Key, &Plan)> {
        let armed = self.checks.first()?;
        Some((armed.rules(&self.preset), armed.keys.first()?, &self.plan))
    }
}

impl std::fmt::Debug for Verifier {
    /// Prepared keys are as good as secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("source", &self.source).finish_non_exhaustive()
    }
}

/// Sees that settings and preset speak of the same slots, checks and parameters.
fn judge(settings: &VerifierSettings) -> Result<(), KeyError> {
    let preset = &settings.preset;
    let slots = preset.slots();
    if let Some(place) = settings.secrets.iter().position(|(slot, _)| !slots.contains(&slot.as_str())) {
        return Err(KeyError::UnknownSlot { place, slot: settings.secrets[place].0.clone(), known: slots.join(", ") });
    }
    let known = || preset.checks().iter().map(|check| &*check.id);
    if let Some(allow) = &settings.allow {
        if let Some(check) = allow.iter().find(|id| !known().any(|known| *known == ***id)) {
            return Err(KeyError::UnknownCheck { check: check.clone(), known: known().collect::<Vec<_>>().join(", ") });
        }
        if allow.is_empty() {
            return Err(KeyError::NothingAllowed);
        }
    }
    if let Some(check) = preset.checks().iter().find(|check| check.algorithm == Algorithm::Unsigned && settings.allow.is_none()) {
        return Err(KeyError::UnsignedNotAllowed { check: check.id.as_ref().to_owned() });
    }
    if let Some((name, help)) = preset.params().iter().find(|(name, _)| !settings.params.contains_key(*name)) {
        return Err(KeyError::ParamMissing { name: name.clone(), help: help.clone() });
    }
    if let Some(name) = settings.params.keys().find(|name| !preset.params().contains_key(*name)) {
        return Err(KeyError::ParamUnknown { name: name.clone() });
    }
    Ok(())
}

/// The headers that the id or a check of the source reads. A type may be read twice: it is then `unknown`.
fn read_once(preset: &Preset, checks: &[ArmedCheck]) -> Vec<Box<str>> {
    let of_checks = checks.iter().flat_map(|armed| armed.rules(preset).locators());
    let mut names: Vec<Box<str>> = Vec::new();
    for locator in of_checks.chain(preset.event().id_locators()) {
        if let Locator::Header(name) = locator
            && !names.iter().any(|known| **known == *name.lower())
        {
            names.push(name.lower().into());
        }
    }
    names
}

/// Where a signature can be demanded, a secret that is merely sent proves nothing: leaving the signature out must not be a way in, nor
/// while the secret of the signature is not there yet.
fn forbid_downgrade(preset: &Preset, awaited: &[String], checks: &mut Vec<ArmedCheck>) {
    let signs = |check: &Check| !check.algorithm.is_credential();
    let is_awaited = |check: &&Check| signs(check) && awaited.iter().any(|slot| **slot == *check.slot);
    let demanded = checks.iter().any(|armed| signs(armed.rules(preset))) || preset.allowed(None).iter().any(is_awaited);
    if demanded {
        checks.retain(|armed| signs(armed.rules(preset)));
    }
}

/// The headers that are kept for handlers.
fn kept(preset: &Preset, beyond: &[String]) -> Vec<Box<str>> {
    let sent: Vec<&str> =
        preset.checks().iter().filter_map(Check::credential_header).map(crate::preset::HeaderName::lower).collect();
    let wanted = preset.named_headers().into_iter().chain(KEPT_ALWAYS).chain(beyond.iter().map(String::as_str));
    let mut names: Vec<Box<str>> = Vec::new();
    for name in wanted.filter(|name| is_keepable(name) && !sent.contains(name)) {
        if !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    }
    names
}

/// Credentials are never kept, nor what would be taken for our own word.
fn is_keepable(name: &str) -> bool {
    !matches!(name, "authorization" | "cookie" | "idempotency-key") && !name.starts_with("hookgate-")
}
