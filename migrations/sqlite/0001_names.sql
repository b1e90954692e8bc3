-- What the database is, and the names that other tables refer to by number.

-- Facts about the database itself.
CREATE TABLE meta (
    -- Which fact.
    name TEXT NOT NULL,
    -- Its value: of `database-id` a uuid as text.
    value TEXT NOT NULL,
    CONSTRAINT meta_name PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;

-- Sources that ever had an event or a delivery.
CREATE TABLE source (
    -- Number of the source in this database.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The operator's name for it.
    name TEXT NOT NULL,
    -- Its provider at the last start.
    provider TEXT NOT NULL,
    CONSTRAINT source_name UNIQUE (name)
) STRICT;

-- Handlers that ever had a task or a pause.
CREATE TABLE handler (
    -- Number of the handler in this database.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The operator's name for it.
    name TEXT NOT NULL,
    -- When an operator paused it, by the ledger's own clock; none while it is called.
    paused_at_us INTEGER,
    CONSTRAINT handler_name UNIQUE (name)
) STRICT;
