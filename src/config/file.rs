//! The config file as written: what the operator typed, with the place where it stands, and nothing that it means.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;
use zeroize::Zeroizing;

use crate::preset::ProviderText;

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigText {
    /// Address of the public listener.
    pub listen: Option<SocketAddr>,
    /// What providers call.
    pub public_url: Option<Spanned<String>>,
    /// Path of the database.
    pub database: Option<Spanned<String>>,
    /// The proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Option<Spanned<Vec<Spanned<String>>>>,
    /// Whether short and absent secrets are errors.
    #[serde(default)]
    pub strict_secrets: bool,
    /// Whether a first start is refused.
    #[serde(default)]
    pub require_database: bool,
    /// How long a stop waits for work in hand.
    pub drain: Option<Spanned<DurationText>>,
    /// The admin listener.
    #[serde(default)]
    pub admin: AdminText,
    /// Limits of the public listener.
    #[serde(default)]
    pub limits: LimitsText,
    /// The store.
    #[serde(default)]
    pub store: StoreText,
    /// How long what is kept.
    #[serde(default)]
    pub retention: RetentionText,
    /// Inbound addresses.
    #[serde(default)]
    pub sources: BTreeMap<Spanned<String>, SourceText>,
    /// Who gets events.
    #[serde(default)]
    pub handlers: BTreeMap<Spanned<String>, HandlerText>,
    /// Providers of the operator's own.
    #[serde(default)]
    pub providers: BTreeMap<Spanned<String>, ProviderText>,
}

/// `[admin]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminText {
    /// Address of the admin listener.
    pub listen: Option<SocketAddr>,
    /// What a client must present.
    pub token: Option<Spanned<SecretText>>,
}

/// `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsText {
    /// Requests in hand.
    pub in_flight: Option<Spanned<usize>>,
    /// Sockets.
    pub connections: Option<Spanned<usize>>,
    /// Bytes of bodies in hand.
    pub bodies_in_hand: Option<Spanned<SizeText>>,
    /// Bytes of a request's head.
    pub header_limit: Option<Spanned<SizeText>>,
    /// How long a head may take.
    pub header_deadline: Option<Spanned<DurationText>>,
    /// How long a body may take.
    pub body_deadline: Option<Spanned<DurationText>>,
}

/// `[store]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreText {
    /// How long a claim waits for a locked database.
    pub busy_timeout: Option<Spanned<DurationText>>,
    /// Free bytes of the disk below which claims stop.
    pub min_free: Option<SizeText>,
}

/// `[retention]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionText {
    /// Bodies of done events.
    pub body_retention: Option<Spanned<DurationText>>,
    /// What answers an event's repeats.
    pub dedupe_retention: Option<Spanned<DurationText>>,
    /// Whether that may be shorter than providers send repeats.
    #[serde(default)]
    pub allow_short_retention: bool,
    /// Rows of the delivery log.
    pub log_retention: Option<Spanned<DurationText>>,
    /// The whole delivery log.
    pub log_bytes: Option<SizeText>,
}

/// `[sources.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceText {
    /// Name of a preset, built in or the operator's own.
    pub provider: Spanned<String>,
    /// The secrets, newest first.
    #[serde(default)]
    pub secrets: Vec<Spanned<SecretText>>,
    /// What the preset asks for besides secrets.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The checks that may decide.
    pub allow: Option<Spanned<Vec<String>>>,
    /// How far a signed time may be off.
    pub tolerance: Option<Spanned<DurationText>>,
    /// Answered 410.
    #[serde(default)]
    pub retired: bool,
    /// Who may send, by address.
    pub allow_from: Option<Spanned<Vec<Spanned<String>>>>,
    /// Types that no handler is to get.
    #[serde(default)]
    pub ignore: Vec<Spanned<String>>,
    /// Largest body.
    pub body_limit: Option<Spanned<SizeText>>,
    /// Deliveries a second.
    pub rate_limit: Option<Spanned<u32>>,
    /// Longest time to an answer.
    pub answer_deadline: Option<Spanned<DurationText>>,
    /// What to do about signed content that comes again under a new id.
    pub replay_guard: Option<ReplayGuardText>,
    /// What to answer to another body under a known id.
    pub on_mismatch: Option<Spanned<OnMismatchText>>,
    /// The answer to a stored delivery.
    pub ack: Option<Spanned<AckText>>,
}

/// `replay_guard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayGuardText {
    /// Process, count and show it.
    Flag,
    /// Do not look.
    Off,
}

/// `on_mismatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMismatchText {
    /// The recorded answer.
    Replay,
    /// 409.
    Reject,
}

/// `ack` of a source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AckText {
    /// HTTP status.
    pub status: Option<u16>,
    /// Body.
    pub body: Option<String>,
    /// Content type of the body.
    #[serde(rename = "type")]
    pub content_type: Option<String>,
}

/// `[handlers.NAME]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandlerText {
    /// The sources that it hears.
    pub sources: Option<Vec<Spanned<String>>>,
    /// The types that it wants.
    pub events: Option<Vec<Spanned<String>>>,
    /// Where it listens.
    pub url: Option<Spanned<String>>,
    /// The command that is run.
    pub exec: Option<Spanned<Vec<Spanned<String>>>>,
    /// Names of variables that the command gets too.
    pub env: Option<Spanned<Vec<Spanned<String>>>>,
    /// How long a call may take.
    pub timeout: Option<Spanned<DurationText>>,
    /// Calls at a time.
    pub concurrency: Option<Spanned<usize>>,
    /// Headers of its own.
    #[serde(default)]
    pub headers: BTreeMap<Spanned<String>, Spanned<HeaderValueText>>,
    /// Headers of the delivery that it gets.
    pub forward_headers: Option<Vec<Spanned<String>>>,
    /// The key of our signature.
    pub sign_with: Option<Spanned<SecretText>>,
    /// Whether the provider's own signature is made anew.
    #[serde(default)]
    pub resign: bool,
    /// Delays between attempts.
    pub retry: Option<Spanned<Vec<Spanned<DurationText>>>>,
    /// Statuses, or a command's exit codes, that end a task for good.
    #[serde(default)]
    pub final_statuses: Vec<Spanned<u16>>,
    /// Failures in a row after which it is left alone.
    pub breaker_failures: Option<u32>,
    /// Whether it is a closure of the program that embeds the gateway. No file can say it.
    #[serde(skip)]
    pub in_process: bool,
}

impl fmt::Debug for HandlerText {
    /// A URL may hold a token, and a header be one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerText").field("sources", &self.sources).field("events", &self.events).finish_non_exhaustive()
    }
}

/// A secret: exactly one of `env`, `file` and `literal`.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a secret: { env = \"NAME\" } or { file = \"PATH\" }")]
pub struct SecretText {
    /// Name of an environment variable.
    pub env: Option<String>,
    /// Path of a file; its bytes less one trailing newline.
    pub file: Option<String>,
    /// The secret itself; for demos and tests on loopback.
    pub literal: Option<String>,
    /// Which of the preset's secrets it is.
    pub slot: Option<String>,
    /// The secret itself, handed over by a program that embeds the gateway. No file can say it.
    #[serde(skip)]
    pub given: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretText").field("env", &self.env).field("file", &self.file).finish_non_exhaustive()
    }
}

/// A header's value: text, or a secret.
pub enum HeaderValueText {
    /// As it stands.
    Plain(String),
    /// From outside the file.
    Secret(SecretText),
}

impl fmt::Debug for HeaderValueText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderValueText(..)")
    }
}

impl<'de> Deserialize<'de> for HeaderValueText {
    /// By hand, as an untagged enum would forget what was wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = HeaderValueText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, { env = \"NAME\" } or { file = \"PATH\" }")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(HeaderValueText::Plain(text.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                SecretText::deserialize(de::value::MapAccessDeserializer::new(map)).map(HeaderValueText::Secret)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A duration such as `"30s"` or `"35d"`.
#[derive(Clone, Copy, Debug)]
pub struct DurationText(pub Duration);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text)
            .map(Self)
            .map_err(|error| de::Error::custom(format!("`{text}` is no duration such as \"30s\", \"10m\" or \"35d\": {error}")))
    }
}

/// A size such as `"1MiB"`.
#[derive(Clone, Copy, Debug)]
pub struct SizeText(pub u64);

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<bytesize::ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|_reason| de::Error::custom(format!("`{text}` is no size such as \"64KiB\" or \"1MiB\"")))
    }
}
