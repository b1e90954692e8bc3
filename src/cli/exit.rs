//! Exit codes, a contract with scripts.

/// Done as asked.
pub const OK: u8 = 0;
/// The answer is no: a rejected request, a failed expectation.
pub const NO: u8 = 1;
/// Wrong usage or configuration, an unreadable secret.
pub const USAGE: u8 = 2;
/// The store or the gateway cannot be reached, the port or the lock is taken.
pub const UNREACHABLE: u8 = 3;
/// The store is damaged, failing, lost or too new.
pub const STORE: u8 = 4;

/// Why a command ends without having done what was asked.
#[derive(Debug)]
pub struct Failure {
    /// One of the codes above.
    pub code: u8,
    /// What to print after "error: ", with what to do. It may have colours.
    pub message: String,
}

impl Failure {
    /// With a message.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The message without colours, where no stream takes them off.
    #[must_use]
    pub fn plain(&self) -> String {
        anstream::adapter::strip_str(&self.message).to_string()
    }
}
