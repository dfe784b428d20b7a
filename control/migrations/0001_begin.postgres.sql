-- The second wall: whatever the text of a statement, a transaction sees the rows of the tenant that it was opened for, and no others.
-- Forced, so that it holds for the tables' owner too. A setting that was never made is NULL, one that ended with its transaction is '':
-- neither is a tenant.
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenants
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE tenant_users ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_users FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant_users
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE tenant_networks ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_networks FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant_networks
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE tenant_monitors ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_monitors FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant_monitors
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE tenant_triggers ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_triggers FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant_triggers
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE tenant_contracts ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_contracts FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant_contracts
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON api_keys
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE api_key_secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_key_secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON api_key_secrets
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON audit_heads
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_logs FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON audit_logs
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON idempotency_keys
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON outbox
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
-- Whoever comes with a key has no tenant yet: the row of that one prefix tells it.
CREATE POLICY of_prefix ON api_key_secrets FOR SELECT USING (prefix = current_setting('headwater.prefix', true));
-- An operator sees which tenants there are, and nothing else of them.
CREATE POLICY of_operator ON tenants FOR SELECT USING (current_setting('headwater.operator', true) = 'on');
