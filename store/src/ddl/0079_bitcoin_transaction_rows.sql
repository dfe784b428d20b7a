-- One row per Bitcoin transaction of an applied block, keyed (network, height, transaction_index): two ids occur twice on the main chain
-- (BIP-30), and both rows stand. Unreadable transactions have no row: their block counts them (rule 13).
-- Hashes are stored as bytes, in the order in which they are printed; views show them as text, and the indexes are on the views' own
-- expressions, so that a filter by text uses them. Amounts are in satoshi. Nothing is Nullable: what is not there is empty, and a bit of
-- `present` tells it from what is zero.
CREATE TABLE IF NOT EXISTS bitcoin_transaction_rows
(
    network             LowCardinality(String) COMMENT 'Slug of the network',
    height              UInt64 COMMENT 'Block height' CODEC(Delta, ZSTD(1)),
    transaction_index   UInt32 COMMENT 'Position in the block, from 0; the coinbase is first' CODEC(Delta, ZSTD(1)),
    version             UInt64 COMMENT 'sequence × 256 + revision, deletion rows + 255 (rule 16)' CODEC(Delta, ZSTD(1)),
    is_deleted          UInt8 DEFAULT 0 COMMENT '1: the block was reverted',
    sequence            UInt64 ALIAS intDiv(version, 256) COMMENT 'Sequence of the event that applied the block',
    block_hash          FixedString(32) COMMENT 'Block hash' CODEC(ZSTD(1)),
    block_time          DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp' CODEC(Delta, ZSTD(1)),
    hash                FixedString(32) COMMENT 'Transaction id: hash without witnesses' CODEC(ZSTD(1)),
    wtxid               FixedString(32) COMMENT 'Hash with witnesses, BIP-141' CODEC(ZSTD(1)),
    transaction_version UInt32 COMMENT 'Version of the transaction' CODEC(ZSTD(1)),
    lock_time           UInt32 COMMENT 'A height below 500,000,000, else seconds since 1970' CODEC(ZSTD(1)),
    size                UInt32 COMMENT 'Bytes with witnesses' CODEC(ZSTD(1)),
    weight              UInt32 COMMENT 'Weight units, BIP-141' CODEC(ZSTD(1)),
    virtual_size        UInt32 COMMENT 'Virtual bytes: a quarter of the weight, rounded up' CODEC(ZSTD(1)),
    sigops              UInt32 COMMENT 'Bit 0. Cost of signature operations, BIP-141' CODEC(ZSTD(1)),
    is_coinbase         UInt8 COMMENT 'Whether it is its block''s coinbase',
    segwit              UInt8 COMMENT 'Whether any input carries a witness',
    replaceable         UInt8 COMMENT 'Whether it says that it may be replaced, BIP-125',
    input_count         UInt32 COMMENT 'Inputs; 0 for the coinbase' CODEC(ZSTD(1)),
    output_count        UInt32 COMMENT 'Outputs' CODEC(ZSTD(1)),
    input_value         UInt64 COMMENT 'Bit 1. Sum of what it spends' CODEC(ZSTD(1)),
    output_value        UInt64 COMMENT 'Sum of its outputs' CODEC(ZSTD(1)),
    fee                 UInt64 COMMENT 'Bit 2. What it left to the miner; 0 for the coinbase' CODEC(ZSTD(1)),
    fee_rate            UInt64 COMMENT 'Bit 3. Fee for 1,000 virtual bytes, rounded down' CODEC(ZSTD(1)),
    pool                LowCardinality(String) COMMENT 'On a coinbase: who made the block, where that is known',
    addresses           Array(String) COMMENT 'Addresses of what it spends and of its outputs, each once' CODEC(ZSTD(1)),
    present             UInt8 COMMENT 'Which of the columns with a bit are not null' CODEC(ZSTD(1)),
    span                UInt32 COMMENT 'Heights of one partition of this network (partition_rows); 0 is refused' CODEC(ZSTD(1)),
    INDEX by_hash lower(hex(hash)) TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_wtxid lower(hex(wtxid)) TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_address addresses TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_time block_time TYPE minmax GRANULARITY 1,
    INDEX by_sequence intDiv(version, 256) TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY (network, intDiv(height, span))
ORDER BY (network, height, transaction_index)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, merge_selector_base = 30, max_parts_to_merge_at_once = 64, min_bytes_for_wide_part = 33554432, vertical_merge_algorithm_min_rows_to_activate = 1, vertical_merge_algorithm_min_columns_to_activate = 1
