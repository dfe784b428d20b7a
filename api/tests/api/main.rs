//! The API against the real engine, the embedded log and the real sink, on recorded blocks. Each test has a database, a log and
//! a port of its own. Where the engine is not on the machine the tests fail and say how to fetch it.

mod alerts;
mod bitcoin;
mod causes;
mod chain;
mod closing;
mod counting;
mod created;
mod decoded;
mod documents;
mod door;
mod engine;
mod export;
mod failures;
mod faulty;
mod filters;
mod holes;
mod http;
mod kept;
mod limits;
mod live_windows;
mod many;
mod metrics;
mod pages;
mod providers;
mod registry;
mod rest;
mod resume;
mod schema;
mod search;
mod slow;
mod sql;
mod torn;
mod websocket;
mod world;
mod ws;
