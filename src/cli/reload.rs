//! `hookgate reload`: has a running gateway read its configuration again.

use clap::Args;

use super::access::{self, Access};
use super::exit::{Failure, OK, UNREACHABLE};
use super::{Global, print, reloader};

const EXAMPLES: &str = "Examples:
  hookgate reload
  hookgate reload --config /etc/hookgate/hookgate.toml --json

A config that is not good is refused and changes nothing (exit code 2). What needs a restart is named and left as it is. SIGHUP \
does the same.";

/// `reload`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ReloadArgs {
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks for it and says what came of it.
pub(super) async fn run(global: &Global, args: &ReloadArgs) -> Result<u8, Failure> {
    let report = match access::reach(global)? {
        Access::Gateway(remote) => remote.reload().await?,
        Access::Database(..) => {
            return Err(Failure::new(
                UNREACHABLE,
                "no gateway runs on this database: `hookgate serve` reads the config at its start",
            ));
        }
    };
    if args.json {
        print::json(&report)?;
    } else {
        print::line(&reloader::words(&report));
        report.warnings.iter().for_each(|warning| print::warning(warning));
    }
    Ok(OK)
}
