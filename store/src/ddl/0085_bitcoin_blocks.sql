-- Canonical Bitcoin blocks, each once (rule 17), by the names of the public datasets.
-- What goes is hidden from the moment at which that is told (pruned_rows) until all of it is gone: no query sees a part of it.
CREATE OR REPLACE VIEW bitcoin_blocks
(
    hash              String COMMENT 'Hash of the block, 64 hex digits',
    size              Nullable(UInt64) COMMENT 'Bytes with witnesses; null where coverage is header',
    stripped_size     Nullable(UInt32) COMMENT 'Bytes without witnesses; null where coverage is header',
    weight            Nullable(UInt32) COMMENT 'Weight units, BIP-141; null where coverage is header',
    number            UInt64 COMMENT 'Height of the block',
    version           UInt32 COMMENT 'Version bits, BIP-9',
    merkle_root       String COMMENT 'Root of the transaction ids'' merkle tree, 64 hex digits',
    timestamp         DateTime64(3, 'UTC') COMMENT 'The header''s own time stamp, UTC; it may be earlier than that of the block before',
    nonce             String COMMENT 'Proof-of-work nonce, 8 hex digits',
    bits              String COMMENT 'Target in compact form, 8 hex digits',
    coinbase_param    Nullable(String) COMMENT 'Script of the coinbase''s input, hex; null where coverage is header',
    transaction_count Nullable(UInt32) COMMENT 'Transactions, unreadable ones included; null where coverage is header and the source of the header does not say it',
    network           LowCardinality(String) COMMENT 'Slug of the network',
    sequence          UInt64 COMMENT 'Sequence of the event that applied the block, the network''s total order',
    parent_hash       String COMMENT 'Hash of the block before',
    chain             LowCardinality(String) COMMENT 'main, test, testnet4, signet or regtest',
    coverage          LowCardinality(String) COMMENT 'full, or header: no source of bodies was to be had, and nothing is said of transactions',
    median_time       Nullable(DateTime64(3, 'UTC')) COMMENT 'Median of the time stamps of this block and the ten before it, at or below which no later block''s lies (BIP-113), UTC; null where these were not to be had',
    chain_work        Nullable(UInt256) COMMENT 'Work of the chain up to this block, where the node says it',
    coinbase_value    Nullable(UInt64) COMMENT 'What the coinbase pays out, subsidy and fees, satoshi; null where coverage is header',
    pool              LowCardinality(Nullable(String)) COMMENT 'Who made the block, by the coinbase''s tag; null where that is not known',
    fee_total         UInt256 COMMENT 'Sum of the fees, satoshi; those that are not known are not in it',
    fee_unknown_count UInt32 COMMENT 'Transactions whose fee is not known',
    value_total       UInt256 COMMENT 'Sum of the outputs without the coinbase''s, satoshi',
    virtual_size      UInt64 COMMENT 'Virtual bytes of its transactions, as figures over time count them',
    observed_at       DateTime64(3, 'UTC') COMMENT 'When Headwater first saw the block, UTC',
    stored_at         DateTime64(3, 'UTC') COMMENT 'When the row was written and became visible, UTC',
    origin            LowCardinality(String) COMMENT 'live or backfill',
    chain_work_text   Nullable(String) COMMENT 'chain_work as decimal text',
    fee_total_text    String COMMENT 'fee_total as decimal text',
    value_total_text  String COMMENT 'value_total as decimal text',
    height            UInt64 COMMENT 'Same as number, as REST calls it',
    block_number      UInt64 COMMENT 'Same as number, as other views call it',
    block_time        DateTime64(3, 'UTC') COMMENT 'Same as timestamp, as REST calls it',
    block_timestamp   DateTime64(3, 'UTC') COMMENT 'Same as timestamp, as other views call it',
    block_hash        String COMMENT 'Same as hash, as other views call it'
)
AS SELECT
    r.hash AS hash, r.size AS size, r.stripped_size AS stripped_size, r.weight AS weight, r.height AS number, r.block_version AS version,
    lower(hex(r.merkle_root)) AS merkle_root, r.block_time AS timestamp, lower(leftPad(hex(r.work_nonce), 8, '0')) AS nonce,
    lower(leftPad(hex(r.bits), 8, '0')) AS bits, lower(hex(r.coinbase)) AS coinbase_param,
    if(r.coverage = 'header', r.header_transaction_count, CAST(r.transaction_count, 'Nullable(UInt32)')) AS transaction_count,
    r.network AS network, intDiv(r.version, 256) AS sequence, r.parent_hash AS parent_hash, r.chain AS chain, r.coverage AS coverage,
    r.median_time AS median_time, r.chain_work AS chain_work, r.coinbase_value AS coinbase_value,
    CAST(nullIf(r.pool, ''), 'LowCardinality(Nullable(String))') AS pool, r.fee_total AS fee_total,
    r.fee_unknown_count AS fee_unknown_count, r.value_total AS value_total, r.gas_used AS virtual_size, r.observed_at AS observed_at,
    r.stored_at AS stored_at, r.origin AS origin, toString(r.chain_work) AS chain_work_text, toString(r.fee_total) AS fee_total_text,
    toString(r.value_total) AS value_total_text, r.height AS height, r.height AS block_number, r.block_time AS block_time,
    r.block_time AS block_timestamp, r.hash AS block_hash
FROM block_rows AS r FINAL
WHERE r.family = 'bitcoin' AND (r.network, intDiv(r.height, r.span)) NOT IN
    (SELECT network, arrayJoin(range(first_part, end_part)) FROM pruned_rows FINAL WHERE gone = 0)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a canonical Bitcoin block: after a reorg the blocks of the branch that stands, each once'
