//! The environment, taken once: a copy that is wiped when it goes, as secrets may be in it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;

use zeroize::Zeroizing;

/// The variables that the gateway reads: a copy, so that tests need not change the process's own.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl Environment {
    /// The process's own. Variables whose names are not UTF-8 are as good as not set.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, Zeroizing::new(value.into_vec())));
        Self(std::env::vars_os().filter_map(named).collect())
    }

    /// These.
    #[must_use]
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), Zeroizing::new(value.as_bytes().to_vec()))).collect())
    }

    /// A variable's value, where it is set and is UTF-8.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<String> {
        std::str::from_utf8(self.0.get(name)?).ok().map(str::to_owned)
    }

    /// A variable's bytes, where it is set: a secret may be any.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).map(|value| value.to_vec())
    }
}

impl fmt::Debug for Environment {
    /// The names alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
