//! Planted flaws, for the tests alone: each breaks one promise, to see that the tests notice.
//!
//! Without the feature `flaws` every question here is a constant `false` and the compiler removes the branch. With it, the flaw
//! named by `HOOKGATE_FLAW` is planted for the whole process.

/// A promise that can be broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A wrong signature passes.
    VerificationSkipped,
    /// Who is first is read, not decided by the unique constraint.
    UniqueConstraintIgnored,
    /// A claim that fails inside its group leaves its first statements behind.
    SavepointMissing,
    /// A result is recorded whoever holds the lease by now.
    FencingMissing,
}

/// Whether this flaw is planted.
#[cfg(not(feature = "flaws"))]
#[inline]
#[must_use]
pub const fn planted(_: Flaw) -> bool {
    false
}

/// Whether this flaw is planted.
#[cfg(feature = "flaws")]
#[must_use]
#[expect(
    clippy::disallowed_methods,
    clippy::panic,
    reason = "test only: the flaw is picked at run time, and a misspelt one must not pass for none"
)]
pub fn planted(flaw: Flaw) -> bool {
    use std::sync::OnceLock;
    static PLANTED: OnceLock<Option<Flaw>> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| match std::env::var("HOOKGATE_FLAW").as_deref() {
        Err(_) | Ok("") => None,
        Ok("verification-skipped") => Some(Flaw::VerificationSkipped),
        Ok("unique-constraint-ignored") => Some(Flaw::UniqueConstraintIgnored),
        Ok("savepoint-missing") => Some(Flaw::SavepointMissing),
        Ok("fencing-missing") => Some(Flaw::FencingMissing),
        Ok(other) => panic!("no flaw is called `{other}`"),
    });
    *planted == Some(flaw)
}
