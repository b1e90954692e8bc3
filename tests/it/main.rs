//! The one test crate: one module a subject, each test named by the promise that it keeps.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says so by panicking")]

mod forwarding;
mod helpers;

mod admin;
mod cli;
mod config;
mod duplicates;
mod layers;
mod outbox;
mod receive;
mod redrive;
mod refusals;
mod replay;
