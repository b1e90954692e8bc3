//! Where secrets come from: a variable, a file, the config itself, or a key that the gateway makes once and keeps.

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use toml::Spanned;

use super::error::ConfigError;
use super::file::SecretText;
use super::secret_file::{self, SecretFile};
use super::{Environment, Keys, Loopback};
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

/// The secrets that are there, by slot, and the slots of those that are not.
pub(crate) fn by_slot(secrets: &[NamedSecret]) -> (Vec<(String, Secret)>, Vec<String>) {
    let found = secrets.iter().filter_map(|named| Some((named.slot.clone(), named.secret.clone()?)));
    let awaited = secrets.iter().filter(|named| named.secret.is_none()).map(|named| named.slot.clone());
    (found.collect(), awaited.collect())
}

/// Loads every secret that a configuration names, and gathers what is doubtful about them.
pub(super) struct Reader<'a> {
    env: &'a Environment,
    loopback: Loopback,
    keys: Keys,
    strict: bool,
    doubts: RefCell<Vec<String>>,
}

impl<'a> Reader<'a> {
    /// One for a whole configuration. With `strict` a weak secret is an error.
    pub(super) const fn new(env: &'a Environment, loopback: Loopback, keys: Keys, strict: bool) -> Self {
        Self { env, loopback, keys, strict, doubts: RefCell::new(Vec::new()) }
    }

    /// Where variables are read.
    pub(super) const fn env(&self) -> &'a Environment {
        self.env
    }

    /// What is done about keys.
    pub(super) const fn keys(&self) -> Keys {
        self.keys
    }

    /// Reads what a secret's text names.
    ///
    /// # Errors
    /// More or fewer than one of `env`, `file` and `literal`; an empty or unreadable secret; a literal off loopback.
    pub(super) fn load(&self, text: &Spanned<SecretText>) -> Result<NamedSecret, ConfigError> {
        let at = |message: String| ConfigError::at(text.span(), message);
        let SecretText { env: variable, file, literal, slot, given } = text.get_ref();
        let slot = slot.clone().unwrap_or_else(|| "signing".to_owned());
        let (origin, bytes) = match (variable, file, literal) {
            _ if given.is_some() => ("the program".to_owned(), given.as_ref().map(|bytes| bytes.to_vec())),
            (Some(name), None, None) => (format!("env {name}"), self.env.bytes(name)),
            (None, Some(path), None) => (format!("file {path}"), self.file(Path::new(path)).map_err(at)?),
            (None, None, Some(_)) if self.loopback == Loopback::No => {
                return Err(at("a literal secret is taken only while both listeners are on loopback".to_owned())
                    .help("name it by { env = \"NAME\" } or { file = \"PATH\" }"));
            }
            (None, None, Some(value)) => ("literal".to_owned(), Some(value.clone().into_bytes())),
            _ => return Err(at("a secret is exactly one of `env`, `file` and `literal`".to_owned())),
        };
        if bytes.is_none() && variable.as_ref().or(file.as_ref()).is_some_and(|name| looks_like_a_secret(name)) {
            return Err(at("this names nothing, and looks like the secret itself".to_owned())
                .help("name the variable or the file that holds it: { env = \"NAME\" } or { file = \"PATH\" }"));
        }
        let secret = bytes.map(Secret::new).transpose().map_err(|error| {
            at(format!("the secret of {origin} {error}"))
                .help("give it a value, or take it away: an absent secret leaves the source pending")
        })?;
        if secret.as_ref().is_some_and(|secret| secret.reveal().trim_ascii() != secret.reveal()) {
            self.doubt(format!("the secret of {origin} begins or ends with white space, which is taken for a part of it"));
        }
        Ok(NamedSecret { slot, origin, secret })
    }

    /// Something that weakens a secret: an error at its place where the configuration is strict.
    pub(super) fn weak(&self, place: Option<Range<usize>>, message: String) -> Result<(), ConfigError> {
        if self.strict && self.keys != Keys::Leave {
            return Err(ConfigError { span: place, ..ConfigError::plain(message) }.help("`strict_secrets` makes this an error"));
        }
        self.doubt(message);
        Ok(())
    }

    /// What is doubtful.
    pub(super) fn into_doubts(self) -> Vec<String> {
        self.doubts.into_inner()
    }

    fn doubt(&self, message: String) {
        self.doubts.borrow_mut().push(message);
    }

    /// A file's bytes; none where there is no file. Who only asks a running gateway need not be one that may read its secrets.
    fn file(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        match secret_file::read(path) {
            Ok(SecretFile { bytes, open_mode }) => {
                if let Some(mode) = open_mode {
                    let path = path.display();
                    self.doubt(format!(
                        "every user of this machine can read {path} (mode {mode:04o}): `chmod o= {path}` ends that"
                    ));
                }
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied && self.keys == Keys::Leave => Ok(None),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }
}

/// The same for one secret that was named on the command line.
///
/// # Errors
/// It is empty or cannot be read.
pub(crate) fn load_secret(text: SecretText, env: &Environment) -> Result<NamedSecret, ConfigError> {
    let nowhere = |error| ConfigError { span: None, ..error };
    Reader::new(env, Loopback::No, Keys::Look, false).load(&Spanned::new(0..0, text)).map_err(nowhere)
}

/// Whether something is no likely name, but a secret where its name belongs: it must not be repeated.
fn looks_like_a_secret(name: &str) -> bool {
    name.starts_with("whsec_")
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
    let file = secret_file::read(&path).map_err(failed)?;
    let secret = Secret::new(file.bytes).map_err(|error| {
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
    let mut text = zeroize::Zeroizing::new(String::with_capacity(64));
    text.push_str("whsec_");
    STANDARD.encode_string(*key, &mut text);
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
