#![doc = include_str!("LIBRARY.md")]

pub mod embed;

#[doc(inline)]
pub use embed::{Builder, Event, Gateway, Handler, HandlerError, OpenError, Source};
#[doc(inline)]
pub use model::Secret;

/// How the gateway is built, for who changes it.
///
#[doc = include_str!("ARCHITECTURE.md")]
pub mod architecture {}

pub mod model;

pub mod clock;
pub mod flaws;
pub mod sync;

pub mod preset;

pub mod verify;

pub mod ledger;

pub mod handler;

pub mod gateway;

pub mod config;

pub mod app;

pub mod web;

pub mod fixture;

pub mod cli;
