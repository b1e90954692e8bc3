//! The gateway inside somebody's own program: what a user of the library holds.
//!
//! It has a thread and a small runtime of its own (`keeper.rs`), so that it works below any runtime and outlives none of its users.

mod builder;
mod error;
mod event;
mod handler;
mod keeper;
mod source;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use actix_web::web::ServiceConfig;
use tokio::sync::{oneshot, watch};

use crate::app;
use crate::ledger::sqlite::SqliteLedger;
use crate::ledger::{Ledger, StoreState};
use crate::model::Secret;
use crate::sync::{Mutex, lock};
use crate::web::{self, Guard};

pub use builder::Builder;
pub use error::{HandlerError, OpenError};
pub use event::Event;
pub use handler::Handler;
pub use source::Source;

/// A gateway that runs: its database is open, its handlers are called. A clone is cheap and the same gateway.
///
/// With the last clone (those in [`Gateway::routes`] count) it begins to shut down by itself and lets nobody wait; who wants to know that
/// calls in hand have ended awaits [`Gateway::shutdown`].
#[derive(Clone)]
pub struct Gateway(Arc<Running>);

struct Running {
    gateway: app::Gateway,
    store: Arc<SqliteLedger>,
    /// What ends it, by a word or by being dropped.
    stop: Mutex<Option<oneshot::Sender<()>>>,
    ended: watch::Receiver<bool>,
}

impl Gateway {
    /// Says what is to be opened.
    #[must_use = "nothing is opened before `open`"]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `/hooks/{source}` for [`App::configure`](actix_web::App::configure) or [`Scope::configure`](actix_web::Scope::configure): a
    /// source `stripe` in a scope `/in` is `/in/hooks/stripe`. Your other routes, data and default service stay yours.
    ///
    /// ```no_run
    /// # async fn serve(gateway: hookgate::Gateway) -> std::io::Result<()> {
    /// use std::time::Duration;
    /// use actix_web::{App, HttpServer};
    ///
    /// HttpServer::new(move || App::new().configure(gateway.routes()))
    ///     .max_connections(10_000)                           // for each worker; a connection costs memory and a descriptor
    ///     .client_request_timeout(Duration::from_secs(5))    // a head that drips in slowly ends here
    ///     .bind("127.0.0.1:8080")?
    ///     .run()
    ///     .await
    /// # }
    /// ```
    ///
    /// The gateway bounds bodies, requests in hand and answers by itself. What belongs to the listener is yours: connections, the time
    /// that a head may take, TLS. Put no middleware around these routes that reads, decodes or changes bodies: a signature covers them as
    /// they were sent.
    #[must_use = "routes are for `App::configure`"]
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + use<> {
        web::deliveries(&self.0.gateway, self.clone())
    }

    /// The admin API (`/readyz`, `/api/v1/…`, see `docs/admin-api.md`) for a [scope](actix_web::Scope) or a listener of its own, as it
    /// answers everything there:
    ///
    /// ```no_run
    /// # fn app(gateway: hookgate::Gateway, token: hookgate::Secret) {
    /// use actix_web::{App, web};
    ///
    /// App::new()
    ///     .configure(gateway.routes())
    ///     .service(web::scope("/hookgate").configure(gateway.admin_routes(Some(token))));
    /// # }
    /// ```
    ///
    /// It shows bodies and redrives events. Clients present the token as `Authorization: Bearer`. Without one it takes only requests that
    /// come from this machine under a loopback name; behind a proxy on this machine that may be anybody, so give a token there.
    #[must_use = "routes are for `Scope::configure`"]
    pub fn admin_routes(&self, token: Option<Secret>) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + use<> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        web::operators(&self.0.gateway, Guard::new(token, listen), None, self.clone())
    }

    /// Tells `hookgate log`, `redrive` and the like, when they are run on this machine, where to reach this gateway: at a listener that has
    /// [`Gateway::admin_routes`] at its root. Without it they find the database taken.
    ///
    /// # Errors
    /// The lock file beside the database cannot be written.
    pub fn announce_admin(&self, listens: SocketAddr) -> std::io::Result<()> {
        self.0.store.set_admin_address(listens.to_string())
    }

    /// Whether events are taken now: false on a full disk, after a failed write, and once it shuts down. For your own `/readyz`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.store.state() == StoreState::Ready && lock(&self.0.stop).is_some()
    }

    /// Ready once a write has failed, with the reason. Nothing is taken after that: end the process and let its supervisor start it
    /// again, as only a start can tell what is on the disk. Everything that got a 2xx is.
    pub async fn failed(&self) -> String {
        self.0.store.failed().await
    }

    /// Makes no new call, waits for those in hand up to [`Builder::drain`], and closes the database; what takes longer is dropped and
    /// called again after the next start. From then on the routes answer 503. Stop your listener first, so that requests in hand are
    /// answered. A second call waits for the same end.
    pub async fn shutdown(&self) {
        drop(lock(&self.0.stop).take());
        // An error says that the keeper is gone, so this has ended too.
        drop(self.0.ended.clone().wait_for(|ended| *ended).await);
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("database", &self.0.store.path()).field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}
