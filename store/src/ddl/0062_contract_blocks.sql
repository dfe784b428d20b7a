-- Watched contracts by block, each once (rule 17), from the canonical blocks' rows.
CREATE OR REPLACE VIEW contract_blocks
(
    network         LowCardinality(String) COMMENT 'Slug of the network',
    contract        String COMMENT 'Address of the contract',
    block_number    UInt64 COMMENT 'Height of the block',
    block_hash      String COMMENT 'Hash of the block',
    block_timestamp DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp, UTC',
    transactions    UInt32 COMMENT 'Transactions sent to it, creating it, or with a log of it',
    failed          UInt32 COMMENT 'Transactions of these with status failed',
    unknown         UInt32 COMMENT 'Transactions of these with status unknown',
    logs            UInt32 COMMENT 'Logs of it',
    gas_used        UInt64 COMMENT 'Gas used by these transactions',
    sequence        UInt64 COMMENT 'Sequence of the event that applied the block, the network''s total order',
    height          UInt64 COMMENT 'Same as block_number, as REST calls it',
    block_time      DateTime64(3, 'UTC') COMMENT 'Same as block_timestamp, as REST calls it',
    address         String COMMENT 'Same as contract'
)
AS SELECT
    network, concat('0x', lower(hex(contract_address))) AS contract, height AS block_number, hash AS block_hash,
    block_time AS block_timestamp, transactions, failed, unknown, logs, gas AS gas_used, sequence, height, block_time,
    concat('0x', lower(hex(contract_address))) AS address
FROM block_rows FINAL
ARRAY JOIN
    contract_addresses AS contract_address, contract_transactions AS transactions, contract_failed AS failed,
    contract_unknown AS unknown, contract_logs AS logs, contract_gas_used AS gas
WHERE (network, intDiv(height, span)) NOT IN
    (SELECT network, arrayJoin(range(first_part, end_part)) FROM pruned_rows FINAL WHERE gone = 0)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a watched contract in a canonical block that touched it, from when somebody began to watch it'
