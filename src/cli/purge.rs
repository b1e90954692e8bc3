//! `hookgate purge`: all of retention at once, now.

use super::access;
use super::exit::{Failure, NO, OK};
use super::{Global, PurgeArgs, print, setup};
use crate::config::Keys;

/// Purges what was kept long enough, and says what that was.
pub(super) async fn run(global: &Global, args: &PurgeArgs) -> Result<u8, Failure> {
    let settings = setup::settings(&setup::flags(global), Keys::Leave)?;
    let access = access::open(&settings)?;
    let purged = access.purge(&settings).await?;
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
