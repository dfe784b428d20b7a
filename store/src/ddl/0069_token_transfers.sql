-- Movements of tokens in canonical logs, each once (rule 17), under the names of ethereum-etl: told by the events' shapes alone, as
-- decode/ tells them. A log with another number of topics, other data, or something in front of an address is none.
-- What goes is hidden as in evm_logs.
CREATE OR REPLACE VIEW token_transfers
(
    network           LowCardinality(String) COMMENT 'Slug of the network',
    token_address     String COMMENT 'Contract of the token',
    from_address      String COMMENT 'Who had it; zeros when it is made',
    to_address        String COMMENT 'Who has it; zeros when it is destroyed',
    value             UInt256 COMMENT 'Amount in the token''s smallest unit; 1 with erc721, whose token is token_id',
    transaction_hash  String COMMENT 'Transaction hash',
    log_index         UInt32 COMMENT 'Position of the log in the block',
    block_timestamp   DateTime64(3, 'UTC') COMMENT 'The block''s own time stamp, UTC',
    block_number      UInt64 COMMENT 'Height of the block',
    block_hash        String COMMENT 'Hash of the block',
    standard          LowCardinality(String) COMMENT 'erc20, erc721, erc1155, or wrapped (Deposit and Withdrawal of a wrapped native token)',
    token_id          Nullable(UInt256) COMMENT 'Id of the token with erc721 and erc1155; null otherwise',
    position          UInt32 COMMENT 'Place in its log, from 0; above 0 in batches of erc1155 only',
    transaction_index UInt32 COMMENT 'Position of the transaction in the block',
    sequence          UInt64 COMMENT 'Sequence of the event that applied the block, the network''s total order',
    value_text        String COMMENT 'value as decimal text',
    token_id_text     Nullable(String) COMMENT 'token_id as decimal text',
    height            UInt64 COMMENT 'Same as block_number, as REST calls it',
    block_time        DateTime64(3, 'UTC') COMMENT 'Same as block_timestamp, as REST calls it',
    token             String COMMENT 'Same as token_address, as REST calls it',
    `from`            String COMMENT 'Same as from_address, as REST calls it',
    `to`              String COMMENT 'Same as to_address, as REST calls it'
)
AS WITH
    -- Wrapped native tokens: those of decode/src/movements.rs.
    (
            '0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2', '0x4200000000000000000000000000000000000006',
            '0x82af49447d8a07e3bd95bd0d56f35241523fbab1', '0x722e8bdd2ce80a4422e880164f2079488e115365',
            '0x0d500b1d8e8ef31e21c99d1db9a6444d3adf1270', '0x4f9a0e7fd2bf6067db6994cf12e4495df938e6e9',
            '0xbb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c', '0xb31f66aa3c1e785363f0875a1b74e27b85fd66c7',
            '0x21be370d5312f44cb42ce377bc9b8a0cef1a4c83', '0x039e2fb66102314ce7b64ce5ce3e5183bc94ad38',
            '0xe91d153e0b41518a2ce8dd3d7944fa863463a97d', '0x5c7f8a570d578ed84e63fdfa7b1ee72deae1ae23',
            '0x78c1b0c915c4faa5fffa6cabf0219da63d7f4cb8', '0x5555555555555555555555555555555555555555',
            '0x5aea5775959fbc2557cc8789bc1bf90a239d9a91', '0xe5d7c2a44ffddf6b295a15c148167daaaf5cf34f',
            '0x5300000000000000000000000000000000000004', '0x4300000000000000000000000000000000000004',
            '0xa51894664a773981c6c112c43ce576f315d5b1b6', '0x0dc808adce2099a9f62aa87d9670745aba741746',
            '0xacc15dc74880c9944775448304b263d191c6077f', '0x98878b06940ae243284ca214f92bb71a2b032b8a',
            '0xcf664087a5bb0237a0bad6742852ec6c8d69a27a', '0xc9bdeed33cd01541e1eed10f90519d2c06fe3feb',
            '0xe4f05a66ec68b54a58b17c22107b02e0232cc817', '0xa1077a294dde1b09bb078844df40758a5d0f9a27',
            '0x6969696969696969696969696969696969696969', '0xfff9976782d46cc05630d1f6ebab18b2324d6b14',
            '0x7b79995e5f793a07bc00c21412e50ecae098e7f9', '0xb4fbf271143f4fbf7b91a5ded31805e42b2208d6',
            '0x9c3c9283d3e44854697cd22d3faa240cfb032889') AS wrapped
SELECT
    r.network AS network,
    concat('0x', lower(hex(r.address))) AS token_address,
    concat('0x', lower(hex(moved.2))) AS from_address,
    concat('0x', lower(hex(moved.3))) AS to_address,
    moved.5 AS value,
    concat('0x', lower(hex(r.transaction_hash))) AS transaction_hash,
    r.log_index AS log_index,
    r.block_time AS block_timestamp,
    r.height AS block_number,
    concat('0x', lower(hex(r.block_hash))) AS block_hash,
    CAST(moved.1, 'LowCardinality(String)') AS standard,
    moved.4 AS token_id,
    moved.6 AS position,
    r.transaction_index AS transaction_index,
    intDiv(r.version, 256) AS sequence,
    toString(moved.5) AS value_text,
    toString(moved.4) AS token_id_text,
    r.height AS height,
    r.block_time AS block_time,
    concat('0x', lower(hex(r.address))) AS token,
    concat('0x', lower(hex(moved.2))) AS `from`,
    concat('0x', lower(hex(moved.3))) AS `to`
FROM evm_log_rows AS r FINAL
ARRAY JOIN multiIf(
    -- Transfer(address,address,uint256)
    r.topics[1] = unhex('ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef')
        AND substring(r.topics[2], 1, 12) = unhex('000000000000000000000000') AND substring(r.topics[3], 1, 12) = unhex('000000000000000000000000')
        AND length(r.topics) = 3 AND length(r.data) = 32,
    [('erc20', substring(r.topics[2], 13), substring(r.topics[3], 13), CAST(NULL, 'Nullable(UInt256)'), reinterpretAsUInt256(reverse(r.data)), toUInt32(0))],
    r.topics[1] = unhex('ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef')
        AND substring(r.topics[2], 1, 12) = unhex('000000000000000000000000') AND substring(r.topics[3], 1, 12) = unhex('000000000000000000000000')
        AND length(r.topics) = 4 AND length(r.data) = 0,
    [('erc721', substring(r.topics[2], 13), substring(r.topics[3], 13), CAST(reinterpretAsUInt256(reverse(r.topics[4])), 'Nullable(UInt256)'), toUInt256(1), toUInt32(0))],
    -- Deposit(address,uint256)
    r.topics[1] = unhex('e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c')
        AND substring(r.topics[2], 1, 12) = unhex('000000000000000000000000') AND length(r.topics) = 2 AND length(r.data) = 32
        AND concat('0x', lower(hex(r.address))) IN wrapped,
    [('wrapped', unhex('0000000000000000000000000000000000000000'), substring(r.topics[2], 13), CAST(NULL, 'Nullable(UInt256)'), reinterpretAsUInt256(reverse(r.data)), toUInt32(0))],
    -- Withdrawal(address,uint256)
    r.topics[1] = unhex('7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65')
        AND substring(r.topics[2], 1, 12) = unhex('000000000000000000000000') AND length(r.topics) = 2 AND length(r.data) = 32
        AND concat('0x', lower(hex(r.address))) IN wrapped,
    [('wrapped', substring(r.topics[2], 13), unhex('0000000000000000000000000000000000000000'), CAST(NULL, 'Nullable(UInt256)'), reinterpretAsUInt256(reverse(r.data)), toUInt32(0))],
    -- TransferSingle(address,address,address,uint256,uint256)
    r.topics[1] = unhex('c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62')
        AND substring(r.topics[2], 1, 12) = unhex('000000000000000000000000') AND substring(r.topics[3], 1, 12) = unhex('000000000000000000000000')
        AND substring(r.topics[4], 1, 12) = unhex('000000000000000000000000') AND length(r.topics) = 4 AND length(r.data) = 64,
    [('erc1155', substring(r.topics[3], 13), substring(r.topics[4], 13), CAST(reinterpretAsUInt256(reverse(substring(r.data, 1, 32))), 'Nullable(UInt256)'), reinterpretAsUInt256(reverse(substring(r.data, 33, 32))), toUInt32(0))],
    -- TransferBatch(address,address,address,uint256[],uint256[]): two arrays of equal length, one behind the other.
    r.topics[1] = unhex('4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb')
        AND substring(r.topics[2], 1, 12) = unhex('000000000000000000000000') AND substring(r.topics[3], 1, 12) = unhex('000000000000000000000000')
        AND substring(r.topics[4], 1, 12) = unhex('000000000000000000000000') AND length(r.topics) = 4
        AND length(r.data) >= 128 AND length(r.data) % 64 = 0
        AND reinterpretAsUInt256(reverse(substring(r.data, 1, 32))) = 64
        AND reinterpretAsUInt256(reverse(substring(r.data, 33, 32))) = intDiv(length(r.data), 2) + 32
        AND reinterpretAsUInt256(reverse(substring(r.data, 65, 32))) = intDiv(length(r.data) - 128, 64)
        AND reinterpretAsUInt256(reverse(substring(r.data, intDiv(length(r.data), 2) + 33, 32))) = intDiv(length(r.data) - 128, 64),
    arrayMap(i -> ('erc1155', substring(r.topics[3], 13), substring(r.topics[4], 13),
            CAST(reinterpretAsUInt256(reverse(substring(r.data, 97 + 32 * i, 32))), 'Nullable(UInt256)'),
            reinterpretAsUInt256(reverse(substring(r.data, intDiv(length(r.data), 2) + 65 + 32 * i, 32))), toUInt32(i)),
        range(if(length(r.data) >= 128, intDiv(length(r.data) - 128, 64), 0))),
    []
) AS moved
WHERE (r.network, intDiv(r.height, r.span)) NOT IN
    (SELECT network, arrayJoin(range(first_part, end_part)) FROM pruned_rows FINAL WHERE gone = 0)
SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1, do_not_merge_across_partitions_select_final = 1
COMMENT 'A row is a movement of a token in a canonical log: ERC-20, ERC-721, ERC-1155 (each of a batch), wrapped native'
