//! Who may talk to the admin listener: `Host` and `Origin` against pages in a browser, a token where one is set.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, ORIGIN};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use subtle::ConstantTimeEq;

use super::{answer, unread};
use crate::model::Secret;

/// What a request is held against.
pub struct Guard {
    token: Option<Secret>,
    listen: SocketAddr,
}

impl Guard {
    /// A token, where one is needed, and the address that is listened on.
    #[must_use]
    pub const fn new(token: Option<Secret>, listen: SocketAddr) -> Self {
        Self { token, listen }
    }

    /// A browser can be led to loopback under any name; without a token only the listener's own names are taken.
    fn knows_host(&self, host: &str) -> bool {
        let name = host_name(host);
        let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let ours = literal.is_ok_and(|ip| ip.is_loopback() || ip == self.listen.ip());
        ours || name.eq_ignore_ascii_case("localhost") || self.token.is_some()
    }

    /// A token lets anybody in from anywhere; without one nobody comes from another machine, whatever the listener is bound to.
    fn knows_peer(&self, peer: Option<SocketAddr>) -> bool {
        self.token.is_some() || peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
    }

    fn knows_token(&self, authorization: Option<&[u8]>) -> bool {
        let Some(token) = &self.token else { return true };
        let offered = authorization.and_then(|value| {
            let (scheme, rest) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
        });
        offered.is_some_and(|offered| offered.ct_eq(token.reveal()).into())
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("listen", &self.listen).field("token", &self.token.is_some()).finish()
    }
}

fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// Lets a request pass, or answers it.
pub(super) async fn check(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
    match refusal(&request) {
        None => next.call(request).await,
        Some((status, code, title)) => {
            let (request, payload) = request.into_parts();
            let response = unread::answered(answer::plain_problem(status, code, title), payload);
            Ok(ServiceResponse::new(request, response))
        }
    }
}

fn refusal(request: &ServiceRequest) -> Option<(u16, &'static str, &'static str)> {
    let Some(guard) = request.app_data::<web::Data<Guard>>() else {
        return Some((500, "internal", "Nobody guards this listener"));
    };
    let text =
        |name| request.headers().get(name).map(|value: &actix_web::http::header::HeaderValue| value.to_str().unwrap_or("?"));
    let host = text(HOST).unwrap_or_default();
    if !guard.knows_peer(request.peer_addr()) {
        return Some((403, "other-machine", "Without a token the admin API is for this machine alone"));
    }
    if !guard.knows_host(host) {
        return Some((403, "unknown-host", "The admin listener does not go by this name"));
    }
    let foreign = |origin: &str| origin.split_once("://").is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(host));
    if text(ORIGIN).is_some_and(foreign) {
        return Some((403, "foreign-origin", "Another site's page may not talk to the admin listener"));
    }
    let probe = matches!(request.match_info().unprocessed(), "/healthz" | "/readyz");
    let authorization = request.headers().get(AUTHORIZATION).map(actix_web::http::header::HeaderValue::as_bytes);
    if !probe && !guard.knows_token(authorization) {
        return Some((401, "token-needed", "Present the admin token as Authorization: Bearer"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_nobody_guards_answers_nothing() {
        let request = actix_web::test::TestRequest::with_uri("/readyz").to_srv_request();
        assert_eq!(refusal(&request).map(|(status, ..)| status), Some(500));
    }

    #[test]
    fn without_a_token_only_loopback_names_are_taken() {
        let guard = Guard::new(None, ([127, 0, 0, 1], 8081).into());
        for good in ["localhost", "LOCALHOST:8081", "127.0.0.1:8081", "127.0.0.2", "[::1]:8081", "[::1]"] {
            assert!(guard.knows_host(good), "{good}");
        }
        for bad in ["", "example.com", "localhost.example.com:8081", "127.0.0.1.example.com", "10.0.0.1", "::1:x"] {
            assert!(!guard.knows_host(bad), "{bad}");
        }
    }

    #[test]
    fn without_a_token_nobody_comes_from_another_machine() {
        let secret = || Secret::new(b"s3cret".to_vec()).expect("not empty");
        let [open, closed] = [Some(secret()), None].map(|token| Guard::new(token, ([0, 0, 0, 0], 8081).into()));
        let peer = |text: &str| Some(text.parse().expect("an address"));
        for here in ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(closed.knows_peer(peer(here)), "{here}");
        }
        for there in ["10.0.0.1:1", "192.0.2.1:1", "[::ffff:10.0.0.1]:1", "[2001:db8::1]:1"] {
            assert!(!closed.knows_peer(peer(there)) && open.knows_peer(peer(there)), "{there}");
        }
        assert!(!closed.knows_peer(None));
    }

    #[test]
    fn a_token_must_be_the_whole_token() {
        let guard = Guard::new(Some(Secret::new(b"s3cret".to_vec()).expect("not empty")), ([127, 0, 0, 1], 8081).into());
        assert!(guard.knows_token(Some(b"Bearer s3cret")));
        assert!(guard.knows_token(Some(b"bearer  s3cret ")));
        for bad in [
            None,
            Some(&b""[..]),
            Some(b"Bearer"),
            Some(b"Bearer "),
            Some(b"Bearer s3cre"),
            Some(b"Bearer s3crets"),
            Some(b"Basic s3cret"),
        ] {
            assert!(!guard.knows_token(bad), "{bad:?}");
        }
    }
}
