-- Partitions of all networks together make room for partitions of one: its rows are copied from here. Only while the table has them:
-- see mod.rs.
RENAME TABLE evm_transaction_rows TO coarse_evm_transaction_rows
