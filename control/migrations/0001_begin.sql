-- What there is from the beginning. One text for both databases: identities are ULIDs as text, times are milliseconds since 1970,
-- documents are JSON as text. A table of tenants' rows has `tenant_id` first in its key, so that a tenant's rows are one range.

-- What belongs to nobody: whether the secret is the right one, whether the first key was made.
CREATE TABLE control_meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE tenants (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    suspended_at BIGINT,
    version BIGINT NOT NULL
);

CREATE TABLE tenant_users (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    user_id TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'editor', 'viewer')),
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);
CREATE INDEX tenant_users_by_user ON tenant_users (user_id);

CREATE TABLE tenant_networks (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    network TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, network)
);

CREATE TABLE tenant_monitors (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    paused_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE tenant_triggers (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    document TEXT NOT NULL,
    sealed TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE tenant_contracts (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    id TEXT NOT NULL,
    network TEXT NOT NULL,
    address TEXT NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    abi TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, network, address)
);
CREATE INDEX tenant_contracts_by_network ON tenant_contracts (tenant_id, network, id);

-- A key is what people see; its secrets are in a table of their own, since a rotated key has two for a while.
CREATE TABLE api_keys (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    id TEXT NOT NULL,
    prefix TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    networks TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE api_key_secrets (
    prefix TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    hash TEXT NOT NULL,
    valid_until BIGINT,
    FOREIGN KEY (tenant_id, key_id) REFERENCES api_keys (tenant_id, id)
);
CREATE INDEX api_key_secrets_by_key ON api_key_secrets (tenant_id, key_id);

-- The head of each tenant's chain, and its time, which never goes back. Whoever changes something of a tenant takes this row first, so that changes of one tenant are one
-- after the other.
CREATE TABLE audit_heads (
    tenant_id TEXT NOT NULL PRIMARY KEY REFERENCES tenants (tenant_id),
    entries BIGINT NOT NULL,
    at BIGINT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE audit_logs (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    entry BIGINT NOT NULL,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    acting_as TEXT NOT NULL,
    ip TEXT,
    request_id TEXT,
    action TEXT NOT NULL,
    resource_kind TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    resource_name TEXT,
    before TEXT,
    after TEXT,
    outcome TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (tenant_id, entry)
);
CREATE INDEX audit_logs_by_actor ON audit_logs (tenant_id, actor_id, entry);
CREATE INDEX audit_logs_by_action ON audit_logs (tenant_id, action, entry);
CREATE INDEX audit_logs_by_resource ON audit_logs (tenant_id, resource_id, entry);
CREATE INDEX audit_logs_by_kind ON audit_logs (tenant_id, resource_kind, entry);
CREATE INDEX audit_logs_by_time ON audit_logs (tenant_id, at, entry);

CREATE TABLE idempotency_keys (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    idempotency_key TEXT NOT NULL,
    action TEXT NOT NULL,
    request TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, idempotency_key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (tenant_id, created_at);

-- What changed and is to be told to the stages: keys only, one row for each thing, so that it is no longer than what there is.
CREATE TABLE outbox (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    published BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, kind, id)
);

-- The tenant of a deployment that has no others.
INSERT INTO tenants (tenant_id, slug, name, created_at, suspended_at, version)
VALUES ('00000000000000000000000000', 'default', 'default', 0, NULL, 1);
INSERT INTO audit_heads (tenant_id, entries, at, hash) VALUES ('00000000000000000000000000', 0, 0, '');
