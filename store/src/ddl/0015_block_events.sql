-- Every block event, each once, reverts too: that nothing is missing is a query over sequence (rule 17).
CREATE OR REPLACE VIEW block_events
(
    network           LowCardinality(String) COMMENT 'Slug of the network',
    sequence          UInt64 COMMENT 'The network''s total order, gapless',
    op                LowCardinality(String) COMMENT 'apply or revert',
    origin            LowCardinality(String) COMMENT 'live or backfill',
    height            UInt64 COMMENT 'Height of the block',
    block_hash        String COMMENT 'Hash of the block',
    tx_count          UInt32 COMMENT 'Transactions; 0 on reverts',
    log_count         UInt32 COMMENT 'Logs; 0 on reverts',
    reverts_sequence  Nullable(UInt64) COMMENT 'On a revert: the sequence of the event that it undoes',
    observed_at       DateTime64(3, 'UTC') COMMENT 'When Headwater first saw the block, UTC',
    stored_at         DateTime64(3, 'UTC') COMMENT 'When the row was written and became visible, UTC',
    block_time        DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp, UTC',
    number            UInt64 COMMENT 'Same as height, as other views call it',
    block_number      UInt64 COMMENT 'Same as height, as other views call it',
    timestamp         DateTime64(3, 'UTC') COMMENT 'Same as block_time, as other views call it',
    block_timestamp   DateTime64(3, 'UTC') COMMENT 'Same as block_time, as other views call it',
    hash              String COMMENT 'Same as block_hash, as REST calls it',
    transaction_count UInt32 COMMENT 'Same as tx_count, as other views call it'
)
AS SELECT
    network, sequence, op, origin, height, block_hash, tx_count, log_count, reverts_sequence, observed_at, stored_at,
    block_time,
    height AS number, height AS block_number, block_time AS timestamp, block_time AS block_timestamp, block_hash AS hash,
    tx_count AS transaction_count
FROM block_event_rows FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1
COMMENT 'A row is a block event, reverts too; sequence runs 1, 2, 3 … in each network without a gap'
