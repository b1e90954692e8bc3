//! The likely mistake behind a refusal, and what to do. Pure, bounded, and without a word of any secret.

mod mismatch;
mod missing;

use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::subject::Subject;
use crate::cli::print;
use crate::gateway::Problem;
use crate::model::{Delivery, Timestamp};
use crate::preset::{Check, Handshake, Locator};
use crate::verify::{Passed, Refusal, Verifier, VerifierSettings};

/// A time of 13 digits: of now in milliseconds, in seconds beyond any calendar.
const MILLISECONDS_FROM: i64 = 1_000_000_000_000;

/// A request that was judged.
pub(super) struct Case<'a> {
    /// What judged it.
    pub(super) subject: &'a Subject,
    /// The same, prepared.
    pub(super) verifier: &'a Verifier,
    /// The request.
    pub(super) delivery: &'a Delivery,
    /// The time that it was judged at.
    pub(super) now: Timestamp,
    /// Whether that time was given.
    pub(super) dated: bool,
}

impl Case<'_> {
    /// What is likely wrong.
    pub(super) fn hint(&self, refusal: Refusal) -> Option<String> {
        match refusal {
            Refusal::SourceNotReady => Some(self.no_secret()),
            Refusal::SignatureMissing => Some(missing::header(self)),
            Refusal::SignatureMalformed => Some(missing::form(self)),
            Refusal::SignatureMismatch => Some(mismatch::hint(self, self.now)),
            Refusal::TimeTooOld | Refusal::TimeTooNew => self.age(refusal),
            Refusal::HeaderRepeated => Some(self.repeated()),
            Refusal::TimeMissing | Refusal::TimeMalformed | Refusal::MessageUnreadable => self.unreadable(),
            Refusal::NoHandshake => Some(self.no_handshake("it is none of them: ")),
            Refusal::HandshakeUnfit => Some(self.no_handshake("one of these, but for a value that cannot be sent back: ")),
            Refusal::BodySignable => Some(
                "no event looks so: a handshake of this provider signs such a text for anybody, so its signature proves nothing"
                    .to_owned(),
            ),
            Refusal::MalformedBody => Some(self.malformed_body()),
            Refusal::EventIdMissing => Some(format!("it passes the check, but there is {}", self.preset_event())),
            Refusal::TooManySignatures | Refusal::SignatureAmbiguous => {
                Some("no known sender does that: something on the way adds to the header, or a stranger tries".to_owned())
            }
        }
    }

    /// The same for what was turned away before the check.
    pub(super) fn hint_of_problem(&self, problem: Problem) -> Option<String> {
        let body = self.delivery.body.len() as u64;
        let limit = print::size(self.subject.body_limit as u64);
        match problem {
            Problem::BodyTooLarge => Some(format!("it has {}, the limit is {limit}: raise `body_limit`", print::size(body))),
            Problem::UnsupportedEncoding => Some("the body is compressed: let the sender or the proxy leave that out".to_owned()),
            Problem::Retired => Some("the config says `retired`: take that out to have it judged".to_owned()),
            _ => None,
        }
    }

    fn no_secret(&self) -> String {
        let origins: Vec<&str> = self.subject.secrets.iter().map(|named| named.origin.as_str()).collect();
        match (self.subject.is_source, origins.is_empty()) {
            (true, false) => format!("there is nothing in {}: set it for this command too", origins.join(", ")),
            (true, true) => "the source has no `secrets`: add them to the config".to_owned(),
            (false, _) => "no check reads what was given: see `hookgate providers NAME` for the slots".to_owned(),
        }
    }

    /// How far off its time is, and whether that is all.
    fn age(&self, refusal: Refusal) -> Option<String> {
        let signed = self.verifier.signed_time(self.delivery)?;
        let (off, side) = match refusal {
            Refusal::TimeTooOld => (self.now.since(signed), "before"),
            _ => (signed.since(self.now), "after"),
        };
        let is_all = self.passes(self.verifier, self.delivery, signed);
        let otherwise = || format!("; apart from that: {}", mismatch::hint(self, signed));
        if signed.unix_s() >= MILLISECONDS_FROM {
            let then = if is_all { ", and that is its only fault: the sender must sign seconds".to_owned() } else { otherwise() };
            return Some(format!("its time, {}, is in milliseconds, where seconds are expected{then}", signed.unix_s()));
        }
        let than = if self.dated { "--now" } else { "now" };
        let told = format!("it was signed {} {side} {than}", print::duration(rounded(off.as_secs())));
        if !is_all {
            return Some(format!("{told}{}", otherwise()));
        }
        let why = match refusal {
            _ if self.dated => "",
            Refusal::TimeTooOld => {
                "; a live one that is so far off waited on its way, was sent again by a stranger, or a clock is wrong"
            }
            _ => "; a time to come means that a clock is wrong: the sender's, or the one here",
        };
        Some(format!("{told}, and that is its only fault: --now {} judges it as of then{why}", signed.unix_s()))
    }

    fn repeated(&self) -> String {
        let twice: Vec<&str> = self
            .verifier
            .preset()
            .named_headers()
            .into_iter()
            .filter(|name| self.delivery.headers.all(name).nth(1).is_some())
            .collect();
        match twice.is_empty() {
            true => "a field of the form is there twice: nobody can tell which one counts".to_owned(),
            false => format!("{} is there twice: a proxy adds one, or the capture holds two requests", twice.join(", ")),
        }
    }

    /// Which part of the signed message is not there.
    fn unreadable(&self) -> Option<String> {
        let checks = self.checks();
        let read = checks.iter().flat_map(|check| check.locators());
        let gone = each_once(read.filter_map(|locator| match locator {
            Locator::Header(name) if self.delivery.headers.find(name.lower()).is_none() => Some(name.written()),
            _ => None,
        }));
        if gone.is_empty() {
            let says: Vec<String> = checks.iter().map(|check| check.sentence(self.subject.settings.tolerance)).collect();
            return Some(format!("expected: {}", says.join(", or ")));
        }
        Some(format!("there is no {}: a proxy or the capture dropped it", gone.join(", no ")))
    }

    fn no_handshake(&self, told: &str) -> String {
        let known: Vec<String> = self.verifier.preset().handshakes().iter().map(Handshake::sentence).collect();
        format!("{told}{}", known.join("; "))
    }

    fn malformed_body(&self) -> String {
        if self.delivery.body.is_empty() {
            return format!("it passes the check, but the body is empty, and there is {}", self.preset_event());
        }
        match serde_json::from_slice::<IgnoredAny>(&self.delivery.body) {
            Err(error) => format!("it passes the check, but the body is no JSON: {error}"),
            Ok(_) => format!("it passes the check, but a key is there twice on the way to the {}", self.preset_event()),
        }
    }

    fn preset_event(&self) -> String {
        self.verifier.preset().event().sentence()
    }

    /// The checks that may decide.
    fn checks(&self) -> Vec<&Check> {
        self.verifier.preset().allowed(self.subject.settings.allow.as_deref())
    }

    /// Whether the check passes; what comes after it is no matter here.
    fn passes(&self, verifier: &Verifier, delivery: &Delivery, now: Timestamp) -> bool {
        match verifier.verify(delivery, now) {
            Ok(Passed::Event(_)) => true,
            // What is answered to anybody proves nothing.
            Ok(Passed::Handshake(reply)) => reply.verified,
            Err(refusal) => refusal.is_authentic(),
        }
    }

    /// The same with other settings.
    fn passes_with(&self, settings: VerifierSettings, now: Timestamp) -> bool {
        Verifier::new(settings).is_ok_and(|verifier| self.passes(&verifier, self.delivery, now))
    }

    /// The same with another body.
    fn passes_as(&self, body: Vec<u8>, now: Timestamp) -> bool {
        let delivery = Delivery { body: Bytes::from(body), ..self.delivery.clone() };
        self.passes(self.verifier, &delivery, now)
    }
}

/// Without repeats: several checks may read one header.
fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut once = Vec::new();
    names.for_each(|name| {
        if !once.contains(&name) {
            once.push(name);
        }
    });
    once
}

/// Two units of a time are enough for people.
fn rounded(seconds: u64) -> Duration {
    let unit = match seconds {
        0..3_600 => 1,
        3_600..86_400 => 60,
        _ => 3_600,
    };
    Duration::from_secs(seconds - seconds % unit)
}
