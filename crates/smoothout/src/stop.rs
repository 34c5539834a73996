//! Ending a training cleanly: the first SIGINT (Ctrl-C), SIGTERM or SIGHUP asks for it, the second ends
//! the process at once.
//!
//! The wish is the process's, like the signals: whoever trains asks [`watch`] for the same flag.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Never sent there.
#[cfg(not(unix))]
const SIGHUP: i32 = 1;

/// A signal that asks a training to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: `kill`, a batch system's time limit, a machine that shuts down.
    Terminate,
    /// SIGHUP: a terminal that was closed, a connection that was lost.
    Hangup,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Interrupt, Self::Terminate, Self::Hangup];

    fn number(self) -> i32 {
        match self {
            Self::Interrupt => SIGINT,
            Self::Terminate => SIGTERM,
            Self::Hangup => SIGHUP,
        }
    }

    /// 128 + the signal's number, as shells have it: 130, 143 and 129.
    pub fn exit_code(self) -> u8 {
        128 + self.number() as u8
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
        })
    }
}

/// Whether the process has been asked to end.
#[derive(Debug, Clone)]
pub struct StopFlag(Arc<AtomicUsize>);

impl StopFlag {
    /// The last signal that came, if one did.
    pub fn signal(&self) -> Option<Signal> {
        let number = self.0.load(Ordering::Relaxed);
        Signal::ALL.into_iter().find(|signal| signal.number() as usize == number)
    }
}

/// A reader of the output that goes away ends the process, as it ends others (Rust would make it a panic),
/// and a limit on the size of files is an error of whoever writes, like a full disk.
///
/// # Errors
/// If the system does not let the process handle the signals.
pub(crate) fn as_other_programs_do() -> io::Result<()> {
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGPIPE, SIGXFSZ};

        flag::register_conditional_default(SIGPIPE, Arc::new(AtomicBool::new(true)))?;
        flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// Whether the process was started with a signal ignored, where the system tells (Linux); elsewhere a
/// hang-up may be meant to be ignored, and counts as such.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (signal.number() - 1) & 1 == 1)
}

/// From the first call on, a first signal raises the flag and a second one ends the process with
/// [`Signal::exit_code`].
///
/// # Errors
/// If the system does not let the process handle the signals.
pub fn watch() -> io::Result<StopFlag> {
    static WATCHED: Mutex<Option<StopFlag>> = Mutex::new(None);
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(flag) = &*watched {
        return Ok(flag.clone());
    }
    let asked = Arc::new(AtomicBool::new(false));
    let last = Arc::new(AtomicUsize::new(0));
    for signal in Signal::ALL {
        // Under nohup a terminal may go.
        if signal == Signal::Hangup && is_ignored(signal) {
            continue;
        }
        let number = signal.number();
        // In this order: a signal that comes first must not find its own mark.
        flag::register_conditional_shutdown(
            number,
            i32::from(signal.exit_code()),
            Arc::clone(&asked),
        )?;
        flag::register(number, Arc::clone(&asked))?;
        flag::register_usize(number, Arc::clone(&last), number as usize)?;
    }
    Ok(watched.insert(StopFlag(last)).clone())
}
