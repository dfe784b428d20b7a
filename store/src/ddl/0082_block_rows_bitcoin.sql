-- What a Bitcoin block's header says, and how much of a block was to be had (rule 18). Rows of other families have the defaults.
ALTER TABLE block_rows
    ADD COLUMN IF NOT EXISTS coverage                 LowCardinality(String) DEFAULT 'full' COMMENT 'full, or header: no body was to be had',
    ADD COLUMN IF NOT EXISTS chain                    LowCardinality(String) COMMENT 'Bitcoin: main, test, testnet4, signet or regtest',
    ADD COLUMN IF NOT EXISTS block_version            UInt32 COMMENT 'Bitcoin: version bits, BIP-9' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS merkle_root              String COMMENT 'Bitcoin: root of the merkle tree, bytes as it is printed' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS bits                     UInt32 COMMENT 'Bitcoin: target in compact form' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS work_nonce               UInt32 COMMENT 'Bitcoin: proof-of-work nonce' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS median_time              Nullable(DateTime64(3, 'UTC')) COMMENT 'Bitcoin: median of the time stamps of this block and the ten before it, BIP-113' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS chain_work               Nullable(UInt256) COMMENT 'Bitcoin: work of the chain up to this block' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS stripped_size            Nullable(UInt32) COMMENT 'Bitcoin: bytes without witnesses' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS weight                   Nullable(UInt32) COMMENT 'Bitcoin: weight units, BIP-141' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS header_transaction_count Nullable(UInt32) COMMENT 'Bitcoin: transactions, where the source of the header says it' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS coinbase                 Nullable(String) COMMENT 'Bitcoin: script of the coinbase''s input' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS coinbase_value           Nullable(UInt64) COMMENT 'Bitcoin: what the coinbase pays out, satoshi' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS pool                     LowCardinality(String) COMMENT 'Bitcoin: who made the block, where that is known'
