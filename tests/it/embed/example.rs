//! The example is a program that works: it really runs, is really ended, and finds what it left.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::helpers::cli::{Cli, Process};
use crate::helpers::gateway::{STRIPE, runtime};
use crate::helpers::http::{self, Answer};
use crate::helpers::sender;

const BODY: &[u8] = br#"{"id":"evt_1","type":"invoice.paid","data":{"object":{"customer":"cus_7"}}}"#;

fn start(cli: &Cli) -> (Process, SocketAddr) {
    let process = cli.example("embed");
    let line = process.stdout.line("deliveries go to http://");
    let address = line.split('/').nth(2).and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    (process, address)
}

fn deliver(to: SocketAddr) -> Answer {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    let signed = sender::stripe(STRIPE, i64::try_from(now_s).expect("it is not that late"), BODY);
    runtime().block_on(http::exchange(to, &http::request("POST", "/hooks/stripe", &signed, BODY)))
}

#[test]
fn the_example_calls_its_handler_once_ends_in_order_and_knows_a_repeat_after_a_restart() {
    let cli = Cli::new().env("LISTEN", "127.0.0.1:0");
    let (process, address) = start(&cli);
    let first = deliver(address);
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, None));
    process.stdout.line("invoice.paid for \"cus_7\", key stripe/evt_1/billing");
    let page = runtime().block_on(http::exchange(address, &http::request("GET", "/", &sender::Fields::new(), b"")));
    assert_eq!(page.text(), "a page of my own");
    process.end(Signal::TERM).expect(0);

    let (process, address) = start(&cli);
    let repeat = deliver(address);
    assert_eq!((repeat.status, repeat.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(repeat.body, first.body);
    let ended = process.end(Signal::INT).expect(0);
    assert!(!ended.stdout.contains("cus_7"), "{}", ended.stdout);
    let log = cli.run(&["log", "--json", "--event-id", "evt_1"]).expect(0).json();
    assert_eq!(log.iter().map(|row| row["verdict"].as_str()).collect::<Vec<_>>(), [Some("duplicate"), Some("first")]);
}
