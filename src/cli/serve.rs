//! `hookgate serve`: runs the gateway until it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use clap::Args;
use futures_util::FutureExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Failure, OK, STORE, UNREACHABLE};
use super::reloader::Reloader;
use super::{Global, access, announce, setup, voice};
use crate::app::{FAILED_DRAIN, Gateway, open_store};
use crate::clock::{Clock, SystemClock};
use crate::config::{Flags, Keys, Limits};
use crate::ledger::{Journal, Ledger};
use crate::web;

/// Signals within this long of the first are the same.
const ONE_WORD: Duration = Duration::from_millis(300);
/// Descriptors for everything but the public listener's connections: the store, handlers, the admin listener.
const OTHER_DESCRIPTORS: u64 = 256;
const EXAMPLES: &str = "Examples:
  hookgate serve                               the demo, on loopback
  hookgate serve -f http://127.0.0.1:9000/     the demo, with a service of yours
  hookgate serve --config /etc/hookgate/hookgate.toml --listen 0.0.0.0:8080
  hookgate serve --listen 127.0.0.1:0 --ready-file ready.json

It runs until Ctrl-C or SIGTERM: then it takes nothing more, finishes what is in hand within `drain` (10s unless the config says \
otherwise) and exits with 0. A second signal ends it at once. Nothing that got a 2xx is lost either way.";

/// `serve`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ServeArgs {
    /// Address and port that providers reach; port 0 takes any free one [default: the config's, else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Address and port of the admin listener; off loopback it needs a token [default: the config's, else 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<SocketAddr>,
    /// Hand every event of every source to this URL too, by a handler named `forward-to`; needs no config
    #[arg(short, long, value_name = "URL")]
    forward_to: Option<String>,
    /// Write {"listen", "admin_listen", "pid"} as JSON to this file once the listeners are open; removed on exit
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Begin a new database although the lock file beside it knows of another: what was recorded there is forgotten, and repeats of it
    /// are new events
    #[arg(long)]
    new_database: bool,
}

/// Runs the gateway.
pub(super) async fn run(global: &Global, args: ServeArgs) -> Result<u8, Failure> {
    let flags = Flags {
        listen: args.listen,
        admin_listen: args.admin_listen,
        forward_to: args.forward_to.clone(),
        ..setup::flags(global)
    };
    let settings = setup::settings(&flags, Keys::Make)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    // A port that is taken is told before anything is made on the disk. The listener itself opens once the store is well.
    drop([bind(settings.listen, "--listen", "listen")?, bind(settings.admin_listen, "--admin-listen", "[admin] listen")?]);
    let store = open_store(&settings, args.new_database, &clock).map_err(|error| access::open_failure(&error))?;
    let public = bind(settings.listen, "--listen", "listen")?;
    let admin = bind(settings.admin_listen, "--admin-listen", "[admin] listen")?;
    let (listen, admin_listen) = (local(&public)?, local(&admin)?);
    store
        .set_admin_address(admin_listen.to_string())
        .map_err(|error| Failure::new(UNREACHABLE, format!("cannot write the lock file: {error}")))?;
    let ledger: Arc<dyn Ledger> = Arc::clone(&store) as Arc<dyn Ledger>;
    let journal: Arc<dyn Journal> = Arc::clone(&store) as Arc<dyn Journal>;
    let failed = ledger.failed();
    let (voice, _spoken) = voice::stdout();
    let options = setup::options(&flags, &settings);
    let gateway = Gateway::start(&settings, ledger, journal, clock, announce::voices(global, &settings, &options, &voice))
        .await
        .map_err(|error| access::start_failure(&error))?;
    // Before anybody can be told that we are ready: who is told may end us at once, and that end is an orderly one.
    let mut signals = Signals::watch()?;
    let refused = |error: std::io::Error| Failure::new(UNREACHABLE, format!("cannot listen: {error}"));
    let public = web::public(&gateway, public, within_descriptors(settings.limits), settings.drain).map_err(refused)?;
    let reloader = Reloader::new(global, &gateway, &flags, &settings, &voice);
    let hook = reloader.as_ref().map(Reloader::hook);
    let admin = web::admin(&gateway, admin, settings.admin_token.clone(), settings.drain, hook).map_err(refused)?;
    let handles = [public.handle(), admin.handle()];
    let servers = tokio::spawn(async move { tokio::try_join!(public, admin) });
    let ready = ready_file(args.ready_file.as_deref(), listen, admin_listen)?;
    let start = announce::Start { settings: &settings, options: &options, listen, admin_listen, is_new: store.created() };
    start.announce(global, &gateway, &voice).await;
    let code = until_stopped(&mut signals, failed, servers, reloader.as_deref()).await;
    let drain = match &code {
        Err(failure) if failure.code == STORE => settings.drain.min(FAILED_DRAIN),
        _ => settings.drain,
    };
    stop(&gateway, handles, drain, &mut signals).await;
    drop(ready);
    code
}

/// Connections that there are descriptors for: as many as the system lets us have, less what everything else needs. Without one left
/// neither a handler could be called nor a probe answered.
fn within_descriptors(limits: Limits) -> Limits {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Where it cannot be raised what we have must do.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let Some(descriptors) = (if raised { maximum } else { current }) else { return limits };
    let most = usize::try_from(descriptors.saturating_sub(OTHER_DESCRIPTORS).max(descriptors / 4)).unwrap_or(usize::MAX).max(1);
    if most < limits.connections {
        tracing::info!(
            connections = most,
            "fewer connections than the limit are taken, as the system gives us {descriptors} descriptors"
        );
    }
    Limits { connections: limits.connections.min(most), ..limits }
}

fn bind(address: SocketAddr, flag: &str, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::AddrInUse => format!("another process listens there: stop it, or take another address with {flag} (or `{setting}` in the config; port 0 takes any)"),
            _ => format!("take another address with {flag} (or `{setting}` in the config)"),
        };
        Failure::new(UNREACHABLE, format!("cannot listen on {address}: {error}\nhelp: {help}"))
    })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::new(UNREACHABLE, format!("the socket has no address: {error}")))
}

type Servers = tokio::task::JoinHandle<std::io::Result<((), ())>>;

/// What ends us in order.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on they no longer end the process by themselves.
    fn watch() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(UNREACHABLE, format!("cannot wait for signals: {error}"));
        let watch = |kind| signal(kind).map_err(failed);
        Ok(Self {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }

    /// Ready when we are to end. A hang-up reloads where there is something to reload, and ends us else: the terminal is gone.
    async fn end(&mut self, reloader: Option<&Reloader>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => match reloader {
                    // What came of it has been told.
                    Some(reloader) => drop(reloader.reload().await),
                    None => {
                        tracing::warn!("ended by a hang-up: without a config file there is nothing to read again");
                        return;
                    }
                }
            }
        }
    }

    /// Ready when one came.
    async fn came(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ready when a signal came, or the store failed, or a listener ended.
async fn until_stopped(
    signals: &mut Signals,
    failed: futures_util::future::BoxFuture<'_, String>,
    servers: Servers,
    reloader: Option<&Reloader>,
) -> Result<u8, Failure> {
    tokio::select! {
        () = signals.end(reloader) => Ok(OK),
        reason = failed => {
            tracing::error!(reason, "the store has failed for good: nothing more is taken");
            Err(Failure::new(STORE, format!("the store has failed: {reason}\nhelp: every event that got a 2xx is on disk; start again to recover, the database is checked first")))
        }
        ended = servers => Err(Failure::new(UNREACHABLE, format!("a listener ended: {ended:?}"))),
    }
}

/// Stops accepting and calling, lets requests and calls in hand end, closes the store; all within `drain`. A second signal ends at
/// once.
async fn stop(gateway: &Gateway, handles: [ServerHandle; 2], drain: Duration, signals: &mut Signals) {
    let orderly = async {
        let [public, admin] = handles;
        let answered = async { tokio::join!(public.stop(true), admin.stop(true)) };
        // The listeners know of the configured wait alone, and of whole seconds.
        let answered = tokio::time::timeout(drain.max(Duration::from_secs(1)), answered);
        if let (Err(_), ()) = tokio::join!(answered, gateway.stop_calling(drain)) {
            tracing::warn!("requests are still in hand: their senders get no answer, and come again");
        }
        gateway.close().await;
    };
    // Who signals a whole group of processes signals us twice at once; that is one word.
    let again = async {
        drop(tokio::time::timeout(ONE_WORD, std::future::pending::<()>()).await);
        while signals.came().now_or_never().is_some() {}
        signals.came().await;
    };
    tokio::select! {
        () = orderly => {}
        () = again => tracing::warn!("stopped at once: work in hand is kept on disk and goes on at the next start"),
    }
}

/// The ready file, gone when this is.
struct ReadyFile(PathBuf);

impl Drop for ReadyFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// Written under another name first, so that who waits for it never reads half of it.
fn ready_file(path: Option<&Path>, listen: SocketAddr, admin_listen: SocketAddr) -> Result<Option<ReadyFile>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let content =
        serde_json::json!({ "listen": listen.to_string(), "admin_listen": admin_listen.to_string(), "pid": std::process::id() });
    let draft = path.with_extension("new");
    std::fs::write(&draft, format!("{content}\n"))
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(|error| Failure::new(UNREACHABLE, format!("cannot write the ready file {}: {error}", path.display())))?;
    Ok(Some(ReadyFile(path.to_owned())))
}
