//! What came of one run of a command.

use serde::{Deserialize, Serialize};

/// How a command ended, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandEnd {
    /// How it ended.
    pub ending: Ending,
    /// What it wrote.
    pub output: Output,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal, which was not ours.
    Signalled(i32),
    /// Killed at its deadline.
    TimedOut,
    /// Killed as the gateway stopped.
    Stopped,
}

/// What a command wrote to stdout and stderr, in the order in which it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The end of it, at most [`Output::BYTES_MAX`]. What is not UTF-8 is replaced.
    pub text: String,
    /// How many bytes it wrote.
    pub bytes: u64,
}

impl Output {
    /// Most bytes of text that are kept.
    pub const BYTES_MAX: usize = 8 << 10;

    /// The text of the last bytes of `bytes` that were written.
    #[must_use]
    pub fn of(last: &[u8], bytes: u64) -> Self {
        let cut = bytes > last.len() as u64;
        // The first character may have lost its beginning.
        let lost = if cut { last.iter().take(3).take_while(|byte| *byte & 0xC0 == 0x80).count() } else { 0 };
        let text = String::from_utf8_lossy(&last[lost..]);
        // Replaced bytes are longer than they were.
        let from = text.ceil_char_boundary(text.len().saturating_sub(Self::BYTES_MAX));
        Self { text: text[from..].to_owned(), bytes }
    }
}

/// A signal's name, where its number is the same on every system.
#[must_use]
pub const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_text_of_bounded_length_whatever_was_written() {
        assert_eq!(Output::of("caf\u{e9}".as_bytes(), 5).text, "caf\u{e9}");
        assert_eq!(Output::of(b"\xa9 end", 900).text, " end", "half a character at the cut");
        assert_eq!(Output::of(b"\xa9 end", 5).text, "\u{fffd} end", "written so");
        let garbage = Output::of(&[0xFF; Output::BYTES_MAX], 1 << 40);
        assert!(garbage.text.len() <= Output::BYTES_MAX && garbage.text.chars().all(|c| c == '\u{fffd}'));
        assert_eq!(garbage.bytes, 1 << 40);
    }
}
