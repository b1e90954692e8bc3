//! A secret's file: read without a copy that stays behind, and without waiting for whatever may be in its place.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Largest file that can be a secret.
const SECRET_FILE_BYTES_MAX: usize = 64 << 10;
/// The right of everybody on the machine to read a file.
const READABLE_BY_ALL: u32 = 0o004;

/// What a secret's file holds.
pub(super) struct SecretFile {
    /// Its bytes less one trailing newline.
    pub(super) bytes: Vec<u8>,
    /// Its mode, where every user of the machine may read it.
    pub(super) open_mode: Option<u32>,
}

/// Reads it. Links are followed, as a mounted secret is a link to a directory that is replaced as a whole.
pub(super) fn read(path: &Path) -> Result<SecretFile> {
    // Else the opening of a pipe would wait for somebody who writes, and that of a terminal could make it ours.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    let wrong = |what| Err(Error::new(ErrorKind::InvalidInput, what));
    match metadata.file_type() {
        kind if kind.is_file() => {}
        kind if kind.is_dir() => return wrong("it is a directory"),
        kind if kind.is_fifo() => return wrong("it is a pipe and no file"),
        _ => return wrong("it is a device and no file"),
    }
    let mut buffer = Zeroizing::new(vec![0; SECRET_FILE_BYTES_MAX + 1]);
    let length = fill(&mut file, &mut buffer)?;
    if length > SECRET_FILE_BYTES_MAX {
        return wrong("it has over 64 KiB, so it is no secret");
    }
    let content = &buffer[..length];
    let mode = metadata.mode() & 0o7777;
    Ok(SecretFile {
        bytes: content.strip_suffix(b"\n").unwrap_or(content).to_vec(),
        open_mode: (mode & READABLE_BY_ALL != 0).then_some(mode),
    })
}

/// As many bytes as there are and as have room.
fn fill(file: &mut File, buffer: &mut [u8]) -> Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(bytes) => length += bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
