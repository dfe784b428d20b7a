-- What the stages are still to be told of a tenant outlives the tenant: its removals.
CREATE TABLE outbox_of_all (
    tenant_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    published BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, kind, id)
);
INSERT INTO outbox_of_all (tenant_id, kind, id, revision, published) SELECT tenant_id, kind, id, revision, published FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_of_all RENAME TO outbox;
CREATE INDEX outbox_unpublished ON outbox (kind, tenant_id, id) WHERE published < revision;

-- Entries of the audit stay, but those of a tenant that was deleted, once the head of their chain stands in its tombstone; and that stays.
DROP TRIGGER audit_logs_stay_there;
CREATE TRIGGER audit_logs_stay_there BEFORE DELETE ON audit_logs
WHEN NOT EXISTS (SELECT 1 FROM tenant_tombstones WHERE tenant_id = OLD.tenant_id)
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit are never deleted');
END;
CREATE TRIGGER tenant_tombstones_stay BEFORE UPDATE OF tenant_id, name, deleted_at, audit_entries, audit_hash ON tenant_tombstones
BEGIN
    SELECT RAISE(ABORT, 'what is kept of a deleted organisation is never changed');
END;
CREATE TRIGGER tenant_tombstones_stay_there BEFORE DELETE ON tenant_tombstones
BEGIN
    SELECT RAISE(ABORT, 'what is kept of a deleted organisation is never deleted');
END;
