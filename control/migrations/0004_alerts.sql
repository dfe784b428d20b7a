-- Rules, monitors, channels and silences: one table, since they are read, changed and published alike. What they say is JSON that
-- `conditions` wrote, and without secrets; those are in `sealed`.
CREATE TABLE tenant_definitions (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    kind TEXT NOT NULL CHECK (kind IN ('rule', 'monitor', 'channel', 'silence')),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    sealed TEXT,
    disabled TEXT,
    unindexed BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, kind, id),
    UNIQUE (tenant_id, kind, name)
);

-- Links of messages that were used, until their time is over anyway.
CREATE TABLE ack_tokens (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    mark TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, mark)
);
CREATE INDEX ack_tokens_by_age ON ack_tokens (tenant_id, expires_at);

-- They were never written.
DROP TABLE tenant_monitors;
DROP TABLE tenant_triggers;
