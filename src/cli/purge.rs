//! `hookgate purge`: all of retention at once, now.

use clap::Args;

use super::access;
use super::exit::{Failure, NO, OK};
use super::{Global, print};

const EXAMPLES: &str = "Examples:
  hookgate purge
  hookgate purge --json

It goes by [retention] of the config. What is not old enough stays; a gateway that runs goes on meanwhile.";

/// `purge`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct PurgeArgs {
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Purges what was kept long enough, and says what that was.
pub(super) async fn run(global: &Global, args: &PurgeArgs) -> Result<u8, Failure> {
    let purged = access::reach(global)?.purge(global).await?;
    if args.json {
        print::json(&purged)?;
    } else {
        let crate::web::PurgeReport { bodies, events, deliveries, .. } = purged;
        print::line(&format!("purged  bodies {bodies}, events {events}, rows of the log {deliveries}"));
    }
    if purged.more {
        print::aside("the gateway was stopped meanwhile: what is left goes later, or with another purge");
        return Ok(NO);
    }
    Ok(OK)
}
