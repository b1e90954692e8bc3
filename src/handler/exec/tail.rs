//! The end of what a command writes: read for as long as it writes, so that it never waits for a reader.

use std::io::{PipeReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::model::Output;

/// How long the end of the output is waited for once all that came of the command is gone. Only somebody who was handed the pipe, and is
/// no child of the command, can still hold it then.
const PATIENCE: Duration = Duration::from_millis(200);
/// Bytes read at once.
const PIECE: usize = 64 << 10;

/// What was read so far.
pub(super) struct Tail {
    kept: Arc<Mutex<Kept>>,
    ended: mpsc::Receiver<()>,
}

#[derive(Default)]
struct Kept {
    last: Vec<u8>,
    bytes: u64,
}

impl Kept {
    fn push(&mut self, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        self.last.extend_from_slice(&piece[piece.len().saturating_sub(Output::BYTES_MAX)..]);
        self.last.drain(..self.last.len().saturating_sub(Output::BYTES_MAX));
    }
}

impl Tail {
    /// Reads from now on.
    pub(super) fn of(mut pipe: PipeReader) -> Self {
        let (reading, ended) = mpsc::channel();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let filled = Arc::clone(&kept);
        thread::spawn(move || {
            let _reading: mpsc::Sender<()> = reading;
            let mut piece = vec![0; PIECE];
            while let Some(read) = pipe.read(&mut piece).ok().filter(|read| *read > 0) {
                lock(&filled).push(&piece[..read]);
            }
        });
        Self { kept, ended }
    }

    /// What there is once nobody writes any more.
    pub(super) fn end(self) -> Output {
        self.ended.recv_timeout(PATIENCE).ok();
        let kept = lock(&self.kept);
        Output::of(&kept.last, kept.bytes)
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_end_is_kept_whatever_the_pieces() {
        let written: Vec<u8> = (0..100_000_u32).map(|number| b'a' + u8::try_from(number % 23).expect("small")).collect();
        for piece in [1000, 8192, 70_000] {
            let mut kept = Kept::default();
            written.chunks(piece).for_each(|piece| kept.push(piece));
            assert_eq!((kept.bytes, &kept.last[..]), (100_000, &written[100_000 - Output::BYTES_MAX..]), "{piece}");
        }
    }

    #[test]
    fn a_pipe_that_somebody_holds_is_not_waited_for() {
        let (reader, mut held) = std::io::pipe().expect("a pipe");
        held.write_all(b"before").expect("room");
        let tail = Tail::of(reader);
        let output = tail.end();
        assert_eq!((output.text.as_str(), output.bytes), ("before", 6));
        drop(held);
    }
}
