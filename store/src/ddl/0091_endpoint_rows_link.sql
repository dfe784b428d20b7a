-- The way to an endpoint, as its observer holds it; empty where there is nothing to tell.
ALTER TABLE endpoint_rows
    ADD COLUMN IF NOT EXISTS protocol  LowCardinality(String) COMMENT 'What is spoken with it: electrum tcp, electrum tls, core rpc or core rest',
    ADD COLUMN IF NOT EXISTS software  String COMMENT 'What it says that it is',
    ADD COLUMN IF NOT EXISTS sockets   Nullable(UInt32) COMMENT 'Connections that are held open to it',
    ADD COLUMN IF NOT EXISTS in_flight Nullable(UInt32) COMMENT 'Requests that it has not answered yet'
