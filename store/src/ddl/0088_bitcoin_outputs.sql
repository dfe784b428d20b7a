-- Outputs of canonical Bitcoin transactions, each once (rule 17).
-- What goes is hidden from the moment at which that is told (pruned_rows) until all of it is gone: no query sees a part of it.
CREATE OR REPLACE VIEW bitcoin_outputs
(
    transaction_hash  String COMMENT 'Transaction id, 64 hex digits',
    block_hash        String COMMENT 'Hash of the block',
    block_number      UInt64 COMMENT 'Height of the block',
    block_timestamp   DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp, UTC',
    `index`           UInt32 COMMENT 'Position in the transaction, from 0',
    script_hex        String COMMENT 'Its script, hex',
    type              LowCardinality(String) COMMENT 'Bitcoin Core''s word for its script',
    addresses         Array(String) COMMENT 'Its addresses: one, none, or several for a bare multisig',
    value             UInt64 COMMENT 'Satoshi',
    network           LowCardinality(String) COMMENT 'Slug of the network',
    sequence          UInt64 COMMENT 'Sequence of the event that applied the block, the network''s total order',
    transaction_index UInt32 COMMENT 'Position of the transaction in the block',
    is_coinbase       Bool COMMENT 'Whether a coinbase made it',
    height            UInt64 COMMENT 'Same as block_number, as REST calls it',
    block_time        DateTime64(3, 'UTC') COMMENT 'Same as block_timestamp, as REST calls it',
    output_index      UInt32 COMMENT 'Same as index'
)
AS SELECT
    lower(hex(r.transaction_hash)) AS transaction_hash, lower(hex(r.block_hash)) AS block_hash, r.height AS block_number,
    r.block_time AS block_timestamp, r.output_index AS `index`, lower(hex(r.script)) AS script_hex, r.kind AS type,
    r.addresses AS addresses, r.value AS value, r.network AS network, intDiv(r.version, 256) AS sequence,
    r.transaction_index AS transaction_index, toBool(r.is_coinbase) AS is_coinbase, r.height AS height, r.block_time AS block_time,
    r.output_index AS output_index
FROM bitcoin_output_rows AS r FINAL
WHERE (r.network, intDiv(r.height, r.span)) NOT IN
    (SELECT network, arrayJoin(range(first_part, end_part)) FROM pruned_rows FINAL WHERE gone = 0)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is an output of a canonical Bitcoin transaction'
