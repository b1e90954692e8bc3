//! How `serve` speaks while it works: through a thread that writes, so that a terminal or pipe that nobody reads stops no request.

use std::io::Write;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::print::{self, Stdout};

/// Lines that wait to be written; beyond, they are dropped and counted.
const LINES_MAX: usize = 8192;

/// Lines on stdout.
#[derive(Clone)]
pub(super) struct Voice {
    out: NonBlocking,
    colours: bool,
    stdout: Stdout,
}

/// What was said is written when this is dropped, if somebody reads it within a second.
pub(super) struct Spoken {
    dropped: ErrorCounter,
    _guard: WorkerGuard,
}

/// A voice and its end.
pub(super) fn stdout() -> (Voice, Spoken) {
    let colours = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    let (out, guard) = builder().finish(std::io::stdout());
    let dropped = out.error_counter();
    (Voice { out, colours, stdout: Stdout::look() }, Spoken { dropped, _guard: guard })
}

/// The same for the log on stderr.
pub(super) fn stderr() -> (NonBlocking, WorkerGuard) {
    builder().finish(std::io::stderr())
}

fn builder() -> NonBlockingBuilder {
    NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX)
}

impl Voice {
    /// What it speaks to.
    pub(super) const fn stdout(&self) -> Stdout {
        self.stdout
    }

    /// Says a line, or several, at once.
    pub(super) fn say(&self, text: &str) {
        let text = if self.colours { format!("{text}\n") } else { format!("{}\n", anstream::adapter::strip_str(text)) };
        // Where nobody reads any more there is nobody to tell.
        drop(self.out.clone().write_all(text.as_bytes()));
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        let lines = self.dropped.dropped_lines();
        if lines > 0 {
            print::aside(&format!("{lines} lines were not printed, as nobody read them fast enough"));
        }
    }
}
