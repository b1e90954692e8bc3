//! What the tests share: a gateway in hand, who sends to it, who is called by it, and its command line.

use std::time::Duration;

pub(crate) mod balky;
pub(crate) mod cli;
pub(crate) mod clock;
pub(crate) mod evidence;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod pulse;
pub(crate) mod sender;
pub(crate) mod store;
pub(crate) mod target;
pub(crate) mod tls;
pub(crate) mod transcript;

/// How long a test waits for what must come. Only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What comes of a future that must end.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}
