//! Every way in which a delivery is not taken: status, published type, and whether to come again.
//!
//! A 5xx is a fault of ours and makes a provider retry; a 4xx is the sender's. A stranger learns no more than stands here.

use std::time::Duration;

/// An answer that is no acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No such source.
    UnknownSource,
    /// The source was given up.
    Retired,
    /// The sender's address is not in the source's list.
    AddressNotAllowed,
    /// A method that the source does not take.
    MethodNotAllowed,
    /// Too many requests in hand, or no place for one more body.
    Overloaded,
    /// More deliveries a second than the source is to take.
    RateLimited,
    /// The head is larger than the limit.
    HeadersTooLarge,
    /// The body is larger than the source's limit.
    BodyTooLarge,
    /// A `Content-Encoding` that the source does not take.
    UnsupportedEncoding,
    /// The body came too slowly.
    BodyTooSlow,
    /// The body broke off or was framed wrongly.
    BodyBroken,
    /// The source has no secret yet.
    SourceNotReady,
    /// Missing, malformed, wrong or stale signature; which one is told to the operator alone. Holds the status, as some providers
    /// want their own.
    NotAuthentic(u16),
    /// The check passed, but the body cannot be read where the id should be.
    MalformedBody,
    /// The check passed, but there is no id.
    EventIdMissing,
    /// Another body under a known id, on a source that wants such a one refused.
    Conflict,
    /// The database is locked by another process.
    StoreBusy,
    /// The commit failed or its outcome is not known.
    StoreUnavailable,
    /// The disk is full.
    StorageFull,
    /// The store has failed for good.
    StoreFailed,
}

impl Problem {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::MalformedBody | Self::EventIdMissing | Self::BodyBroken => 400,
            Self::NotAuthentic(status) => status,
            Self::AddressNotAllowed => 403,
            Self::UnknownSource => 404,
            Self::MethodNotAllowed => 405,
            Self::BodyTooSlow => 408,
            Self::Conflict => 409,
            Self::Retired => 410,
            Self::BodyTooLarge => 413,
            Self::UnsupportedEncoding => 415,
            Self::RateLimited => 429,
            Self::HeadersTooLarge => 431,
            Self::Overloaded
            | Self::SourceNotReady
            | Self::StoreBusy
            | Self::StoreUnavailable
            | Self::StorageFull
            | Self::StoreFailed => 503,
        }
    }

    /// The stable word at the end of its `type`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownSource => "unknown-source",
            Self::Retired => "retired",
            Self::AddressNotAllowed => "address-not-allowed",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::Overloaded => "overloaded",
            Self::RateLimited => "rate-limited",
            Self::HeadersTooLarge => "headers-too-large",
            Self::BodyTooLarge => "body-too-large",
            Self::UnsupportedEncoding => "unsupported-encoding",
            Self::BodyTooSlow => "body-too-slow",
            Self::BodyBroken => "body-broken",
            Self::SourceNotReady => "source-not-ready",
            Self::NotAuthentic(_) => "not-authentic",
            Self::MalformedBody => "malformed-body",
            Self::EventIdMissing => "event-id-missing",
            Self::Conflict => "conflict",
            Self::StoreBusy => "store-busy",
            Self::StoreUnavailable => "store-unavailable",
            Self::StorageFull => "storage-full",
            Self::StoreFailed => "store-failed",
        }
    }

    /// One sentence for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::UnknownSource => "There is no such source",
            Self::Retired => "This source was retired",
            Self::AddressNotAllowed => "The source does not take deliveries from this address",
            Self::MethodNotAllowed => "The source does not take this method",
            Self::Overloaded => "Too much is in hand, come again",
            Self::RateLimited => "Too many deliveries a second, come again",
            Self::HeadersTooLarge => "The request's head is too large",
            Self::BodyTooLarge => "The body is too large",
            Self::UnsupportedEncoding => "Send the body without a content encoding",
            Self::BodyTooSlow => "The body came too slowly",
            Self::BodyBroken => "The body was incomplete",
            Self::SourceNotReady => "The source is not ready yet, come again",
            Self::NotAuthentic(_) => "The delivery could not be verified",
            Self::MalformedBody => "The body cannot be read",
            Self::EventIdMissing => "The delivery has no event id",
            Self::Conflict => "This id came before with another body",
            Self::StoreBusy => "The store is busy, come again",
            Self::StoreUnavailable => "The store could not take it, come again",
            Self::StorageFull => "The store is full, come again",
            Self::StoreFailed => "The store has failed, come again",
        }
    }

    /// When to come again, in seconds: of every 429 and 503.
    #[must_use]
    pub const fn retry_after_s(self) -> Option<u64> {
        match self {
            Self::RateLimited => Some(1),
            Self::Overloaded | Self::StoreBusy => Some(2),
            Self::StoreUnavailable | Self::StoreFailed => Some(5),
            Self::SourceNotReady | Self::StorageFull => Some(60),
            _ => None,
        }
    }

    /// The same, where our own store failed up to 2 s later at random: senders that failed together are not to come back together.
    #[must_use]
    pub fn retry_after(self) -> Option<Duration> {
        let jitter = u64::from(matches!(self, Self::StoreUnavailable | Self::StoreFailed)) * fastrand::u64(0..=2);
        self.retry_after_s().map(|seconds| Duration::from_secs(seconds + jitter))
    }

    /// Whether the delivery log has a row for it: refused at steps 4 to 9, not for want of room on our side.
    #[must_use]
    pub const fn is_logged(self) -> bool {
        matches!(
            self,
            Self::HeadersTooLarge
                | Self::BodyTooLarge
                | Self::UnsupportedEncoding
                | Self::BodyTooSlow
                | Self::BodyBroken
                | Self::SourceNotReady
                | Self::NotAuthentic(_)
                | Self::MalformedBody
                | Self::EventIdMissing
        )
    }
}
