//! One outgoing HTTP call: what is sent, how the answer is read, and what counts as an answer.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, Response};

use crate::model::{Outcome, Timestamp};

/// Most bytes of an answer that are read. They are not kept: only an answer that ends is an answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Longest `Retry-After` that is understood; what is honoured is decided elsewhere.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Whom a client believes to be who they say they are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trust {
    /// Nobody: nothing is encrypted, and a machine without certificates will do.
    Nobody,
    /// Whoever the system's certificates vouch for.
    System,
}

/// A client that follows no redirect, reads no proxy variable and asks for no compression.
///
/// # Errors
/// The TLS library cannot be set up, such as where the system has no certificates to trust.
pub(super) fn client(trust: Trust) -> Result<Client, reqwest::Error> {
    // A program that embeds the gateway may have chosen another TLS provider, or none; without one the client would panic.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .pool_idle_timeout(Duration::from_secs(60))
        .user_agent(concat!("hookgate/", env!("CARGO_PKG_VERSION")));
    match trust {
        Trust::Nobody => builder.tls_certs_only([]),
        Trust::System => builder,
    }
    .build()
}

/// Sends a request and reads its answer to the end, all within the request's own timeout.
pub(super) async fn send(client: &Client, request: Request, now: Timestamp) -> Outcome {
    match client.execute(request).await {
        Ok(response) => read(response, now).await,
        Err(error) => failed(error),
    }
}

async fn read(response: Response, now: Timestamp) -> Outcome {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), now);
    let mut left = ANSWER_BYTES_MAX;
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(bytes) if bytes.len() > left => return Outcome::Broken("the answer is longer than 1 MiB".to_owned()),
            Ok(bytes) => left -= bytes.len(),
            Err(error) => return failed(error),
        }
    }
    Outcome::Answered { status, retry_after }
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => {
            let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
            Timestamp(date.timestamp_micros()).since(now)
        }
    };
    Some(delay.min(RETRY_AFTER_MAX))
}

/// What went wrong, in the words of the innermost cause and without the URL, whose query may hold a token.
fn failed(error: reqwest::Error) -> Outcome {
    if error.is_timeout() {
        return Outcome::TimedOut;
    }
    let error = error.without_url();
    let cause = innermost(&error);
    if lacks_means(cause) {
        return Outcome::Unsent(format!("the call could not be made: {cause}"));
    }
    let what = if error.is_connect() { "not reached" } else { "broke off" };
    Outcome::Broken(format!("{what}: {cause}").chars().filter(|c| !c.is_control()).take(200).collect())
}

/// The first cause of all.
pub(crate) fn innermost(error: &reqwest::Error) -> &(dyn std::error::Error + 'static) {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

/// Whether it is we who have no descriptor or memory left.
fn lacks_means(cause: &(dyn std::error::Error + 'static)) -> bool {
    use rustix::io::Errno;
    let code = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
    let ours = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL];
    code.is_some_and(|code| ours.iter().any(|errno| errno.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_unix_s(1_767_225_600);
        let of = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a value"))]), now);
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of("Thu, 01 Jan 2026 00:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(of("Wed, 31 Dec 2025 00:00:00 GMT"), Some(Duration::ZERO), "a date in the past is now");
        assert_eq!(of("soon"), None);
        assert_eq!(of("-1"), None);
    }
}
