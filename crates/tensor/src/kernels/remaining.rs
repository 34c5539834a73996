//! Short tasks side by side: who is done waits awake for the others.
//!
//! Rayon's threads fall asleep when they have found no work for some microseconds, and take tens of
//! them to wake up: as long as a whole pass over a small batch. Of longer tasks, the last part is
//! awaited asleep.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a thread waits: about as long as it would take to fall asleep and wake up.
const PATIENCE: Duration = Duration::from_micros(50);

/// What remains of some tasks.
pub(crate) struct Remaining {
    to_begin: AtomicUsize,
    to_end: AtomicUsize,
}

impl Remaining {
    /// So many tasks, each of which will be [run](Self::run).
    pub(crate) fn new(count: usize) -> Self {
        Self { to_begin: AtomicUsize::new(count), to_end: AtomicUsize::new(count) }
    }

    /// Runs one of the tasks. If none is left to begin, its thread then waits until those of other
    /// threads have ended, or for as long as waking up would take.
    pub(crate) fn run(&self, task: impl FnOnce()) {
        self.to_begin.fetch_sub(1, Ordering::Relaxed);
        task();
        self.to_end.fetch_sub(1, Ordering::Relaxed);
        if self.to_begin.load(Ordering::Relaxed) == 0 {
            let start = Instant::now();
            while self.to_end.load(Ordering::Relaxed) > 0 && start.elapsed() < PATIENCE {
                std::hint::spin_loop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    /// Who waits goes on, whether others end soon or not.
    #[test]
    fn every_task_runs_once() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for (count, long) in [(1, false), (7, false), (3, true)] {
            let (remaining, runs) = (Remaining::new(count), AtomicUsize::new(0));
            let task = |number| {
                runs.fetch_add(1, Ordering::Relaxed);
                if long && number == 0 {
                    std::thread::sleep(4 * PATIENCE);
                }
            };
            let numbers = || (0..count).into_par_iter().with_max_len(1);
            pool.install(|| numbers().for_each(|number| remaining.run(|| task(number))));
            assert_eq!(runs.into_inner(), count);
            assert_eq!([remaining.to_begin, remaining.to_end].map(AtomicUsize::into_inner), [0, 0]);
        }
    }
}
