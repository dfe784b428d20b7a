ALTER TABLE tenant_definitions ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_definitions FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenant_definitions
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
CREATE POLICY of_publisher ON tenant_definitions FOR SELECT USING (current_setting('headwater.publisher', true) = 'on');
ALTER TABLE ack_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE ack_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON ack_tokens
    USING (tenant_id = current_setting('headwater.tenant', true))
    WITH CHECK (tenant_id = current_setting('headwater.tenant', true));
