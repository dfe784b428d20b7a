//! The watcher over a family that exists here only: a toy chain of hashes and heights, with forks, heights without a block, two
//! operators, several nodes behind one name, and heights that are filled on request. Nothing of a real family is needed to follow a chain.

mod chain;
mod world;

mod confirming;
mod filling;
mod final_heights;
mod following;
mod views;
