//! The way to a ledger: through the gateway that runs on it, or, with none running, by opening the database.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;

use super::exit::{Failure, NO, STORE, UNREACHABLE, USAGE};
use crate::app::{PauseError, StartError};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::gateway::{RedriveRequest, Route, Routes, redrive};
use crate::ledger::sqlite::{self, OpenError, SqliteLedger};
use crate::ledger::{EventName, Ledger, LedgerError};
use crate::model::{
    DeliveryId, DeliveryPage, DeliveryReport, EventId, EventReport, HandlerName, HandlerReport, REPORT_VERSION, ReloadReport,
    SourceName,
};
use crate::web::{DeliveryQuery, EventQuery, HandlersReport, PauseReport, RedriveBody, RedriveReport};

/// Longest wait for an answer of the admin listener.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A ledger within reach.
pub(super) enum Access {
    /// A running gateway's admin listener.
    Gateway(Remote),
    /// The database itself; nobody else has it.
    Database(Arc<SqliteLedger>, Routes),
}

/// An admin listener.
pub(super) struct Remote {
    client: Client,
    base: String,
    token: Option<crate::model::Secret>,
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
                return Ok(Access::Gateway(remote(&address, settings)?));
            }
            // After a crash the file names a process that is gone; only the lock decides.
            Some(_) => {}
        }
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ledger = SqliteLedger::open_offline(&settings.database, clock).map_err(|error| open_failure(&error))?;
    let route = |handler: &crate::config::HandlerSettings| {
        Route::new(handler.name.clone(), handler.sources.clone(), handler.events.clone())
    };
    Ok(Access::Database(Arc::new(ledger), Routes::new(settings.handlers.iter().map(route).collect())))
}

fn remote(address: &str, settings: &Settings) -> Result<Remote, Failure> {
    let client = Client::builder().no_proxy().timeout(TIMEOUT).build();
    let client = client.map_err(|error| Failure::new(UNREACHABLE, format!("the HTTP client cannot be set up: {error}")))?;
    Ok(Remote { client, base: format!("http://{address}/api/v1"), token: settings.admin_token.clone() })
}

/// Why a database could not be opened, with its exit code.
pub(super) fn open_failure(error: &OpenError) -> Failure {
    Failure::new(if error.is_unreachable() { UNREACHABLE } else { STORE }, error.to_string())
}

/// Why a gateway could not be started from settings that were right in themselves.
pub(super) fn start_failure(error: &StartError) -> Failure {
    match error {
        StartError::Handler(..) => Failure::new(USAGE, error.to_string()),
        StartError::Client(_) => Failure::new(UNREACHABLE, error.to_string()),
        StartError::Ledger(error) => ledger_failure(error),
    }
}

fn ledger_failure(error: &LedgerError) -> Failure {
    let code = match error {
        LedgerError::NotFound | LedgerError::BodyPurged => NO,
        LedgerError::Ambiguous => USAGE,
        LedgerError::Full | LedgerError::Failed(_) => STORE,
        LedgerError::Overloaded | LedgerError::Busy | LedgerError::RolledBack(_) => UNREACHABLE,
    };
    Failure::new(code, error.to_string())
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
            Self::Gateway(remote) => {
                let path = format!("events/{}/redrive", event.key);
                let response = remote.send(Method::POST, &path, |request| request.json(body)).await?;
                response.json().await.map_err(|error| remote.lost(error))
            }
            Self::Database(ledger, routes) => {
                let ledger: Arc<dyn Ledger> = Arc::clone(ledger) as Arc<dyn Ledger>;
                let request =
                    RedriveRequest { handler: body.handler.clone(), to_handler: body.to_handler.clone(), force: body.force };
                let name = EventName::Delivery(DeliveryId(event.key));
                let done = redrive(&ledger, routes, name, request).await.map_err(|error| match error {
                    crate::gateway::RedriveError::Ledger(error) => ledger_failure(&error),
                    other => Failure::new(USAGE, other.to_string()),
                })?;
                Ok(RedriveReport { v: REPORT_VERSION, tasks: done.tasks })
            }
        }
    }

    /// Whether a gateway runs.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self, Self::Gateway(_))
    }
}

impl Access {
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
                Ok(HandlerReport::of_store(routes.handlers(), &open, &paused))
            }
        }
    }

    /// Pauses a handler or resumes it; says whether that changed anything.
    pub(super) async fn pause(&self, handler: &HandlerName, paused: bool) -> Result<bool, Failure> {
        match self {
            Self::Gateway(remote) => {
                let verb = if paused { "pause" } else { "resume" };
                let response = remote.send(Method::POST, &format!("handlers/{handler}/{verb}"), |request| request).await?;
                let report: PauseReport = response.json().await.map_err(|error| remote.lost(error))?;
                Ok(report.changed)
            }
            Self::Database(ledger, routes) => {
                if routes.handlers().all(|known| known != handler) {
                    let known = routes.handlers().map(HandlerName::as_str).collect::<Vec<_>>().join(", ");
                    return Err(Failure::new(USAGE, PauseError::UnknownHandler(handler.clone(), known).to_string()));
                }
                ledger.pause(handler, paused).await.map_err(|error| ledger_failure(&error))
            }
        }
    }
}

impl Remote {
    /// Has the gateway read its configuration again.
    pub(super) async fn reload(&self) -> Result<ReloadReport, Failure> {
        let response = self.send(Method::POST, "reload", |request| request).await?;
        response.json().await.map_err(|error| self.lost(error))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl serde::Serialize) -> Result<T, Failure> {
        let pairs = serde_json::to_value(query).unwrap_or_default();
        let response = self
            .send(Method::GET, path, |mut request| {
                for (name, value) in pairs.as_object().into_iter().flatten() {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    request = request.query(&[(name, text)]);
                }
                request
            })
            .await?;
        response.json().await.map_err(|error| self.lost(error))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Failure> {
        let mut request = with(self.client.request(method, format!("{}/{path}", self.base)));
        if let Some(token) = &self.token {
            request = request.bearer_auth(String::from_utf8_lossy(token.reveal()));
        }
        let response = request.send().await.map_err(|error| self.lost(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refused(response, self.token.is_some()).await)
    }

    fn lost(&self, error: reqwest::Error) -> Failure {
        Failure::new(
            UNREACHABLE,
            format!("the gateway's admin listener at {} does not answer: {}", self.base, error.without_url()),
        )
    }
}

async fn refused(response: reqwest::Response, with_token: bool) -> Failure {
    #[derive(serde::Deserialize)]
    struct Problem {
        r#type: String,
        title: String,
    }
    let status = response.status();
    let problem =
        response.json::<Problem>().await.unwrap_or_else(|_none| Problem { r#type: String::new(), title: status.to_string() });
    let Problem { r#type: code, title } = problem;
    // The same exit codes as with the database in hand.
    if [":ambiguous-id", ":unknown-handler", ":no-task", ":bad-config"].iter().any(|wrong| code.ends_with(wrong)) {
        return Failure::new(USAGE, title);
    }
    match status {
        StatusCode::UNAUTHORIZED if with_token => Failure::new(
            USAGE,
            "the admin listener refused the token: set HOOKGATE_ADMIN_TOKEN to the one that `serve` was started with",
        ),
        StatusCode::UNAUTHORIZED => Failure::new(USAGE, "the admin listener wants its token: set HOOKGATE_ADMIN_TOKEN"),
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => Failure::new(NO, title),
        StatusCode::BAD_REQUEST => Failure::new(USAGE, title),
        _ => Failure::new(UNREACHABLE, title),
    }
}
