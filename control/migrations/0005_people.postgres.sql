ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON invitations
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE tenant_quotas ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_quotas FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant_quotas
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE tenant_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_usage FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant_usage
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
ALTER TABLE tenant_exports ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_exports FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant_exports
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
-- Whoever comes with an invitation has no tenant yet: the row of that one hash tells it.
CREATE POLICY of_hash ON invitations FOR SELECT USING (hash = current_setting('headwater.invitation', true));
-- A person sees where he is a member, and which organisations these are.
CREATE POLICY of_user ON tenant_users FOR SELECT USING (user_id = current_setting('headwater.user', true));
CREATE POLICY of_user ON tenants FOR SELECT USING (EXISTS (
    SELECT 1 FROM tenant_users u
    WHERE u.tenant_id = tenants.tenant_id AND u.user_id = current_setting('headwater.user', true)
));
-- An operator sees how many are in an organisation, and who.
CREATE POLICY of_operator ON tenant_users FOR SELECT USING (current_setting('headwater.operator', true) = 'on');
-- People, their identities and sessions, resets, attempts, signing keys, plans and tombstones belong to no tenant: no policy holds for them.
