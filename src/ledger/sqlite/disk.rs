//! The disk under the database: how much is free, the reserve for a full one, the marker of a failure.
//!
//! Nothing here opens the database, its -wal or its -shm: closing such a descriptor would drop SQLite's own locks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statfs, statvfs};

/// Kept free for results of attempts and purges on a full disk: there SQLite cannot even delete.
pub(super) const RESERVE_BYTES: u64 = 16 << 20;

/// With less free a disk is full, whatever an error calls it.
const BRIMFUL_BYTES: u64 = 1 << 20;

/// File systems over a network, by the number that `statfs` tells: their locks and flushes are not to be relied on.
const NETWORKS: &[(u32, &str)] = &[
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x0102_1997, "9p"),
    (0x7375_7245, "coda"),
    (0x0bd0_0bd0, "lustre"),
    (0x0116_1970, "gfs2"),
];

/// What stands beside the database.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    reserve: PathBuf,
    marker: PathBuf,
    min_free_bytes: u64,
    /// The files that SQLite has open, and which ones they are.
    open_files: Vec<(PathBuf, Option<FileId>)>,
}

/// Device and number: what a file is, whatever it is called.
type FileId = (u64, u64);

fn file_id(path: &Path) -> Option<FileId> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// A file beside the database: its name and a suffix.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

impl Disk {
    pub(super) fn of(database: &Path, min_free_bytes: u64) -> Self {
        Self {
            directory: database.parent().unwrap_or_else(|| Path::new("/")).to_owned(),
            reserve: beside(database, ".reserve"),
            marker: beside(database, ".failed"),
            min_free_bytes,
            open_files: vec![(database.to_owned(), None), (beside(database, "-wal"), None)],
        }
    }

    /// Remembers which files SQLite has open.
    pub(super) fn remember_files(&mut self) {
        self.open_files.iter_mut().for_each(|(path, id)| *id = file_id(path));
    }

    /// A file that was removed or replaced under its open database: what is written now is lost with the last descriptor.
    pub(super) fn replaced_file(&self) -> Option<&Path> {
        self.open_files.iter().find(|(path, id)| id.is_some() && file_id(path) != *id).map(|(path, _)| path.as_path())
    }

    /// The name of the network file system, where it is one.
    pub(super) fn network(&self) -> io::Result<Option<&'static str>> {
        // The number has 32 bits; how wide its field is depends on the machine.
        let kind = statfs(&self.directory)?.f_type as u32;
        Ok(NETWORKS.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name))
    }

    /// Whether less is free than the operator wants. A disk that cannot be asked is not called full: the next write will tell.
    pub(super) fn is_short(&self) -> bool {
        self.free_bytes().is_ok_and(|free| free < self.min_free_bytes)
    }

    /// Whether there is room again: for the reserve too where that was given up, and for some more, so that the state does not flap.
    pub(super) fn has_room(&self) -> bool {
        let reserve = if self.has_reserve() { 0 } else { RESERVE_BYTES };
        let wanted = self.min_free_bytes.saturating_add(reserve).saturating_add(BRIMFUL_BYTES);
        self.free_bytes().is_ok_and(|free| free >= wanted)
    }

    fn has_reserve(&self) -> bool {
        fs::metadata(&self.reserve).is_ok_and(|found| found.len() == RESERVE_BYTES)
    }

    /// Whether there is no room for anything.
    pub(super) fn is_brimful(&self) -> bool {
        self.free_bytes().is_ok_and(|free| free < BRIMFUL_BYTES)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let told = statvfs(&self.directory)?;
        Ok(told.f_bavail.saturating_mul(told.f_frsize))
    }

    /// Makes the reserve, where it is not there in full.
    pub(super) fn keep_reserve(&self) -> io::Result<()> {
        if self.has_reserve() {
            return Ok(());
        }
        let made = OpenOptions::new().write(true).create(true).truncate(true).open(&self.reserve).and_then(|file| fill(&file));
        if made.is_err() {
            // Half a reserve would pass for a whole one of its size only; its blocks are better free.
            self.release_reserve();
        }
        made
    }

    /// Gives the reserve's blocks back. Says whether there were any.
    pub(super) fn release_reserve(&self) -> bool {
        fs::remove_file(&self.reserve).is_ok()
    }

    /// Leaves word for the next start that the last one ended by a failed write or by damage.
    pub(super) fn mark_failed(&self, reason: &str) -> io::Result<()> {
        let mut file = File::create(&self.marker)?;
        file.write_all(reason.as_bytes())?;
        file.sync_all()
    }

    /// Whether such word was left.
    pub(super) fn is_marked(&self) -> bool {
        self.marker.exists()
    }

    /// The word was taken.
    pub(super) fn unmark(&self) -> io::Result<()> {
        fs::remove_file(&self.marker)
    }
}

fn fill(mut file: &File) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
        Ok(()) => return Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(other) => return Err(other.into()),
    }
    // Some file systems cannot allocate ahead: write it.
    let zeros = vec![0; 1 << 20];
    (0..RESERVE_BYTES >> 20).try_for_each(|_| file.write_all(&zeros))
}
