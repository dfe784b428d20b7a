-- What the blocks of a time did, of a network (contract empty) or of a watched contract: windows of a minute, five, an hour and a day
-- (rule 15). Of a window the row of the highest sequence counts, so that a replay changes nothing and a reorg corrects it.
-- Granules are small, by rows and by bytes: what is asked for is an hour or a day of one key, and sketches are its largest part.
-- No height reaches into the key: a partition is the month that the window begins in, which is a function of the key (rule 32).
CREATE TABLE IF NOT EXISTS window_rows
(
    network           LowCardinality(String) COMMENT 'Slug of the network',
    contract          String COMMENT 'Address of the watched contract; empty: the network as a whole' CODEC(ZSTD(1)),
    window_seconds    UInt32 COMMENT 'Length: 60, 300, 3600 or 86400' CODEC(ZSTD(1)),
    window_start      DateTime64(3, 'UTC') COMMENT 'Where it begins' CODEC(Delta, ZSTD(1)),
    sequence          UInt64 COMMENT 'Last event of the network when this was reckoned; a higher one stands' CODEC(ZSTD(1)),
    height            UInt64 COMMENT 'Height of the canonical tip then' CODEC(ZSTD(1)),
    complete          UInt8 COMMENT '1: blocks cover it without a gap, up to one at or past its end' CODEC(ZSTD(1)),
    reason            LowCardinality(String) COMMENT 'Why it is not complete; empty where it is',
    watched_from      Nullable(DateTime64(3, 'UTC')) COMMENT 'Of a contract: from this block time on every block was looked through for it' CODEC(ZSTD(1)),
    blocks            UInt64 COMMENT 'Blocks; of a contract those that touched it' CODEC(ZSTD(1)),
    transactions      UInt64 COMMENT 'Transactions, unreadable ones included' CODEC(ZSTD(1)),
    failed            UInt64 COMMENT 'With status failed' CODEC(ZSTD(1)),
    unknown           UInt64 COMMENT 'With status unknown' CODEC(ZSTD(1)),
    unreadable        UInt64 COMMENT 'That could not be read' CODEC(ZSTD(1)),
    logs              UInt64 COMMENT 'Logs; of a contract its own' CODEC(ZSTD(1)),
    token_transfers   UInt64 COMMENT 'ERC-20 and ERC-721 transfers among these' CODEC(ZSTD(1)),
    contracts_created UInt64 COMMENT 'Contracts created by transactions that did not fail' CODEC(ZSTD(1)),
    contracts_left_out UInt64 COMMENT 'Watched contracts that blocks touched and that their records had no room for' CODEC(ZSTD(1)),
    gas_used          UInt64 COMMENT 'Gas used over receipts' CODEC(ZSTD(1)),
    gas_limit         UInt256 COMMENT 'Gas limits of the blocks; 0 of a contract' CODEC(ZSTD(1)),
    base_fee_sum      UInt256 COMMENT 'Sum of base fees over blocks that have one' CODEC(ZSTD(1)),
    base_fee_count    UInt64 COMMENT 'Blocks in that sum' CODEC(ZSTD(1)),
    base_fee_min      Nullable(UInt256) COMMENT 'Lowest base fee' CODEC(ZSTD(1)),
    base_fee_max      Nullable(UInt256) COMMENT 'Highest base fee' CODEC(ZSTD(1)),
    fee_total         UInt256 COMMENT 'Fees paid in the chain''s own coin' CODEC(ZSTD(1)),
    fee_unknown       UInt64 COMMENT 'Transactions whose fee is not in fee_total' CODEC(ZSTD(1)),
    fees_known        UInt8 COMMENT '1: the next three say all that was paid in tokens' CODEC(ZSTD(1)),
    fee_tokens        Array(FixedString(20)) COMMENT 'Tokens that fees were paid in' CODEC(ZSTD(1)),
    fee_token_totals  Array(UInt256) COMMENT 'What was paid in each, in its smallest unit' CODEC(ZSTD(1)),
    fee_token_counts  Array(UInt64) COMMENT 'Transactions in each' CODEC(ZSTD(1)),
    value_total       UInt256 COMMENT 'Value moved by transactions that did not fail' CODEC(ZSTD(1)),
    gas_price_sum     UInt256 COMMENT 'Sum of effective gas prices over transactions that paid gas' CODEC(ZSTD(1)),
    gas_price_count   UInt64 COMMENT 'Transactions in that sum' CODEC(ZSTD(1)),
    gas_price_min     Nullable(UInt256) COMMENT 'Lowest of these prices' CODEC(ZSTD(1)),
    gas_price_max     Nullable(UInt256) COMMENT 'Highest of these prices' CODEC(ZSTD(1)),
    gas_price_p50     Nullable(UInt256) COMMENT 'Their median' CODEC(ZSTD(1)),
    gas_price_p95     Nullable(UInt256) COMMENT 'Their 95th percentile' CODEC(ZSTD(1)),
    senders           Nullable(UInt64) COMMENT 'Distinct senders, about' CODEC(ZSTD(1)),
    first_height      Nullable(UInt64) COMMENT 'Lowest block; null without one' CODEC(ZSTD(1)),
    first_time        Nullable(DateTime64(3, 'UTC')) COMMENT 'Its time' CODEC(ZSTD(1)),
    last_height       Nullable(UInt64) COMMENT 'Highest block' CODEC(ZSTD(1)),
    last_time         Nullable(DateTime64(3, 'UTC')) COMMENT 'Its time' CODEC(ZSTD(1)),
    price_sketch      Nullable(String) COMMENT 'Distribution of the prices, to be merged; null where it is not known' CODEC(ZSTD(1)),
    sender_sketch     Nullable(String) COMMENT 'Set of the senders, to be merged; null likewise' CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(sequence)
PARTITION BY toYYYYMM(window_start)
ORDER BY (network, contract, window_seconds, window_start)
SETTINGS index_granularity = 1024, index_granularity_bytes = 1048576, fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, min_bytes_for_wide_part = 33554432, vertical_merge_algorithm_min_rows_to_activate = 1, vertical_merge_algorithm_min_columns_to_activate = 1
