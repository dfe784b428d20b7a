-- Canonical logs, each once, under the names of ethereum-etl (rule 17).
-- What goes is hidden from the moment at which that is told (pruned_rows) until all of it is gone: no query sees a part of it.
-- Ordinarily nothing goes, and the set is empty.
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
    event             LowCardinality(Nullable(String)) COMMENT 'Signature of the event with names and indexed, where known',
    arguments         Nullable(String) COMMENT 'JSON object of the arguments by name, where known',
    sequence          UInt64 COMMENT 'Sequence of the event that applied the block, the network''s total order',
    height            UInt64 COMMENT 'Same as block_number, as REST calls it',
    block_time        DateTime64(3, 'UTC') COMMENT 'Same as block_timestamp, as REST calls it'
)
AS SELECT
    r.network AS network,
    r.log_index AS log_index,
    concat('0x', lower(hex(r.transaction_hash))) AS transaction_hash,
    r.transaction_index AS transaction_index,
    concat('0x', lower(hex(r.address))) AS address,
    concat('0x', lower(hex(r.data))) AS data,
    arrayMap(x -> concat('0x', lower(hex(x))), r.topics) AS topics,
    r.height AS block_number,
    r.block_time AS block_timestamp,
    concat('0x', lower(hex(r.block_hash))) AS block_hash,
    CAST(nullIf(r.event, ''), 'LowCardinality(Nullable(String))') AS event,
    nullIf(r.arguments, '') AS arguments,
    intDiv(r.version, 256) AS sequence,
    r.height AS height,
    r.block_time AS block_time
FROM evm_log_rows AS r FINAL
WHERE (r.network, intDiv(r.height, r.span)) NOT IN
    (SELECT network, arrayJoin(range(first_part, end_part)) FROM pruned_rows FINAL WHERE gone = 0)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a log (an event that a contract emitted) of a canonical transaction, under the names of ethereum-etl'
