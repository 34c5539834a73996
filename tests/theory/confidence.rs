//! Means of bounded samples with a false-alarm rate that holds for any law and any number of them.
//!
//! For independent X_j in [c - M, c + M]: P( |mean - E X| >= t ) <= 2 exp(-n t^2 / (2 M^2)), so
//! t = M sqrt( 2 ln(2 / rate) / n ), about 7.5 M / sqrt(n). No normal law is assumed.
//!
//! # Source
//! Hoeffding, "Probability inequalities for sums of bounded random variables", 1963, theorem 2.

use std::sync::atomic::{AtomicU64, Ordering};

/// The false-alarm rate of one comparison.
pub(crate) const RATE: f64 = 1e-12;

/// The most comparisons (cases times coordinates) of one run: 2e5 x 1e-12 = 2e-7.
const MOST_COMPARISONS: u64 = 200_000;

static COMPARISONS: AtomicU64 = AtomicU64::new(0);

/// How far the mean of `samples` independent numbers in an interval of half-length `half_range`
/// may be from their expectation. Counts one comparison.
///
/// # Panics
/// If the suite makes more comparisons than its false-alarm rate allows.
pub(crate) fn half_width(half_range: f64, samples: usize) -> f64 {
    let count = COMPARISONS.fetch_add(1, Ordering::Relaxed) + 1;
    assert!(
        count <= MOST_COMPARISONS,
        "{count} comparisons: the suite's false-alarm rate is spent"
    );
    half_range * (2.0 * (2.0 / RATE).ln() / samples as f64).sqrt()
}

/// The interval of a share: `successes` of `trials` independent ones, Hoeffding's at [`RATE`].
pub(crate) fn share_interval(successes: usize, trials: usize) -> (f64, f64) {
    let (share, half) = (successes as f64 / trials as f64, half_width(0.5, trials));
    ((share - half).max(0.0), (share + half).min(1.0))
}

#[test]
fn the_bound_is_hoeffdings() {
    let t = half_width(3.0, 500);
    let rate = 2.0 * (-(500.0 * t * t) / (2.0 * 9.0)).exp();
    assert!((rate / RATE - 1.0).abs() < 1e-9, "{rate}");
}
