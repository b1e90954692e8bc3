//! A provider as it is written: the shape of its TOML tables, nothing believed yet.
//!
//! Every field of the language has its place here, those too that [`super::compile`] cannot do yet, so that it can say so
//! instead of calling them unknown.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::{Spanned, Value};

/// A field of the language that is not supported yet. Its presence is refused.
pub(super) type NotYet = Option<Spanned<IgnoredAny>>;

/// `[providers.NAME]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the language's own, described in the documentation of providers")]
pub struct ProviderText {
    pub title: Option<String>,
    pub docs: Option<String>,
    #[serde(default)]
    pub setup: Vec<String>,
    pub mark: Option<Spanned<String>>,
    pub methods: Option<Vec<Spanned<String>>>,
    pub body_limit: Option<Spanned<u32>>,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    #[serde(default)]
    pub check: Vec<Spanned<CheckText>>,
    pub event: Option<Spanned<EventText>>,
    pub ack: Option<Spanned<AckText>>,
    #[serde(default)]
    pub handshake: Vec<Spanned<HandshakeText>>,
    pub(super) like: NotYet,
}

/// `[[providers.NAME.handshake]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the language's own, described in the documentation of providers")]
pub struct HandshakeText {
    pub method: Option<Spanned<String>>,
    #[serde(default)]
    pub when: Vec<Spanned<Value>>,
    #[serde(default)]
    pub verified: bool,
    pub respond: Option<RespondText>,
    pub limit: Option<Spanned<usize>>,
    pub compute: Option<Spanned<ComputeText>>,
    pub(super) learn: NotYet,
}

/// `compute = { ... }` of a handshake.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the language's own, described in the documentation of providers")]
pub struct ComputeText {
    pub kind: Spanned<String>,
    pub algorithm: Spanned<String>,
    pub encoding: Spanned<String>,
    pub message: Spanned<String>,
    pub secret: Option<Spanned<String>>,
    pub key: Option<KeyText>,
}

/// `respond = { ... }` of a handshake.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the language's own, described in the documentation of providers")]
pub struct RespondText {
    pub status: Option<Spanned<u16>>,
    #[serde(rename = "type")]
    pub content_type: Option<Spanned<String>>,
    #[serde(default)]
    pub headers: BTreeMap<Spanned<String>, Spanned<String>>,
    pub body: Option<Spanned<String>>,
    pub json: Option<Spanned<Value>>,
}

/// `[[providers.NAME.check]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the language's own, described in the documentation of providers")]
pub struct CheckText {
    pub id: Option<Spanned<String>>,
    pub kind: Spanned<String>,
    pub algorithm: Option<Spanned<String>>,
    pub secret: Option<Spanned<String>>,
    pub key: Option<KeyText>,
    pub signature: Option<SignatureText>,
    pub time: Option<Spanned<TimeText>>,
    pub message: Option<Spanned<String>>,
    pub(super) require: NotYet,
    pub(super) each: NotYet,
}

/// `key = { ... }` of a check.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the language's own, described in the documentation of providers")]
pub struct KeyText {
    pub strip: Option<Spanned<String>>,
    pub encoding: Option<Spanned<String>>,
    pub(super) derive: NotYet,
}

/// `signature = { ... }` of a check.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the language's own, described in the documentation of providers")]
pub struct SignatureText {
    pub from: Spanned<Value>,
    pub split: Option<Spanned<String>>,
    pub pair: Option<Spanned<String>>,
    pub key: Option<Spanned<Value>>,
    pub skip: Option<Spanned<usize>>,
    pub prefix: Option<Spanned<String>>,
    pub encoding: Option<Spanned<String>>,
    pub(super) repeat: NotYet,
}

/// `time = { ... }` of a check.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the language's own, described in the documentation of providers")]
pub struct TimeText {
    pub from: Spanned<String>,
    pub unit: Option<Spanned<String>>,
    pub tolerance: Option<Spanned<u64>>,
}

/// `[providers.NAME.event]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the language's own, described in the documentation of providers")]
pub struct EventText {
    pub id: Option<Spanned<Vec<Spanned<String>>>>,
    pub derive: Option<Spanned<String>>,
    pub id_signed: Option<Spanned<bool>>,
    #[serde(rename = "type", default)]
    pub types: Vec<Spanned<String>>,
    #[serde(default)]
    pub volatile: Vec<Spanned<String>>,
    pub(super) time: NotYet,
    pub(super) batch: NotYet,
    pub(super) redact: NotYet,
}

/// `[providers.NAME.ack]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the language's own, described in the documentation of providers")]
pub struct AckText {
    pub status: Option<Spanned<u16>>,
    pub body: Option<Spanned<String>>,
    #[serde(rename = "type")]
    pub content_type: Option<Spanned<String>>,
    pub reject: Option<Spanned<u16>>,
    pub deadline: Option<Spanned<u64>>,
    pub retries_for: Option<u64>,
    pub resend_for: Option<u64>,
}
