//! From what was typed to what is meant.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::error::{ConfigError, Faults};
use super::file::ConfigText;
use super::resolve_handler::{self, HandlerContext};
use super::resolve_source::SourceContext;
use super::{
    Environment, Loopback, Settings, addresses, advice, demo, resolve_exec, resolve_limits, resolve_retention, resolve_source,
    secrets,
};
use crate::model::Secret;
use crate::preset::{self, Preset};
use crate::verify::{KEY_BYTES_SHORT, fingerprint};

/// The config file that is read where none is named, if it is there.
pub const DEFAULT_FILE: &str = "hookgate.toml";

/// What the command line says. It goes before the environment, which goes before the file.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--admin-listen`.
    pub admin_listen: Option<SocketAddr>,
    /// `--database`.
    pub database: Option<String>,
    /// `--forward-to`.
    pub forward_to: Option<String>,
}

/// What is done about keys and secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// `serve` makes the keys that are not there yet.
    Make,
    /// `check` only looks.
    Look,
    /// Commands that call no handler need none of its secrets, and an operator's shell does not have them.
    Leave,
}

/// Reads the configuration: the text of the file, where there is one, goes to `text` so that errors can show their place.
///
/// # Errors
/// Everything that is wrong with it: of a source or a handler the first thing.
pub fn load(flags: &Flags, env: &Environment, keys: Keys, text: &mut Option<(PathBuf, String)>) -> Result<Settings, ConfigError> {
    match read(flags, env, text)? {
        None => demo::settings(flags, env, keys),
        Some((path, content)) => load_text(content, Some(path), flags, env, keys),
    }
}

/// Where the config file is, whether it is there or not.
#[must_use]
pub fn file_path(flags: &Flags, env: &Environment) -> PathBuf {
    named(flags, env).unwrap_or_else(|| PathBuf::from(DEFAULT_FILE))
}

fn named(flags: &Flags, env: &Environment) -> Option<PathBuf> {
    flags.config.clone().or_else(|| env.var("HOOKGATE_CONFIG").map(PathBuf::from))
}

/// The config file, where there is one.
fn read<'t>(
    flags: &Flags,
    env: &Environment,
    text: &'t mut Option<(PathBuf, String)>,
) -> Result<Option<&'t (PathBuf, String)>, ConfigError> {
    let path = named(flags, env).or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
    let Some(path) = path else { return Ok(None) };
    let content = std::fs::read_to_string(&path).map_err(|error| {
        ConfigError::plain(format!("cannot read the config file {}: {error}", path.display()))
            .help("name another with --config FILE, or leave it out for a demo on loopback")
    })?;
    Ok(Some(text.insert((path, content))))
}

/// The same for a text in hand.
///
/// # Errors
/// Everything that is wrong with it: of a source or a handler the first thing.
pub fn load_text(
    content: &str,
    path: Option<&Path>,
    flags: &Flags,
    env: &Environment,
    keys: Keys,
) -> Result<Settings, ConfigError> {
    let written: ConfigText = toml::from_str(content)?;
    let mut faults = Faults::default();
    let listeners = Listeners::of(&written, flags, env, keys, &mut faults)?;
    meant(&written, listeners, path, flags, faults)
}

/// Who listens where, what an operator must present, and how secrets are read there.
pub(super) struct Listeners<'a> {
    pub(super) listen: SocketAddr,
    pub(super) admin_listen: SocketAddr,
    pub(super) admin_token: Option<Secret>,
    pub(super) reader: secrets::Reader<'a>,
}

impl<'a> Listeners<'a> {
    fn of(
        written: &ConfigText,
        flags: &Flags,
        env: &'a Environment,
        keys: Keys,
        faults: &mut Faults,
    ) -> Result<Self, ConfigError> {
        let listen = address(flags.listen, env, "HOOKGATE_LISTEN", written.listen, DEFAULT_LISTEN)?;
        let admin_listen = address(flags.admin_listen, env, "HOOKGATE_ADMIN_LISTEN", written.admin.listen, DEFAULT_ADMIN_LISTEN)?;
        let loopback = if listen.ip().is_loopback() && admin_listen.ip().is_loopback() { Loopback::Yes } else { Loopback::No };
        let reader = secrets::Reader::new(env, loopback, keys, written.strict_secrets);
        let admin_token = faults.keep(admin_token(written, &reader)).flatten();
        if admin_token.is_none() && written.admin.token.is_none() && !admin_listen.ip().is_loopback() {
            let open = ConfigError::plain(format!("the admin listener is on {admin_listen}, off loopback, and has no token"));
            faults.add(open.help("set `token` in [admin] and its variable, or listen on 127.0.0.1"));
        }
        Ok(Self { listen, admin_listen, admin_token, reader })
    }
}

/// Everything of a configuration but the listeners.
pub(super) fn meant(
    written: &ConfigText,
    listeners: Listeners<'_>,
    path: Option<&Path>,
    flags: &Flags,
    mut faults: Faults,
) -> Result<Settings, ConfigError> {
    let Listeners { listen, admin_listen, admin_token, reader } = listeners;
    let database = database(flags, reader.env(), written.database.as_ref()).map_err(|error| faults.end_with(error))?;
    let mut all_handlers = Vec::new();
    let source_names: BTreeSet<&str> = written.sources.keys().map(|name| name.get_ref().as_str()).collect();
    let context = HandlerContext { reader: &reader, database: &database, sources: &source_names };
    for (name, handler) in &written.handlers {
        let resolved = resolve_handler::resolve(name, handler, &context).map_err(|error| error.of("handler", name));
        all_handlers.extend(faults.keep(resolved));
    }
    if let Some(url) = &flags.forward_to {
        faults.keep(resolve_handler::check_forward_to(written));
        all_handlers.extend(faults.keep(resolve_handler::forward_to(url, &context)));
    }
    // Sources are judged by both.
    let (presets, mut warnings) = presets(written).map_err(|error| faults.end_with(error))?;
    let limits = resolve_limits::limits(&written.limits).map_err(|error| faults.end_with(error))?;
    if reader.keys() != Keys::Leave {
        warnings.extend(resolve_exec::warnings(&all_handlers));
    }
    let kept = resolve_handler::forwarded_names(&all_handlers);
    let proxies = written.trusted_proxies.as_ref().map(|list| addresses::networks("trusted_proxies", list)).transpose();
    let proxies = faults.keep(proxies).flatten().unwrap_or_default();
    let context = SourceContext { reader: &reader, presets: &presets, kept: &kept, limits, trusted_proxies: &proxies };
    let mut sources = Vec::new();
    for (name, source) in &written.sources {
        let resolved = resolve_source::resolve(name, source, &context, &mut warnings);
        sources.extend(faults.keep(resolved.map_err(|error| error.of("source", name))));
    }
    if written.sources.is_empty() {
        let none = ConfigError::plain("the config has no source");
        faults.add(none.help("add a table such as [sources.stripe] with provider = \"stripe\""));
    }
    warnings.extend(addresses::warnings(&sources, listen, &proxies));
    warnings.splice(0..0, reader.into_doubts());
    faults.keep(resolve_handler::check_resign(written, &sources));
    let public_url = faults.keep(written.public_url.as_ref().map(public_url).transpose()).flatten();
    let drain = faults.keep(resolve_limits::drain(&written.drain)).flatten();
    let busy_timeout = faults.keep(resolve_limits::busy_timeout(&written.store.busy_timeout)).flatten();
    let retention = faults.keep(resolve_retention::resolve(written, &sources, &mut warnings));
    faults.judge()?;
    let retention = retention.unwrap_or(resolve_retention::DEFAULT);
    warnings.extend(advice::of(&sources, &all_handlers));
    Ok(Settings {
        file: path.map(Path::to_path_buf),
        listen,
        admin_listen,
        admin_token,
        public_url,
        database,
        require_database: written.require_database,
        drain: drain.unwrap_or(DEFAULT_DRAIN),
        limits,
        busy_timeout: busy_timeout.unwrap_or(DEFAULT_BUSY_TIMEOUT),
        min_free: written.store.min_free.map_or(DEFAULT_MIN_FREE, |text| text.0),
        retention,
        sources,
        handlers: all_handlers,
        warnings,
    })
}

pub(super) const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
pub(super) const DEFAULT_ADMIN_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8081);
/// The database where none is named.
pub const DEFAULT_DATABASE: &str = "hookgate.db";
pub(super) const DEFAULT_DRAIN: Duration = Duration::from_secs(10);
pub(super) const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(2);
pub(super) const DEFAULT_MIN_FREE: u64 = 64 << 20;

pub(super) fn address(
    flag: Option<SocketAddr>,
    env: &Environment,
    variable: &str,
    written: Option<SocketAddr>,
    default: SocketAddr,
) -> Result<SocketAddr, ConfigError> {
    if let Some(flag) = flag {
        return Ok(flag);
    }
    match env.var(variable) {
        Some(text) => text.parse().map_err(|error| ConfigError::plain(format!("{variable} is `{text}`: {error}"))),
        None => Ok(written.unwrap_or(default)),
    }
}

pub(super) fn database(flags: &Flags, env: &Environment, written: Option<&Spanned<String>>) -> Result<PathBuf, ConfigError> {
    let (text, span) = match (flags.database.clone().or_else(|| env.var("HOOKGATE_DATABASE")), written) {
        (Some(text), _) => (text, None),
        (None, Some(written)) => (written.get_ref().clone(), Some(written.span())),
        (None, None) => (DEFAULT_DATABASE.to_owned(), None),
    };
    let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or(&text);
    let wrong = |message: &str| ConfigError { span: span.clone(), ..ConfigError::plain(message) };
    if path.contains("://") {
        return Err(
            wrong("only a SQLite file is supported as database in this version").help("give a path, such as `hookgate.db`")
        );
    }
    if path.is_empty() {
        return Err(wrong("the database's path is empty"));
    }
    Ok(PathBuf::from(path))
}

/// The variable goes first. A token that is named must be there: without it the admin listener would be open to every process of the
/// machine. Commands that only ask may go on; a listener that wants it will say so.
pub(super) fn admin_token(written: &ConfigText, reader: &secrets::Reader<'_>) -> Result<Option<Secret>, ConfigError> {
    if let Some(token) = admin_token_of(reader.env())? {
        return strong(reader, None, token);
    }
    let Some(text) = &written.admin.token else { return Ok(None) };
    let named = reader.load(text)?;
    let Some(token) = named.secret else {
        if reader.keys() == Keys::Leave {
            return Ok(None);
        }
        return Err(ConfigError::at(text.span(), format!("no token in {}", named.origin))
            .help("set it, or HOOKGATE_ADMIN_TOKEN; on loopback the line may be left out"));
    };
    if !is_presentable(&token) {
        return Err(ConfigError::at(text.span(), format!("the token of {} {UNPRESENTABLE}", named.origin)).help(PRESENTABLE));
    }
    strong(reader, Some(text.span()), token)
}

/// A token, unless it is short and a short one is an error.
fn strong(reader: &secrets::Reader<'_>, place: Option<Range<usize>>, token: Secret) -> Result<Option<Secret>, ConfigError> {
    if token.reveal().len() < KEY_BYTES_SHORT {
        reader.weak(place, format!("the admin token {} has under 16 bytes, so it can be guessed", fingerprint(&token)))?;
    }
    Ok(Some(token))
}

/// The token in its variable, where that is set.
fn admin_token_of(env: &Environment) -> Result<Option<Secret>, ConfigError> {
    let Some(bytes) = env.bytes("HOOKGATE_ADMIN_TOKEN") else { return Ok(None) };
    let token = Secret::new(bytes).map_err(|error| ConfigError::plain(format!("HOOKGATE_ADMIN_TOKEN {error}")))?;
    if is_presentable(&token) {
        return Ok(Some(token));
    }
    Err(ConfigError::plain(format!("HOOKGATE_ADMIN_TOKEN {UNPRESENTABLE}")).help(PRESENTABLE))
}

const UNPRESENTABLE: &str = "has characters that nobody can send in a header";
const PRESENTABLE: &str = "make it of visible ASCII characters, without a blank or a line end at either end";

/// Whether a client can send it as it is.
fn is_presentable(token: &Secret) -> bool {
    let text = token.reveal();
    text.trim_ascii() == text && text.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The providers that there are: the built-in ones, and those of the config file, where there is one. The rest of the file need not be
/// right.
///
/// # Errors
/// The file is no TOML, or a provider of it is none.
pub fn load_presets(
    flags: &Flags,
    env: &Environment,
    text: &mut Option<(PathBuf, String)>,
) -> Result<Vec<Arc<Preset>>, ConfigError> {
    let Some((_, content)) = read(flags, env, text)? else { return Ok(builtin()) };
    Ok(presets(&toml::from_str(content)?)?.0)
}

fn builtin() -> Vec<Arc<Preset>> {
    preset::builtin_names().filter_map(preset::builtin).collect()
}

/// The built-in presets and the operator's own, and what there is to warn about.
fn presets(written: &ConfigText) -> Result<(Vec<Arc<Preset>>, Vec<String>), ConfigError> {
    let mut all = builtin();
    let mut warnings = Vec::new();
    let mut faults = Faults::default();
    for (name, text) in &written.providers {
        if all.iter().any(|preset| **preset.name() == **name.get_ref()) {
            let known = ConfigError::at(name.span(), format!("`{}` is a built-in provider", name.get_ref()));
            faults.add(known.help("give your own another name, such as `my-stripe`"));
            continue;
        }
        let compiled = preset::compile(name.get_ref(), text)
            .map_err(|error| ConfigError { span: error.span.clone().or(Some(name.span())), ..error.into() });
        let Some((preset, notes)) = faults.keep(compiled) else { continue };
        warnings.extend(notes.into_iter().map(|note| format!("provider {}: {}", name.get_ref(), note.message)));
        all.push(Arc::new(preset));
    }
    faults.judge()?;
    Ok((all, warnings))
}

fn public_url(text: &Spanned<String>) -> Result<String, ConfigError> {
    let wrong = |message: String| ConfigError::at(text.span(), message).help("such as `https://hooks.example.com`");
    let url = reqwest::Url::parse(text.get_ref()).map_err(|error| wrong(format!("public_url is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("public_url is an http or https URL without query".to_owned()));
    }
    Ok(text.get_ref().trim_end_matches('/').to_owned())
}
