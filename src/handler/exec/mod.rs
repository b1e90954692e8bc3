//! Handlers that are commands: the body on stdin, the event in the environment, the exit code as the answer.
//!
//! The gateway starts no command itself. It starts its own binary as the command's **supervisor**, one for each call, and holds a
//! pipe to it: the order and the body go through it, and then it stays open as the supervisor's lifeline. When that ends, because the
//! gateway is gone or lets go of it, or at the deadline, or when the command has ended, the supervisor kills all that came of the
//! command, waits until it is gone, and reports. So nothing of a command outlives its attempt, nor the gateway, `kill -9` included.
//!
//! The command leads a process group of its own, and the supervisor adopts what leaves that (Linux). It is killed too when its
//! supervisor dies first: the binary is started once more to ask the system for that, and becomes the command.

mod process_tree;
mod role;
mod starter;
mod supervisor;
mod tail;
mod wire;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;

pub use role::Role;
use wire::{Order, REPORT_BYTES_MAX, Report};

use super::{Call, Handler};
use crate::model::{CommandEnd, Ending, Outcome, Output};

/// How long a supervisor may take to report, beyond the deadline or after it was let go.
const SILENCE: Duration = Duration::from_secs(2);
/// How long beyond the deadline a call may take.
const GRACE: Duration = Duration::from_secs(3);

/// How a command is run.
#[derive(Clone)]
pub struct ExecHandlerSettings {
    /// The program and its arguments; no shell reads them.
    pub command: Vec<String>,
    /// Its environment, besides what it is told of the event.
    pub env: Vec<(String, String)>,
    /// This program's own binary.
    pub supervisor: PathBuf,
}

impl fmt::Debug for ExecHandlerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecHandlerSettings").field("program", &self.command.first()).finish_non_exhaustive()
    }
}

/// All commands that run, so that a stop can end them. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Commands(Arc<watch::Sender<bool>>);

impl Commands {
    /// Whether one runs.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Ends each of them, as [`Ending::Stopped`], and starts none from now on. Ready once they are gone.
    pub async fn end(&self) {
        self.0.send_replace(true);
        self.0.closed().await;
    }
}

/// A command that is run for each event.
pub struct ExecHandler {
    settings: ExecHandlerSettings,
    commands: Commands,
}

impl ExecHandler {
    /// One of these `commands`.
    #[must_use]
    pub const fn new(settings: ExecHandlerSettings, commands: Commands) -> Self {
        Self { settings, commands }
    }

    async fn run(&self, call: Call) -> Outcome {
        // Held until the command is gone: who ends all commands waits for that.
        let mut stop = self.commands.0.subscribe();
        if *stop.borrow() {
            return Outcome::Command(CommandEnd { ending: Ending::Stopped, output: Output::default() });
        }
        let mut supervisor = match self.start(&call).await {
            Ok(supervisor) => supervisor,
            Err(error) => return Outcome::Unsent(format!("the command could not be started: {error}")),
        };
        let (Some(mut lifeline), Some(report)) = (supervisor.stdin.take(), supervisor.stdout.take()) else {
            return Outcome::Unsent("the command could not be started: no pipes".to_owned());
        };
        let order = Order { body_bytes: call.body.len() as u64, timeout: call.timeout };
        let mut heard = Vec::new();
        let silence = async {
            let held = async {
                // A supervisor that does not listen has ended, and its report says so.
                drop(lifeline.write_all(&order.to_bytes()).await);
                drop(lifeline.write_all(&call.body).await);
                drop(stop.wait_for(|stop| *stop).await);
            };
            if tokio::time::timeout(call.timeout + SILENCE, held).await.is_ok() {
                drop(lifeline);
                drop(tokio::time::timeout(SILENCE, std::future::pending::<()>()).await);
            }
        };
        let silent = tokio::select! {
            () = hear(report, &mut heard) => false,
            () = silence => true,
        };
        let report = Report::read(&heard);
        if silent {
            drop(supervisor.start_kill());
        }
        if report.end.is_none() {
            kill(report.group);
        }
        // One that has reported ends by itself.
        drop(supervisor.wait().await);
        let by_us = silent.then(|| if *stop.borrow() { Ending::Stopped } else { Ending::TimedOut });
        report.outcome(self.program(), by_us)
    }

    fn program(&self) -> &str {
        self.settings.command.first().map_or("", String::as_str)
    }

    /// Starts a supervisor. It inherits nothing but what the command is to have.
    async fn start(&self, call: &Call) -> io::Result<Child> {
        let mut command = Command::new(&self.settings.supervisor);
        command.arg(role::SUPERVISE).args(&self.settings.command).env_clear();
        command.envs(self.settings.env.iter().map(|(name, value)| (name, value))).envs(variables(call));
        // Not of our group: Ctrl-C is for the gateway, which ends its commands itself.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        // The thread waits until the new process has its program.
        tokio::task::spawn_blocking(move || command.spawn()).await.map_err(io::Error::other)?
    }
}

/// The event, as the headers tell it to a service: `Hookgate-Event-Id` is `HOOKGATE_EVENT_ID`.
fn variables(call: &Call) -> Vec<(String, OsString)> {
    let name = |header: &str| header.to_ascii_uppercase().replace('-', "_");
    let mut variables: Vec<_> = call.facts().into_iter().map(|(header, value)| (name(header), value)).collect();
    variables.push(("HOOKGATE_IDEMPOTENCY_KEY".to_owned(), call.idempotency_key.to_string()));
    // What no environment can hold is left out.
    variables.into_iter().filter(|(_, value)| !value.contains('\0')).map(|(name, value)| (name, value.into())).collect()
}

/// Reads a report to its end. Nobody but a supervisor writes it, and it is short.
async fn hear(mut report: impl AsyncRead + Unpin, heard: &mut Vec<u8>) {
    while heard.len() < REPORT_BYTES_MAX && report.read_buf(heard).await.is_ok_and(|bytes| bytes > 0) {}
}

/// A supervisor that said nothing of an end has left the command to us. The number is the group's for as long as anything of it
/// lives.
fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        kill_process_group(group, Signal::KILL).ok();
    }
}

impl Handler for ExecHandler {
    fn call(&self, call: Call) -> BoxFuture<'_, Outcome> {
        Box::pin(self.run(call))
    }

    fn grace(&self) -> Duration {
        GRACE
    }

    /// Without the arguments, one of which may be a token.
    fn target(&self) -> String {
        self.program().to_owned()
    }
}

impl fmt::Debug for ExecHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecHandler").field("target", &self.target()).finish_non_exhaustive()
    }
}
