//! The lock file beside the database: one gateway at a time, where to reach it, and which database belongs here.
//!
//! The lock is the kernel's and ends with the process. The database's id stays in the file for ever after the first start, so
//! that a database that has gone missing is noticed and not quietly begun anew.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::disk::beside;
use crate::sync::{Mutex, lock};

/// Who has a database open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Where its admin listener is, once it is open.
    pub admin: Option<String>,
}

/// The file's content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Content {
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
}

/// What the file knows of earlier starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    /// There was none.
    Nothing,
    /// There was one, but its word is torn.
    Torn,
    /// There was one, of this database.
    Database(Uuid),
}

/// The lock, held until it is released or dropped.
#[derive(Debug)]
pub(super) struct LockFile {
    held: Mutex<(File, Content)>,
}

/// Why the lock was not had.
#[derive(Debug)]
pub(super) enum NotLocked {
    Held(Option<Holder>),
    Io(io::Error),
}

impl LockFile {
    /// Takes the lock and says what the file remembers.
    pub(super) fn take(database: &Path) -> Result<(Self, Remembered), NotLocked> {
        let path = beside(database, ".lock");
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).to_owned();
        let mut file = options.open(&path).map_err(NotLocked::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NotLocked::Held(holder_in(&mut file))),
            Err(TryLockError::Error(error)) => return Err(NotLocked::Io(error)),
        }
        let mut text = String::new();
        let remembered = match file.read_to_string(&mut text).map(|_| text.trim()) {
            Ok("") => Remembered::Nothing,
            Ok(text) => match serde_json::from_str::<Content>(text) {
                Ok(Content { database: Some(id), .. }) => Remembered::Database(id),
                Ok(_) => Remembered::Nothing,
                Err(_) => Remembered::Torn,
            },
            Err(_) => Remembered::Torn,
        };
        let database = if let Remembered::Database(id) = remembered { Some(id) } else { None };
        Ok((Self { held: Mutex::new((file, Content { database, pid: None, admin: None })) }, remembered))
    }

    /// Writes who holds it, and of which database, to the disk.
    pub(super) fn sign(&self, database: Uuid, admin: Option<String>) -> io::Result<()> {
        let content = Content { database: Some(database), pid: Some(std::process::id()), admin };
        self.write(|now| *now = content)
    }

    /// Writes where the admin listener is.
    pub(super) fn set_admin(&self, admin: String) -> io::Result<()> {
        self.write(|now| now.admin = Some(admin))
    }

    /// Lets go. The database's id stays.
    pub(super) fn release(&self) -> io::Result<()> {
        let written = self.write(|now| (now.pid, now.admin) = (None, None));
        lock(&self.held).0.unlock()?;
        written
    }

    /// Overwrites in place, as the lock belongs to the file and not to its name. Blanks cover what was longer, so that there is no
    /// moment at which the file is empty.
    fn write(&self, change: impl FnOnce(&mut Content)) -> io::Result<()> {
        let mut held = lock(&self.held);
        let (file, content) = &mut *held;
        change(content);
        let mut text = serde_json::to_vec(content)?;
        text.push(b'\n');
        let length = text.len();
        let before = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        text.resize(length.max(before), b' ');
        file.rewind()?;
        file.write_all(&text)?;
        file.set_len(u64::try_from(length).unwrap_or(0))?;
        file.sync_all()
    }
}

fn holder_in(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let content: Content = serde_json::from_str(text.trim()).ok()?;
    Some(Holder { pid: content.pid?, admin: content.admin })
}

/// Who has this database open, as far as its lock file tells and the process lives. Takes no lock, so that asking disturbs nobody:
/// only opening decides.
#[must_use]
pub fn read_holder(database: &Path) -> Option<Holder> {
    let mut file = File::open(beside(&super::open::canonical(database).ok()?, ".lock")).ok()?;
    let holder = holder_in(&mut file)?;
    let pid = rustix::process::Pid::from_raw(i32::try_from(holder.pid).ok()?)?;
    match rustix::process::test_kill_process(pid) {
        Ok(()) | Err(rustix::io::Errno::PERM) => Some(holder),
        Err(_) => None,
    }
}
