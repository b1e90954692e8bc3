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
mod cli;
mod config;
mod crash;
mod duplicates;
mod embed;
mod forwarding;
mod layers;
mod leases;
mod ledger;
mod outbox;
mod problems;
mod readme;
mod receive;
mod redrive;
mod refusals;
mod reload;
mod replay;
mod secrets;
mod verify;
