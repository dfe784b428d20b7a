-- The former layout makes room; its rows are copied from there. Only while the table has that layout: see mod.rs.
RENAME TABLE block_rows TO former_block_rows
