//! Lines for people and programs. The standard macros panic where a disk is full.

/// A line of standard output; if it cannot be written, the command fails.
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        anyhow::Context::context(
            writeln!(std::io::stdout(), $($part)*),
            "standard output cannot be written",
        )?
    }};
}

/// A line on standard error, which nothing depends on.
macro_rules! note {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($part)*);
    }};
}
