-- What was there before.
INSERT INTO config_outbox (kind, network, address, revision, published)
SELECT DISTINCT 'watched', network, address, 1, 0 FROM tenant_contracts;
INSERT INTO config_outbox (kind, network, address, revision, published)
SELECT 'contract', network, address, 1, 0 FROM operator_contracts;
INSERT INTO config_outbox (kind, network, address, revision, published)
SELECT 'watched', network, address, 1, 0 FROM operator_contracts WHERE true ON CONFLICT (kind, network, address) DO NOTHING;
