//! The time that a delivery says it was signed at, for who wants to know how old it is.

use super::Verifier;
use super::message::Context;
use super::window::parse_unix_s;
use crate::model::{Delivery, Timestamp};

impl Verifier {
    /// The signed time of a delivery, by the check that decides; nothing is proven by it. None where there is none that can be read.
    #[must_use]
    pub fn signed_time(&self, delivery: &Delivery) -> Option<Timestamp> {
        let reading = self.reading(delivery);
        let (check, elements) = self.deciding(&reading)?;
        let context = Context { check, reading: &reading, elements: Some(&elements), time: None };
        let text = context.read(&check.time.as_ref()?.from).ok()??;
        parse_unix_s(text).map(Timestamp::from_unix_s)
    }
}
