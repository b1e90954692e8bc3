//! `hookgate reload`: has a running gateway read its configuration again.

use clap::Args;

use super::access::{self, Access};
use super::exit::{Failure, OK, UNREACHABLE};
use super::{Global, print, reloader, setup};
use crate::config::Keys;

/// `reload`.
#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Asks for it and says what came of it.
pub(super) async fn run(global: &Global, args: &ReloadArgs) -> Result<u8, Failure> {
    let report = match access::open(&setup::settings(&setup::flags(global), Keys::Leave)?)? {
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
