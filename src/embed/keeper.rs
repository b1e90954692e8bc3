//! The thread that owns the gateway's runtime: opens the store where that may block, keeps the workers, and ends everything in order
//! when it is told to or when nobody holds the gateway any more. No user of the gateway ever blocks on that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use super::{Gateway, OpenError, Running};
use crate::app::{self, Voices};
use crate::clock::Clock;
use crate::config::Settings;
use crate::gateway::Notice;
use crate::handler::{Call, Closure};
use crate::ledger::sqlite::SqliteLedger;
use crate::ledger::{Journal, Ledger, StoreState};
use crate::model::HandlerName;
use crate::sync::Mutex;

/// Threads for the outbox and its timers. Handlers that block take blocking threads, of which there may be many more.
const WORKERS: usize = 2;

/// What a gateway is made of.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) in_process: BTreeMap<HandlerName, Closure>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) new_database: bool,
}

/// Starts the thread and waits, without blocking, until the gateway runs. `parts` are made there too, as that reads files.
pub(super) async fn start(parts: impl FnOnce() -> Result<Parts, OpenError> + Send + 'static) -> Result<Gateway, OpenError> {
    let (tell, told) = oneshot::channel();
    let thread = thread::Builder::new().name("hookgate".to_owned());
    thread.spawn(move || keep(parts, tell)).map_err(OpenError::Threads)?;
    told.await.unwrap_or_else(|_gone| Err(OpenError::Threads(std::io::Error::other("the gateway's thread ended"))))
}

/// What the thread does, from the start to the end.
fn keep(parts: impl FnOnce() -> Result<Parts, OpenError>, tell: oneshot::Sender<Result<Gateway, OpenError>>) {
    let (runtime, own) = match runtimes() {
        Ok(both) => both,
        Err(error) => return drop(tell.send(Err(OpenError::Threads(error)))),
    };
    let (stop, stopped) = oneshot::channel();
    let (ended, watched) = watch::channel(false);
    let started = parts().and_then(|parts| runtime.block_on(run(parts)));
    let (gateway, store, settings) = match started {
        Ok(started) => started,
        Err(error) => {
            runtime.shutdown_background();
            return drop(tell.send(Err(error)));
        }
    };
    let running = Running { gateway: gateway.clone(), store: Arc::clone(&store), stop: Mutex::new(Some(stop)), ended: watched };
    // Where nobody waits for it any more it is dropped here, which is the word to end.
    drop(tell.send(Ok(Gateway(Arc::new(running)))));
    own.block_on(async {
        tokio::select! {
            _ = stopped => {}
            () = tell_of_failure(&store) => {}
        }
        let drain = if matches!(store.state(), StoreState::Failed(_)) { app::FAILED_DRAIN } else { Duration::MAX };
        gateway.stop_calling(settings.drain.min(drain)).await;
        gateway.close().await;
    });
    runtime.shutdown_background();
    ended.send_replace(true);
}

/// One for the workers, and one for this thread: timers of the first stand still while handlers block all of its threads, and the end
/// must come all the same.
fn runtimes() -> std::io::Result<(Runtime, Runtime)> {
    use tokio::runtime::Builder;
    let workers = Builder::new_multi_thread().worker_threads(WORKERS).thread_name("hookgate-worker").enable_all().build()?;
    Ok((workers, Builder::new_current_thread().enable_time().build()?))
}

async fn run(parts: Parts) -> Result<(app::Gateway, Arc<SqliteLedger>, Settings), OpenError> {
    let Parts { settings, in_process, clock, new_database } = parts;
    let store = app::open_store(&settings, new_database, &clock)?;
    let ledger: Arc<dyn Ledger> = Arc::clone(&store) as Arc<dyn Ledger>;
    let journal: Arc<dyn Journal> = Arc::clone(&store) as Arc<dyn Journal>;
    let voices = Voices { tell: Arc::new(Notice::log), print: Arc::new(|_: &Call| {}), in_process };
    let gateway = app::Gateway::start(&settings, ledger, journal, clock, voices).await.map_err(OpenError::Start)?;
    settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    warn_of_unhandled(&gateway).await;
    Ok((gateway, store, settings))
}

/// Tasks that wait for a handler that is no more.
async fn warn_of_unhandled(gateway: &app::Gateway) {
    let known = gateway.routes().handlers().cloned().collect();
    for (handler, tasks) in gateway.ledger().unhandled(known).await.unwrap_or_default() {
        tracing::warn!(handler.name = %handler, tasks, "tasks wait for a handler, and none has its name now: bring it back, or move them");
    }
}

/// Never ready: the routes go on answering 503 `store-failed` until somebody ends the gateway.
async fn tell_of_failure(store: &SqliteLedger) {
    let reason = store.failed().await;
    tracing::error!(reason, "the store has failed for good: nothing more is taken, start the process again");
    std::future::pending().await
}
