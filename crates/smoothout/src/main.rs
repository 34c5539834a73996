//! The command line: parse, run, say what went wrong, exit once.
//!
//! Exit codes: 0 done, 1 a run failed, 2 the input was bad.

use std::process::ExitCode;

fn main() -> ExitCode {
    smoothout::cli::run()
}
