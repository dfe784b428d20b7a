//! What may befall a store and its clients: each time it is there again without a hand.
//!
//! These tests take a machine's memory, disk and sockets; they run one after another, and in a program of their own.

mod deadline;
#[path = "../engine/door.rs"]
#[allow(dead_code)] // shared with the engine's tests, which use all of it
mod door;
#[path = "../engine/ends.rs"]
mod ends;
#[path = "../engine/harness.rs"]
#[allow(dead_code)]
mod harness;
#[allow(dead_code)]
mod room;
mod rounds;
mod sockets;
mod troubles;

use std::time::{Duration, Instant};

/// Held by each test: only one at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Polls until something holds; whether it did in time.
fn within(time: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + time;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Unions of polygons: one step of the engine's that looks at no clock and at no limit of memory.
const POLYGONS: &str = "SELECT length(polygonsUnionCartesian([[arrayMap(i -> (cos(i * 7), sin(i * 3)), range(4000))]], \
                        [[arrayMap(i -> (cos(i * 5), sin(i * 11)), range(4000))]]))";
