-- Canonical logs, each once, under the names of ethereum-etl (rule 17).
CREATE OR REPLACE VIEW evm_logs
(
    network           LowCardinality(String) COMMENT 'Slug of the network',
    log_index         UInt32 COMMENT 'Position of the log in the block',
    transaction_hash  String COMMENT 'Transaction hash',
    transaction_index UInt32 COMMENT 'Position of the transaction in the block',
    address           String COMMENT 'Emitting contract',
    data              String COMMENT 'Data that is not indexed, hex',
    topics            Array(String) COMMENT 'Up to four topics; the first is the event''s signature hash',
    block_number      UInt64 COMMENT 'Height of the block',
    block_timestamp   DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp, UTC',
    block_hash        String COMMENT 'Hash of the block',
    event             LowCardinality(Nullable(String)) COMMENT 'Signature of the event, where known',
    arguments         Nullable(String) COMMENT 'JSON object of the arguments by name, where known',
    sequence          UInt64 COMMENT 'Sequence of the event that applied the block, the network''s total order',
    height            UInt64 COMMENT 'Same as block_number, as REST calls it',
    block_time        DateTime64(3, 'UTC') COMMENT 'Same as block_timestamp, as REST calls it'
)
AS SELECT
    network, log_index, transaction_hash, transaction_index, address, data, topics, height AS block_number,
    block_time AS block_timestamp, block_hash, event, arguments, sequence,
    height, block_time
FROM evm_log_rows FINAL
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a log (an event that a contract emitted) of a canonical transaction, under the names of ethereum-etl'
