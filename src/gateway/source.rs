//! A configured inbound address, as the request path needs it: everything decided once, at load.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::address::{AllowedSenders, Sender};
use super::load::Budget;
use super::{Load, Route};
use crate::model::{Ack, SourceName, TypeGlob};
use crate::verify::Verifier;

/// What a source is made of.
#[derive(Debug)]
pub struct SourceSettings {
    /// Its name.
    pub name: SourceName,
    /// Its compiled checks and prepared keys.
    pub verifier: Arc<Verifier>,
    /// Methods that may carry events.
    pub methods: Vec<String>,
    /// Answered 410.
    pub retired: bool,
    /// Who may send; none is everybody.
    pub allow_from: Option<AllowedSenders>,
    /// Types that no handler is to get.
    pub ignore: Vec<TypeGlob>,
    /// Largest body in bytes.
    pub body_limit: usize,
    /// Deliveries that are taken a second; none is any number.
    pub rate_limit: Option<u32>,
    /// The whole answer within this.
    pub answer_deadline: Duration,
    /// Whether its provider sends again by itself what was answered 503.
    pub sender_retries: bool,
    /// Whether signed content that comes again under a new id is looked for.
    pub replay_guard: bool,
    /// Whether another body under a known id is answered 409.
    pub reject_mismatch: bool,
    /// JSON pointers under which repeats may differ.
    pub volatile: Vec<String>,
    /// The answer to what did not pass the check.
    pub reject_status: u16,
    /// The answer to a stored delivery.
    pub ack: Ack,
}

impl SourceSettings {
    /// Whether a request may come in from there, or the address that may not.
    pub(super) fn admit(&self, sender: Sender<'_>) -> Result<(), Option<IpAddr>> {
        self.allow_from.as_ref().map_or(Ok(()), |allowed| allowed.admit(sender))
    }
}

/// A source with what is in hand of it.
#[derive(Debug)]
pub struct Source {
    pub(super) settings: SourceSettings,
    pub(super) share: Arc<Budget>,
    pub(super) rejected: Arc<Rate>,
    pub(super) taken: Option<Arc<Rate>>,
}

impl Source {
    /// Takes its share of the load.
    #[must_use]
    pub fn new(settings: SourceSettings, load: &Load) -> Self {
        let taken = settings.rate_limit.map(|limit| Arc::new(Rate::new(limit)));
        Self { settings, share: load.share(), rejected: Arc::new(Rate::new(REJECTED_PER_SECOND)), taken }
    }

    /// The same source by other settings: what is in hand of it, and what it took this second, still counts.
    #[must_use]
    pub fn renewed(&self, settings: SourceSettings, load: &Load) -> Self {
        load.renew(&self.share);
        let same = self.settings.rate_limit == settings.rate_limit;
        let taken = if same { self.taken.clone() } else { settings.rate_limit.map(|limit| Arc::new(Rate::new(limit))) };
        Self { settings, share: Arc::clone(&self.share), rejected: Arc::clone(&self.rejected), taken }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &SourceName {
        &self.settings.name
    }

    /// Whether a handler is to get this type at all.
    pub(super) fn ignores(&self, event_type: &str) -> bool {
        self.settings.ignore.iter().any(|glob| glob.matches(event_type))
    }

    /// Whether the head's field of this name (in lower case) is read or kept.
    #[must_use]
    pub fn wants(&self, header: &str) -> bool {
        self.settings.verifier.wants(header)
    }
}

impl Route {
    /// What a handler hears, from its settings.
    #[must_use]
    pub const fn new(handler: crate::model::HandlerName, sources: Option<Vec<SourceName>>, events: Vec<TypeGlob>) -> Self {
        Self { handler, sources, events }
    }
}

/// Rows of rejected deliveries and handshakes that the log takes per second and source. Strangers can cause them at will.
const REJECTED_PER_SECOND: u32 = 10;

/// Lets so many through in each second of the monotonic clock.
#[derive(Debug)]
pub struct Rate {
    per_second: u32,
    window: Mutex<(u64, u32)>,
}

impl Rate {
    /// So many a second.
    #[must_use]
    pub const fn new(per_second: u32) -> Self {
        Self { per_second, window: Mutex::new((0, 0)) }
    }

    /// Whether one more may pass at this monotonic time.
    pub fn pass(&self, monotonic: Duration) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0 != monotonic.as_secs() {
            *window = (monotonic.as_secs(), 0);
        }
        window.1 += 1;
        window.1 <= self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_so_many_pass_in_a_second() {
        let rate = Rate::new(10);
        let passed = |at_ms| (0..100).filter(|_| rate.pass(Duration::from_millis(at_ms))).count();
        assert_eq!(passed(1_000), 10);
        assert_eq!(passed(1_999), 0);
        assert_eq!(passed(2_000), 10);
    }
}
