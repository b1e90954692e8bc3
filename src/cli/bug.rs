//! What a panic says: one line, as people and machines are told everything else.
//!
//! The panic's own words are left out, as they may quote what a stranger sent.

use std::panic::PanicHookInfo;

use super::{LogFormat, print};
use crate::clock::{Clock, SystemClock};

/// From now on a panic is told so, whatever `RUST_BACKTRACE` says. What a panic ends, it ends as before.
pub(super) fn install_hook(format: LogFormat) {
    std::panic::set_hook(Box::new(move |panic| tell(format, panic)));
}

fn tell(format: LogFormat, panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let message = format!(
        "this is a bug in hookgate {}, found at {place}: please report this line and what was done; every event that got a 2xx is on disk",
        env!("CARGO_PKG_VERSION")
    );
    match format {
        LogFormat::Pretty => print::error(&message),
        LogFormat::Json => {
            let at = SystemClock::new().wall();
            print::aside(&serde_json::json!({ "timestamp": at, "level": "ERROR", "message": message }).to_string());
        }
    }
}
