//! `serve` without a config file: Stripe and GitHub on loopback, one handler that prints.

use std::net::SocketAddr;
use std::path::Path;

use super::embedded::unplaced;
use super::error::ConfigError;
use super::file::{ConfigText, SecretText};
use super::resolve::{
    self, DEFAULT_ADMIN_LISTEN, DEFAULT_BUSY_TIMEOUT, DEFAULT_DRAIN, DEFAULT_LISTEN, DEFAULT_MIN_FREE, Flags, Keys,
};
use super::resolve_handler::{self, HandlerContext};
use super::{
    Environment, HandlerKind, Loopback, NamedSecret, Settings, resolve_limits, resolve_retention, resolve_source, secrets,
};
use crate::model::HandlerName;
use crate::preset;

/// The demo's sources: preset, and the variable that may hold its secret.
const SOURCES: [(&str, &str); 2] = [("stripe", "STRIPE_WEBHOOK_SECRET"), ("github", "GITHUB_WEBHOOK_SECRET")];

pub(super) fn settings(flags: &Flags, env: &Environment, keys: Keys) -> Result<Settings, ConfigError> {
    let listen = loopback("listen", resolve::address(flags.listen, env, "HOOKGATE_LISTEN", None, DEFAULT_LISTEN)?)?;
    let admin = resolve::address(flags.admin_listen, env, "HOOKGATE_ADMIN_LISTEN", None, DEFAULT_ADMIN_LISTEN)?;
    let admin_listen = loopback("admin-listen", admin)?;
    let database = resolve::database(flags, env, None)?;
    let reader = secrets::Reader::new(env, Loopback::Yes, keys, false);
    let mut sources = Vec::new();
    for (name, variable) in SOURCES {
        let preset = preset::builtin(name).ok_or_else(|| ConfigError::plain(format!("no preset `{name}`")))?;
        let secret = secret(&reader, variable, &database, &format!("{name}-secret"))?;
        sources.push(resolve_source::of_demo(&preset, secret, &reader)?);
    }
    let names = SOURCES.iter().map(|(name, _)| *name).collect();
    let context = HandlerContext { reader: &reader, database: &database, sources: &names };
    let handler = match &flags.forward_to {
        Some(url) => resolve_handler::forward_to(url, &context)?,
        None => resolve_handler::of_kind(
            HandlerName::parse("printer").map_err(|error| ConfigError::plain(error.to_string()))?,
            HandlerKind::Printer,
        ),
    };
    Ok(Settings {
        file: None,
        listen,
        admin_listen,
        admin_token: resolve::admin_token(&ConfigText::default(), &reader)?,
        public_url: None,
        database,
        require_database: false,
        drain: DEFAULT_DRAIN,
        limits: resolve_limits::limits(&super::file::LimitsText::default())?,
        busy_timeout: DEFAULT_BUSY_TIMEOUT,
        min_free: DEFAULT_MIN_FREE,
        retention: resolve_retention::DEFAULT,
        sources,
        handlers: vec![handler],
        warnings: reader.into_doubts(),
    })
}

fn loopback(flag: &str, address: SocketAddr) -> Result<SocketAddr, ConfigError> {
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(ConfigError::plain(format!(
        "--{flag} {address} is off loopback, and without a config file `serve` is a demo on loopback"
    ))
    .help("write a config with your sources and their secrets, see the README"))
}

fn secret(reader: &secrets::Reader<'_>, variable: &str, database: &Path, file: &str) -> Result<NamedSecret, ConfigError> {
    let text = SecretText { env: Some(variable.to_owned()), ..SecretText::default() };
    let named = reader.load(&unplaced(text)).map_err(|error| {
        ConfigError { span: None, ..error }.help("give it the provider's secret, or unset it to have one made")
    })?;
    if named.secret.is_some() {
        return Ok(named);
    }
    if reader.keys() != Keys::Make && !secrets::beside(database, file).exists() {
        let origin = format!("file {} (made by the first `serve`)", secrets::beside(database, file).display());
        return Ok(NamedSecret { origin, ..named });
    }
    secrets::generated(database, file)
}
