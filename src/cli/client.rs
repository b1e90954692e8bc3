//! The HTTP client of commands that call somebody: a gateway's listeners.

use std::time::Duration;

use reqwest::{Client, Url, redirect};

use super::exit::{Failure, UNREACHABLE};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client that follows nobody anywhere and reads no proxy variable. Only an encrypted one needs certificates to trust: a machine may
/// have none.
pub(super) fn client(encrypted: bool) -> Result<Client, Failure> {
    let builder = Client::builder().no_proxy().timeout(TIMEOUT).redirect(redirect::Policy::none());
    let builder = if encrypted { builder } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Failure::new(UNREACHABLE, format!("the HTTP client cannot be set up: {cause}"))
    })
}

/// Whether it is this machine's own, by its name alone.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
