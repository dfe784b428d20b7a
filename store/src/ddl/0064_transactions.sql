-- Canonical transactions of every chain family, each once (rule 17).
-- What goes is hidden from the moment at which that is told (pruned_rows) until all of it is gone: no query sees a part of it.
-- Ordinarily nothing goes, and the set is empty.
CREATE OR REPLACE VIEW transactions
(
    network           LowCardinality(String) COMMENT 'Slug of the network',
    family            LowCardinality(String) COMMENT 'Chain family: evm',
    block_number      UInt64 COMMENT 'Height of the block',
    block_hash        String COMMENT 'Hash of the block',
    block_timestamp   DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp, UTC',
    transaction_index UInt32 COMMENT 'Position in the block, from 0',
    hash              String COMMENT 'Transaction hash',
    from_address      String COMMENT 'Sender',
    to_address        Nullable(String) COMMENT 'Receiver; null when a contract is created',
    value             UInt256 COMMENT 'Value moved, wei',
    status            LowCardinality(String) COMMENT 'success, failed, or unknown (a receipt without status)',
    fee               Nullable(UInt256) COMMENT 'Fee really paid, wei; null when the receipt does not tell, or a token was paid',
    failure_cause     LowCardinality(Nullable(String)) COMMENT 'Why it failed, one word such as out_of_gas; null where nothing is known',
    method            Nullable(String) COMMENT 'Selector of the called function: 0x and 8 hex digits; null for plain transfers and creations',
    sequence          UInt64 COMMENT 'Sequence of the event that applied the block, the network''s total order',
    failure_reason    Nullable(String) COMMENT 'Why it failed, in words',
    gas_used          UInt64 COMMENT 'Gas used by the transaction',
    gas_price         Nullable(UInt256) COMMENT 'Price really paid, wei per gas; null when the receipt does not tell, or a token was paid',
    log_count         UInt32 COMMENT 'Number of logs',
    contracts         Array(String) COMMENT 'Receiver, created contract and emitters of logs, each once',
    value_text        String COMMENT 'value as decimal text',
    fee_text          Nullable(String) COMMENT 'fee as decimal text',
    gas_price_text    Nullable(String) COMMENT 'gas_price as decimal text',
    height            UInt64 COMMENT 'Same as block_number, as REST calls it',
    block_time        DateTime64(3, 'UTC') COMMENT 'Same as block_timestamp, as REST calls it',
    `index`           UInt32 COMMENT 'Same as transaction_index, as REST calls it',
    `from`            String COMMENT 'Same as from_address, as REST calls it',
    `to`              Nullable(String) COMMENT 'Same as to_address, as REST calls it',
    cause             LowCardinality(Nullable(String)) COMMENT 'Same as failure_cause, as REST calls it',
    reason            Nullable(String) COMMENT 'Same as failure_reason, as REST calls it',
    call              LowCardinality(Nullable(String)) COMMENT 'Signature of the called function with names, where it is known'
)
AS SELECT
    r.network AS network,
    CAST('evm', 'LowCardinality(String)') AS family,
    r.height AS block_number,
    concat('0x', lower(hex(r.block_hash))) AS block_hash,
    r.block_time AS block_timestamp,
    r.transaction_index AS transaction_index,
    concat('0x', lower(hex(r.hash))) AS hash,
    concat('0x', lower(hex(r.from_address))) AS from_address,
    if(bitTest(r.present, 0), concat('0x', lower(hex(r.to_address))), NULL) AS to_address,
    r.value AS value,
    r.status AS status,
    if(bitTest(r.present, 1), r.fee, NULL) AS fee,
    CAST(nullIf(r.failure_cause, ''), 'LowCardinality(Nullable(String))') AS failure_cause,
    if(bitTest(r.present, 2), concat('0x', lower(hex(r.method))), NULL) AS method,
    intDiv(r.version, 256) AS sequence,
    nullIf(r.failure_reason, '') AS failure_reason,
    r.receipt_gas_used AS gas_used,
    if(bitTest(r.present, 8) AND NOT bitTest(r.present, 23), r.receipt_effective_gas_price, NULL) AS gas_price,
    r.log_count AS log_count,
    arrayMap(x -> concat('0x', lower(hex(x))), r.contracts) AS contracts,
    toString(r.value) AS value_text,
    toString(if(bitTest(r.present, 1), r.fee, NULL)) AS fee_text,
    toString(if(bitTest(r.present, 8) AND NOT bitTest(r.present, 23), r.receipt_effective_gas_price, NULL)) AS gas_price_text,
    r.height AS height,
    r.block_time AS block_time,
    r.transaction_index AS `index`,
    concat('0x', lower(hex(r.from_address))) AS `from`,
    if(bitTest(r.present, 0), concat('0x', lower(hex(r.to_address))), NULL) AS `to`,
    CAST(nullIf(r.failure_cause, ''), 'LowCardinality(Nullable(String))') AS cause,
    nullIf(r.failure_reason, '') AS reason,
    CAST(nullIf(r.call, ''), 'LowCardinality(Nullable(String))') AS call
FROM evm_transaction_rows AS r FINAL
WHERE (r.network, intDiv(r.height, r.span)) NOT IN
    (SELECT network, arrayJoin(range(first_part, end_part)) FROM pruned_rows FINAL WHERE gone = 0)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a canonical transaction, the same columns for every chain family'
