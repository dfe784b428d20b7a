-- When the organisation that is asked for was deleted is found by age.
CREATE INDEX tenant_tombstones_by_age ON tenant_tombstones (deleted_at, tenant_id);
