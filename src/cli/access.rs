//! The way to a ledger: through the gateway that runs on it, or, with none running, by opening the database.

mod operate;
mod remote;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;

use super::exit::{Failure, NO, STORE, UNREACHABLE, USAGE};
use super::{Global, setup};
use crate::app::{StartError, routes};
use crate::clock::{Clock, SystemClock};
use crate::config::{Keys, Settings};
use crate::gateway::{RedriveError, RedriveRequest, Routes, purge_all, redrive};
use crate::handler::InvalidHandler;
use crate::ledger::sqlite::{self, OpenError, SqliteLedger};
use crate::ledger::{EventName, Ledger, LedgerError};
use crate::model::{
    DeliveryId, DeliveryPage, DeliveryReport, EventId, EventReport, HandlerName, HandlerReport, REPORT_VERSION, SourceName,
};
use crate::web::{DeliveryQuery, EventQuery, HandlersReport, PauseReport, PurgeReport, RedriveBody, RedriveReport};

pub(super) use operate::Verb;
pub(super) use remote::Remote;

/// Longest wait for the end of a purge.
const PURGE_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// A ledger within reach.
pub(super) enum Access {
    /// A running gateway's admin listener.
    Gateway(Remote),
    /// The database itself; nobody else has it.
    Database(Arc<SqliteLedger>, Routes),
}

/// The gateway that `--gateway` names, or the ledger of the configuration.
pub(super) fn reach(global: &Global) -> Result<Access, Failure> {
    match &global.gateway {
        Some(url) => Ok(Access::Gateway(Remote::named(url, global.quiet)?)),
        None => open(&setup::settings(&setup::flags(global), Keys::Leave)?),
    }
}

/// The gateway that runs by now on the configuration's database, where one does. Never the database itself: its lock would keep a
/// gateway from starting. One that `--gateway` names stays where it is.
pub(super) fn running_again(global: &Global) -> Result<Option<Access>, Failure> {
    if global.gateway.is_some() {
        return Ok(None);
    }
    let settings = setup::settings(&setup::flags(global), Keys::Leave)?;
    let address = sqlite::read_holder(&settings.database).and_then(|holder| holder.admin);
    let listens = |address: &String| std::net::TcpStream::connect(address).is_ok();
    address.filter(listens).map(|address| Ok(Access::Gateway(Remote::beside(&address, settings.admin_token)?))).transpose()
}

/// Finds the running gateway by the lock file beside the database, or opens the database.
pub(super) fn open(settings: &Settings) -> Result<Access, Failure> {
    if let Some(holder) = sqlite::read_holder(&settings.database) {
        match holder.admin {
            None => {
                return Err(Failure::new(
                    UNREACHABLE,
                    format!("another hookgate process (pid {}) has the database open: try again in a moment", holder.pid),
                ));
            }
            Some(address) if std::net::TcpStream::connect(&address).is_ok() => {
                return Ok(Access::Gateway(Remote::beside(&address, settings.admin_token.clone())?));
            }
            // After a crash the file names a process that is gone; only the lock decides.
            Some(_) => {}
        }
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ledger = SqliteLedger::open_offline(&settings.database, clock).map_err(|error| open_failure(&error))?;
    Ok(Access::Database(Arc::new(ledger), routes(settings)))
}

/// Why a database could not be opened, with its exit code.
pub(super) fn open_failure(error: &OpenError) -> Failure {
    Failure::new(if error.is_unreachable() { UNREACHABLE } else { STORE }, error.to_string())
}

/// Why a gateway could not be started from settings that were right in themselves.
pub(super) fn start_failure(error: &StartError) -> Failure {
    match error {
        StartError::Handler(_, InvalidHandler::Client(_)) => Failure::new(UNREACHABLE, error.to_string()),
        StartError::Handler(..) => Failure::new(USAGE, error.to_string()),
        StartError::Ledger(error) => ledger_failure(error),
    }
}

fn ledger_failure(error: &LedgerError) -> Failure {
    let code = match error {
        LedgerError::NotFound | LedgerError::BodyPurged | LedgerError::TaskRunning => NO,
        LedgerError::Ambiguous => USAGE,
        LedgerError::Full | LedgerError::Failed(_) => STORE,
        LedgerError::Overloaded | LedgerError::Busy | LedgerError::RolledBack(_) => UNREACHABLE,
    };
    Failure::new(code, error.to_string())
}

/// The same exit codes as through a gateway.
fn redrive_failure(error: &RedriveError) -> Failure {
    match error {
        RedriveError::Ledger(error) => ledger_failure(error),
        RedriveError::Vanished(..) | RedriveError::Unwanted(..) => Failure::new(NO, error.to_string()),
        RedriveError::UnknownHandler(_) | RedriveError::NoTask(..) => Failure::new(USAGE, error.to_string()),
    }
}

/// What an operator may mean: `SOURCE/EVENT_ID`, a delivery id, or a bare event id. A uuid can be either of the last two, as GitHub's
/// ids are uuids; our own is looked for first.
pub(super) fn event_names(text: &str) -> Result<Vec<EventName>, Failure> {
    let pair = text.split_once('/').and_then(|(source, id)| Some((SourceName::parse(source).ok()?, EventId::parse(id).ok()?)));
    let mut names: Vec<EventName> = pair.map(|(source, id)| EventName::Pair(source, id)).into_iter().collect();
    if names.is_empty() {
        names.extend(text.parse().ok().map(|id| EventName::Delivery(DeliveryId(id))));
        names.extend(EventId::parse(text).ok().map(EventName::Bare));
    }
    if names.is_empty() {
        let text = text.escape_debug();
        return Err(Failure::new(
            USAGE,
            format!("`{text}` names no event\nhelp: name it as `hookgate log` prints it, SOURCE/EVENT_ID"),
        ));
    }
    Ok(names)
}

impl Access {
    /// A page of deliveries.
    pub(super) async fn deliveries(&self, query: DeliveryQuery) -> Result<DeliveryPage, Failure> {
        match self {
            Self::Gateway(remote) => remote.get("deliveries", &query).await,
            Self::Database(ledger, _) => {
                let filter = query.filter().map_err(|error| Failure::new(USAGE, error.to_string()))?;
                ledger.deliveries(filter).await.map_err(|error| ledger_failure(&error))
            }
        }
    }

    /// The story of the event that an operator names so.
    pub(super) async fn find_named(&self, text: &str) -> Result<Option<EventReport>, Failure> {
        for name in event_names(text)? {
            let found = self.find(&name).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// A delivery of this id that became no event.
    pub(super) async fn find_delivery(&self, text: &str) -> Result<Option<DeliveryReport>, Failure> {
        let Ok(id) = text.parse::<uuid::Uuid>() else { return Ok(None) };
        // The newest that is not newer than itself.
        let before = Some(uuid::Uuid::from_u128(id.as_u128().saturating_add(1)));
        let page = self.deliveries(DeliveryQuery { before, limit: Some(1), ..DeliveryQuery::default() }).await?;
        Ok(page.deliveries.into_iter().find(|delivery| delivery.delivery_id.0 == id))
    }

    /// An event's story.
    async fn find(&self, name: &EventName) -> Result<Option<EventReport>, Failure> {
        #[derive(serde::Deserialize)]
        struct Events {
            events: Vec<EventReport>,
        }
        match self {
            Self::Gateway(remote) => {
                let found: Events = remote.get("events", &EventQuery::from(name)).await?;
                Ok(found.events.into_iter().next())
            }
            Self::Database(ledger, routes) => {
                let mut found = ledger.find(name.clone()).await.map_err(|error| ledger_failure(&error))?;
                found.iter_mut().for_each(|event| event.mark_unhandled(routes.handlers()));
                Ok(found)
            }
        }
    }

    /// An event's body.
    pub(super) async fn body(&self, event: &EventReport) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Gateway(remote) => {
                let path = format!("events/{}/body", event.key);
                let response = remote.send(Method::GET, &path, |request| request).await?;
                let bytes = response.bytes().await.map_err(|error| remote.lost(error))?;
                Ok(bytes.to_vec())
            }
            Self::Database(ledger, _) => {
                let name = EventName::Delivery(DeliveryId(event.key));
                let body = ledger.body(name).await.map_err(|error| ledger_failure(&error))?;
                body.flatten().map(|bytes| bytes.to_vec()).ok_or_else(|| ledger_failure(&LedgerError::BodyPurged))
            }
        }
    }

    /// Redrives an event.
    pub(super) async fn redrive(&self, event: &EventReport, body: &RedriveBody) -> Result<RedriveReport, Failure> {
        match self {
            Self::Gateway(remote) => remote.post(&format!("events/{}/redrive", event.key), body).await,
            Self::Database(ledger, routes) => {
                let ledger: Arc<dyn Ledger> = Arc::clone(ledger) as Arc<dyn Ledger>;
                let request =
                    RedriveRequest { handler: body.handler.clone(), to_handler: body.to_handler.clone(), force: body.force };
                let name = EventName::Delivery(DeliveryId(event.key));
                let done = redrive(&ledger, routes, name, request).await.map_err(|error| redrive_failure(&error))?;
                Ok(RedriveReport { v: REPORT_VERSION, tasks: done.tasks })
            }
        }
    }

    /// Purges what was kept long enough: by a running gateway as it was configured, else as the configuration here says.
    pub(super) async fn purge(&self, global: &Global) -> Result<PurgeReport, Failure> {
        match self {
            Self::Gateway(remote) => {
                // However long it takes, it is at work.
                let response = remote.send(Method::POST, "purge", |request| request.timeout(PURGE_TIMEOUT)).await?;
                remote.json(response).await
            }
            Self::Database(ledger, _) => {
                let settings = setup::settings(&setup::flags(global), Keys::Leave)?;
                let purged = purge_all(&**ledger, crate::app::retention(&settings.retention), || false).await;
                purged.map(PurgeReport::from).map_err(|error| ledger_failure(&error))
            }
        }
    }

    /// Whether a gateway runs.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self, Self::Gateway(_))
    }

    /// How handlers stand. Without a gateway none is called, but what waits for them is known.
    pub(super) async fn handlers(&self) -> Result<Vec<HandlerReport>, Failure> {
        match self {
            Self::Gateway(remote) => {
                let found: HandlersReport = remote.get("handlers", &()).await?;
                Ok(found.handlers)
            }
            Self::Database(ledger, routes) => {
                let open = ledger.unhandled(Vec::new()).await.map_err(|error| ledger_failure(&error))?;
                let paused = ledger.paused().await.map_err(|error| ledger_failure(&error))?;
                Ok(HandlerReport::of_store(routes.handlers().cloned().map(HandlerReport::named), &open, &paused))
            }
        }
    }

    /// Pauses a handler or resumes it; says whether that changed anything.
    pub(super) async fn pause(&self, handler: &HandlerName, paused: bool) -> Result<bool, Failure> {
        match self {
            Self::Gateway(remote) => {
                let verb = if paused { "pause" } else { "resume" };
                let answer = remote.send(Method::POST, &format!("handlers/{handler}/{verb}"), |request| request).await?;
                let report: PauseReport = remote.json(answer).await?;
                Ok(report.changed)
            }
            Self::Database(ledger, routes) => {
                routes.check(handler).map_err(|unknown| Failure::new(USAGE, unknown.to_string()))?;
                ledger.pause(handler, paused).await.map_err(|error| ledger_failure(&error))
            }
        }
    }
}
