//! The tests that need more than one room: one crate, one module a promise.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by a panic, and lives in real time"
)]

mod helpers;
mod ledger;
mod verify;
