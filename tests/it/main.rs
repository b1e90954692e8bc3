//! The one test crate: one module a subject, each test named by the promise that it keeps.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by a panic, and lives in real time"
)]

mod helpers;

mod addresses;
mod admin;
mod breaker;
mod canaries;
mod certificates;
mod cli;
mod config;
mod crash;
mod discard;
mod duplicates;
mod embed;
mod exec;
mod forwarding;
mod handshakes;
mod layers;
mod leases;
mod ledger;
mod operator;
mod outbox;
mod problems;
mod readme;
mod receive;
mod redrive;
mod refusals;
mod reload;
mod replay;
mod retention;
mod secrets;
mod tools;
mod transcripts;
mod verify;
mod verify_command;
