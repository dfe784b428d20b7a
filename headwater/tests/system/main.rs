//! The binary as its users have it: whole processes over real servers, seen from outside. One test binary, so that what waits for
//! processes to come, go and be missed waits side by side.

mod alerts;
mod alive;
mod anvil;
mod away;
mod backfill;
mod cases;
mod chaos;
mod clients;
mod common;
mod compose;
mod consumers;
mod contracts;
mod control;
mod diagnosis;
mod door;
mod facts;
mod failures;
mod faults;
mod fees;
mod filling;
mod full_disk;
mod kafka;
mod kill;
mod outcomes;
mod publish;
mod reload;
mod replay;
mod requests;
mod security;
mod shares;
mod sql;
mod start;
mod totals;
mod upgrade;
mod windows;
