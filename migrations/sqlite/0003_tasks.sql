-- Tasks: one handler's share of one event, and every call that was made for it.

CREATE TABLE task (
    -- Number of the task. Never used again, as a lease may outlive the row.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The event.
    event INTEGER NOT NULL,
    -- The event's source, so that a handler's work can be shared out among its sources.
    source_id INTEGER NOT NULL,
    -- The handler that is to get it.
    handler_id INTEGER NOT NULL,
    -- Where it stands.
    state TEXT NOT NULL,
    -- Calls so far, the running one included. Goes on after a redrive.
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Calls of the present schedule. Begins anew with a redrive.
    tries INTEGER NOT NULL DEFAULT 0,
    -- How often it was redriven.
    redrives INTEGER NOT NULL DEFAULT 0,
    -- The fence: raised with each lease, and a result counts only with the newest.
    claim_seq INTEGER NOT NULL DEFAULT 0,
    -- When it is due (pending) or its lease ends (running), by the ledger's own clock; none once it has ended.
    due_at_us INTEGER,
    -- How long it waits: the delay (pending) or the lease (running), in microseconds. A restart counts it anew.
    delay_us INTEGER NOT NULL DEFAULT 0,
    -- When it was leased last, by the ledger's own clock.
    leased_at_us INTEGER,
    -- Why it was given up.
    reason TEXT,
    -- Wall clock when it was done, given up or discarded, microseconds since the Unix epoch: retention counts from here.
    ended_at_us INTEGER,
    -- Who discarded it, as the caller said.
    discarded_by TEXT,
    -- Why it was discarded.
    discarded_why TEXT,
    CONSTRAINT task_once_a_handler UNIQUE (event, handler_id),
    CONSTRAINT task_state CHECK (state IN ('pending', 'running', 'done', 'dead', 'discarded')),
    CONSTRAINT task_due_while_open CHECK ((state IN ('pending', 'running')) = (due_at_us IS NOT NULL)),
    CONSTRAINT task_discarded_with_a_word CHECK (
        (state = 'discarded') = (discarded_by IS NOT NULL) AND (state = 'discarded') = (discarded_why IS NOT NULL)
    )
) STRICT;

-- Open tasks of a handler, source by source, longest due first.
CREATE INDEX task_due ON task (handler_id, source_id, due_at_us) WHERE state IN ('pending', 'running');

-- Work in hand, so that a start finds it among any number of waiting tasks.
CREATE INDEX task_running ON task (id) WHERE state = 'running';

-- What was given up, so that operators find it among any number of events.
CREATE INDEX task_dead ON task (event) WHERE state = 'dead';

CREATE TABLE attempt (
    -- The task.
    task INTEGER NOT NULL,
    -- 1, 2, ...
    number INTEGER NOT NULL,
    -- When it began, microseconds since the Unix epoch.
    started_at_us INTEGER NOT NULL,
    -- How long it took, in microseconds; none of a lost one.
    duration_us INTEGER,
    -- `answered`, `timed-out`, `broken`, `unsent` or `lost`; of a command also `exited`, `signalled` or `stopped`; of a closure
    -- `succeeded`, `failed` or `refused`.
    outcome TEXT NOT NULL,
    -- The status that the handler answered.
    status INTEGER,
    -- What went wrong, for people.
    error TEXT,
    -- The command's exit code.
    exit_code INTEGER,
    -- The signal that ended the command.
    signal INTEGER,
    -- The end of what the command wrote to stdout and stderr.
    output TEXT,
    -- How many bytes it wrote.
    output_bytes INTEGER,
    CONSTRAINT attempt_number PRIMARY KEY (task, number)
) STRICT, WITHOUT ROWID;
