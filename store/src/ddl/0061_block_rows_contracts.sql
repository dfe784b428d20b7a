-- What a block's transactions did at each watched contract: arrays of equal length, by address. They belong to the block's row, so
-- that a revert takes them back with it and nothing more is written where nothing is watched.
ALTER TABLE block_rows
    ADD COLUMN IF NOT EXISTS contract_addresses    Array(FixedString(20)) COMMENT 'Watched contracts that the block touched' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS contract_transactions Array(UInt32) COMMENT 'Transactions that touched it' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS contract_failed       Array(UInt32) COMMENT 'Those with status failed' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS contract_unknown      Array(UInt32) COMMENT 'Those with status unknown' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS contract_logs         Array(UInt32) COMMENT 'Logs of it' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS contract_gas_used     Array(UInt64) COMMENT 'Gas used by these transactions' CODEC(ZSTD(1))
