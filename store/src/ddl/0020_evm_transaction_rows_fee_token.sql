-- Fees that were paid in a token, and why a fee cannot be told.
ALTER TABLE evm_transaction_rows
    ADD COLUMN IF NOT EXISTS fee_token        Nullable(String) COMMENT 'Token that the fee was paid in; null where it was the chain''s own' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS fee_token_amount Nullable(UInt256) COMMENT 'What was paid in fee_token, in its smallest unit' CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS fee_reason       LowCardinality(Nullable(String)) COMMENT 'Why fee is null, one word'
