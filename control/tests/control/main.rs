//! The control store on both databases: SQLite, and PostgreSQL where `scripts/postgres run …` has started one.

mod acks;
mod audit;
mod channels;
mod common;
mod contracts;
mod cut;
mod definitions;
mod factors;
mod imports;
mod keys;
mod life;
mod members;
mod operator;
mod people;
mod plans;
mod publisher;
mod quotas;
mod rotation;
mod sessions;
mod taken_over;
mod topics;
mod walls;
