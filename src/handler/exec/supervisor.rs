//! The process between the gateway and a command: it starts the command, and ends it with all that came of it.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, Read, Stdin, Stdout, Write};
use std::process::{ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitStatus, waitid};

use super::process_tree;
use super::role::START;
use super::starter::GO;
use super::tail::Tail;
use super::wire::{Order, Word};
use crate::model::{CommandEnd, Ending};

/// Why the command is to end, or has.
enum Cause {
    /// It ended by itself.
    Ended,
    /// The gateway is gone, or has let go.
    LetGo,
}

/// Runs the command that comes over `lifeline`, and reports.
pub(super) fn supervise(own: &OsStr, command: &[OsString], mut lifeline: Stdin, mut report: Stdout) -> ExitCode {
    process_tree::adopt_orphans();
    // Half an order is one of a gateway that is gone.
    let Ok((order, body)) = Order::read(&mut lifeline) else { return ExitCode::FAILURE };
    let started = match Started::start(own, command) {
        Ok(started) => started,
        Err(error) => {
            Word::NotStarted(error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error())).say(&mut report);
            return ExitCode::FAILURE;
        }
    };
    let Started { command, stdin, output, mut status } = started;
    Word::Group(command.as_raw_nonzero().get()).say(&mut report);
    let tail = Tail::of(output);
    feed(stdin, body);
    let (tell, told) = mpsc::channel();
    watch_command(command, tell.clone());
    watch_lifeline(lifeline, tell);
    let cause = told.recv_timeout(order.timeout);
    let ended = process_tree::end(command);
    // Whoever could still write here is gone.
    let mut errno = [0; 4];
    match status.read_exact(&mut errno) {
        Ok(()) => Word::NotStarted(i32::from_be_bytes(errno)),
        Err(_) => Word::Ended(CommandEnd { ending: ending(&cause, ended), output: tail.end() }),
    }
    .say(&mut report);
    ExitCode::SUCCESS
}

/// A command that is about to begin.
struct Started {
    command: Pid,
    stdin: Option<ChildStdin>,
    /// What it writes, to stdout and to stderr.
    output: PipeReader,
    /// Ends as it begins, or says why it cannot.
    status: PipeReader,
}

impl Started {
    fn start(own: &OsStr, command: &[OsString]) -> io::Result<Self> {
        let (output, written) = io::pipe()?;
        let (status, told) = io::pipe()?;
        let mut starter = Command::new(own);
        starter.arg(START).arg(std::process::id().to_string()).args(command);
        let mut child = starter.stdin(Stdio::piped()).stdout(written).stderr(told).spawn()?;
        Ok(Self { command: Pid::from_child(&child), stdin: child.stdin.take(), output, status })
    }
}

/// Lets the command begin, and gives it the body. One that does not read it is no error.
fn feed(stdin: Option<ChildStdin>, body: Vec<u8>) {
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(GO).and_then(|()| stdin.write_all(&body))));
}

/// Tells when the command has ended; it is not waited for yet, so that its number stays its own.
fn watch_command(command: Pid, tell: mpsc::Sender<Cause>) {
    thread::spawn(move || {
        while matches!(waitid(WaitId::Pid(command), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT), Err(Errno::INTR)) {}
        drop(tell.send(Cause::Ended));
    });
}

/// Tells when the lifeline ends.
fn watch_lifeline(mut lifeline: Stdin, tell: mpsc::Sender<Cause>) {
    thread::spawn(move || {
        drop(io::copy(&mut lifeline, &mut io::sink()));
        drop(tell.send(Cause::LetGo));
    });
}

/// How the command ended. What it did by itself counts, also where we were about to end it.
fn ending(cause: &Result<Cause, RecvTimeoutError>, ended: Option<WaitStatus>) -> Ending {
    let by_us = match cause {
        Ok(Cause::Ended) => None,
        Ok(Cause::LetGo) => Some(Ending::Stopped),
        Err(_) => Some(Ending::TimedOut),
    };
    let code = ended.and_then(WaitStatus::exit_status).and_then(|code| u8::try_from(code).ok());
    let signal = ended.and_then(WaitStatus::terminating_signal);
    match (code, signal, by_us) {
        (Some(code), _, _) => Ending::Exited(code),
        (None, Some(signal), Some(by_us)) if signal == Signal::KILL.as_raw() => by_us,
        (None, Some(signal), _) => Ending::Signalled(signal),
        // One that we may not kill goes on.
        (None, None, by_us) => by_us.unwrap_or(Ending::TimedOut),
    }
}
