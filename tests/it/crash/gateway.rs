//! The gateway under test: the built binary, its directory, its addresses, its end.

use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::driver::{GITHUB_SECRET, STRIPE_SECRET};
use super::sink::{Sink, TIMEOUT};
use super::wait_until;
use super::wire::{Connection, Message};

/// Where it listens. On Linux an address that no outgoing connection has, so that nobody takes its port while it is down.
const HOST: &str = if cfg!(target_os = "linux") { "127.77.0.1" } else { "127.0.0.1" };

/// See the module.
pub(super) struct Gateway {
    directory: Option<tempfile::TempDir>,
    child: Option<Child>,
    /// The public listener and the admin listener, as they were after the first start.
    addresses: Option<(SocketAddr, SocketAddr)>,
}

impl Gateway {
    /// Writes its config.
    pub(super) fn prepare(sink: &Sink) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let timeout = TIMEOUT.as_secs();
        let (audit, triage) = (sink.url("audit"), sink.url("triage"));
        let config = format!(
            r#"
[sources.stripe]
provider = "stripe"
secrets = [{{ literal = "{STRIPE_SECRET}" }}]
ack = {{ status = 200, body = "taken", type = "text/plain" }}

[sources.github]
provider = "github"
secrets = [{{ literal = "{GITHUB_SECRET}" }}]
ack = {{ status = 202, body = '{{"taken":true}}', type = "application/json" }}

[handlers.audit]
url = "{audit}"
timeout = "{timeout}s"
retry = [{retry}]

[handlers.triage]
sources = ["github"]
url = "{triage}"
timeout = "{timeout}s"
retry = [{retry}]
"#,
            retry = ["\"100ms\""; 50].join(", "),
        );
        fs::write(directory.path().join("hookgate.toml"), config).expect("the config");
        Self { directory: Some(directory), child: None, addresses: None }
    }

    /// Its directory.
    pub(super) fn path(&self) -> &Path {
        self.directory.as_ref().expect("it is there to the end").path()
    }

    /// Starts it and waits until it listens.
    pub(super) fn start(&mut self) {
        if let Some(mut killed) = self.child.take() {
            killed.wait().expect("its end");
        }
        // The one of a killed gateway is still there.
        drop(fs::remove_file(self.file("ready")));
        let (listen, admin) = self.addresses.map_or_else(
            || (format!("{HOST}:0"), format!("{HOST}:0")),
            |(listen, admin)| (listen.to_string(), admin.to_string()),
        );
        let mut command = self.command("serve");
        command.arg("--ready-file").arg(self.file("ready")).args(["--listen", &listen, "--admin-listen", &admin]);
        let child = command.stdout(Stdio::null()).stderr(self.log()).spawn().expect("the gateway's binary");
        let child = self.child.insert(child);
        let pid = child.id();
        let ready = self.file("ready");
        wait_until("the gateway to be ready", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "the gateway ended: {}", fs::read_to_string(self.file("log")).unwrap_or_default());
            ready.exists()
        });
        let ready: Value = serde_json::from_slice(&fs::read(ready).expect("the ready file")).expect("JSON");
        assert_eq!(ready["pid"], pid);
        let address = |name: &str| ready[name].as_str().and_then(|text| text.parse().ok()).expect("an address");
        self.addresses = Some((address("listen"), address("admin_listen")));
    }

    /// SIGKILL, wherever it is. The next start waits for its end.
    pub(super) fn kill(&mut self) {
        self.child.as_mut().expect("it runs").kill().expect("a kill");
    }

    /// SIGTERM; it must end in order.
    pub(super) fn stop(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        let end = child.wait().expect("its end");
        assert!(end.success(), "the gateway ended {end}: {}", fs::read_to_string(self.file("log")).unwrap_or_default());
    }

    /// The public listener.
    pub(super) fn address(&self) -> SocketAddr {
        self.addresses.expect("it was started").0
    }

    pub(super) fn database(&self) -> PathBuf {
        self.file("hookgate.db")
    }

    /// Until no event waits for a handler any more.
    pub(super) fn wait_until_all_is_done(&self) {
        let mut admin = self.admin();
        wait_until("the handlers to get everything", || {
            let open = admin.get("/api/v1/deliveries?state=accepted&limit=1");
            open.0["deliveries"].as_array().is_some_and(Vec::is_empty)
        });
    }

    /// Whatever `hookgate ARGS...` prints, which must be JSON lines.
    pub(super) fn printed(&self, args: &[&str]) -> Vec<Value> {
        let output = self.command(args[0]).args(&args[1..]).output().expect("the gateway's binary");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("a JSON line")).collect()
    }

    /// A connection to the admin listener.
    pub(super) fn admin(&self) -> Admin {
        let address = self.addresses.expect("it was started").1;
        Admin { connection: Connection::to(address).expect("the admin listener"), host: address.to_string() }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
        command.current_dir(self.path()).stdin(Stdio::null()).args([name, "-q", "--config", "hookgate.toml"]);
        command.arg("--database").arg(self.database());
        command
    }

    fn log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.file("log")).expect("the log")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Gateway {
    /// After a failure the directory stays, to be looked at.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        if let Some(directory) = self.directory.take().filter(|_| std::thread::panicking()) {
            drop(directory.keep());
        }
    }
}

/// See [`Gateway::admin`].
pub(super) struct Admin {
    connection: Connection,
    host: String,
}

impl Admin {
    /// The JSON that a path gives.
    pub(super) fn get(&mut self, path: &str) -> (Value, Message) {
        let message = self.get_bytes(path);
        (serde_json::from_slice(&message.body).expect("JSON"), message)
    }

    /// The bytes that a path gives.
    pub(super) fn get_bytes(&mut self, path: &str) -> Message {
        let fields = [("Host".to_owned(), self.host.clone())];
        self.connection.send(&format!("GET {path} HTTP/1.1"), &fields, b"").expect("the admin listener reads");
        let message = self.connection.receive().expect("the admin listener answers");
        assert_eq!(message.status(), 200, "{path}: {}", String::from_utf8_lossy(&message.body));
        message
    }
}
