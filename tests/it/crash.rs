//! Killed under load, again and again: what was acknowledged is never lost, nothing is first twice, and no handler is called
//! twice at a time.
//!
//! The real binary runs on a real file, is killed with SIGKILL at moments picked from a seed, and is started again on the same
//! database and ports. Provider and handlers are simulated here and keep their own histories; the checker knows these, what the
//! gateway tells about itself, and nothing of its code.

mod checker;
mod driver;
mod gateway;
mod pulse;
mod sink;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use driver::Provider;
use gateway::Gateway;
use pulse::{Mark, Pulse};
use sink::Sink;

/// How often the gateway is killed.
const KILLS: u32 = 20;
/// Connections of the provider.
const CONNECTIONS: usize = 12;
/// After so many of its kind since the start comes the kill, at most.
const BEATS_MAX: u64 = 160;
/// Longest pause between the beat that was waited for and the kill, which half of them do without: an answer that came too soon is
/// caught by a kill that follows it at once.
const JITTER_US_MAX: u64 = 3_000;
/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let seed = seed();
    let pulse = Arc::new(Pulse::new());
    let sink = Sink::start(seed, Arc::clone(&pulse));
    let mut gateway = Gateway::prepare(&sink);
    println!("HOOKGATE_CRASH_SEED={seed}, in {}, which stays after a failure", gateway.path().display());
    gateway.start();
    let provider = Arc::new(Provider::new(seed, gateway.address(), Arc::clone(&pulse)));
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let provider = Arc::clone(&provider);
            std::thread::spawn(move || provider.drive())
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..KILLS {
        pulse.gateway_is_up();
        let mark = random.choice(Mark::ALL).expect("there are marks");
        pulse.wait_for(mark, random.u64(0..BEATS_MAX));
        if random.bool() {
            linger(Duration::from_micros(random.u64(0..JITTER_US_MAX)));
        }
        gateway.kill();
        pulse.gateway_was_killed();
        gateway.start();
    }
    provider.only_what_is_owed();
    pulse.gateway_stays_up();
    connections.into_iter().for_each(|connection| connection.join().expect("a connection of the provider"));
    gateway.wait_until_all_is_done();
    let told = checker::Told::by(&mut gateway, &provider);
    let seen = checker::check(&provider.history(), &sink.history(), &told);
    println!("{seen}");
    seen.assert_worth_it();
}

/// From `HOOKGATE_CRASH_SEED`, or another one each time.
#[expect(clippy::disallowed_methods, reason = "a failed run is repeated by its seed")]
fn seed() -> u64 {
    std::env::var("HOOKGATE_CRASH_SEED").ok().map_or_else(|| fastrand::u64(..), |text| text.parse().expect("a number"))
}

#[expect(clippy::disallowed_methods, reason = "the histories are told by a real clock")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a provider signs the real time")]
fn unix_now_s() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since_epoch.as_secs()).expect("not that late")
}

/// Lets so much time pass. Never to wait for something: only to be somewhere else in the gateway's work when the kill comes, and
/// to be a handler that takes its time.
#[expect(clippy::disallowed_methods, reason = "time itself is what is wanted")]
fn linger(time: Duration) {
    std::thread::sleep(time);
}

/// Asks again and again until it holds.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = now() + PATIENCE;
    while !holds() {
        assert!(now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
