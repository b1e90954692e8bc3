-- Events: the claim, what the provider was told, and the body.

-- One row for each event that was claimed. Where it stands is derived from its tasks, never stored.
CREATE TABLE event (
    -- Number of the event in this database.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The id of its first delivery, 16 bytes of a version 7 uuid: the name of the event outside the database.
    key BLOB NOT NULL,
    -- The source that it came to.
    source_id INTEGER NOT NULL,
    -- Its id within the source.
    event_id TEXT NOT NULL,
    -- The id as received, where it had to be replaced by a digest.
    event_id_received TEXT,
    -- Its type, `unknown` where it could not be read.
    event_type TEXT NOT NULL,
    -- Where in the request the id stands.
    id_from TEXT NOT NULL,
    -- The id of the check that decided.
    check_id TEXT NOT NULL,
    -- The fingerprint of the secret that matched.
    secret TEXT,
    -- Wall clock at the head of its first delivery, microseconds since the Unix epoch.
    received_at_us INTEGER NOT NULL,
    -- SHA-256 of the first body as received.
    body_digest BLOB NOT NULL,
    -- Size of the body in bytes; it stays when the body is purged.
    body_bytes INTEGER NOT NULL,
    -- Status of the recorded acknowledgement.
    ack_status INTEGER NOT NULL,
    -- Headers of the recorded acknowledgement, a JSON list of pairs; none where there are none.
    ack_headers TEXT,
    -- Body of the recorded acknowledgement.
    ack_body BLOB NOT NULL,
    -- Why the event got no task at its claim: `no-handler` or `ignored`.
    reason TEXT,
    CONSTRAINT event_key_bytes CHECK (length(key) = 16),
    CONSTRAINT event_id_bytes CHECK (length(event_id) BETWEEN 1 AND 255),
    CONSTRAINT event_body_digest_bytes CHECK (length(body_digest) = 32)
) STRICT;

-- THE rule of the store: at most one claim for each event of a source. Who is first is decided by this index alone.
CREATE UNIQUE INDEX event_identity ON event (source_id, event_id);

CREATE UNIQUE INDEX event_key ON event (key);

-- Headers and body of the first delivery, apart from the event because they are purged before it.
CREATE TABLE payload (
    -- The event.
    event INTEGER PRIMARY KEY,
    -- The kept headers, a JSON list of pairs.
    headers TEXT NOT NULL,
    -- The body as received.
    body BLOB NOT NULL
) STRICT;
