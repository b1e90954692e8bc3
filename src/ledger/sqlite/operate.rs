//! What operators set that is no event's: pauses of handlers, providers of sources.

use super::command::{Fault, Tx};
use super::sql;
use crate::model::{HandlerName, SourceName};

/// See [`crate::ledger::Ledger::pause`].
pub(super) fn pause(tx: &mut Tx<'_>, handler: &HandlerName, paused: bool) -> Result<bool, Fault> {
    let changed = if paused {
        let id = tx.names.handler(tx.conn, handler)?;
        tx.execute(sql::PAUSE, [id, tx.now_us])?
    } else {
        let Some(id) = tx.names.find_handler(tx.conn, handler)? else { return Ok(false) };
        tx.execute(sql::RESUME, [id])?
    };
    Ok(changed > 0)
}

/// See [`crate::ledger::Ledger::name_providers`].
pub(super) fn name_providers(tx: &mut Tx<'_>, sources: &[(SourceName, String)]) -> Result<(), Fault> {
    for (source, provider) in sources {
        tx.names.source(tx.conn, source)?;
        tx.execute(sql::SET_PROVIDER, (source.as_str(), provider))?;
    }
    Ok(())
}
