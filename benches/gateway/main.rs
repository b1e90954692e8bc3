//! The gateway against a bare endpoint that only checks the HMAC: requests a second, CPU, latency, and the ratios of one to the
//! other, which are what can be compared between machines.
//!
//! `cargo bench` measures, `cargo bench -- --quick` takes a short look, and a word (`cargo bench -- forwarding`) picks the
//! configurations whose title has it, for a profiler to look at; `--rounds=N` asks for more or fewer. The release binary runs as a process of its own on a fresh
//! database; configurations alternate, so that what else the machine does hits all of them alike. No time is asserted.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures the real time")]

mod bare;
mod deliveries;
mod load;
mod neighbours;
mod process;
mod table;

use std::time::{Duration, Instant};

use deliveries::{Deliveries, Ids};
use process::{Gateway, Helper};
use table::{Row, Table};

/// Connections of the closed loop.
pub(crate) const CONNECTIONS: usize = 64;
/// Deliveries that go before the measured ones, so that both ends are warm.
const WARM_UP: usize = 500;
/// Longest wait for handlers to get everything.
const DRAIN: Duration = Duration::from_secs(120);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// actix and the check, nothing else.
    Bare,
    /// Received, checked, claimed and on disk; no handler wants it.
    Claimed(Ids),
    /// The same, and handed on to an HTTP handler.
    Forwarded,
    /// Ten sources and ten handlers, of which eight are looked at: what the other two do.
    Neighbours(neighbours::Others),
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Bare,
        Self::Claimed(Ids::Random),
        Self::Claimed(Ids::TimeBased),
        Self::Forwarded,
        Self::Neighbours(neighbours::Others::Well),
        Self::Neighbours(neighbours::Others::Ill),
    ];

    const fn title(self) -> &'static str {
        match self {
            Self::Bare => "bare endpoint, HMAC only",
            Self::Claimed(Ids::Random) => "hookgate, random ids",
            Self::Claimed(Ids::TimeBased) => "hookgate, time-based ids",
            Self::Forwarded => "hookgate, forwarding",
            Self::Neighbours(neighbours::Others::Well) => neighbours::ALL_WELL,
            Self::Neighbours(neighbours::Others::Ill) => neighbours::TWO_ILL,
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some(bare::SERVE) => return bare::serve(&args[1]),
        Some(bare::SINK) => return bare::sink(&args[1]),
        _ => {}
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let word = args.iter().find(|arg| !arg.starts_with('-')).map_or("", String::as_str);
    let picked: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.title().contains(word)).collect();
    let (rounds, sends) = if quick { (2, 4_000) } else { (5, 20_000) };
    let rounds = args.iter().find_map(|arg| arg.strip_prefix("--rounds=")?.parse().ok()).unwrap_or(rounds);
    eprintln!("{rounds} rounds of {sends} deliveries for each of {} configurations", picked.len());
    let random = Deliveries::make(Ids::Random, WARM_UP, sends);
    let time_based = Deliveries::make(Ids::TimeBased, WARM_UP, sends);
    let mut table = Table::begin(rounds, &random);
    for round in 1..=rounds {
        for &kind in &picked {
            let deliveries = if kind == Kind::Claimed(Ids::TimeBased) { &time_based } else { &random };
            let row = measure(kind, deliveries);
            eprintln!("round {round}: {:<26} {:>7.0} req/s", kind.title(), row.per_second());
            table.add(kind.title(), row);
        }
    }
    println!("{table}");
}

fn measure(kind: Kind, deliveries: &Deliveries) -> Row {
    match kind {
        Kind::Bare => {
            let server = Helper::start(bare::SERVE);
            let warm = load::run(server.address(), &deliveries.warm_up);
            assert_eq!(warm.refused, 0, "the bare endpoint refuses");
            let before = server.cpu();
            let measured = load::run(server.address(), &deliveries.measured);
            Row::of(measured, server.cpu().saturating_sub(before))
        }
        Kind::Claimed(_) => {
            let server = Gateway::start(None);
            load::run(server.address(), &deliveries.warm_up);
            let before = server.account();
            let measured = load::run(server.address(), &deliveries.measured);
            Row::of_account(measured, &server.account().since(&before), deliveries.distinct)
        }
        Kind::Forwarded => forwarded(deliveries),
        Kind::Neighbours(others) => neighbours::measure(others, deliveries),
    }
}

/// The CPU is that of the whole way: until the handler has got the last event.
fn forwarded(deliveries: &Deliveries) -> Row {
    let sink = Helper::start(bare::SINK);
    let server = Gateway::start(Some(&format!("http://{}/hooks", sink.address())));
    load::run(server.address(), &deliveries.warm_up);
    sink.wait_for(deliveries.warm_distinct, DRAIN);
    let (before, began) = (server.account(), Instant::now());
    let measured = load::run(server.address(), &deliveries.measured);
    sink.wait_for(deliveries.warm_distinct + deliveries.distinct, DRAIN);
    let handled_per_second = Some(deliveries.distinct as f64 / began.elapsed().as_secs_f64());
    Row { handled_per_second, ..Row::of_account(measured, &server.account().since(&before), deliveries.distinct) }
}
