-- The operator's contracts, as the configuration file has them: nobody's, shown to every tenant.
CREATE TABLE operator_contracts (
    id TEXT NOT NULL PRIMARY KEY,
    network TEXT NOT NULL,
    address TEXT NOT NULL,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    abi TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (network, address)
);
CREATE INDEX operator_contracts_by_network ON operator_contracts (network, id);

-- When a key was last changed; of those that were not since they were made, nothing.
ALTER TABLE api_keys ADD COLUMN updated_at BIGINT;
