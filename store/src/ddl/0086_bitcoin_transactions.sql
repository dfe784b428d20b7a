-- Canonical Bitcoin transactions, each once (rule 17), by the names of the public datasets; inputs and outputs are views of their own.
-- What goes is hidden from the moment at which that is told (pruned_rows) until all of it is gone: no query sees a part of it.
CREATE OR REPLACE VIEW bitcoin_transactions
(
    hash              String COMMENT 'Transaction id, 64 hex digits: hash without witnesses; two ids occur twice on the main chain (BIP-30)',
    size              UInt32 COMMENT 'Bytes with witnesses',
    virtual_size      UInt32 COMMENT 'Virtual bytes: a quarter of the weight, rounded up',
    version           UInt32 COMMENT 'Version of the transaction',
    lock_time         UInt32 COMMENT 'A height below 500,000,000, else seconds since 1970',
    block_number      UInt64 COMMENT 'Height of the block',
    block_hash        String COMMENT 'Hash of the block',
    block_timestamp   DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp, UTC',
    is_coinbase       Bool COMMENT 'Whether it is its block''s coinbase',
    `index`           UInt32 COMMENT 'Position in the block, from 0; the coinbase is first',
    input_count       UInt32 COMMENT 'Inputs; 0 for the coinbase',
    output_count      UInt32 COMMENT 'Outputs',
    input_value       Nullable(UInt64) COMMENT 'Sum of what it spends, satoshi; 0 for the coinbase, null where it is not known',
    output_value      UInt64 COMMENT 'Sum of its outputs, satoshi',
    fee               Nullable(UInt64) COMMENT 'What it left to the miner, satoshi; 0 for the coinbase, null where what it spends is not known',
    network           LowCardinality(String) COMMENT 'Slug of the network',
    sequence          UInt64 COMMENT 'Sequence of the event that applied the block, the network''s total order',
    wtxid             String COMMENT 'Hash with witnesses, BIP-141; the same as hash where there are none',
    weight            UInt32 COMMENT 'Weight units, BIP-141',
    fee_rate          Nullable(UInt64) COMMENT 'Satoshi for 1,000 virtual bytes, rounded down; null for the coinbase and where the fee is not known',
    sigops            Nullable(UInt32) COMMENT 'Cost of signature operations, BIP-141; null where what it spends is not known',
    segwit            Bool COMMENT 'Whether any input carries a witness',
    replaceable       Bool COMMENT 'Whether it says that it may be replaced, BIP-125',
    pool              LowCardinality(Nullable(String)) COMMENT 'On a coinbase: who made the block, by its tag; null where that is not known',
    addresses         Array(String) COMMENT 'Addresses of what it spends and of its outputs, each once',
    height            UInt64 COMMENT 'Same as block_number, as REST calls it',
    block_time        DateTime64(3, 'UTC') COMMENT 'Same as block_timestamp, as REST calls it',
    transaction_index UInt32 COMMENT 'Same as index, as other views call it',
    transaction_hash  String COMMENT 'Same as hash, as other views call it',
    txid              String COMMENT 'Same as hash, as Bitcoin Core calls it'
)
AS SELECT
    lower(hex(r.hash)) AS hash, r.size AS size, r.virtual_size AS virtual_size, r.transaction_version AS version, r.lock_time AS lock_time,
    r.height AS block_number, lower(hex(r.block_hash)) AS block_hash, r.block_time AS block_timestamp, toBool(r.is_coinbase) AS is_coinbase,
    r.transaction_index AS `index`, r.input_count AS input_count, r.output_count AS output_count,
    if(r.is_coinbase = 1, 0, if(bitTest(r.present, 1), r.input_value, NULL)) AS input_value, r.output_value AS output_value,
    if(bitTest(r.present, 2), r.fee, NULL) AS fee, r.network AS network, intDiv(r.version, 256) AS sequence, lower(hex(r.wtxid)) AS wtxid,
    r.weight AS weight, if(bitTest(r.present, 3), r.fee_rate, NULL) AS fee_rate, if(bitTest(r.present, 0), r.sigops, NULL) AS sigops,
    toBool(r.segwit) AS segwit, toBool(r.replaceable) AS replaceable,
    CAST(nullIf(r.pool, ''), 'LowCardinality(Nullable(String))') AS pool, r.addresses AS addresses, r.height AS height,
    r.block_time AS block_time, r.transaction_index AS transaction_index, lower(hex(r.hash)) AS transaction_hash, lower(hex(r.hash)) AS txid
FROM bitcoin_transaction_rows AS r FINAL
WHERE (r.network, intDiv(r.height, r.span)) NOT IN
    (SELECT network, arrayJoin(range(first_part, end_part)) FROM pruned_rows FINAL WHERE gone = 0)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a canonical Bitcoin transaction'
