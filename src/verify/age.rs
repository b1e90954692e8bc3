//! The time that a delivery says it was signed at, for who wants to know how old it is.

use super::Verifier;
use super::candidates::Elements;
use super::message::Context;
use super::reading::Value;
use super::window::parse_unix_s;
use crate::model::{Delivery, Timestamp};

impl Verifier {
    /// The signed time of a delivery, by the check that would decide; nothing is proven by it. None where there is none that can be
    /// read.
    #[must_use]
    pub fn signed_time(&self, delivery: &Delivery) -> Option<Timestamp> {
        let reading = self.reading(delivery);
        for rules in self.rules() {
            let Value::Text(value) = reading.read(&rules.signature.from) else { continue };
            let elements = Elements::read(&rules.signature, rules.algorithm.digest_bytes(), value).ok()?;
            if elements.candidates.is_empty() {
                continue;
            }
            let context = Context { check: rules, reading: &reading, elements: Some(&elements), time: None };
            let text = context.read(&rules.time.as_ref()?.from).ok()??;
            return parse_unix_s(text).map(Timestamp::from_unix_s);
        }
        None
    }
}
