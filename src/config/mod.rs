//! Configuration: the file as written ([`ConfigText`]), and what it means ([`Settings`]): defaults filled in, secrets loaded,
//! presets joined, everything checked. The second cannot exist before the first is right.
//!
//! This room alone reads files and the environment. It knows nothing of what runs.

mod addresses;
mod advice;
mod blank;
mod demo;
mod embedded;
mod env;
mod error;
mod file;
mod operator;
mod resolve;
mod resolve_exec;
mod resolve_handler;
mod resolve_limits;
mod resolve_retention;
mod resolve_source;
mod secret_file;
mod secrets;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::model::{Ack, HandlerName, Secret, SourceName, TypeGlob};
use crate::preset::Preset;
use crate::verify::Verifier;

pub(crate) use blank::blanked;
pub use embedded::embedded;
pub(crate) use embedded::{handler_text, source_text, unplaced};
pub use env::Environment;
pub(crate) use error::nearest;
pub use error::{ConfigError, ConfigErrorKind};
pub(crate) use file::{AckText, DurationText, HandlerText, OnMismatchText, SizeText, SourceText};
pub use file::{ConfigText, ReplayGuardText as ReplayGuard, SecretText};
pub use operator::operator;
pub use resolve::{DEFAULT_DATABASE, DEFAULT_FILE, Flags, Keys, file_path, load, load_presets, load_text};
pub(crate) use resolve_limits::{BODY_LIMIT_MAX, default_body_limit, duration_text, size_text};
pub(crate) use resolve_source::preset_ack;
pub use secrets::NamedSecret;
pub(crate) use secrets::{by_slot, load_secret};

/// Whether both listeners are on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loopback {
    /// They are.
    Yes,
    /// One is not.
    No,
}

/// What the whole configuration means.
#[derive(Debug)]
pub struct Settings {
    /// The file that it came from; none is the demo.
    pub file: Option<PathBuf>,
    /// Address of the public listener.
    pub listen: SocketAddr,
    /// Address of the admin listener.
    pub admin_listen: SocketAddr,
    /// What a client of the admin listener must present.
    pub admin_token: Option<Secret>,
    /// What providers call.
    pub public_url: Option<String>,
    /// The database file.
    pub database: PathBuf,
    /// Whether a first start is refused.
    pub require_database: bool,
    /// How long a stop waits for work in hand.
    pub drain: Duration,
    /// Limits of the public listener.
    pub limits: Limits,
    /// How long a claim waits for a locked database.
    pub busy_timeout: Duration,
    /// Free bytes of the disk below which claims stop.
    pub min_free: u64,
    /// How long what is kept.
    pub retention: RetentionSettings,
    /// Inbound addresses.
    pub sources: Vec<SourceSettings>,
    /// Who gets events.
    pub handlers: Vec<HandlerSettings>,
    /// What is not wrong but should be known.
    pub warnings: Vec<String>,
}

/// Limits of the public listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests in hand, counted once their body is complete.
    pub in_flight: usize,
    /// Sockets.
    pub connections: usize,
    /// Bytes of bodies in hand; one source takes at most half.
    pub bodies_in_hand: u64,
    /// Bytes of a request's head.
    pub header_limit: usize,
    /// How long a head may take.
    pub header_deadline: Duration,
    /// How long a body may take.
    pub body_deadline: Duration,
}

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionSettings {
    /// Bodies, from when their event was done.
    pub body: Duration,
    /// What answers an event's repeats, from when it was done.
    pub dedupe: Duration,
    /// Rows of the delivery log.
    pub log: Duration,
    /// Bytes of the whole delivery log.
    pub log_bytes: u64,
}

/// One inbound address.
#[derive(Debug)]
pub struct SourceSettings {
    /// Its name.
    pub name: SourceName,
    /// What is known of its provider.
    pub preset: Arc<Preset>,
    /// Its compiled checks and prepared keys.
    pub verifier: Arc<Verifier>,
    /// Its secrets, found or not.
    pub secrets: Vec<NamedSecret>,
    /// What the preset asks for besides secrets.
    pub params: BTreeMap<String, String>,
    /// The checks that may decide; none is the preset's own choice.
    pub allow: Option<Vec<String>>,
    /// How far a signed time may be off; none is the preset's own.
    pub tolerance: Option<Duration>,
    /// Answered 410.
    pub retired: bool,
    /// The networks that it may be sent from; none is all.
    pub allow_from: Option<Vec<IpNet>>,
    /// The proxies whose `X-Forwarded-For` counts for that.
    pub trusted_proxies: Vec<IpNet>,
    /// Types that no handler is to get.
    pub ignore: Vec<TypeGlob>,
    /// Largest body in bytes.
    pub body_limit: usize,
    /// Deliveries that are taken a second; none is any number.
    pub rate_limit: Option<u32>,
    /// The whole answer within this.
    pub answer_deadline: Duration,
    /// Whether signed content that comes again under a new id is flagged.
    pub replay_guard: bool,
    /// Whether another body under a known id is answered 409.
    pub reject_mismatch: bool,
    /// Status, body and content type of its acknowledgement.
    pub ack: (u16, String, Option<String>),
}

impl SourceSettings {
    /// Its acknowledgement as it is recorded.
    #[must_use]
    pub fn recorded_ack(&self) -> Ack {
        let (status, body, content_type) = self.ack.clone();
        let headers = content_type.map(|kind| ("content-type".to_owned(), kind.into())).into_iter().collect();
        Ack { status, headers, body: body.into() }
    }
}

/// One that gets events.
#[derive(Debug)]
pub struct HandlerSettings {
    /// Its name.
    pub name: HandlerName,
    /// The sources that it hears; none is all.
    pub sources: Option<Vec<SourceName>>,
    /// The types that it wants; empty is all.
    pub events: Vec<TypeGlob>,
    /// How it is called.
    pub kind: HandlerKind,
    /// How long a call may take.
    pub timeout: Duration,
    /// Calls at a time.
    pub concurrency: usize,
    /// Delays between attempts; one more attempt than delays.
    pub retry: Vec<Duration>,
    /// Statuses that end a task for good, besides 410; of a command its exit codes.
    pub final_statuses: Vec<u16>,
    /// After so many failures in a row it is left alone but for probes; zero is never.
    pub breaker_failures: u32,
}

/// How a handler is called.
#[derive(Debug)]
pub enum HandlerKind {
    /// An internal HTTP service.
    Http(HttpSettings),
    /// A command.
    Exec(ExecSettings),
    /// Printed by `serve`.
    Printer,
    /// A closure of the program that embeds the gateway, known there by the handler's name.
    InProcess,
}

/// How a command is run.
pub struct ExecSettings {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The variables of our environment that it gets too.
    pub env: Vec<(String, String)>,
    /// Those that it should get and that are not set.
    pub unset: Vec<String>,
    /// This program's own binary, which supervises it.
    pub supervisor: PathBuf,
}

impl fmt::Debug for ExecSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecSettings").field("program", &self.command.first()).finish_non_exhaustive()
    }
}

/// How an HTTP handler is called.
pub struct HttpSettings {
    /// Where it listens.
    pub url: reqwest::Url,
    /// Headers of its own; each value is treated as a secret.
    pub headers: Vec<(String, Secret)>,
    /// Names of the delivery's headers that it gets, in lower case; none is what the preset names, and content type and agent.
    pub forward_headers: Option<Vec<String>>,
    /// The key of our signature, as `whsec_` text. None where the settings were made by who only looks.
    pub sign_with: Option<Secret>,
    /// Whether the provider's own signature is made anew.
    pub resign: bool,
}

impl fmt::Debug for HttpSettings {
    /// The URL's query may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { headers, forward_headers, sign_with, resign, .. } = self;
        let mut told = f.debug_struct("HttpSettings");
        told.field("host", &self.url.host_str()).field("headers", headers).field("forward_headers", forward_headers);
        told.field("sign_with", sign_with).field("resign", resign).finish()
    }
}
