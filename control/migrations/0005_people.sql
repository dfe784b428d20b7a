-- People, their organisations, and what these may use.

-- People belong to nobody: one person is in several organisations. `password` is an argon2id hash (PHC string); `totp` is sealed, and
-- `totp_step` is the last step that was used. Whoever raises `generation` ends every session of that person.
CREATE TABLE users (
    user_id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password TEXT,
    totp TEXT,
    totp_step BIGINT NOT NULL DEFAULT 0,
    generation BIGINT NOT NULL DEFAULT 0,
    platform BIGINT NOT NULL DEFAULT 0 CHECK (platform IN (0, 1)),
    verified_at BIGINT,
    disabled_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX users_by_platform ON users (platform, user_id);

-- Who somebody is at a provider: by what the provider calls him, never by his e-mail.
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_by_user ON identities (user_id, issuer, subject);

-- The organisations of a person are a range, in their order.
DROP INDEX tenant_users_by_user;
CREATE INDEX tenant_users_by_user ON tenant_users (user_id, tenant_id);
CREATE INDEX tenant_users_by_role ON tenant_users (tenant_id, role, user_id);

ALTER TABLE tenants ADD COLUMN plan TEXT NOT NULL DEFAULT 'default';
ALTER TABLE tenants ADD COLUMN deleting_at BIGINT;
ALTER TABLE tenants ADD COLUMN suspended_reason TEXT;

-- One for each address: who is invited again gets another token. The token is kept as a keyed hash.
CREATE TABLE invitations (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'editor', 'viewer')),
    hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, email)
);

-- A person's sessions. `counter` is the number of the refresh token that is good.
CREATE TABLE sessions (
    session_id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    generation BIGINT NOT NULL,
    counter BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX sessions_by_user ON sessions (user_id, session_id);
CREATE INDEX sessions_by_tenant ON sessions (tenant_id, session_id);
CREATE INDEX sessions_by_end ON sessions (ends_at);

CREATE TABLE password_resets (
    hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (user_id),
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX password_resets_by_user ON password_resets (user_id);
CREATE INDEX password_resets_by_age ON password_resets (expires_at);

-- How often somebody failed to sign in, by account and by address.
CREATE TABLE sign_in_attempts (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX sign_in_attempts_by_age ON sign_in_attempts (last_at);

-- Keys that sign access tokens; the private half is sealed.
CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    sealed TEXT NOT NULL,
    public TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retires_at BIGINT NOT NULL
);

-- What an organisation may use (no maximum: as much as it likes), and what it uses now.
CREATE TABLE tenant_quotas (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    name TEXT NOT NULL,
    maximum BIGINT,
    used BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

-- What it used in a time.
CREATE TABLE tenant_usage (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    name TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name, period_start)
);

CREATE TABLE plans (
    name TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE tenant_exports (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    finished_at BIGINT,
    rows BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0,
    problem TEXT,
    PRIMARY KEY (tenant_id, id)
);

-- What is left of an organisation that was deleted: it refers to nothing.
CREATE TABLE tenant_tombstones (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    deleted_at BIGINT NOT NULL,
    audit_entries BIGINT NOT NULL,
    audit_hash TEXT NOT NULL,
    proof TEXT NOT NULL
);
