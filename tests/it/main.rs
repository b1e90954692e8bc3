//! The tests that need more than one room: one crate, one module a promise.

mod crash;
mod helpers;
