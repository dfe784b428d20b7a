-- What is everybody's and is to be told to the stages, as `outbox` is of a tenant's things: one row for each key that ever was. It names
-- an address, and nothing of who calls it his own.
CREATE TABLE config_outbox (
    kind TEXT NOT NULL,
    network TEXT NOT NULL,
    address TEXT NOT NULL,
    revision BIGINT NOT NULL,
    published BIGINT NOT NULL,
    PRIMARY KEY (kind, network, address)
);
CREATE INDEX config_outbox_unpublished ON config_outbox (kind, network, address) WHERE published < revision;
CREATE INDEX outbox_unpublished ON outbox (kind, tenant_id, id) WHERE published < revision;
-- Whether anybody calls an address his own.
CREATE INDEX tenant_contracts_by_address ON tenant_contracts (network, address);

-- Who does what only one process may do, and how often it has said so: a number that rises, so that no clocks are compared.
CREATE TABLE control_leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    beat BIGINT NOT NULL
);
INSERT INTO control_leases (name, holder, beat) VALUES ('publisher', '', 0);
