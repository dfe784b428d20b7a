//! The watcher over a family that exists here only: a toy chain of hashes and heights, with forks, heights without a block, two
//! operators, and several nodes behind one name. Nothing of a real family is needed to follow a chain.

mod chain;
mod world;

mod confirming;
mod final_heights;
mod following;
mod views;
