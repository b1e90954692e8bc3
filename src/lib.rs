#![doc = include_str!("ARCHITECTURE.md")]

pub mod clock;
pub mod fixture;
pub mod flaws;
pub mod ledger;
pub mod model;
pub mod preset;
pub mod sync;
pub mod verify;
