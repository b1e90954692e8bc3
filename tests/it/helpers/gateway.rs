//! A gateway in this process: port 0, a store of its own, a clock that is moved by hand. Real requests, real disk.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, mpsc as std_mpsc};
use std::time::Duration;

use hookgate::app::{Gateway as Running, Voices};
use hookgate::clock::{Clock, SystemClock};
use hookgate::config::{self, Environment, Flags, Keys, Settings};
use hookgate::gateway::{AttemptNotice, DeliveryNotice, Notice};
use hookgate::handler::{Call, Print};
use hookgate::ledger::sqlite::{SqliteLedger, SqliteSettings};
use hookgate::ledger::{DeliveryFilter, EventName, Journal, Ledger};
use hookgate::model::{EventState, HandlerName, ReloadReport, TaskState, Timestamp};
use hookgate::web;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::balky::Balky;
use super::clock::WatchedClock;
use super::http::{self, Answer};
use super::sender::{self, Fields};
use super::{PATIENCE, soon};

/// When tests begin: 2026-01-01.
pub(crate) const NEW_YEAR: Timestamp = Timestamp::from_unix_s(1_767_225_600);
/// The secret of the source `stripe`.
pub(crate) const STRIPE: &str = "whsec_canaryStripe0123456789";
/// The secret of the source `github`.
pub(crate) const GITHUB: &str = "canaryGithub0123456789abcdef";
/// When a delivery to `stripe` must be answered: its sender's deadline is not known, 5 s is taken for it, less one.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(4);
/// Both sources, with every default.
pub(crate) const SOURCES: &str = r#"
[sources.stripe]
provider = "stripe"
secrets = [{ literal = "whsec_canaryStripe0123456789" }]

[sources.github]
provider = "github"
secrets = [{ literal = "canaryGithub0123456789abcdef" }]
"#;

/// Where gateways and targets of all tests run, so that a test's own thread may wait for them.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        drop(rustls::crypto::ring::default_provider().install_default());
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads")
    });
    &RUNTIME
}

/// A handler's table.
pub(crate) fn handler(name: &str, url: &str, more: &str) -> String {
    format!("\n[handlers.{name}]\nurl = \"{url}\"\n{more}\n")
}

/// What stays when a gateway has stopped.
pub(crate) struct Home {
    pub(crate) directory: TempDir,
    pub(crate) wall: Timestamp,
}

impl Home {
    /// A new one.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), wall: NEW_YEAR }
    }

    /// The database file.
    pub(crate) fn database(&self) -> PathBuf {
        self.directory.path().join("hookgate.db")
    }

    /// What a config text means here.
    pub(crate) fn settings(&self, config: &str) -> Settings {
        let flags = Flags { database: Some(self.database().display().to_string()), ..Flags::default() };
        let settings = config::load_text(config, None, &flags, &Environment::default(), Keys::Make);
        settings.unwrap_or_else(|error| panic!("{error} {:?}", error.help))
    }
}

/// See the module.
pub(crate) struct Gateway {
    pub(crate) clock: Arc<WatchedClock>,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) running: Running,
    deliveries: tokio::sync::Mutex<mpsc::UnboundedReceiver<DeliveryNotice>>,
    attempts: tokio::sync::Mutex<mpsc::UnboundedReceiver<AttemptNotice>>,
    handles: Vec<actix_web::dev::ServerHandle>,
    home: Option<Home>,
    drain: Duration,
}

impl Gateway {
    /// A new one with this configuration.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_in(Home::new(), config).await
    }

    /// One that finds what an earlier one left.
    pub(crate) async fn start_in(home: Home, config: &str) -> Self {
        let settings = home.settings(config);
        Self::start_with(home, settings, Arc::new(|_: &Call| {})).await
    }

    /// One from settings in hand, whose printer does this.
    pub(crate) async fn start_with(home: Home, settings: Settings, print: Print) -> Self {
        Self::start_over(home, settings, print, |ledger| ledger).await
    }

    async fn start_over<B>(home: Home, settings: Settings, print: Print, between: B) -> Self
    where
        B: FnOnce(Arc<dyn Ledger>) -> Arc<dyn Ledger> + Send + 'static,
    {
        let clock = Arc::new(WatchedClock::at(home.wall));
        let (tell_delivery, deliveries) = mpsc::unbounded_channel();
        let (tell_attempt, attempts) = mpsc::unbounded_channel();
        let tell = Arc::new(move |notice: &Notice| match notice {
            Notice::Delivery(delivery) => drop(tell_delivery.send(delivery.clone())),
            Notice::Attempt(attempt) => drop(tell_attempt.send(attempt.clone())),
            Notice::Stray(_) | Notice::Handler(_) => {}
        });
        let start =
            start(settings, Arc::clone(&clock) as Arc<dyn Clock>, Voices { tell, print, in_process: BTreeMap::new() }, between);
        let (running, handles, [public, admin]) = runtime().spawn(start).await.expect("the gateway starts");
        let (deliveries, attempts) = (tokio::sync::Mutex::new(deliveries), tokio::sync::Mutex::new(attempts));
        let drain = Duration::from_secs(10);
        Self { clock, public, admin, running, deliveries, attempts, handles, home: Some(home), drain }
    }

    /// A new one, whose store keeps back what it is told to.
    pub(crate) async fn start_balky(config: &str) -> (Self, Arc<Balky>) {
        let home = Home::new();
        let settings = home.settings(config);
        let (tell, balky) = std_mpsc::channel();
        let between = move |ledger| {
            let balky = Arc::new(Balky::over(ledger));
            tell.send(Arc::clone(&balky)).expect("the test waits");
            balky as Arc<dyn Ledger>
        };
        let gateway = Self::start_over(home, settings, Arc::new(|_: &Call| {}), between).await;
        (gateway, balky.recv().expect("it was made"))
    }

    /// Goes by another configuration from now on.
    pub(crate) async fn reload(&self, config: &str) -> ReloadReport {
        let settings = self.home.as_ref().expect("it runs").settings(config);
        self.running.reload(&settings).await.expect("it can be gone by")
    }

    /// How a handler stands, as the admin API tells it.
    pub(crate) async fn handler(&self, name: &str) -> Value {
        let all = self.get("handlers").await;
        let found = all["handlers"].as_array().expect("a list").iter().find(|handler| handler["handler"] == name);
        found.unwrap_or_else(|| panic!("no handler {name} in {all}")).clone()
    }

    /// Pauses a handler or resumes it, as `verb` says. Tells whether that changed anything.
    pub(crate) async fn set_handler(&self, name: &str, verb: &str) -> bool {
        let answer = self.ask("POST", &format!("/api/v1/handlers/{name}/{verb}"), &Fields::new(), b"").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["changed"].as_bool().expect("a word")
    }

    /// What the wall clock shows, as providers sign it.
    pub(crate) fn now_s(&self) -> i64 {
        self.clock.now_s()
    }

    /// A delivery as Stripe would send it now.
    pub(crate) fn stripe(&self, body: &[u8]) -> Vec<u8> {
        http::request("POST", "/hooks/stripe", &sender::stripe(STRIPE, self.now_s(), body), body)
    }

    /// A delivery as GitHub would send it.
    pub(crate) fn github(&self, delivery: &str, event: &str, body: &[u8]) -> Vec<u8> {
        http::request("POST", "/hooks/github", &sender::github(GITHUB, delivery, event, body), body)
    }

    /// Sends these bytes to the public listener and takes the answer.
    pub(crate) async fn send(&self, request: &[u8]) -> Answer {
        http::exchange(self.public, request).await
    }

    /// Sends a rightly signed Stripe event, which must be acknowledged.
    pub(crate) async fn accept(&self, id: &str, event_type: &str) -> Answer {
        let answer = self.send(&self.stripe(&stripe_body(id, event_type))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    }

    /// A request of the admin listener.
    pub(crate) async fn ask(&self, method: &str, path: &str, fields: &Fields, body: &[u8]) -> Answer {
        http::exchange(self.admin, &http::request(method, path, fields, body)).await
    }

    /// What the admin API tells.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", &format!("/api/v1/{path}"), &Fields::new(), b"").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Every delivery that is known, newest first.
    pub(crate) async fn deliveries(&self) -> Vec<Value> {
        self.write_log().await;
        self.get("deliveries?limit=1000").await["deliveries"].as_array().expect("a list").clone()
    }

    /// One event's story.
    pub(crate) async fn event(&self, source: &str, id: &str) -> Value {
        let found = self.get(&format!("events?source={source}&event_id={id}")).await;
        assert_eq!(found["events"].as_array().map(Vec::len), Some(1), "{source}/{id}: {found}");
        found["events"][0].clone()
    }

    /// Redrives an event, and says how many tasks that made due.
    pub(crate) async fn redrive(&self, source: &str, id: &str, how: Value) -> u64 {
        let key = self.event(source, id).await["key"].as_str().expect("a key").to_owned();
        let path = format!("/api/v1/events/{key}/redrive");
        let answer = self.ask("POST", &path, &Fields::new(), how.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["tasks"].as_u64().expect("a count")
    }

    /// Ready once every answer so far has its row in the delivery log: a command that changes nothing takes them along.
    pub(crate) async fn write_log(&self) {
        let nobody = HandlerName::parse("nobody").expect("a name");
        let asked = self.running.ledger().lease_tasks(&nobody, 1, Duration::from_secs(1));
        soon("the writer", asked).await.expect("the store is well");
    }

    /// What the terminal is told of the next delivery.
    pub(crate) async fn delivery(&self) -> DeliveryNotice {
        soon("word of a delivery", async { self.deliveries.lock().await.recv().await }).await.expect("the gateway lives")
    }

    /// What the terminal is told of the next attempt, once it is recorded.
    pub(crate) async fn attempt(&self) -> AttemptNotice {
        soon("word of an attempt", async { self.attempts.lock().await.recv().await }).await.expect("the gateway lives")
    }

    /// Moves the clock to the next attempt, due between `from` and `to` from now: not before, and then.
    pub(crate) async fn next_attempt(&self, from: Duration, to: Duration) -> AttemptNotice {
        let due = self.clock.sleeper(from, to).await;
        self.clock.advance(due);
        self.attempt().await
    }

    /// The database, looked at by somebody else.
    pub(crate) fn database(&self) -> PathBuf {
        self.home.as_ref().expect("it runs").database()
    }

    /// Another program that has the database locked, until it rolls back or is dropped.
    pub(crate) fn held_database(&self) -> rusqlite::Connection {
        let other = self.beside();
        other.execute_batch("BEGIN IMMEDIATE").expect("the lock is free");
        other
    }

    /// A connection of its own to the database.
    pub(crate) fn beside(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.database()).expect("the database is there")
    }

    /// Rows of a table, as a second connection that only reads sees them.
    pub(crate) fn rows(&self, table: &str) -> i64 {
        let read_only = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let conn = rusqlite::Connection::open_with_flags(self.database(), read_only).expect("the database is there");
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("the table is there")
    }

    /// This test leaves calls in hand: the end waits for none.
    pub(crate) const fn leave_calls(&mut self) {
        self.drain = Duration::ZERO;
    }

    /// Ends it in order and keeps what it leaves.
    pub(crate) async fn stop(mut self) -> Home {
        let home = self.home.take().expect("it runs");
        let wall = self.clock.wall();
        let ended = self.end();
        tokio::task::spawn_blocking(move || ended.recv_timeout(PATIENCE).expect("the gateway ends")).await.expect("no panic");
        Home { wall, ..home }
    }

    fn end(&mut self) -> std_mpsc::Receiver<()> {
        let (done, ended) = std_mpsc::channel();
        let (handles, running, drain) = (std::mem::take(&mut self.handles), self.running.clone(), self.drain);
        runtime().spawn(async move {
            for handle in handles {
                handle.stop(false).await;
            }
            running.stop_calling(drain).await;
            running.close().await;
            done.send(()).ok();
        });
        ended
    }
}

impl Drop for Gateway {
    /// Ends it, and sees that no lease was forgotten.
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        let ended = self.end().recv_timeout(PATIENCE);
        if std::thread::panicking() || self.drain.is_zero() {
            return;
        }
        ended.expect("the gateway ends");
        let (tell, told) = std_mpsc::channel();
        let database = home.database();
        runtime().spawn(async move { drop(tell.send(forgotten_leases(&database).await)) });
        assert_eq!(told.recv_timeout(PATIENCE).expect("the store opens again"), Vec::<String>::new(), "leases without a call");
    }
}

/// Tasks that are still leased although nobody calls their handlers.
async fn forgotten_leases(database: &Path) -> Vec<String> {
    let ledger = SqliteLedger::open_offline(database, Arc::new(SystemClock::new())).expect("the store opens again");
    let open = DeliveryFilter { state: Some(EventState::Accepted), limit: 1000, ..DeliveryFilter::default() };
    let page = ledger.deliveries(open).await.expect("a page");
    let mut forgotten = Vec::new();
    for delivery in page.deliveries {
        let event = ledger.find(EventName::Delivery(delivery.delivery_id)).await.expect("a read").expect("an event");
        let running = event.tasks.iter().filter(|task| task.state == TaskState::Running);
        forgotten.extend(running.map(|task| format!("{}/{} {}", event.source, event.event_id, task.handler)));
    }
    ledger.close().await;
    forgotten
}

type Started = (Running, Vec<actix_web::dev::ServerHandle>, [SocketAddr; 2]);

async fn start<B>(settings: Settings, clock: Arc<dyn Clock>, voices: Voices, between: B) -> Started
where
    B: FnOnce(Arc<dyn Ledger>) -> Arc<dyn Ledger> + Send,
{
    let sources: Vec<_> = settings.sources.iter().map(|source| (source.name.clone(), source.preset.name().to_string())).collect();
    let sqlite = SqliteSettings { min_free: settings.min_free, ..SqliteSettings::at(settings.database.clone()) };
    let store = Arc::new(SqliteLedger::open(sqlite, Arc::clone(&clock), &sources).expect("the store opens"));
    let ledger = between(Arc::clone(&store) as Arc<dyn Ledger>);
    let running = Running::start(&settings, ledger, store as Arc<dyn Journal>, clock, voices).await.expect("the gateway starts");
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a port"));
    let addresses = [0, 1].map(|at: usize| listeners[at].local_addr().expect("an address"));
    let [public, admin] = listeners;
    let public = web::public(&running, public, settings.limits, settings.drain).expect("the socket listens");
    let admin = web::admin(&running, admin, settings.admin_token.clone(), settings.drain, None).expect("the socket listens");
    let handles = vec![public.handle(), admin.handle()];
    tokio::spawn(async move { tokio::try_join!(public, admin) });
    (running, handles, addresses)
}

/// A Stripe event's body.
pub(crate) fn stripe_body(id: &str, event_type: &str) -> Vec<u8> {
    json!({ "id": id, "object": "event", "type": event_type, "pending_webhooks": 1, "data": { "object": {} } })
        .to_string()
        .into_bytes()
}

/// The word behind the urn of a problem, whose form is checked.
pub(crate) fn problem(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{} {}", answer.status, answer.text());
    let body = answer.json();
    assert_eq!(body["status"], json!(answer.status), "{body}");
    assert!(body["title"].is_string(), "{body}");
    body["type"].as_str().and_then(|urn| urn.strip_prefix("urn:hookgate:problem:")).unwrap_or_else(|| panic!("{body}")).to_owned()
}
