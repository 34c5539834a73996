//! The command line: parse, run, say what went wrong, exit once.
//!
//! Exit codes: 0 done, 1 a run failed, 2 the input was bad, 130 and 143 a training was stopped by
//! SIGINT or SIGTERM and can go on.

use std::process::ExitCode;

fn main() -> ExitCode {
    smoothout::cli::run()
}
