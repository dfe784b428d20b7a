-- Inputs of canonical Bitcoin transactions, each once (rule 17), with what they spend; a coinbase has none here, as in the public datasets.
-- What goes is hidden from the moment at which that is told (pruned_rows) until all of it is gone: no query sees a part of it.
CREATE OR REPLACE VIEW bitcoin_inputs
(
    transaction_hash       String COMMENT 'Transaction id, 64 hex digits',
    block_hash             String COMMENT 'Hash of the block',
    block_number           UInt64 COMMENT 'Height of the block',
    block_timestamp        DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp, UTC',
    `index`                UInt32 COMMENT 'Position in the transaction, from 0',
    spent_transaction_hash String COMMENT 'Id of the transaction whose output it spends',
    spent_output_index     UInt32 COMMENT 'Position of that output',
    script_hex             String COMMENT 'Its script, hex',
    input_sequence         UInt32 COMMENT 'Its sequence number, BIP-68 and BIP-125',
    type                   LowCardinality(Nullable(String)) COMMENT 'Bitcoin Core''s word for the script of what it spends; null where that is not known',
    addresses              Array(String) COMMENT 'Addresses of that script: one, none, or several for a bare multisig',
    value                  Nullable(UInt64) COMMENT 'What it spends, satoshi; null where that is not known',
    network                LowCardinality(String) COMMENT 'Slug of the network',
    sequence               UInt64 COMMENT 'Sequence of the event that applied the block, the network''s total order',
    transaction_index      UInt32 COMMENT 'Position of the transaction in the block',
    spent_script_hex       Nullable(String) COMMENT 'The script of what it spends, hex; null where that is not known',
    spent_block_number     Nullable(UInt32) COMMENT 'Height of the block that made what it spends; null where that is not known',
    witness                Array(String) COMMENT 'Its witness, item by item, hex',
    envelope               Nullable(String) COMMENT 'Media type of an inscription that its witness reveals, empty where it names none; null without one',
    height                 UInt64 COMMENT 'Same as block_number, as REST calls it',
    block_time             DateTime64(3, 'UTC') COMMENT 'Same as block_timestamp, as REST calls it',
    input_index            UInt32 COMMENT 'Same as index'
)
AS SELECT
    lower(hex(r.transaction_hash)) AS transaction_hash, lower(hex(r.block_hash)) AS block_hash, r.height AS block_number,
    r.block_time AS block_timestamp, r.input_index AS `index`, lower(hex(r.spent_txid)) AS spent_transaction_hash,
    r.spent_index AS spent_output_index, lower(hex(r.script)) AS script_hex, r.input_sequence AS input_sequence,
    CAST(if(bitTest(r.present, 0), r.kind, NULL), 'LowCardinality(Nullable(String))') AS type, r.addresses AS addresses,
    if(bitTest(r.present, 0), r.value, NULL) AS value, r.network AS network, intDiv(r.version, 256) AS sequence,
    r.transaction_index AS transaction_index, if(bitTest(r.present, 0), lower(hex(r.spent_script)), NULL) AS spent_script_hex,
    if(bitTest(r.present, 1), r.spent_height, NULL) AS spent_block_number, arrayMap(item -> lower(hex(item)), r.witness) AS witness,
    if(bitTest(r.present, 2), r.envelope, NULL) AS envelope, r.height AS height,
    r.block_time AS block_time, r.input_index AS input_index
FROM bitcoin_input_rows AS r FINAL
WHERE r.is_coinbase = 0 AND (r.network, intDiv(r.height, r.span)) NOT IN
    (SELECT network, arrayJoin(range(first_part, end_part)) FROM pruned_rows FINAL WHERE gone = 0)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is an input of a canonical Bitcoin transaction, with what it spends'
