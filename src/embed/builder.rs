//! Says what is to be opened, and opens it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::keeper::{self, Parts};
use super::{Event, Gateway, Handler, HandlerError, OpenError, Source};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, ConfigText, DurationText, Environment, HandlerText, handler_text, unplaced};
use crate::model::HandlerName;

/// What is to be opened. Made by [`Gateway::builder`]; nothing is looked at before [`Builder::open`].
#[derive(Default)]
#[must_use = "nothing is opened before `open`"]
pub struct Builder {
    config: String,
    sources: Vec<Source>,
    closures: Vec<Handler>,
    services: Vec<(String, HandlerText)>,
    drain: Option<Duration>,
    new_database: bool,
    environment: Option<Environment>,
    clock: Option<Arc<dyn Clock>>,
}

impl Builder {
    /// Takes deliveries at `/hooks/NAME`.
    pub fn source(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    /// Calls a closure with every first-seen event of these types, `["*"]` for all. More can be said by
    /// [`handler_with`](Builder::handler_with).
    pub fn handler<I, F, W>(self, name: impl Into<String>, events: impl IntoIterator<Item = I>, work: F) -> Self
    where
        I: Into<String>,
        F: Fn(Event) -> W + Send + Sync + 'static,
        W: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.handler_with(Handler::new(name, work).events(events))
    }

    /// Calls a closure as the [`Handler`] says.
    pub fn handler_with(mut self, handler: Handler) -> Self {
        self.closures.push(handler);
        self
    }

    /// Sends events of these types to an internal HTTP service, signed by Standard Webhooks. Its own headers, deadlines and the like are
    /// said in `[handlers.NAME]` of [`config_toml`](Builder::config_toml) instead.
    pub fn http_handler<I: Into<String>>(
        mut self,
        name: impl Into<String>,
        events: impl IntoIterator<Item = I>,
        url: impl Into<String>,
    ) -> Self {
        let events = Some(events.into_iter().map(|glob| unplaced(glob.into())).collect());
        self.services.push((name.into(), HandlerText { events, ..handler_text(Some(url.into())) }));
        self
    }

    /// The text of a config file, to which everything else that is said here is added: limits, providers of your own, and whatever has no
    /// method. `listen`, `[admin]` and `database` in it are the binary's and are not looked at; secrets in it are named by `env` or
    /// `file`.
    ///
    /// ```no_run
    /// # async fn open() -> Result<(), hookgate::OpenError> {
    /// let gateway = hookgate::Gateway::builder()
    ///     .config_toml(r#"
    ///         [limits]
    ///         in_flight = 256
    ///
    ///         [sources.acme]
    ///         provider = "acme"
    ///         secrets = [{ env = "ACME_WEBHOOK_SECRET" }]
    ///
    ///         [[providers.acme.check]]
    ///         kind = "hmac"
    ///         algorithm = "sha256"
    ///         signature = { from = "header:X-Acme-Signature", encoding = "hex" }
    ///
    ///         [providers.acme.event]
    ///         id = ["{header:X-Acme-Id}"]
    ///         type = ["{body:/type}"]
    ///     "#)
    ///     .handler("orders", ["order.*"], |event: hookgate::Event| async move { Ok(drop(event)) })
    ///     .open("hookgate.db")
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config_toml(mut self, text: impl Into<String>) -> Self {
        self.config = text.into();
        self
    }

    /// How long [`Gateway::shutdown`] waits for calls in hand; 10 s unless said.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = Some(drain);
        self
    }

    /// Makes a new database even if there was another before that is lost: events recorded there are forgotten, and repeats of them are
    /// new. Without it such a start is refused.
    pub fn new_database(mut self) -> Self {
        self.new_database = true;
        self
    }

    /// These variables instead of the process's own.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// This clock instead of the machine's: a [`ManualClock`](crate::clock::ManualClock) in a test of retries.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Opens the database (made by the first start), gets all events that were accepted before and not done going again, and is then
    /// ready for deliveries. Works below any async runtime and blocks no thread of it. One gateway at a time has a database; several with
    /// a database each may run in one process.
    ///
    /// # Errors
    /// Whatever is wrong with what was asked for, the environment's secrets or the database, and what to do.
    pub async fn open(self, database: impl AsRef<Path>) -> Result<Gateway, OpenError> {
        let database = database.as_ref().to_owned();
        keeper::start(move || self.parts(&database)).await
    }

    fn parts(self, database: &Path) -> Result<Parts, OpenError> {
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let environment = self.environment.unwrap_or_else(Environment::of_process);
        let mut written: ConfigText =
            toml::from_str(&self.config).map_err(|error| OpenError::of_config(&error.into(), &self.config))?;
        if let Some(drain) = self.drain {
            written.drain = Some(unplaced(DurationText(drain)));
        }
        for (name, text) in self.sources.into_iter().map(Source::into_parts) {
            add("source", "Source::named", &mut written.sources, name, text)?;
        }
        if written.sources.is_empty() {
            return Err(OpenError::said("there is no source: add one with `Builder::source`"));
        }
        let mut in_process = BTreeMap::new();
        for handler in self.closures {
            let (name, text, closure) = handler.into_parts(&clock);
            // A name that is none is told of when the settings are resolved.
            if let Ok(name) = HandlerName::parse(&name) {
                in_process.insert(name, closure);
            }
            add("handler", "another first argument", &mut written.handlers, name, text)?;
        }
        for (name, text) in self.services {
            add("handler", "another first argument", &mut written.handlers, name, text)?;
        }
        let settings = config::embedded(&written, database, &environment);
        let settings = settings.map_err(|error| OpenError::of_config(&error, &self.config))?;
        Ok(Parts { settings, in_process, clock, new_database: self.new_database })
    }
}

/// One more under a name that nobody has yet.
fn add<T>(what: &str, by: &str, to: &mut BTreeMap<Spanned<String>, T>, name: String, text: T) -> Result<(), OpenError> {
    if to.contains_key(name.as_str()) {
        return Err(OpenError::said(format!("two {what}s are named `{name}`: give one of them another name, by {by}")));
    }
    to.insert(unplaced(name), text);
    Ok(())
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("sources", &self.sources).field("closures", &self.closures).finish_non_exhaustive()
    }
}
