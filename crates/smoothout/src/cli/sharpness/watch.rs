//! What a long measurement says on standard error while it runs.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use smoothout_sharpness::Progress;

/// An observer that says on standard error how far a measurement is: every second on a terminal,
/// every ten elsewhere.
pub(super) fn watch() -> impl FnMut(Progress) -> ControlFlow<()> {
    let pause = Duration::from_secs(if std::io::stderr().is_terminal() { 1 } else { 10 });
    let mut last = Instant::now();
    move |progress| {
        if last.elapsed() >= pause {
            last = Instant::now();
            let Progress { evaluations, value, uncertainty } = progress;
            let within = if uncertainty.is_finite() {
                format!(" (± {uncertainty:.1e})")
            } else {
                String::new()
            };
            note!("{evaluations} evaluations: {value:.6e}{within}");
        }
        ControlFlow::Continue(())
    }
}
