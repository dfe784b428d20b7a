-- How far facts about contracts were known when the block's records were made.
ALTER TABLE block_rows
    ADD COLUMN IF NOT EXISTS facts_position Nullable(UInt64) COMMENT 'Offset in contract.facts before which all facts were used' CODEC(ZSTD(1))
