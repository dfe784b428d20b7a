-- The publisher reads what changed of every tenant, marks it as published, and asks whether anybody calls an address his own.
CREATE POLICY of_publisher ON outbox
    USING (current_setting('headwater.publisher', true) = 'on')
    WITH CHECK (current_setting('headwater.publisher', true) = 'on');
CREATE POLICY of_publisher ON tenant_contracts FOR SELECT USING (current_setting('headwater.publisher', true) = 'on');

-- What was there before, which the owner sees only while row-level security is not forced on him.
ALTER TABLE tenant_contracts NO FORCE ROW LEVEL SECURITY;
INSERT INTO config_outbox (kind, network, address, revision, published)
SELECT DISTINCT 'watched', network, address, 1, 0 FROM tenant_contracts;
ALTER TABLE tenant_contracts FORCE ROW LEVEL SECURITY;
INSERT INTO config_outbox (kind, network, address, revision, published)
SELECT 'contract', network, address, 1, 0 FROM operator_contracts;
INSERT INTO config_outbox (kind, network, address, revision, published)
SELECT 'watched', network, address, 1, 0 FROM operator_contracts ON CONFLICT (kind, network, address) DO NOTHING;
