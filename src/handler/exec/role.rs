//! What else the binary is: it starts itself as a command's supervisor, and that starts it as what becomes the command.

use std::ffi::{OsStr, OsString};
use std::io::{Stderr, Stdin, Stdout};
use std::process::ExitCode;

use super::{starter, supervisor};

/// The first argument of a supervisor; the command follows.
pub(super) const SUPERVISE: &str = "__exec";
/// The first argument of what becomes the command; the supervisor's number and the command follow.
pub(super) const START: &str = "__exec-start";

/// A part that the binary plays for itself, in which it reads no configuration and starts no runtime.
#[derive(Debug)]
pub struct Role<'a>(Part<'a>);

#[derive(Debug)]
enum Part<'a> {
    Supervisor { own: &'a OsStr, command: &'a [OsString] },
    Starter { supervisor: &'a OsStr, command: &'a [OsString] },
}

impl<'a> Role<'a> {
    /// The part that these arguments ask for, the binary's own name first. None where a person typed them.
    #[must_use]
    pub fn of(arguments: &'a [OsString]) -> Option<Self> {
        match arguments {
            [own, word, command @ ..] if word == SUPERVISE && !command.is_empty() => {
                Some(Self(Part::Supervisor { own, command }))
            }
            [_, word, supervisor, command @ ..] if word == START && !command.is_empty() => {
                Some(Self(Part::Starter { supervisor, command }))
            }
            _ => None,
        }
    }

    /// Plays it to its end.
    #[must_use]
    pub fn play(self, stdin: Stdin, stdout: Stdout, stderr: Stderr) -> ExitCode {
        match self.0 {
            Part::Supervisor { own, command } => supervisor::supervise(own, command, stdin, stdout),
            Part::Starter { supervisor, command } => starter::become_command(supervisor, command, &stdin, stdout, &stderr),
        }
    }
}
