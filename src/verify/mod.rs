//! Pure verification: bytes, secrets and the time in, evidence or a refusal out.
//!
//! This room knows no store, no clock, nothing asynchronous and no logging. It owns [`Admitted`], the evidence that alone can
//! become a claim, and interprets the presets of `preset`.

mod admitted;
mod age;
mod candidates;
mod compute;
mod credential;
mod form;
mod handshake;
mod hmac;
mod ident;
mod json;
mod key;
mod message;
mod plan;
mod prove;
mod reading;
mod refusal;
mod resign;
mod verifier;
mod window;

pub use admitted::Admitted;
pub use handshake::{Passed, Reply};
pub(crate) use key::key_bytes;
pub use key::{KEY_BYTES_SHORT, KeyError, fingerprint};
pub use refusal::{Refusal, RefusalKind};
pub use verifier::{TYPE_UNKNOWN, Verifier, VerifierSettings};

/// Most signatures that one request may offer.
pub const CANDIDATES_MAX: usize = candidates::CANDIDATES_MAX;
