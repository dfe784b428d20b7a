-- Why transactions failed, for every one of which a final cause is known, of canonical blocks only (rules 14 and 17). Until then the views
-- of transactions have what the receipt tells.
CREATE OR REPLACE VIEW causes
(
    network           LowCardinality(String) COMMENT 'Slug of the network',
    block_number      UInt64 COMMENT 'Height of the block',
    block_hash        String COMMENT 'Hash of the block: the cause holds for it alone',
    block_timestamp   DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp, UTC',
    transaction_index UInt32 COMMENT 'Position in the block, from 0',
    transaction_hash  String COMMENT 'Transaction hash',
    revision          UInt8 COMMENT 'Revision of the row that the cause made, from 1',
    cause             LowCardinality(Nullable(String)) COMMENT 'Class of the cause, one word such as slippage or allowance; opaque without data, unknown without a trace',
    reason            Nullable(String) COMMENT 'The same as a sentence',
    found_by          LowCardinality(Nullable(String)) COMMENT 'Best evidence: trace, call, receipt or budget (told from others that failed the same way)',
    approximate       UInt8 COMMENT '1 where the evidence is not of the very transaction: a call at the parent''s state, or another one''s',
    rule              Nullable(String) COMMENT 'Row of the table of causes that matched',
    cause_group       Nullable(String) COMMENT 'What it was counted with, where many failed the same way',
    from_address      String COMMENT 'Sender',
    to_address        Nullable(String) COMMENT 'Receiver; null when a contract is created',
    method            Nullable(String) COMMENT 'Selector of the called function: 0x and 8 hex digits',
    entry_address     Nullable(String) COMMENT 'Address whose code the outermost frame ran',
    frame_address     Nullable(String) COMMENT 'Contract whose frame failed, where a trace says so',
    frame_depth       Nullable(UInt16) COMMENT 'Calls above that frame; 0 is the transaction itself',
    error             Nullable(String) COMMENT 'The node''s own words of that frame',
    error_selector    Nullable(String) COMMENT 'First four bytes that it gave back: 0x and 8 hex digits',
    error_signature   Nullable(String) COMMENT 'Signature of the custom error with names, where it is known',
    error_arguments   Nullable(String) COMMENT 'JSON object of its arguments by name',
    output            Nullable(String) COMMENT 'First 1,024 bytes that it gave back, hex',
    calls             Nullable(String) COMMENT 'JSON of the calls on the way to that frame and beside it',
    found_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'When the cause was decided',
    sequence          UInt64 COMMENT 'Sequence of the event that applied the block, the network''s total order',
    height            UInt64 COMMENT 'Same as block_number, as REST calls it',
    block_time        DateTime64(3, 'UTC') COMMENT 'Same as block_timestamp, as REST calls it'
)
AS SELECT
    r.network AS network,
    r.height AS block_number,
    concat('0x', lower(hex(r.block_hash))) AS block_hash,
    r.block_time AS block_timestamp,
    r.transaction_index AS transaction_index,
    concat('0x', lower(hex(r.hash))) AS transaction_hash,
    toUInt8(r.version % 256) AS revision,
    CAST(nullIf(r.failure_cause, ''), 'LowCardinality(Nullable(String))') AS cause,
    nullIf(r.failure_reason, '') AS reason,
    CAST(nullIf(r.found_by, ''), 'LowCardinality(Nullable(String))') AS found_by,
    toUInt8(JSONExtractBool(r.evidence, 'approximate')) AS approximate,
    nullIf(JSONExtractString(r.evidence, 'rule'), '') AS rule,
    nullIf(JSONExtractString(r.evidence, 'group'), '') AS cause_group,
    concat('0x', lower(hex(r.from_address))) AS from_address,
    if(bitTest(r.present, 0), concat('0x', lower(hex(r.to_address))), NULL) AS to_address,
    if(bitTest(r.present, 2), concat('0x', lower(hex(r.method))), NULL) AS method,
    nullIf(JSONExtractString(r.evidence, 'entry'), '') AS entry_address,
    nullIf(JSONExtractString(r.evidence, 'frame_address'), '') AS frame_address,
    JSONExtract(r.evidence, 'frame_depth', 'Nullable(UInt16)') AS frame_depth,
    nullIf(JSONExtractString(r.evidence, 'error'), '') AS error,
    if(r.error_selector = '', NULL, concat('0x', lower(hex(r.error_selector)))) AS error_selector,
    nullIf(JSONExtractString(r.evidence, 'error_signature'), '') AS error_signature,
    nullIf(JSONExtractString(r.evidence, 'error_arguments'), '') AS error_arguments,
    nullIf(JSONExtractString(r.evidence, 'output'), '') AS output,
    nullIf(JSONExtractString(r.evidence, 'calls'), '') AS calls,
    fromUnixTimestamp64Milli(JSONExtract(r.evidence, 'found_at', 'Nullable(Int64)'), 'UTC') AS found_at,
    intDiv(r.version, 256) AS sequence,
    r.height AS height,
    r.block_time AS block_time
FROM evm_transaction_rows AS r FINAL
WHERE r.found_by != '' AND (r.network, intDiv(r.height, r.span)) NOT IN
    (SELECT network, arrayJoin(range(first_part, end_part)) FROM pruned_rows FINAL WHERE gone = 0)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a canonical transaction that failed, with its cause and by what that is known'
