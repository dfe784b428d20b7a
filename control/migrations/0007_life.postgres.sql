-- What the stages are still to be told of a tenant outlives the tenant: its removals.
ALTER TABLE outbox DROP CONSTRAINT outbox_tenant_id_fkey;

-- The publisher asks whether a tenant is suspended.
CREATE POLICY of_publisher ON tenants FOR SELECT USING (current_setting('headwater.publisher', true) = 'on');

-- Who works may not delete what keys did and what was done; that is done here, and only for a tenant that is being deleted and of which
-- the tombstone, with the head of its audit, stands. Row-level security holds inside, too: it is the tenant of this transaction or nothing.
-- Says how many rows it deleted; the tenant's own row goes last, when there is nothing else.
CREATE OR REPLACE FUNCTION bury_tenant(buried TEXT, most BIGINT) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    gone BIGINT;
    rest BIGINT;
    alone BOOLEAN := NOT has_table_privilege(current_user, 'audit_logs', 'DELETE');
BEGIN
    IF NOT EXISTS (SELECT 1 FROM tenant_tombstones t JOIN tenants o ON o.tenant_id = t.tenant_id
            WHERE t.tenant_id = buried AND o.deleting_at IS NOT NULL) THEN
        RAISE EXCEPTION 'permission denied: this tenant is not being deleted, or its tombstone is missing';
    END IF;
    IF alone THEN
        EXECUTE format('GRANT DELETE ON audit_logs TO %I', current_user);
    END IF;
    DELETE FROM audit_logs WHERE tenant_id = buried AND entry IN
        (SELECT entry FROM audit_logs WHERE tenant_id = buried ORDER BY entry LIMIT most);
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF alone THEN
        EXECUTE format('REVOKE DELETE ON audit_logs FROM %I', current_user);
    END IF;
    IF gone < most THEN
        DELETE FROM api_key_secrets WHERE tenant_id = buried;
        GET DIAGNOSTICS rest = ROW_COUNT;
        gone := gone + rest;
        DELETE FROM api_keys WHERE tenant_id = buried;
        GET DIAGNOSTICS rest = ROW_COUNT;
        gone := gone + rest;
        DELETE FROM audit_heads WHERE tenant_id = buried;
        DELETE FROM tenants WHERE tenant_id = buried;
    END IF;
    RETURN gone;
END $$;
