//! Commands as handlers: what they get, how they end, and that nothing of them outlives its attempt.

mod command;
mod config;
mod gateway;
