//! Why a delivery is refused. Told to logs and metrics; a stranger learns only the status.

/// What a refusal means for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// We cannot judge it yet: 503, so that the provider sends it again.
    NotReady,
    /// Its method is taken for handshakes alone: 405.
    NoHandshake,
    /// It is not proven: 401, or the preset's `ack.reject`.
    Unproven,
    /// It is proven, but does not say which event it is about: 400.
    Unreadable,
}

/// Why a delivery is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No check of the source has a secret.
    #[error("the source has no secret yet")]
    SourceNotReady,
    /// No check found its signature.
    #[error("there is no signature")]
    SignatureMissing,
    /// There is one, but nothing in it that could be right.
    #[error("the signature is not of the expected form")]
    SignatureMalformed,
    /// None of those offered is right.
    #[error("no signature matches the body and the configured secrets")]
    SignatureMismatch,
    /// More are offered than a sender has reason to.
    #[error("there are too many signatures")]
    TooManySignatures,
    /// An element of the signature's value that is read is there twice and differs.
    #[error("an element of the signature is there twice, with different values")]
    SignatureAmbiguous,
    /// A header or form field that is read is there twice.
    #[error("a header or form field that is read is there twice")]
    HeaderRepeated,
    /// The signed time is not there.
    #[error("there is no time")]
    TimeMissing,
    /// The signed time is not written as it must be.
    #[error("the time is not whole Unix seconds")]
    TimeMalformed,
    /// The signed time is too long ago.
    #[error("the time is too long ago")]
    TimeTooOld,
    /// The signed time is too far ahead.
    #[error("the time is too far ahead")]
    TimeTooNew,
    /// A part of the signed message is not there.
    #[error("a part of the signed message is missing")]
    MessageUnreadable,
    /// A method that carries no events, and no handshake that it could be.
    #[error("the method carries no events, and the request is no handshake of the provider")]
    NoHandshake,
    /// A handshake, but what is to be answered is missing, too long, or not printable ASCII.
    #[error("a handshake whose answer cannot be made: a value is missing, too long, or not printable ASCII")]
    HandshakeUnfit,
    /// A body that a handshake would have signed for anybody.
    #[error("the body could be a text that a handshake signs for anybody")]
    BodySignable,
    /// The body is not what the id needs.
    #[error("the body is not JSON in which the event id stands once")]
    MalformedBody,
    /// The body is, but has no id.
    #[error("there is no event id")]
    EventIdMissing,
}

impl Refusal {
    /// Its stable name in logs, metrics and the delivery log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SourceNotReady => "source-not-ready",
            Self::SignatureMissing => "signature-missing",
            Self::SignatureMalformed => "signature-malformed",
            Self::SignatureMismatch => "signature-mismatch",
            Self::TooManySignatures => "too-many-signatures",
            Self::SignatureAmbiguous => "signature-ambiguous",
            Self::HeaderRepeated => "header-repeated",
            Self::TimeMissing => "time-missing",
            Self::TimeMalformed => "time-malformed",
            Self::TimeTooOld => "time-too-old",
            Self::TimeTooNew => "time-too-new",
            Self::MessageUnreadable => "message-unreadable",
            Self::NoHandshake => "no-handshake",
            Self::HandshakeUnfit => "handshake-unfit",
            Self::BodySignable => "body-signable",
            Self::MalformedBody => "malformed-body",
            Self::EventIdMissing => "event-id-missing",
        }
    }

    /// What it means for the answer.
    #[must_use]
    pub const fn kind(self) -> RefusalKind {
        match self {
            Self::SourceNotReady => RefusalKind::NotReady,
            Self::NoHandshake => RefusalKind::NoHandshake,
            Self::MalformedBody | Self::EventIdMissing => RefusalKind::Unreadable,
            _ => RefusalKind::Unproven,
        }
    }

    /// Whether the check had passed before.
    #[must_use]
    pub fn is_authentic(self) -> bool {
        self.kind() == RefusalKind::Unreadable
    }
}
