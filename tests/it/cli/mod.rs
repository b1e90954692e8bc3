//! The binary: starts and stops, exit codes, what it says and never says.

mod log;
mod output;
mod redrive;
mod serve;
mod start;
mod usage;

use crate::helpers::cli::{Cli, Serving};
use crate::helpers::gateway::{GITHUB, STRIPE, runtime, stripe_body};
use crate::helpers::http::{self, Answer};
use crate::helpers::sender;
use crate::helpers::target::{Reply, Target};

/// Sends a request to a gateway that runs beside us.
fn send(serving: &Serving, request: &[u8]) -> Answer {
    runtime().block_on(http::exchange(serving.listen, request))
}

/// The machine's own time, which the binary goes by.
fn now_s() -> i64 {
    hookgate::clock::Clock::wall(&hookgate::clock::SystemClock::new()).unix_s()
}

/// A Stripe delivery of now.
fn stripe(id: &str) -> Vec<u8> {
    let body = stripe_body(id, "invoice.paid");
    http::request("POST", "/hooks/stripe", &sender::stripe(STRIPE, now_s(), &body), &body)
}

fn github(id: &str, body: &[u8]) -> Vec<u8> {
    http::request("POST", "/hooks/github", &sender::github(GITHUB, id, "push", body), body)
}

fn target(script: Vec<Reply>) -> Target {
    runtime().block_on(Target::start(script))
}

/// A gateway whose log says when a handler's answer has been recorded.
fn serve_with_log(cli: &Cli) -> Serving {
    cli.serve(&["--log-format", "json"])
}

/// Waits until so many answers of handlers have been recorded.
fn recorded(serving: &Serving, calls: usize) {
    let called = |lines: &[String]| lines.iter().filter(|line| line.contains("handler called")).count();
    serving.process.stderr.wait_for(|lines| called(lines) >= calls).expect("it runs");
}

/// The URL of nobody.
fn target_that_is_gone() -> String {
    target(Vec::new()).url()
}
