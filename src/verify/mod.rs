//! Pure verification: bytes, secrets and the time in, evidence or a refusal out.

mod admitted;
pub use admitted::Admitted;
