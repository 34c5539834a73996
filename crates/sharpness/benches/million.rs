//! Our L-BFGS-B on a bounded problem of a million variables, for `against_scipy.py` to time.
//!
//! Arguments: family, number of variables, iterations. Prints one line of JSON: value, projected gradient,
//! iterations, evaluations, seconds in all and in the function, and the peak of the resident memory
//! that the search added, in vectors.

#[path = "../tests/scipy/problems.rs"]
mod problems;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use smoothout_sharpness::{Bounds, FnObjective, Lbfgsb};

use problems::{Problem, Random, problem};

/// Kilobytes, from Linux's `/proc`; 0 elsewhere.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let family = words.first().map_or("diagonal", String::as_str);
    let n = words.get(1).map_or(1_000_000, |word| word.parse().expect("a number of variables"));
    let iterations = words.get(2).map_or(20, |word| word.parse().expect("a number of iterations"));
    let Problem { function, lower, upper, mut start } = problem(family, n, 0);
    if family == "vertices" {
        let unit = Random::new(1000).between(0.0, 1.0, n);
        start = (0..n).map(|i| lower[i] + (upper[i] - lower[i]) * unit[i]).collect();
    }
    let inside = AtomicU64::new(0);
    let f =
        FnObjective::new(n, |x: &[f64]| function(x, &mut vec![0.0; n])).with_gradient(|x, g| {
            let began = Instant::now();
            let value = function(x, g);
            inside.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
            value
        });
    let memory = peak_memory();
    let began = Instant::now();
    let minimizer = Lbfgsb::default()
        .iterations(iterations)
        .value_tolerance(1e-12)
        .and_then(|settings| settings.gradient_tolerance(1e-8))
        .expect("tolerances");
    let bounds = Bounds::new(&lower, &upper).expect("bounds in order");
    let report = minimizer.minimize(&f, bounds, &mut start).expect("a finite start");
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{{\"value\": {:?}, \"projected_gradient\": {:e}, \"iterations\": {}, \"evaluations\": {}, \
         \"seconds\": {seconds}, \"in_function\": {}, \"vectors\": {}, \"threads\": {}}}",
        report.value,
        report.projected_gradient,
        report.iterations,
        report.evaluations,
        inside.into_inner() as f64 / 1e9,
        (peak_memory() - memory) * 1024.0 / (8.0 * n as f64),
        rayon::current_num_threads(),
    );
}
