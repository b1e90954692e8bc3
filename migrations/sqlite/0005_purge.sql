-- What retention works through: queues, oldest first, so that each batch costs what it purges and nothing else.

-- Events whose task ended well, or that got none: perhaps done, with their body. An entry is a hint, judged when it is due by the
-- event's tasks; one of an event that is not done is dropped, as the end of its last task makes another.
CREATE TABLE done (
    -- Wall clock at that end, or at the receipt of an event without tasks, microseconds since the Unix epoch.
    ended_at_us INTEGER NOT NULL,
    -- The event.
    event INTEGER NOT NULL,
    CONSTRAINT done_key PRIMARY KEY (ended_at_us, event)
) STRICT, WITHOUT ROWID;

-- Events whose body is purged. They stay so until their row is purged too: without a body there is no redrive.
CREATE TABLE tombstone (
    -- Wall clock at the later of receipt and the end of its last task, microseconds since the Unix epoch.
    ended_at_us INTEGER NOT NULL,
    -- The event.
    event INTEGER NOT NULL,
    CONSTRAINT tombstone_key PRIMARY KEY (ended_at_us, event)
) STRICT, WITHOUT ROWID;

-- How large the delivery log is. One row, changed in the same commit as the log.
CREATE TABLE log_size (
    -- Always 1.
    id INTEGER PRIMARY KEY,
    -- Bytes of its rows with their index entries and the free space of pages, as far as one can tell without looking.
    bytes INTEGER NOT NULL,
    CONSTRAINT log_size_one CHECK (id = 1)
) STRICT;

INSERT INTO log_size (id, bytes) VALUES (1, 0);
