//! The binary: arguments, wiring, nothing else. Everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    headwater::run(std::env::args_os())
}
