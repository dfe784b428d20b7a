//! The binary: arguments, wiring, nothing else. Everything is in the library beside it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    headwater::run(std::env::args_os())
}
