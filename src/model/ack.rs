//! The acknowledgement: the recorded answer that tells a provider to stop retrying.

use bytes::Bytes;

use super::Headers;

/// A status, a short list of headers and a body, recorded with the claim and given again to every retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The HTTP status.
    pub status: u16,
    /// The recorded headers. Never hop-by-hop ones, `Date`, `Set-Cookie`, `Server` or `Content-Length`.
    pub headers: Headers,
    /// The body's bytes.
    pub body: Bytes,
}
