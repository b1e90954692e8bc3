//! `hookgate serve`: runs the gateway until it is told to stop.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Failure, OK, STORE, UNREACHABLE, USAGE};
use super::{Global, LogFormat, ServeArgs, access, print, setup};
use crate::app::{Gateway, Voices};
use crate::clock::{Clock, SystemClock};
use crate::config::{Flags, Keys, Settings};
use crate::gateway::Notice;
use crate::handler::Call;
use crate::ledger::sqlite::{NewDatabase, SqliteLedger, SqliteSettings};
use crate::ledger::{Journal, Ledger, Settlement};
use crate::web;

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
    let store = open(&settings, &args, &clock)?;
    let public = bind(settings.listen, "--listen", "listen")?;
    let admin = bind(settings.admin_listen, "--admin-listen", "[admin] listen")?;
    let (listen, admin_listen) = (local(&public)?, local(&admin)?);
    store
        .set_admin_address(admin_listen.to_string())
        .map_err(|error| Failure::new(UNREACHABLE, format!("cannot write the lock file: {error}")))?;
    let ledger: Arc<dyn Ledger> = Arc::clone(&store) as Arc<dyn Ledger>;
    let journal: Arc<dyn Journal> = Arc::clone(&store) as Arc<dyn Journal>;
    let failed = ledger.failed();
    let gateway = Gateway::start(&settings, ledger, journal, clock, voices(global))
        .await
        .map_err(|(handler, error)| Failure::new(USAGE, format!("handler `{handler}`: {error}")))?;
    // Before anybody can be told that we are ready: who is told may end us at once, and that end is an orderly one.
    let signals = Signals::watch()?;
    let refused = |error: std::io::Error| Failure::new(UNREACHABLE, format!("cannot listen: {error}"));
    let public = web::public(&gateway, public, settings.limits, settings.drain).map_err(refused)?;
    let admin = web::admin(&gateway, admin, settings.admin_token.clone(), settings.drain).map_err(refused)?;
    let handles = [public.handle(), admin.handle()];
    let servers = tokio::spawn(async move { tokio::try_join!(public, admin) });
    let ready = ready_file(args.ready_file.as_deref(), listen, admin_listen)?;
    announce(global, &settings, &gateway, listen, store.created()).await;
    let code = until_stopped(signals, failed, servers).await;
    stop(&gateway, handles, &settings).await;
    drop(ready);
    code
}

fn open(settings: &Settings, args: &ServeArgs, clock: &Arc<dyn Clock>) -> Result<Arc<SqliteLedger>, Failure> {
    let new_database = match (args.new_database, settings.require_database) {
        (true, _) => NewDatabase::Replace,
        (false, true) => NewDatabase::Required,
        (false, false) => NewDatabase::Allowed,
    };
    let sqlite = SqliteSettings { min_free: settings.min_free, new_database, ..SqliteSettings::at(settings.database.clone()) };
    let sources: Vec<_> = settings.sources.iter().map(|source| (source.name.clone(), source.preset.name().to_string())).collect();
    let store = SqliteLedger::open(sqlite, Arc::clone(clock), &sources).map_err(|error| access::open_failure(&error))?;
    Ok(Arc::new(store))
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

/// People get lines on stdout, machines log lines on stderr.
fn voices(global: &Global) -> Voices {
    match (global.log_format, global.quiet) {
        (_, true) => Voices { tell: Arc::new(|_: &Notice| {}), print: Arc::new(|_: &Call| {}) },
        (LogFormat::Json, false) => Voices { tell: Arc::new(log), print: Arc::new(|_: &Call| {}) },
        (LogFormat::Pretty, false) => Voices { tell: Arc::new(show), print: Arc::new(print::event) },
    }
}

fn show(notice: &Notice) {
    match notice {
        Notice::Delivery(delivery) => print::delivery(delivery),
        // The printer has spoken for itself.
        Notice::Attempt(attempt) if attempt.handler.as_str() == "printer" && attempt.settlement == Settlement::Done => {}
        Notice::Attempt(attempt) => print::attempt(attempt),
    }
}

fn log(notice: &Notice) {
    match notice {
        Notice::Delivery(delivery) => tracing::info!(
            source.name = %delivery.source,
            event.id = delivery.event.as_ref().map(|(id, _)| tracing::field::display(id)),
            event.r#type = delivery.event.as_ref().map(|(_, event_type)| tracing::field::display(event_type)),
            verdict = delivery.verdict.map(crate::model::Verdict::as_str),
            status = delivery.status,
            reason = delivery.reason,
            duration_us = u64::try_from(delivery.duration.as_micros()).unwrap_or(u64::MAX),
            "delivery answered"
        ),
        Notice::Attempt(attempt) => tracing::info!(
            handler.name = %attempt.handler,
            source.name = %attempt.source,
            event.id = %attempt.event_id,
            attempt = attempt.attempt,
            outcome = attempt.outcome.code(),
            status = attempt.outcome.status(),
            error = attempt.outcome.error(),
            duration_us = u64::try_from(attempt.duration.as_micros()).unwrap_or(u64::MAX),
            "handler called"
        ),
    }
}

/// To people in words, to machines as a log line. Warnings go to both.
async fn announce(global: &Global, settings: &Settings, gateway: &Gateway, listen: SocketAddr, is_new: bool) {
    let warnings = settings.warnings.iter().cloned().chain(unhandled(gateway).await);
    match global.log_format {
        LogFormat::Json => {
            tracing::info!(listen = %listen, database = %settings.database.display(), new_database = is_new, "the gateway listens");
            warnings.for_each(|warning| tracing::warn!("{warning}"));
        }
        LogFormat::Pretty => {
            if !global.quiet {
                banner(settings, listen, is_new);
            }
            warnings.for_each(|warning| print::warning(&warning));
            if !global.quiet && settings.file.is_none() {
                demo_hints(listen);
            }
        }
    }
}

/// Tasks that wait for a handler that is no more.
async fn unhandled(gateway: &Gateway) -> Vec<String> {
    let known = gateway.routes().handlers().cloned().collect();
    let tasks = gateway.ledger().unhandled(known).await.unwrap_or_default();
    let say = |(handler, tasks)| {
        format!(
            "{tasks} tasks of handler `{handler}` wait, and no handler has that name now: bring it back, or move each with hookgate redrive ID --handler {handler} --to-handler NEW"
        )
    };
    tasks.into_iter().map(say).collect()
}

/// What there is, where it came from, and what to do next.
fn banner(settings: &Settings, listen: SocketAddr, is_new: bool) {
    let new = if is_new { "new database" } else { "database" };
    print::line(&format!("{} {}", print::paint(new, print::BOLD), settings.database.display()));
    for source in &settings.sources {
        let url = format!("http://{listen}/hooks/{}", source.name);
        print::line(&format!("{}  {url}  {}", print::paint(&source.name, print::BOLD), source.preset.title()));
        for (slot, fingerprint, _) in source.verifier.fingerprints() {
            let origin = source.secrets.iter().find(|secret| secret.slot == *slot && secret.secret.is_some());
            let origin = origin.map_or("", |secret| &secret.origin);
            print::line(&format!("    secret {fingerprint}, from {origin}"));
        }
    }
    for handler in &settings.handlers {
        print::line(&format!("{}  {}", print::paint(&handler.name, print::BOLD), super::check::handler_target(handler)));
    }
}

fn demo_hints(listen: SocketAddr) {
    print::line("");
    print::line("Stripe and GitHub cannot reach loopback. To bridge real deliveries:");
    print::line(&format!(
        "    stripe listen --forward-to {listen}/hooks/stripe      (its whsec_… goes into STRIPE_WEBHOOK_SECRET)"
    ));
    print::line(&format!(
        "    gh webhook forward --repo OWNER/REPO --events '*' --url http://{listen}/hooks/github --secret \"$GITHUB_WEBHOOK_SECRET\""
    ));
    print::line("Or play signed fixtures, in a second terminal:");
    let to = if listen.port() == 8080 { String::new() } else { format!(" --to http://{listen}") };
    print::line(&format!("    {} replay fixtures/stripe fixtures/github{to}", own_command()));
    print::line("");
}

/// How this binary was called: by cargo in a checkout, or by its name.
fn own_command() -> &'static str {
    let target = std::env::current_exe().is_ok_and(|path| path.components().any(|part| part.as_os_str() == "target"));
    if target { "cargo run -- " } else { "hookgate" }.trim_end()
}

type Servers = tokio::task::JoinHandle<std::io::Result<((), ())>>;

/// What ends us in order.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they no longer end the process by themselves.
    fn watch() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(UNREACHABLE, format!("cannot wait for signals: {error}"));
        let watch = |kind| signal(kind).map_err(failed);
        Ok(Self { terminate: watch(SignalKind::terminate())?, interrupt: watch(SignalKind::interrupt())? })
    }
}

/// Ready when a signal came, or the store failed, or a listener ended.
async fn until_stopped(
    mut signals: Signals,
    failed: futures_util::future::BoxFuture<'_, String>,
    servers: Servers,
) -> Result<u8, Failure> {
    tokio::select! {
        _ = signals.terminate.recv() => Ok(OK),
        _ = signals.interrupt.recv() => Ok(OK),
        reason = failed => {
            tracing::error!(reason, "the store has failed for good: nothing more is taken");
            Err(Failure::new(STORE, format!("the store has failed: {reason}\nhelp: every event that got a 2xx is on disk; start again to recover, the database is checked first")))
        }
        ended = servers => Err(Failure::new(UNREACHABLE, format!("a listener ended: {ended:?}"))),
    }
}

/// Stops accepting, lets requests and calls in hand end, closes the store. A second signal ends at once.
async fn stop(gateway: &Gateway, handles: [ServerHandle; 2], settings: &Settings) {
    let orderly = async {
        let [public, admin] = handles;
        tokio::join!(public.stop(true), admin.stop(true));
        gateway.shutdown(settings.drain).await;
    };
    tokio::select! {
        () = orderly => {}
        _ = tokio::signal::ctrl_c() => tracing::warn!("stopped at once: work in hand is kept on disk and goes on at the next start"),
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
