//! The evidence that a delivery passed its check. `verify` alone makes it, a claim alone takes it.

use std::sync::Arc;

use bytes::Bytes;

use crate::model::{DeliveryId, Digest, EventId, Fingerprint, Headers, SourceName, Timestamp};

/// A delivery that was proven authentic over the exact bytes received, and what was read from it since.
///
/// Its fields are private to this room: there is no other way to a claim than through a check.
#[derive(Clone)]
pub struct Admitted {
    pub(super) source: SourceName,
    pub(super) delivery_id: DeliveryId,
    pub(super) received_at: Timestamp,
    pub(super) event_id: EventId,
    pub(super) event_id_received: Option<String>,
    pub(super) event_type: Arc<str>,
    pub(super) id_from: Arc<str>,
    pub(super) id_signed: bool,
    pub(super) check: Arc<str>,
    pub(super) secret: Option<Fingerprint>,
    pub(super) body_digest: Digest,
    pub(super) signed_digest: Digest,
    pub(super) headers: Headers,
    pub(super) body: Bytes,
}

impl std::fmt::Debug for Admitted {
    /// Never the body.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admitted").field("source", &self.source).field("event_id", &self.event_id).finish_non_exhaustive()
    }
}

impl Admitted {
    /// The source that it came to.
    #[must_use]
    pub const fn source(&self) -> &SourceName {
        &self.source
    }

    /// Our id of the delivery.
    #[must_use]
    pub const fn delivery_id(&self) -> DeliveryId {
        self.delivery_id
    }

    /// When its head had been read.
    #[must_use]
    pub const fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// The id of the event that it is about.
    #[must_use]
    pub const fn event_id(&self) -> &EventId {
        &self.event_id
    }

    /// The id as received, up to 1 KiB, where it had to be replaced by a digest.
    #[must_use]
    pub fn event_id_received(&self) -> Option<&str> {
        self.event_id_received.as_deref()
    }

    /// The event's type: 1 to 255 bytes of printable ASCII, `unknown` where it could not be read.
    #[must_use]
    pub const fn event_type(&self) -> &Arc<str> {
        &self.event_type
    }

    /// The template that the id was read by, or `derive = body` and the like.
    #[must_use]
    pub const fn id_from(&self) -> &Arc<str> {
        &self.id_from
    }

    /// Whether the signature covers the id.
    #[must_use]
    pub const fn id_signed(&self) -> bool {
        self.id_signed
    }

    /// The id of the check that decided.
    #[must_use]
    pub const fn check(&self) -> &Arc<str> {
        &self.check
    }

    /// Which secret matched.
    #[must_use]
    pub const fn secret(&self) -> Option<&Fingerprint> {
        self.secret.as_ref()
    }

    /// SHA-256 of the raw body.
    #[must_use]
    pub const fn body_digest(&self) -> Digest {
        self.body_digest
    }

    /// SHA-256 over the scheme and the signed message without its time value, and the raw body.
    #[must_use]
    pub const fn signed_digest(&self) -> Digest {
        self.signed_digest
    }

    /// The headers that are kept for handlers.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The raw body.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
}
