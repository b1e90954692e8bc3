//! The tests that need more than one room: one crate, one module a promise.

mod helpers;
mod ledger;
mod verify;
