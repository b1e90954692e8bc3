//! The real binary in a directory of its own, as a script would run it: no terminal, no network, nothing inherited.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::PATIENCE;
use super::gateway::{GITHUB, STRIPE};

/// A directory to run commands in.
pub(crate) struct Cli {
    pub(crate) directory: TempDir,
    env: Vec<(String, String)>,
    own_group: bool,
}

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// That it ended so.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// That it failed so, and that its error says all of this.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, says: &[&str]) -> Self {
        let told = self.expect(code);
        assert!(told.stderr.contains("error"), "{}", told.stderr);
        for words in says {
            assert!(told.stderr.contains(words), "`{words}` is not in:\n{}", told.stderr);
        }
        told
    }

    /// Each line of stdout as JSON of version 1.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let rows: Vec<Value> = self.stdout.lines().map(parse).collect();
        assert!(rows.iter().all(|row| row["v"] == 1), "{}", self.stdout);
        rows
    }
}

/// Where the repository's fixtures are.
pub(crate) fn fixtures(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).display().to_string()
}

/// What must hold of every output: no secret, no escape code as nobody here is a terminal, no panic.
fn check(text: &str) {
    assert!(!text.contains("canary"), "a secret is shown:\n{text}");
    assert!(!text.contains('\u{1b}'), "an escape code:\n{text:?}");
    assert!(!text.contains("panicked at") && !text.contains("stack backtrace"), "a panic:\n{text}");
}

/// Runs a command to its end: exit code, stdout, stderr.
#[track_caller]
fn ended(mut command: Command) -> (i32, Vec<u8>, Vec<u8>) {
    let child = command.spawn().expect("the binary runs");
    let pid = Pid::from_child(&child);
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        kill_process(pid, Signal::KILL).expect("our own child");
        panic!("hookgate {:?} did not end", command.get_args().collect::<Vec<_>>());
    };
    let output = output.expect("an end");
    (output.status.code().expect("no signal ended it"), output.stdout, output.stderr)
}

impl Cli {
    /// An empty directory; the demo's secrets are in its environment, proxies that nobody may use too.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let dead_end = "http://127.0.0.1:9";
        let mut env =
            vec![("RUST_BACKTRACE", "1"), ("TZ", "UTC"), ("STRIPE_WEBHOOK_SECRET", STRIPE), ("GITHUB_WEBHOOK_SECRET", GITHUB)];
        env.extend(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].map(|name| (name, dead_end)));
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { directory: home, env, own_group: false }
    }

    /// The same with this config file.
    pub(crate) fn with_config(config: &str) -> Self {
        let cli = Self::new();
        cli.write("hookgate.toml", config);
        cli
    }

    /// With a variable set.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(have, _)| have != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.env.retain(|(have, _)| have != name);
        self
    }

    /// Commands run in a process group of their own. For who stops one by SIGSTOP: where the shell that started the tests ends at that
    /// moment, the kernel hangs up on every process of the group that has a stopped one.
    pub(crate) fn in_own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// A file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("the directory is there");
    }

    /// Writes a program.
    pub(crate) fn executable(&self, name: &str, content: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.write(name, content);
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).expect("our own file");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(Path::new(env!("CARGO_BIN_EXE_hookgate")));
        command.args(args);
        command
    }

    /// A program in the directory, with nothing but our environment.
    fn program(&self, path: &Path) -> Command {
        let mut command = Command::new(path);
        command.current_dir(self.directory.path()).env_clear().env("HOME", self.directory.path());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.own_group {
            command.process_group(0);
        }
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.text(self.command(args))
    }

    /// The same with more variables, and with a file as stdin.
    #[track_caller]
    pub(crate) fn run_with(&self, args: &[&str], variables: &[(String, String)], stdin: Option<&str>) -> Output {
        let mut command = self.command(args);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        if let Some(name) = stdin {
            command.stdin(std::fs::File::open(self.path(name)).expect("the file is there"));
        }
        self.text(command)
    }

    #[track_caller]
    fn text(&self, command: Command) -> Output {
        let output = ended(command);
        let [stdout, stderr] = [output.1, output.2].map(|bytes| String::from_utf8(bytes).expect("text"));
        check(&stdout);
        check(&stderr);
        Output { code: output.0, stdout, stderr }
    }

    /// The same with the exact bytes of stdout and stderr, which are not looked at.
    #[track_caller]
    pub(crate) fn bytes(&self, args: &[&str]) -> (i32, Vec<u8>, Vec<u8>) {
        ended(self.command(args))
    }

    /// Starts a command that goes on.
    pub(crate) fn start(&self, args: &[&str]) -> Process {
        Self::follow(self.command(args))
    }

    /// Starts one of the repository's examples, which cargo builds beside the tests.
    pub(crate) fn example(&self, name: &str) -> Process {
        let tests = std::env::current_exe().expect("a path");
        let target = tests.parent().and_then(Path::parent).expect("tests lie in `deps`");
        let path = target.join("examples").join(name);
        assert!(path.exists(), "`cargo test` builds the examples; alone: cargo build --example {name}");
        Self::follow(self.program(&path))
    }

    fn follow(mut command: Command) -> Process {
        let mut child = command.spawn().expect("the binary runs");
        let (stdout, stderr) = (Lines::default(), Lines::default());
        stdout.follow(child.stdout.take().expect("piped"));
        stderr.follow(child.stderr.take().expect("piped"));
        Process { child: Some(child), stdout, stderr }
    }

    /// Starts a gateway, and waits until it is ready.
    #[track_caller]
    pub(crate) fn serve(&self, more: &[&str]) -> Serving {
        let ready = self.path("ready.json");
        let ready_text = ready.display().to_string();
        let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--ready-file", &ready_text];
        args.extend(more);
        let process = self.start(&args);
        // The start is announced once the file is there: to people on stdout, to machines in the log. Handlers of waiting tasks may be
        // called before that.
        let started = if more.contains(&"json") {
            process.stderr.wait_for(|lines| lines.iter().any(|line| line.contains("the gateway listens")))
        } else {
            process.stdout.wait_for(|lines| lines.iter().any(|line| line.contains("  http://") && line.contains("admin")))
        };
        if started.is_none() {
            panic!("serve did not start:\n{}", process.stderr.text());
        }
        let told: Value = serde_json::from_slice(&std::fs::read(&ready).expect("the file is there")).expect("JSON");
        let address = |name: &str| told[name].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{told}"));
        Serving { listen: address("listen"), admin: address("admin_listen"), ready, told, process }
    }
}

/// Lines as they come.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Came>, Condvar)>);

#[derive(Default)]
struct Came {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn follow(&self, from: impl Read + Send + 'static) {
        let lines = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                lines.0.0.lock().unwrap().lines.push(line);
                lines.0.1.notify_all();
            }
            lines.0.0.lock().unwrap().ended = true;
            lines.0.1.notify_all();
        });
    }

    /// Waits until the lines so far are as wanted; none if they end before.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&[String]) -> bool) -> Option<Vec<String>> {
        let came = self.0.0.lock().unwrap();
        let (came, waited) = self.0.1.wait_timeout_while(came, PATIENCE, |came| !came.ended && !wanted(&came.lines)).unwrap();
        assert!(!waited.timed_out(), "waited {PATIENCE:?} in vain, there are:\n{}", came.lines.join("\n"));
        wanted(&came.lines).then(|| came.lines.clone())
    }

    /// Waits for the first line with this text.
    #[track_caller]
    pub(crate) fn line(&self, text: &str) -> String {
        let has = |line: &&String| line.contains(text);
        let Some(lines) = self.wait_for(|lines| lines.iter().any(|line| has(&line))) else {
            panic!("no line has `{text}`:\n{}", self.text());
        };
        lines.iter().find(has).expect("it is there").clone()
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        self.0.0.lock().unwrap().lines.join("\n")
    }

    fn wait_for_end(&self) {
        let came = self.0.0.lock().unwrap();
        drop(self.0.1.wait_timeout_while(came, PATIENCE, |came| !came.ended).unwrap());
    }
}

/// A command that goes on until it is told to end.
pub(crate) struct Process {
    child: Option<Child>,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
}

impl Process {
    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().expect("it runs")), signal).expect("our own child");
    }

    /// Sends a signal and waits for the end.
    #[track_caller]
    pub(crate) fn end(self, signal: Signal) -> Output {
        self.signal(signal);
        self.ended()
    }

    /// Waits for an end of its own.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Output {
        let mut child = self.child.take().expect("it runs");
        let pid = Pid::from_child(&child);
        let (done, ended) = mpsc::channel();
        thread::spawn(move || done.send(child.wait()));
        let Ok(status) = ended.recv_timeout(PATIENCE) else {
            kill_process(pid, Signal::KILL).expect("our own child");
            panic!("it did not end:\n{}\n{}", self.stdout.text(), self.stderr.text());
        };
        self.stdout.wait_for_end();
        self.stderr.wait_for_end();
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        check(&stdout);
        check(&stderr);
        Output { code: status.expect("an end").code().unwrap_or(-1), stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A gateway that runs.
pub(crate) struct Serving {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) ready: PathBuf,
    /// What the ready file says.
    pub(crate) told: Value,
    pub(crate) process: Process,
}

impl Serving {
    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Ends it as a supervisor would.
    #[track_caller]
    pub(crate) fn stop(self) -> Output {
        self.process.end(Signal::TERM)
    }
}
