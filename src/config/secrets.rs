//! Where secrets come from: a variable, a file, the config itself, or a key that the gateway makes once and keeps.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use toml::Spanned;

use super::error::ConfigError;
use super::file::SecretText;
use super::{Environment, Loopback};
use crate::model::Secret;

/// Most links that a path leads through, as the kernel has it.
const LINKS_MAX: usize = 40;

/// A named secret: where it was looked for, and what was there.
#[derive(Clone, Debug)]
pub struct NamedSecret {
    /// Which of the preset's secrets it is.
    pub slot: String,
    /// Where it comes from, for people.
    pub origin: String,
    /// What was there. None is no secret yet: the variable is not set, the file does not exist.
    pub secret: Option<Secret>,
}

/// Reads what a secret's text names.
///
/// # Errors
/// More or fewer than one of `env`, `file` and `literal`; an empty or unreadable secret; a literal off loopback.
pub(super) fn load(text: &Spanned<SecretText>, env: &Environment, loopback: Loopback) -> Result<NamedSecret, ConfigError> {
    let at = |message: String| ConfigError::at(text.span(), message);
    let SecretText { env: variable, file, literal, slot, given } = text.get_ref();
    let slot = slot.clone().unwrap_or_else(|| "signing".to_owned());
    let (origin, bytes) = match (variable, file, literal) {
        _ if given.is_some() => ("the program".to_owned(), given.as_ref().map(|bytes| bytes.to_vec())),
        (Some(name), None, None) => (format!("env {name}"), env.var(name).map(String::into_bytes)),
        (None, Some(path), None) => (format!("file {path}"), read_file(Path::new(path)).map_err(at)?),
        (None, None, Some(_)) if loopback == Loopback::No => {
            return Err(at("a literal secret is taken only while both listeners are on loopback".to_owned())
                .help("name it by { env = \"NAME\" } or { file = \"PATH\" }"));
        }
        (None, None, Some(value)) => ("literal".to_owned(), Some(value.clone().into_bytes())),
        _ => return Err(at("a secret is exactly one of `env`, `file` and `literal`".to_owned())),
    };
    let secret = bytes.map(Secret::new).transpose().map_err(|error| {
        at(format!("the secret of {origin} {error}"))
            .help("give it a value, or take it away: an absent secret leaves the source pending")
    })?;
    Ok(NamedSecret { slot, origin, secret })
}

/// A file's bytes less one trailing newline; none where there is no file.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match fs::read(path) {
        Ok(mut bytes) => {
            if bytes.last() == Some(&b'\n') {
                bytes.pop();
            }
            Ok(Some(bytes))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// The key kept in `name` beside the database, made at the first start.
///
/// The file has mode 0600 and holds `whsec_` and base64 of 24 random bytes. It is made under another name and linked into place,
/// so that a crash leaves all of it or nothing, and of two starts at once one key wins.
///
/// # Errors
/// The file cannot be made or read.
pub(super) fn generated(database: &Path, name: &str) -> Result<NamedSecret, ConfigError> {
    let path = beside(database, name);
    let origin = format!("file {}", path.display());
    let failed = |error: std::io::Error| {
        ConfigError::unreachable(format!("cannot keep a key in {}: {error}", path.display()))
            .help("the database's directory must exist and be writable; `database` or `--database` names another")
    };
    if !path.exists() {
        make_key(&path).map_err(failed)?;
    }
    let bytes = read_file(&path).map_err(ConfigError::unreachable)?.unwrap_or_default();
    let secret = Secret::new(bytes).map_err(|error| {
        ConfigError::plain(format!("the key in {} {error}", path.display())).help("remove the file to have a new one made")
    })?;
    Ok(NamedSecret { slot: "signing".to_owned(), origin, secret: Some(secret) })
}

/// The name of a file that belongs to a database. It stands beside the database itself, as the store's own files do, and not beside a
/// link to it: another link, or the database's own name, would find no key there and make a second one.
pub(super) fn beside(database: &Path, name: &str) -> PathBuf {
    let mut path = real(database).into_os_string();
    path.push(".");
    path.push(name);
    path.into()
}

/// Where the links lead that a path may end in, whether something is there or not. Links to directories need no following: what is
/// beside is the same.
fn real(path: &Path) -> PathBuf {
    let mut real = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(target) = fs::read_link(&real) else { break };
        real = real.parent().unwrap_or_else(|| Path::new("")).join(target);
    }
    real
}

fn make_key(path: &Path) -> std::io::Result<()> {
    let mut key = zeroize::Zeroizing::new([0_u8; 24]);
    getrandom::fill(&mut *key).map_err(|error| std::io::Error::other(error.to_string()))?;
    let text = zeroize::Zeroizing::new(format!("whsec_{}", STANDARD.encode(*key)));
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
