//! Many events with a retention of seconds, purged while as many new ones and repeats of the purged ones come in: each delivery is a
//! replay or a new event, never an error, and the file's size levels off.
//!
//! `HOOKGATE_PURGE_EVENTS=1000000 cargo test --release --test it retention::show -- --nocapture` does it with a million and tells
//! the sizes. The wall clock is moved by hand, a fixed step each event, so that nothing depends on how fast the machine is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use hookgate::clock::Clock;
use hookgate::config::{self, Environment, Flags, Keys};
use hookgate::handler::Call;
use hookgate::model::Timestamp;
use tokio::sync::watch;

use crate::helpers::gateway::{GITHUB, Gateway, Home, NEW_YEAR, SOURCES};
use crate::helpers::http::{self, Connection};
use crate::helpers::sender;
use crate::helpers::store::directory;

/// Events, where nobody wants more.
const EVENTS: u64 = 5_000;
/// Senders at a time.
const SENDERS: u64 = 32;
/// Most events that wait for the handler: an event ages from when it is done.
const BEHIND: u64 = 100;
/// By how much the clock goes on with each event.
const STEP: Duration = Duration::from_millis(2);
/// Sizes are taken so often.
const SAMPLES: u64 = 20;

fn events() -> u64 {
    std::env::var("HOOKGATE_PURGE_EVENTS").map_or(EVENTS, |events| events.parse().expect("a number of events"))
}

/// What the senders share.
struct Show {
    gateway: Gateway,
    events: u64,
    /// How long what answers repeats is kept.
    dedupe: Duration,
    next: AtomicU64,
    /// When the delivery that was first was sent, by event, as its sender knows it.
    firsts: Mutex<HashMap<u64, Timestamp>>,
    /// Events that the handler got.
    handled: watch::Sender<u64>,
    /// New ones and replays.
    counts: [AtomicU64; 2],
    sizes: Mutex<Vec<(u64, f64)>>,
}

impl Show {
    async fn start(events: u64) -> Arc<Self> {
        let dedupe = (STEP * u32::try_from(events / 10).expect("not that many")).min(Duration::from_secs(60));
        let (body_ms, dedupe_ms) = (dedupe.as_millis() / 2, dedupe.as_millis());
        let config = format!(
            "{SOURCES}[retention]\nbody_retention = \"{body_ms}ms\"\ndedupe_retention = \"{dedupe_ms}ms\"\n\
             log_retention = \"{dedupe_ms}ms\"\nallow_short_retention = true\n"
        );
        // A small run looks at what is written, not at when it is flushed.
        let home = if events > EVENTS { Home::new() } else { Home { directory: directory(), wall: NEW_YEAR } };
        let mut settings = home.settings(&config);
        let demo = config::load(&Flags::default(), &Environment::default(), Keys::Look, &mut None).expect("the demo");
        settings.handlers = demo.handlers;
        let handled = watch::Sender::new(0);
        let told = handled.clone();
        let print = Arc::new(move |_: &Call| told.send_modify(|count| *count += 1));
        let gateway = Gateway::start_with(home, settings, print).await;
        gateway.clock.sleeper(Duration::from_secs(600), Duration::from_secs(600)).await;
        gateway.clock.advance(Duration::from_secs(600));
        let (next, firsts, counts, sizes) = Default::default();
        Arc::new(Self { gateway, events, dedupe, next, firsts, handled, counts, sizes })
    }

    /// Sends new events, and after each a repeat of an older one, most of them long purged.
    async fn send(self: Arc<Self>, seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let mut connection = Connection::to(self.gateway.public).await;
        let kept = u64::try_from(self.dedupe.as_millis() / STEP.as_millis()).expect("few");
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.events {
                return;
            }
            self.deliver(&mut connection, number).await;
            self.deliver(&mut connection, number - rng.u64(0..=number.min(4 * kept))).await;
            let new = self.counts[0].load(Ordering::Relaxed);
            drop(self.handled.subscribe().wait_for(|handled| handled + BEHIND >= new).await);
            self.gateway.clock.advance(STEP);
            if number.is_multiple_of((self.events / SAMPLES).max(1)) {
                let bytes = std::fs::metadata(self.gateway.database()).expect("the database").len();
                self.sizes.lock().unwrap().push((number, bytes as f64 / f64::from(1 << 20)));
            }
        }
    }

    async fn deliver(&self, connection: &mut Connection, number: u64) {
        let body = format!("{{\"action\":\"opened\",\"number\":{number},\"text\":\"{}\"}}", "x".repeat(1_000)).into_bytes();
        let fields = sender::github(GITHUB, &format!("delivery-{number}"), "issues", &body);
        let before = self.gateway.clock.wall();
        connection.send(&http::request("POST", "/hooks/github", &fields, &body)).await;
        let answer = connection.answer().await;
        let after = self.gateway.clock.wall();
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        let replayed = answer.header("idempotent-replayed").is_some();
        self.counts[usize::from(replayed)].fetch_add(1, Ordering::Relaxed);
        let mut firsts = self.firsts.lock().unwrap();
        let first = firsts.get(&number);
        let is_kept = first.is_some_and(|first| after < first.plus(self.dedupe));
        assert!(replayed || !is_kept, "{number} was new twice within {:?}", self.dedupe);
        if !replayed {
            firsts.insert(number, before);
        }
    }

    /// Moves the clock on until nothing is left.
    async fn purge_the_rest(&self) {
        while self.gateway.rows("event") > 0 {
            self.gateway.clock.advance(self.dedupe + Duration::from_secs(61));
            self.gateway.clock.sleeper(Duration::from_secs(1), Duration::from_secs(60)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_purged_ones_come_again_each_delivery_is_a_replay_or_new_and_the_file_levels_off() {
    let show = Show::start(events()).await;
    let began = Instant::now();
    let senders = (0..SENDERS).map(|seed| tokio::spawn(Arc::clone(&show).send(seed)));
    for ended in futures_util::future::join_all(senders).await {
        ended.expect("each delivery is a replay or new");
    }
    let took = began.elapsed();
    let [firsts, replays] = show.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    assert_eq!(firsts + replays, 2 * show.events);
    let again = firsts - show.events;
    assert!(again > show.events / 4 && replays > show.events / 8, "{again} were purged and came again, {replays} were not");
    println!(
        "{} deliveries in {took:.1?}, {:.0} a second: {firsts} new ({again} of them again), {replays} replays; kept {:?} and {:?}",
        firsts + replays,
        (firsts + replays) as f64 / took.as_secs_f64(),
        show.dedupe / 2,
        show.dedupe
    );
    let sizes = std::mem::take(&mut *show.sizes.lock().unwrap());
    sizes.iter().for_each(|(events, size)| println!("{events:>9} events  {size:>8.2} MiB"));
    let largest = |from: u64, to: u64| {
        let part = sizes.iter().filter(|(events, _)| (show.events * from / 10..show.events * to / 10).contains(events));
        part.map(|(_, size)| *size).fold(0.0, f64::max)
    };
    let (middle, last) = (largest(4, 6), largest(8, 10));
    assert!(last < middle * 1.15 + 0.1, "it grows: {middle:.2} MiB after the first half, {last:.2} MiB at the end");
    show.purge_the_rest().await;
    for table in ["event", "payload", "task", "attempt", "delivery", "done", "tombstone"] {
        assert_eq!(show.gateway.rows(table), 0, "{table}");
    }
}
