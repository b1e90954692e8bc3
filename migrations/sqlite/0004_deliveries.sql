-- The delivery log. Best effort and bounded: nothing else depends on it.

-- Sorted by delivery id, which sorts by the time of receipt.
CREATE TABLE delivery (
    -- Our id of the delivery, 16 bytes of a version 7 uuid.
    delivery_id BLOB NOT NULL,
    -- Wall clock at its head, microseconds since the Unix epoch.
    received_at_us INTEGER NOT NULL,
    -- The source that it came to.
    source_id INTEGER NOT NULL,
    -- The event that it is about; none where it was rejected, or where the event is gone.
    event INTEGER,
    -- That event's id, which outlives the event here.
    event_id TEXT,
    -- What it turned out to be.
    verdict TEXT NOT NULL,
    -- The status that it was answered.
    status INTEGER NOT NULL,
    -- Why, where that needs a reason.
    reason TEXT,
    -- 1 where its body was not the first one's.
    body_differs INTEGER NOT NULL,
    -- 1 where its signed content had come before under another id.
    signature_seen_before INTEGER NOT NULL,
    -- From the head to the answer, in microseconds.
    duration_us INTEGER NOT NULL,
    -- SHA-256 of its body, where it was read.
    body_digest BLOB,
    -- SHA-256 of its signed content, where it was checked.
    signed_digest BLOB,
    -- The first 8 bytes of it where the replay guard looks at the row: a first delivery whose id is not signed.
    guard_key INTEGER,
    CONSTRAINT delivery_key PRIMARY KEY (delivery_id),
    CONSTRAINT delivery_id_bytes CHECK (length(delivery_id) = 16),
    CONSTRAINT delivery_verdict CHECK (verdict IN ('first', 'duplicate', 'conflict', 'rejected', 'handshake'))
) STRICT, WITHOUT ROWID;

-- The deliveries of one event.
CREATE INDEX delivery_event ON delivery (event) WHERE event IS NOT NULL;

-- The replay guard's question. Digests are random and cost a page each, so the index is short and holds only rows that can be asked for.
CREATE INDEX delivery_signed ON delivery (guard_key) WHERE guard_key IS NOT NULL;
