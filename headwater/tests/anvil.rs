//! A real EVM node (`anvil`): live blocks, a failing transaction, a reorg.

mod common;
