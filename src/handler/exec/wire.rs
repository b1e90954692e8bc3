//! What the gateway and a supervisor say to each other, once in each direction.

use std::io::{self, Read, Write};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, RawPid};
use serde::{Deserialize, Serialize};

use crate::model::{CommandEnd, Ending, Outcome, Output};

/// Longest report: its output with each byte escaped, and some.
pub(super) const REPORT_BYTES_MAX: usize = 6 * Output::BYTES_MAX + 1024;

/// What comes before the body.
pub(super) struct Order {
    /// How many bytes of body follow.
    pub(super) body_bytes: u64,
    /// How long the command may take.
    pub(super) timeout: Duration,
}

impl Order {
    pub(super) fn to_bytes(&self) -> [u8; 16] {
        let micros = u64::try_from(self.timeout.as_micros()).unwrap_or(u64::MAX);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.body_bytes.to_be_bytes());
        bytes[8..].copy_from_slice(&micros.to_be_bytes());
        bytes
    }

    /// The order and its body, whole.
    pub(super) fn read(from: &mut impl Read) -> io::Result<(Self, Vec<u8>)> {
        let mut half = || -> io::Result<u64> {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes)?;
            Ok(u64::from_be_bytes(bytes))
        };
        let order = Self { body_bytes: half()?, timeout: Duration::from_micros(half()?) };
        let mut body = Vec::new();
        from.take(order.body_bytes).read_to_end(&mut body)?;
        if body.len() as u64 == order.body_bytes { Ok((order, body)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// What a supervisor says, a line of JSON each.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    /// The command's process group has this number.
    Group(RawPid),
    /// The command could not be started, by this error of the system.
    NotStarted(i32),
    /// It ended, and all that came of it is gone.
    Ended(CommandEnd),
}

impl Word {
    /// Says it. Where nobody listens the gateway is gone.
    pub(super) fn say(&self, to: &mut impl Write) {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        drop(to.write_all(&line).and_then(|()| to.flush()));
    }
}

/// Everything that a supervisor said.
#[derive(Default)]
pub(super) struct Report {
    /// The command's process group.
    pub(super) group: Option<Pid>,
    /// Its last word; none where it was killed before it.
    pub(super) end: Option<Word>,
}

impl Report {
    pub(super) fn read(heard: &[u8]) -> Self {
        let words = heard.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        words.fold(Self::default(), |report, word| match word {
            Word::Group(group) => Self { group: Pid::from_raw(group), ..report },
            end => Self { end: Some(end), ..report },
        })
    }

    /// What that means for the call of `program`. `by_us` is the end of one whose supervisor said nothing in time, and was killed.
    pub(super) fn outcome(self, program: &str, by_us: Option<Ending>) -> Outcome {
        match self.end {
            Some(Word::Ended(end)) => Outcome::Command(end),
            Some(Word::NotStarted(errno)) if lacks_means(errno) => {
                Outcome::Unsent(format!("the command could not be started: {}", io::Error::from_raw_os_error(errno)))
            }
            Some(Word::NotStarted(errno)) => {
                Outcome::Broken(format!("not started: {program}: {}", io::Error::from_raw_os_error(errno)))
            }
            Some(Word::Group(_)) | None => match by_us {
                Some(ending) => Outcome::Command(CommandEnd { ending, output: Output::default() }),
                None => Outcome::Broken("killed: somebody ended the command's supervisor".to_owned()),
            },
        }
    }
}

/// Whether it is we who have no process, descriptor or memory left.
fn lacks_means(errno: i32) -> bool {
    [Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS].iter().any(|ours| ours.raw_os_error() == errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_comes_whole_or_not_at_all() {
        let order = Order { body_bytes: 3, timeout: Duration::from_millis(1500) };
        let sent = [&order.to_bytes()[..], b"abc", b"later"].concat();
        let (read, body) = Order::read(&mut &sent[..]).expect("it is whole");
        assert_eq!((read.timeout, &body[..]), (order.timeout, &b"abc"[..]));
        for cut in 0..19 {
            assert!(Order::read(&mut &sent[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn the_longest_report_is_heard_to_its_end() {
        let output = Output { text: "\u{1}".repeat(Output::BYTES_MAX), bytes: u64::MAX };
        let mut said = Vec::new();
        Word::Group(RawPid::MAX).say(&mut said);
        Word::Ended(CommandEnd { ending: Ending::Signalled(i32::MIN), output: output.clone() }).say(&mut said);
        assert!(said.len() < REPORT_BYTES_MAX, "{}", said.len());
        let report = Report::read(&said);
        assert_eq!(report.group, Pid::from_raw(RawPid::MAX));
        assert_eq!(report.end, Some(Word::Ended(CommandEnd { ending: Ending::Signalled(i32::MIN), output })));
    }

    #[test]
    fn a_supervisor_that_said_no_end_was_ended_by_somebody() {
        for heard in ["", "{\"group\":12}\n", "{\"group\":12}\n{\"ended\":{\"end"] {
            let broken = Report::read(heard.as_bytes()).outcome("./x", None);
            assert!(matches!(broken, Outcome::Broken(_)), "{heard}: {broken:?}");
        }
    }
}
