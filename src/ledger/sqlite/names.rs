//! The numbers of sources and handlers, remembered so that a claim need not ask for them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::row::parsed;
use super::sql;
use crate::model::{HandlerName, SourceName};

/// What the writer knows by heart. A number made in a transaction counts only once that is committed.
#[derive(Debug, Default)]
pub(super) struct Names {
    sources: HashMap<SourceName, i64>,
    handlers: HashMap<HandlerName, i64>,
    handler_names: HashMap<i64, HandlerName>,
    made: bool,
}

impl Names {
    /// The number of a source; made where it has none.
    pub(super) fn source(&mut self, conn: &Connection, name: &SourceName) -> rusqlite::Result<i64> {
        if let Some(id) = self.sources.get(name) {
            return Ok(*id);
        }
        self.made |= conn.prepare_cached(sql::ADD_SOURCE)?.execute((name.as_str(), ""))? > 0;
        let id = conn.prepare_cached(sql::SOURCE)?.query_row([name.as_str()], |row| row.get(0))?;
        self.sources.insert(name.clone(), id);
        Ok(id)
    }

    /// The number of a handler; made where it has none.
    pub(super) fn handler(&mut self, conn: &Connection, name: &HandlerName) -> rusqlite::Result<i64> {
        if let Some(id) = self.find_handler(conn, name)? {
            return Ok(id);
        }
        self.made |= conn.prepare_cached(sql::ADD_HANDLER)?.execute([name.as_str()])? > 0;
        let id = conn.prepare_cached(sql::HANDLER)?.query_row([name.as_str()], |row| row.get(0))?;
        self.remember(name.clone(), id);
        Ok(id)
    }

    /// The number of a handler, where it has one.
    pub(super) fn find_handler(&mut self, conn: &Connection, name: &HandlerName) -> rusqlite::Result<Option<i64>> {
        if let Some(id) = self.handlers.get(name) {
            return Ok(Some(*id));
        }
        let id = conn.prepare_cached(sql::HANDLER)?.query_row([name.as_str()], |row| row.get(0)).optional()?;
        if let Some(id) = id {
            self.remember(name.clone(), id);
        }
        Ok(id)
    }

    /// The handler of a number.
    pub(super) fn handler_name(&mut self, conn: &Connection, id: i64) -> rusqlite::Result<HandlerName> {
        if let Some(name) = self.handler_names.get(&id) {
            return Ok(name.clone());
        }
        let name = conn.prepare_cached(sql::HANDLER_NAME)?.query_row([id], |row| parsed(row, 0, HandlerName::parse))?;
        self.remember(name.clone(), id);
        Ok(name)
    }

    fn remember(&mut self, name: HandlerName, id: i64) {
        self.handler_names.insert(id, name.clone());
        self.handlers.insert(name, id);
    }

    /// What was made since the last commit is on disk.
    pub(super) const fn committed(&mut self) {
        self.made = false;
    }

    /// A savepoint was undone, and names with it perhaps. All is forgotten then: it is asked for again, and that is rare.
    pub(super) fn undone(&mut self) {
        if self.made {
            *self = Self { made: true, ..Self::default() };
        }
    }

    /// The whole transaction is gone.
    pub(super) fn rolled_back(&mut self) {
        self.undone();
        self.made = false;
    }
}
