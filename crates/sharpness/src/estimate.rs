//! A mean with its standard error, and the interval that follows.

use std::fmt;

/// The mean of independent samples and how sure it is.
///
/// # Examples
/// ```
/// use smoothout_sharpness::Estimate;
///
/// let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0]);
/// assert_eq!(estimate.value, 2.5);
/// // The divisor of the variance is n - 1: 5/3 / 4 = 5/12.
/// assert!((estimate.standard_error - (5.0_f64 / 12.0).sqrt()).abs() < 1e-15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// The standard deviation of the mean: s / sqrt(n), s^2 with divisor n - 1. Infinite for one
    /// sample, which says nothing about its error.
    pub standard_error: f64,
    /// The number of independent samples n (pairs, for antithetic sampling; replicates, for
    /// quasi-random sampling).
    pub samples: usize,
}

impl Estimate {
    /// The mean of `samples`.
    pub fn of(samples: &[f64]) -> Self {
        let mut moments = Moments::default();
        samples.iter().for_each(|&sample| moments.push(sample));
        moments.estimate()
    }

    /// The 95 % interval, by Student's distribution with n - 1 degrees of freedom.
    pub fn interval(&self) -> (f64, f64) {
        let half = match self.samples {
            0 | 1 => f64::INFINITY,
            samples => student_quantile(samples - 1) * self.standard_error,
        };
        (self.value - half, self.value + half)
    }

    /// The same estimate with `amount` added, which is known exactly.
    #[must_use]
    pub(crate) fn shifted(self, amount: f64) -> Self {
        Self { value: self.value + amount, ..self }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6e} ± {:.1e}", self.value, self.standard_error)
    }
}

/// Mean and variance of a stream of numbers, by Welford's updates (1962).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    count: usize,
    mean: f64,
    squares: f64,
}

impl Moments {
    pub(crate) fn push(&mut self, value: f64) {
        self.count += 1;
        let from_old = value - self.mean;
        self.mean += from_old / self.count as f64;
        self.squares += from_old * (value - self.mean);
    }

    pub(crate) fn estimate(&self) -> Estimate {
        let (n, s) = (self.count as f64, self.squares);
        let standard_error =
            if self.count < 2 { f64::INFINITY } else { (s / (n - 1.0) / n).sqrt() };
        Estimate { value: self.mean, standard_error, samples: self.count }
    }
}

/// The 97.5 % quantile of Student's distribution: a table up to 10 degrees of freedom, above it the
/// Cornish-Fisher expansion in 1/freedom (Abramowitz and Stegun 26.7.5), within 1e-4.
pub(crate) fn student_quantile(freedom: usize) -> f64 {
    const TABLE: [f64; 10] = [
        12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157,
        2.228139,
    ];
    if (1..=TABLE.len()).contains(&freedom) {
        return TABLE[freedom - 1];
    }
    let (x, n) = (1.959_963_984_540_054_f64, freedom as f64);
    let g1 = (x.powi(3) + x) / 4.0;
    let g2 = (5.0 * x.powi(5) + 16.0 * x.powi(3) + 3.0 * x) / 96.0;
    let g3 = (3.0 * x.powi(7) + 19.0 * x.powi(5) + 17.0 * x.powi(3) - 15.0 * x) / 384.0;
    let g4 = (79.0 * x.powi(9) + 776.0 * x.powi(7) + 1482.0 * x.powi(5)
        - 1920.0 * x.powi(3)
        - 945.0 * x)
        / 92160.0;
    x + (g1 + (g2 + (g3 + g4 / n) / n) / n) / n
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from SciPy's `scipy.stats.t.ppf(0.975, n)`.
    #[test]
    fn quantiles_are_students() {
        for (freedom, expected) in
            [(1, 12.706205), (5, 2.570582), (11, 2.200985), (30, 2.042272), (1000, 1.962339)]
        {
            assert!((student_quantile(freedom) - expected).abs() < 1e-4, "{freedom}");
        }
        // Where the expansion has converged, each of its terms shows.
        assert!((student_quantile(100) - 1.983_971_518_524).abs() < 1e-10);
        assert!((student_quantile(300) - 1.967_903_011_261_087).abs() < 5e-13);
    }

    /// The trap: a variance passed off as a standard deviation, or a divisor n.
    #[test]
    fn a_standard_error_is_no_variance() {
        let samples: Vec<f64> = (0..100).map(|i| if i % 2 == 0 { 0.1 } else { -0.1 }).collect();
        let estimate = Estimate::of(&samples);
        assert!((estimate.standard_error - 0.1 / 99.0_f64.sqrt()).abs() < 1e-15);
        let (low, high) = estimate.interval();
        assert!((high - low - 2.0 * student_quantile(99) * estimate.standard_error).abs() < 1e-15);
    }

    #[test]
    fn one_sample_has_no_interval() {
        assert_eq!(Estimate::of(&[1.0]).standard_error, f64::INFINITY);
        assert_eq!(Estimate::of(&[1.0, 3.0]).standard_error, 1.0);
        assert_eq!(Estimate::of(&[1.0]).interval(), (f64::NEG_INFINITY, f64::INFINITY));
    }
}
