-- Since when an organisation is being made of a document, and was last worked on; of all others NULL. Until it is whole, it counts as suspended.
ALTER TABLE tenants ADD COLUMN importing_at BIGINT;
-- What came to no end is looked for every few seconds.
CREATE INDEX tenants_importing ON tenants (importing_at) WHERE importing_at IS NOT NULL;
