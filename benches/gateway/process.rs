//! The servers as processes: started, waited for, read off, ended.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::deliveries::SECRET;

/// Longest wait for a server to listen.
const START: Duration = Duration::from_secs(20);
/// What the kernel counts in `/proc/PID/stat`: 100 a second on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);
/// Where SQLite's wal-index counts commits: <https://www.sqlite.org/walformat.html#the_wal_index_header>.
const COMMITS_AT: u64 = 8;

/// A process that ends with this value.
struct Process(Child);

impl Process {
    /// Starts it and waits for its ready file, which it gives back.
    fn start(mut command: Command, ready: &Path) -> (Self, String) {
        let mut process = Self(command.stdin(Stdio::null()).spawn().expect("a process"));
        let deadline = Instant::now() + START;
        loop {
            if let Ok(text) = fs::read_to_string(ready) {
                return (process, text);
            }
            assert!(process.0.try_wait().ok().flatten().is_none(), "the server ended at once");
            assert!(Instant::now() < deadline, "the server is not ready");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// CPU time of all its threads, as finely as the kernel tells.
    fn cpu(&self) -> Duration {
        let fine = fs::read_dir(format!("/proc/{}/task", self.0.id())).ok().and_then(|threads| {
            let nanos = |thread: fs::DirEntry| -> Option<u64> {
                fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
            };
            threads.map(|thread| nanos(thread.ok()?)).sum::<Option<u64>>()
        });
        fine.map_or_else(|| self.cpu_ticks(), Duration::from_nanos)
    }

    fn cpu_ticks(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields = after_name.split_whitespace().skip(11).take(2);
        TICK * fields.filter_map(|field| field.parse::<u32>().ok()).sum::<u32>()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a gateway has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) cpu: Duration,
    pub(crate) commits: Option<u32>,
    /// Bytes for the disk.
    pub(crate) written: Option<u64>,
}

impl Account {
    /// What it has used in between.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            commits: self.commits.zip(before.commits).map(|(now, then)| now.wrapping_sub(then)),
            written: self.written.zip(before.written).map(|(now, then)| now.saturating_sub(then)),
        }
    }
}

/// A server of this executable.
pub(crate) struct Helper {
    process: Process,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Helper {
    /// `what` is its argument.
    pub(crate) fn start(what: &str) -> Self {
        let directory = directory();
        let ready = directory.path().join("ready");
        let mut command = Command::new(std::env::current_exe().expect("this executable"));
        command.arg(what).arg(&ready);
        let (process, text) = Process::start(command, &ready);
        Self { process, address: text.parse().expect("an address"), _directory: directory }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn cpu(&self) -> Duration {
        self.process.cpu()
    }

    /// Until the handler has got so many events.
    pub(crate) fn wait_for(&self, events: usize, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        while self.count() < events {
            assert!(Instant::now() < deadline, "the handler has got {} of {events} events", self.count());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn count(&self) -> usize {
        let mut stream = TcpStream::connect(self.address).expect("the handler listens");
        stream.write_all(b"GET /count HTTP/1.1\r\nHost: handler\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.lines().last().and_then(|line| line.parse().ok()).unwrap_or(0)
    }
}

/// The table of a GitHub-like source.
pub(crate) fn source(name: &str) -> String {
    format!("[sources.{name}]\nprovider = \"github\"\nsecrets = [{{ literal = \"{SECRET}\" }}]\n")
}

/// The gateway on a fresh database.
pub(crate) struct Gateway {
    process: Process,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Gateway {
    /// With a handler there, or with one that wants nothing that comes.
    pub(crate) fn start(handler: Option<&str>) -> Self {
        let (url, events) = handler.map_or(("http://127.0.0.1:9/", "nothing"), |url| (url, "*"));
        Self::with_config(&format!("{}[handlers.only]\nurl = \"{url}\"\nevents = [\"{events}\"]\n", source("github")))
    }

    /// With this configuration.
    pub(crate) fn with_config(config: &str) -> Self {
        let directory = directory();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("hookgate.toml"), config).expect("the config");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
        command.args(["serve", "-q", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.arg("--config").arg(path("hookgate.toml"));
        command.arg("--database").arg(path("hookgate.db"));
        command.arg("--ready-file").arg(path("ready"));
        let (process, text) = Process::start(command, &path("ready"));
        let ready: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let address = ready["listen"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Self { process, address, directory }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has used until now.
    pub(crate) fn account(&self) -> Account {
        let io = fs::read_to_string(format!("/proc/{}/io", self.process.0.id())).unwrap_or_default();
        let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok());
        Account { cpu: self.process.cpu(), commits: self.commits(), written }
    }

    /// From the wal-index, where it can be read. Locks belong to processes, so that reading it here is harmless.
    fn commits(&self) -> Option<u32> {
        let index = fs::File::open(self.directory.path().join("hookgate.db-shm")).ok()?;
        let mut count = [0; 4];
        index.read_exact_at(&mut count, COMMITS_AT).ok()?;
        Some(u32::from_ne_bytes(count))
    }
}

/// On the disk that the build is on: a temporary file system in memory would flatter.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(PathBuf::from(env!("CARGO_TARGET_TMPDIR"))).expect("a directory")
}
