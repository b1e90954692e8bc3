//! Whether processes that no test is the parent of still live: they hold one end of a named pipe, the test has the other.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::PATIENCE;

/// A named pipe at this path.
pub(crate) fn named_pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");
}

/// A named pipe, followed. Who opens it for writing lives until it ends.
pub(crate) struct Pulse {
    path: PathBuf,
    lines: mpsc::Receiver<String>,
}

impl Pulse {
    /// A new one at this path.
    pub(crate) fn at(path: PathBuf) -> Self {
        named_pipe(&path);
        let (told, lines) = mpsc::channel();
        let followed = path.clone();
        thread::spawn(move || {
            // Ready once somebody has opened the other end.
            let Ok(pipe) = File::open(followed) else { return };
            BufReader::new(pipe).lines().map_while(Result::ok).take_while(|line| told.send(line.clone()).is_ok()).for_each(drop);
        });
        Self { path, lines }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next line.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("somebody writes")
    }

    /// Waits until everybody who wrote is gone.
    #[track_caller]
    pub(crate) fn ends(&self) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("somebody lives on after {PATIENCE:?}"),
            }
        }
    }

    /// Whether nobody is there who could write, at this moment.
    pub(crate) fn has_ended(&self) -> bool {
        let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag");
        let mut pipe = OpenOptions::new().read(true).custom_flags(nonblock).open(&self.path).expect("it is there");
        match pipe.read(&mut [0; 1]) {
            Ok(read) => read == 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }
}
