//! What becomes the command. Between the start of a process and its program nothing of ours can run without `unsafe`; so the binary is
//! started first, asks the system for what no parent can ask, and then becomes the command.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Stderr, Stdin, Stdout, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// What comes on stdin before the body, once the command may begin.
pub(super) const GO: &[u8; 1] = b"!";

/// Becomes the command; its stderr goes where its stdout goes. Returns only where that cannot be: the error goes to `status`, which
/// the command never sees.
pub(super) fn become_command(
    supervisor: &OsStr,
    command: &[OsString],
    stdin: &Stdin,
    stdout: Stdout,
    status: &Stderr,
) -> ExitCode {
    // The copy ends as the command begins, which tells the supervisor that it did.
    let Ok(status) = status.as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    // The leader of a session and a process group of its own, without a terminal: nobody there types a password or Ctrl-C.
    rustix::process::setsid().ok();
    die_with_parent();
    // It may have died before that, or may not have told the gateway yet whom to end in its place.
    let is_orphan = rustix::process::getppid().is_none_or(|parent| *parent.to_string() != *supervisor);
    if is_orphan || rustix::io::read(stdin, &mut [0; GO.len()]) != Ok(GO.len()) {
        return ExitCode::FAILURE;
    }
    let error = Command::new(&command[0]).args(&command[1..]).stderr(stdout).exec();
    let errno = error.raw_os_error().unwrap_or(rustix::io::Errno::INVAL.raw_os_error());
    drop(File::from(status).write_all(&errno.to_be_bytes()));
    ExitCode::FAILURE
}

/// So that a supervisor that is killed leaves no command behind.
#[cfg(target_os = "linux")]
fn die_with_parent() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).ok();
}

/// No other system can be asked: there the gateway kills the command's group.
#[cfg(not(target_os = "linux"))]
fn die_with_parent() {}
