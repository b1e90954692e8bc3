//! The configuration of a program that embeds the gateway: what it says in code, beside a text or without one.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::error::{ConfigError, Faults};
use super::file::{ConfigText, HandlerText, SourceText};
use super::resolve::{self, Flags, Keys, Listeners};
use super::secrets::Reader;
use super::{Environment, Loopback, Settings};

/// The place of what was said in code: past the end of any text.
pub(super) const UNPLACED: Range<usize> = usize::MAX..usize::MAX;

/// Where the program listens: it alone knows.
const ELSEWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Something that was said in code.
pub(crate) fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(UNPLACED, value)
}

/// What a program's configuration means. The program listens by itself: the addresses and the token of the text are not looked at, nor
/// are the variables of `serve`, and as nobody here knows whether it listens on loopback, no literal secret is taken.
///
/// # Errors
/// Everything that is wrong with it, the first thing first.
pub fn embedded(written: &ConfigText, database: &Path, env: &Environment) -> Result<Settings, ConfigError> {
    let database = database.to_str().ok_or_else(|| ConfigError::plain("the database's path is not UTF-8"))?;
    let flags = Flags { database: Some(database.to_owned()), ..Flags::default() };
    let reader = Reader::new(env, Loopback::No, Keys::Make, written.strict_secrets);
    let elsewhere = Listeners { listen: ELSEWHERE, admin_listen: ELSEWHERE, admin_token: None, reader };
    // A command is run by the binary's own supervisor, which is not here.
    if let Some(words) = written.handlers.values().find_map(|handler| handler.exec.as_ref()) {
        return Err(ConfigError::at(words.span(), "a program that embeds the gateway runs no commands (`exec`)")
            .help("give a closure or a `url`"));
    }
    resolve::meant(written, elsewhere, None, &flags, Faults::default())
}

/// A source with every default.
pub(crate) fn source_text(provider: String) -> SourceText {
    SourceText {
        provider: unplaced(provider),
        secrets: Vec::new(),
        params: std::collections::BTreeMap::new(),
        allow: None,
        tolerance: None,
        retired: false,
        allow_from: None,
        ignore: Vec::new(),
        body_limit: None,
        rate_limit: None,
        answer_deadline: None,
        replay_guard: None,
        on_mismatch: None,
        ack: None,
    }
}

/// A handler with every default: an HTTP service where there is a URL, else a closure.
pub(crate) fn handler_text(url: Option<String>) -> HandlerText {
    HandlerText {
        in_process: url.is_none(),
        url: url.map(unplaced),
        exec: None,
        env: None,
        sources: None,
        events: None,
        timeout: None,
        concurrency: None,
        headers: std::collections::BTreeMap::new(),
        forward_headers: None,
        sign_with: None,
        resign: false,
        retry: None,
        final_statuses: Vec::new(),
        breaker_failures: None,
    }
}
