//! A SHA-256 digest. Who computes it is another room's matter.

use std::fmt;

/// 32 bytes of SHA-256, shown as hex.
///
/// There is no `PartialEq` on signatures anywhere; this type names content that is no secret, so comparing it plainly is fine.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
