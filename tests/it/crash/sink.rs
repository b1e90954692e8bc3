//! The handlers: an HTTP service that answers by the seed, often in time, sometimes not, and writes down every call.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::pulse::{Mark, Pulse};
use super::wire::{Connection, Message};
use super::{linger, now};
use crate::helpers::sender::hex_text;

/// What the handlers may take, as the gateway is told. A lease is this and two seconds.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);
/// How long a call waits to be caught by a kill.
const HELD: Duration = Duration::from_millis(150);

/// How long a call that was caught goes on without its gateway. With [`HELD`] it is well within [`TIMEOUT`].
const OUTLIVES: Duration = Duration::from_millis(400);

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The last part of the path.
    pub(super) handler: String,
    /// `SOURCE/EVENT_ID`.
    pub(super) event: String,
    pub(super) attempt: u32,
    pub(super) key: String,
    /// SHA-256 of the body.
    pub(super) digest: String,
    pub(super) started: Instant,
    /// When its work had ended. None where the test ended first.
    pub(super) ended: Option<Instant>,
    /// What it answered, whether or not anybody was there to hear it.
    pub(super) status: u16,
}

/// See the module.
pub(super) struct Sink {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Sink {
    pub(super) fn start(seed: u64, pulse: Arc<Pulse>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let sink = Self { address, calls: Arc::clone(&calls) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (calls, pulse) = (Arc::clone(&calls), Arc::clone(&pulse));
                std::thread::spawn(move || {
                    if let Ok(connection) = Connection::of(stream) {
                        serve(connection, seed, &calls, &pulse);
                    }
                });
            }
        });
        sink
    }

    pub(super) fn url(&self, handler: &str) -> String {
        format!("http://{}/{handler}", self.address)
    }

    /// In the order that the calls came.
    pub(super) fn history(&self) -> Vec<Call> {
        self.calls.lock().expect("nobody panicked").clone()
    }
}

/// Until the other end goes away.
fn serve(mut connection: Connection, seed: u64, calls: &Mutex<Vec<Call>>, pulse: &Pulse) {
    while let Ok(request) = connection.receive() {
        let call = read(&request, seed);
        let (status, mood) = (call.status, mood(seed, &call));
        let index = {
            let mut calls = calls.lock().expect("nobody panicked");
            calls.push(call);
            calls.len() - 1
        };
        pulse.beat(Mark::Called);
        if mood < 6 && pulse.wait_for_kill(HELD) {
            linger(OUTLIVES);
        }
        calls.lock().expect("nobody panicked")[index].ended = Some(now());
        if connection.send(&format!("HTTP/1.1 {status} Told"), &[], b"").is_err() {
            break;
        }
    }
}

fn read(request: &Message, seed: u64) -> Call {
    let text = |name| request.field(name).unwrap_or_default().to_owned();
    let mut call = Call {
        handler: request.path().trim_start_matches('/').to_owned(),
        event: text("hookgate-event-id"),
        attempt: text("hookgate-attempt").parse().unwrap_or(0),
        key: text("idempotency-key"),
        digest: hex_text(ring::digest::digest(&ring::digest::SHA256, &request.body).as_ref()),
        started: now(),
        ended: None,
        status: 200,
    };
    if mood(seed, &call) == 99 {
        call.status = 500;
    }
    call
}

/// 0 to 99, the same in each run of a seed.
fn mood(seed: u64, call: &Call) -> u64 {
    let text = format!("{seed} {} {} {}", call.handler, call.event, call.attempt);
    u64::from(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()[0]) * 100 / 256
}
