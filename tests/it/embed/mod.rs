//! The gateway inside a program of somebody's own: closures are handlers like any other, and the program around it stays its own.

mod example;
mod handlers;
mod life;
mod open;
mod routes;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use hookgate::clock::SystemClock;
use hookgate::ledger::sqlite::SqliteLedger;
use hookgate::ledger::{EventName, Ledger};
use hookgate::model::{EventId, EventReport, SourceName, TaskReport};
use hookgate::{Builder, Event, Gateway, HandlerError, Source};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::helpers::clock::WatchedClock;
use crate::helpers::gateway::{NEW_YEAR, STRIPE, runtime, stripe_body};
use crate::helpers::http::{self, Answer};
use crate::helpers::sender::{self, Fields};
use crate::helpers::soon;

/// What a handler of a test returns.
type Said = Result<(), HandlerError>;

/// A program with a gateway inside, which listens.
struct Program {
    gateway: Gateway,
    clock: Arc<WatchedClock>,
    directory: TempDir,
    listen: SocketAddr,
    handle: ServerHandle,
}

/// A source `stripe`, and a clock that is moved by hand.
fn builder(clock: &Arc<WatchedClock>) -> Builder {
    let clock: Arc<WatchedClock> = Arc::clone(clock);
    Gateway::builder().clock(clock).source(Source::provider("stripe").secret(STRIPE))
}

/// Listens on a port of its own for what `app` configures.
async fn listen(app: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> (SocketAddr, ServerHandle) {
    let started = runtime().spawn(async move {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = move || App::new().configure(app.clone()).default_service(web::to(|| async { "a page of my own" }));
        let server = HttpServer::new(app).workers(2).shutdown_timeout(5).disable_signals();
        let server = server.listen(listener).expect("the socket listens").run();
        let handle = server.handle();
        tokio::spawn(server);
        (address, handle)
    });
    started.await.expect("no panic")
}

/// A delivery as Stripe would send it at this time.
async fn deliver(to: SocketAddr, path: &str, now_s: i64, id: &str, event_type: &str) -> Answer {
    let body = stripe_body(id, event_type);
    http::exchange(to, &http::request("POST", path, &sender::stripe(STRIPE, now_s, &body), &body)).await
}

impl Program {
    /// A new one.
    async fn start(more: impl FnOnce(Builder) -> Builder) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self::start_in(directory, Arc::new(WatchedClock::at(NEW_YEAR)), more).await
    }

    /// One that finds what an earlier one left.
    async fn start_in(directory: TempDir, clock: Arc<WatchedClock>, more: impl FnOnce(Builder) -> Builder) -> Self {
        let opened = more(builder(&clock)).open(directory.path().join("hookgate.db")).await;
        let gateway = opened.unwrap_or_else(|error| panic!("{error}"));
        let (routes, operators) = (gateway.routes(), gateway.admin_routes(None));
        let app = move |config: &mut web::ServiceConfig| {
            config.configure(routes.clone()).service(web::scope("/ops").configure(operators.clone()));
        };
        let (listen, handle) = listen(app).await;
        Self { gateway, clock, directory, listen, handle }
    }

    /// A delivery, which must be acknowledged.
    async fn accept(&self, id: &str, event_type: &str) -> Answer {
        let answer = deliver(self.listen, "/hooks/stripe", self.clock.now_s(), id, event_type).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    }

    /// What the admin API answers.
    async fn ask(&self, method: &str, path: &str) -> Answer {
        http::exchange(self.listen, &http::request(method, &format!("/ops{path}"), &Fields::new(), b"")).await
    }

    /// One event's story, as far as it is recorded by now.
    async fn event(&self, id: &str) -> Value {
        let answer = self.ask("GET", &format!("/api/v1/events?source=stripe&event_id={id}")).await;
        answer.json()["events"][0].clone()
    }

    /// Ends it in order, listener first, and keeps what it leaves.
    async fn end(self) -> TempDir {
        soon("the end of the listener", self.handle.stop(true)).await;
        soon("the end of the gateway", self.gateway.shutdown()).await;
        self.directory
    }
}

/// One event's story, from the database that a program has left.
async fn story(directory: &Path, id: &str) -> EventReport {
    let opened = SqliteLedger::open_offline(directory.join("hookgate.db"), Arc::new(SystemClock::new()));
    let ledger = opened.expect("nobody has it open");
    let name = EventName::Pair(SourceName::parse("stripe").expect("a name"), EventId::parse(id).expect("an id"));
    let found = ledger.find(name).await.expect("a read").expect("the event is there");
    ledger.close().await;
    found
}

/// The one task of an event in such a database.
async fn task(directory: &Path, id: &str) -> TaskReport {
    let mut story = story(directory, id).await;
    assert_eq!(story.tasks.len(), 1, "{story:?}");
    story.tasks.remove(0)
}

/// The next of what a handler tells.
async fn next<T>(told: &mut mpsc::UnboundedReceiver<T>) -> T {
    soon("word of a handler", told.recv()).await.expect("the handler lives")
}

/// A handler that tells of each call and returns what the script says, `Ok` once that is at its end.
fn scripted(
    script: impl IntoIterator<Item = Said>,
) -> (mpsc::UnboundedReceiver<Event>, impl Fn(Event) -> std::future::Ready<Said> + Send + Sync + 'static) {
    let (tell, told) = mpsc::unbounded_channel();
    let script = std::sync::Mutex::new(script.into_iter().collect::<std::collections::VecDeque<_>>());
    let work = move |event| {
        drop(tell.send(event));
        std::future::ready(script.lock().expect("no panic").pop_front().unwrap_or(Ok(())))
    };
    (told, work)
}

/// So many seconds.
const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
