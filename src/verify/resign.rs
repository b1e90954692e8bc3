//! The provider's own signature, made anew: for handlers that verify it themselves, and for fixtures that are played again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Verifier;
use super::credential;
use super::message::Context;
use super::reading::Reading;
use crate::model::{Headers, Timestamp};
use crate::preset::{Check, Encoding, Locator, Parts};

impl Verifier {
    /// Whether the scheme can be signed anew at all, be there a secret yet or not: symmetric, with the time outside the body,
    /// nothing of the query, which is not kept, and no element of the signature that only the provider knows.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        let preset = self.preset();
        let check = self.rules().next().or(preset.checks().first());
        preset.methods().len() == 1 && check.is_some_and(is_signable)
    }

    /// The headers that sign a request anew, with the newest secret and the time `now`: names as the preset writes them.
    ///
    /// They replace headers of the same names. None where nothing can be signed so: no secret yet, what
    /// [`Verifier::can_sign`] says of the scheme, a part of the message missing.
    #[must_use]
    pub fn sign(&self, headers: &Headers, body: &[u8], now: Timestamp) -> Option<Vec<(String, String)>> {
        if self.preset().is_unsigned() {
            return Some(Vec::new());
        }
        let (check, key, plan) = self.signing().filter(|(check, ..)| is_signable(check))?;
        // A handler is called by the one method that the provider has.
        let [method] = self.preset().methods() else { return None };
        let Locator::Header(signature_header) = &check.signature.from else { return None };
        let now_s = now.unix_s().to_string();
        let time_header = match check.time.as_ref().map(|time| &time.from) {
            Some(Locator::Header(name)) => Some(name),
            _ => None,
        };
        let value = if let Some(secret) = key.keyed.sent() {
            write(check, secret, &now_s)?
        } else {
            let reading = Reading::new(plan, method, "", headers, body);
            let context = Context { check, reading: &reading, elements: None, time: Some(now_s.as_bytes()) };
            write(check, key.keyed.tag(&context.message().ok()?).as_bytes(), &now_s)?
        };
        let mut signed = vec![(signature_header.written().to_owned(), value)];
        if let Some(name) = time_header {
            signed.push((name.written().to_owned(), now_s));
        }
        Some(signed)
    }
}

fn is_signable(check: &Check) -> bool {
    let time_from = check.time.as_ref().map(|time| &time.from);
    let time_is_outside =
        matches!(time_from, None | Some(Locator::Header(_) | Locator::SignatureKey(_) | Locator::SignaturePlace(_)));
    let signs_query = check.message.locators().any(|locator| matches!(locator, Locator::Query(_)));
    matches!(check.signature.from, Locator::Header(_)) && time_is_outside && !signs_query && write(check, &[], "0").is_some()
}

/// The signature's value as the provider writes it: from the digest, or from the secret that is sent itself.
fn write(check: &Check, digest: &[u8], now_s: &str) -> Option<String> {
    let rule = &check.signature;
    let encoded = match rule.encoding {
        Encoding::Hex => hex::encode(digest),
        Encoding::Base64 => STANDARD.encode(digest),
        Encoding::Plain => std::str::from_utf8(digest).ok().filter(|text| Headers::is_clean(text.as_bytes()))?.to_owned(),
        Encoding::Basic => credential::write_basic(digest),
    };
    let signature = format!("{}{encoded}", rule.prefix.as_deref().unwrap_or_default());
    let time_from = check.time.as_ref().map(|time| &time.from);
    let mut elements = Vec::new();
    match &rule.parts {
        Parts::Named { pair, keys } => {
            if let Some(Locator::SignatureKey(name)) = time_from {
                elements.push(format!("{name}{pair}{now_s}"));
            }
            elements.push(format!("{}{pair}{signature}", keys.first()?));
        }
        Parts::Placed { skip } => {
            for place in 0..*skip {
                let is_time = time_from == Some(&Locator::SignaturePlace(place));
                elements.push(if is_time { now_s.to_owned() } else { return None });
            }
            elements.push(signature);
        }
    }
    match &rule.split {
        Some(split) => Some(elements.join(split)),
        None => elements.pop().filter(|_| elements.is_empty()),
    }
}
