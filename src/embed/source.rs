//! A source, said in code.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::{
    AckText, DurationText, OnMismatchText, ReplayGuard, SecretText, SizeText, SourceText, source_text, unplaced,
};

/// One inbound address: one registration at a provider, reached at `/hooks/NAME`. What is not said has the preset's value; what there is
/// no method for goes into [`Builder::config_toml`](super::Builder::config_toml).
///
/// ```
/// use hookgate::Source;
///
/// let eu = Source::provider("stripe").named("stripe-eu").secret_env("STRIPE_EU").secret_env("STRIPE_EU_OLD").ignore(["ping"]);
/// ```
#[must_use = "a source is for `Builder::source`"]
pub struct Source {
    name: String,
    slot: Option<String>,
    text: SourceText,
}

impl Source {
    /// A source of this provider: a built-in preset or one of `[providers.NAME]`. It is named as its provider unless it is
    /// [named](Source::named) otherwise.
    pub fn provider(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { text: source_text(name.clone()), name, slot: None }
    }

    /// Another name, `[a-z0-9-]`, 1 to 64 characters. It is a part of every event's identity: do not change it later.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A secret in a variable of the environment, read at [`open`](super::Builder::open). Any of several secrets is accepted, so list
    /// the newest first while you rotate. While no secret is there the source is pending and answers 503, which most providers retry.
    pub fn secret_env(self, variable: impl Into<String>) -> Self {
        self.secret_of(SecretText { env: Some(variable.into()), file: None, literal: None, slot: None, given: None })
    }

    /// A secret in a file: its bytes less one trailing newline.
    pub fn secret_file(self, path: impl AsRef<Path>) -> Self {
        let file = Some(path.as_ref().to_string_lossy().into_owned());
        self.secret_of(SecretText { env: None, file, literal: None, slot: None, given: None })
    }

    /// A secret that the program has got by itself.
    pub fn secret(self, secret: impl Into<Vec<u8>>) -> Self {
        let given = Some(Zeroizing::new(secret.into()));
        self.secret_of(SecretText { env: None, file: None, literal: None, slot: None, given })
    }

    /// Which of the preset's secrets those are that follow; `signing` unless said.
    pub fn slot(mut self, slot: impl Into<String>) -> Self {
        self.slot = Some(slot.into());
        self
    }

    fn secret_of(mut self, secret: SecretText) -> Self {
        self.text.secrets.push(unplaced(SecretText { slot: self.slot.clone(), ..secret }));
        self
    }

    /// Something that the preset asks for besides secrets.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.text.params.insert(name.into(), value.into());
        self
    }

    /// The checks of the preset that may decide, by their ids.
    pub fn allow<I: Into<String>>(mut self, checks: impl IntoIterator<Item = I>) -> Self {
        self.text.allow = Some(unplaced(checks.into_iter().map(Into::into).collect()));
        self
    }

    /// How far a signed time may be off.
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.text.tolerance = Some(unplaced(DurationText(tolerance)));
        self
    }

    /// Who may send: addresses and networks, such as `192.0.2.0/24`; others get 403. Behind a proxy its address is the sender's, unless
    /// `trusted_proxies` of [`config_toml`](super::Builder::config_toml) names it.
    pub fn allow_from<I: Into<String>>(mut self, networks: impl IntoIterator<Item = I>) -> Self {
        self.text.allow_from = Some(unplaced(networks.into_iter().map(|network| unplaced(network.into())).collect()));
        self
    }

    /// Types that no handler is to get; their events are stored all the same.
    pub fn ignore<I: Into<String>>(mut self, types: impl IntoIterator<Item = I>) -> Self {
        self.text.ignore.extend(types.into_iter().map(|glob| unplaced(glob.into())));
        self
    }

    /// Largest body in bytes.
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.text.body_limit = Some(unplaced(SizeText(bytes)));
        self
    }

    /// Deliveries that are taken a second; more get 429.
    pub fn rate_limit(mut self, per_second: u32) -> Self {
        self.text.rate_limit = Some(unplaced(per_second));
        self
    }

    /// Longest time to an answer.
    pub fn answer_deadline(mut self, deadline: Duration) -> Self {
        self.text.answer_deadline = Some(unplaced(DurationText(deadline)));
        self
    }

    /// Another answer to a stored delivery: a 2xx status and a body. The content type stays the preset's.
    pub fn ack(mut self, status: u16, body: impl Into<String>) -> Self {
        self.text.ack = Some(unplaced(AckText { status: Some(status), body: Some(body.into()), content_type: None }));
        self
    }

    /// Answers another body under a known id with 409 instead of the recorded answer.
    pub fn reject_mismatch(mut self) -> Self {
        self.text.on_mismatch = Some(unplaced(OnMismatchText::Reject));
        self
    }

    /// Does not look whether signed content comes again under a new id.
    pub fn no_replay_guard(mut self) -> Self {
        self.text.replay_guard = Some(ReplayGuard::Off);
        self
    }

    /// The registration is given up: every delivery gets 410, upon which senders disable the endpoint.
    pub fn retired(mut self) -> Self {
        self.text.retired = true;
        self
    }

    pub(super) fn into_parts(self) -> (String, SourceText) {
        (self.name, self.text)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("provider", self.text.provider.get_ref()).finish_non_exhaustive()
    }
}
