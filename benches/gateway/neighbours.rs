//! Ten handlers that each get events of ten sources. Eight are looked at; of the other two one hangs and one fails, or they are well
//! too: what the eight get must not depend on it.

use std::fmt::Write;
use std::time::Instant;

use crate::bare;
use crate::deliveries::Deliveries;
use crate::load;
use crate::process::{Gateway, Helper, source};
use crate::table::Row;
use crate::{DRAIN, WARM_UP};

/// What the two others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// They answer 200.
    Well,
    /// One never answers, one answers 500.
    Ill,
}

/// All ten are well.
pub(crate) const ALL_WELL: &str = "ten handlers, all well";
/// Two are not.
pub(crate) const TWO_ILL: &str = "ten handlers, two of them ill";

/// As many sources, and as many handlers.
const TEN: u64 = 10;
/// The handlers that are not looked at.
const OTHERS: u64 = 2;

pub(crate) fn measure(others: Others, deliveries: &Deliveries) -> Row {
    let sink = Helper::start(bare::SINK);
    let mut config: String = (0..TEN).map(|number| source(&format!("source-{number}"))).collect();
    for number in 0..TEN {
        let path = match (number, others) {
            (OTHERS.., _) => "hooks",
            (_, Others::Well) => "uncounted",
            (0, Others::Ill) => "hangs",
            (_, Others::Ill) => "fails",
        };
        let url = format!("http://{}/{path}", sink.address());
        writeln!(config, "[handlers.handler-{number}]\nurl = \"{url}\"\nevents = [\"type-{number}\"]").expect("text");
    }
    let (warm_up, warm_events) = spread(&deliveries.warm_up);
    let (measured, events) = spread(&deliveries.measured);
    assert!(warm_up.len() == WARM_UP && events > 0, "there is something to look at");
    let server = Gateway::with_config(&config);
    load::run(server.address(), &warm_up);
    sink.wait_for(warm_events, DRAIN);
    let (before, began) = (server.account(), Instant::now());
    let measured = load::run(server.address(), &measured);
    sink.wait_for(warm_events + events, DRAIN);
    let handled_per_second = Some(events as f64 / began.elapsed().as_secs_f64());
    Row { handled_per_second, ..Row::of_account(measured, &server.account().since(&before), deliveries.distinct) }
}

/// The same deliveries, each to one of the sources and of a type for one of the handlers; and how many events the eight get. A repeat
/// goes where the first one went.
fn spread(requests: &[Vec<u8>]) -> (Vec<Vec<u8>>, usize) {
    let mut seen = std::collections::HashSet::new();
    let mut events = 0;
    let spread = requests.iter().map(|request| {
        let hash =
            request.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        let (source, handler) = (hash % TEN, hash / TEN % TEN);
        events += usize::from(handler >= OTHERS && seen.insert(request.clone()));
        let text = String::from_utf8(request.clone()).expect("text");
        let text = text.replacen("/hooks/github", &format!("/hooks/source-{source}"), 1);
        text.replacen("X-GitHub-Event: pull_request", &format!("X-GitHub-Event: type-{handler}"), 1).into_bytes()
    });
    (spread.collect(), events)
}
