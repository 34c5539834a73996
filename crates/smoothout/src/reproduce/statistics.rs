//! What several seeds say: a mean with its spread, and a difference with its interval.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// From so many pairs on, a p value is given: with fewer, the normality that it rests on decides it.
pub const PAIRS_FOR_P: usize = 5;

/// Mean and spread of a sample.
///
/// # Examples
/// ```
/// use smoothout::reproduce::statistics::Summary;
/// let summary = Summary::of(&[1.0, 2.0, 3.0]).unwrap();
/// assert_eq!((summary.n, summary.mean, summary.deviation), (3, 2.0, Some(1.0)));
/// assert_eq!(Summary::of(&[4.0]).unwrap().deviation, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// sqrt(sum (x - mean)^2 / (n - 1)), from two values on.
    pub deviation: Option<f64>,
}

impl Summary {
    /// Of the values; `None` of none, or if one is not finite.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        Some(Self { n, mean, deviation })
    }
}

/// How sure a mean difference is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Certainty {
    /// A single pair: nothing is known of its spread.
    OnePair,
    /// All differences are the same: their spread says nothing.
    NoSpread,
    /// mean ± t s / sqrt(n), t the 97.5 % point of Student's distribution with n - 1 degrees of
    /// freedom.
    Interval {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
        /// P(|T| >= |mean| sqrt(n) / s), two-sided, from [`PAIRS_FOR_P`] pairs on.
        p: Option<f64>,
    },
}

/// The mean of a - b over pairs (a, b), with its 95 % confidence interval.
///
/// # Examples
/// ```
/// use smoothout::reproduce::statistics::{Certainty, PairedDifference};
/// let difference = PairedDifference::of(&[(1.0, 0.5), (2.5, 1.0)]).unwrap();
/// assert_eq!((difference.n, difference.mean), (2, 1.0));
/// assert!(matches!(difference.certainty, Certainty::Interval { p: None, .. }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDifference {
    /// How many pairs.
    pub n: usize,
    /// The mean difference.
    pub mean: f64,
    /// How sure it is.
    pub certainty: Certainty,
}

impl PairedDifference {
    /// Of the pairs; `None` of none, or if a value is not finite.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let differences: Vec<f64> = pairs.iter().map(|(a, b)| a - b).collect();
        let Summary { n, mean, deviation } = Summary::of(&differences)?;
        let size = pairs.iter().fold(0.0_f64, |size, (a, b)| size.max(a.abs()).max(b.abs()));
        let certainty = match deviation {
            None => Certainty::OnePair,
            // What rounding makes of equal differences is no spread.
            Some(deviation) if deviation <= 1e-12 * size => Certainty::NoSpread,
            Some(deviation) => {
                let error = deviation / (n as f64).sqrt();
                let student = StudentsT::new(0.0, 1.0, (n - 1) as f64)
                    .expect("the scale and the degrees of freedom are positive");
                let half = student.inverse_cdf(0.975) * error;
                let p = 2.0 * student.sf(mean.abs() / error);
                Certainty::Interval {
                    low: mean - half,
                    high: mean + half,
                    p: (n >= PAIRS_FOR_P).then_some(p),
                }
            }
        };
        Some(Self { n, mean, certainty })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} is not {expected}");
    }

    fn interval(pairs: &[(f64, f64)]) -> (f64, f64, Option<f64>) {
        match PairedDifference::of(pairs).unwrap().certainty {
            Certainty::Interval { low, high, p } => (low, high, p),
            other => panic!("{other:?} is no interval"),
        }
    }

    /// scipy.stats.ttest_rel(a, b) and its confidence_interval(0.95).
    #[test]
    fn five_pairs_as_scipy() {
        let a = [98.03, 97.81, 97.95, 98.10, 97.99];
        let pairs: Vec<(f64, f64)> =
            a.into_iter().zip([97.70, 97.74, 97.61, 97.92, 97.66]).collect();
        let summary = Summary::of(&a).unwrap();
        close(summary.mean, 97.976);
        close(summary.deviation.unwrap(), 0.108_074_048_688_847_67);
        let (low, high, p) = interval(&pairs);
        close(low, 0.100_226_290_696_484_9);
        close(high, 0.399_773_709_303_515_1);
        close(p.unwrap(), 0.009_774_920_417_335_619);
        let six = [(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0), (5.0, 5.0), (6.0, 7.0)];
        let (low, high, p) = interval(&six);
        close(low, -1.198_463_476_544_673_1);
        close(high, 0.865_130_143_211_339_7);
        close(p.unwrap(), 0.695_192_295_931_711_1);
    }

    /// With two pairs the interval is 12.7 standard errors, and there is no p value.
    #[test]
    fn few_pairs_have_wide_intervals_and_no_p() {
        let (low, high, p) = interval(&[(1.0, 0.5), (2.5, 1.0)]);
        close(low, -5.353_102_368_087_347);
        close(high, 7.353_102_368_087_347);
        assert_eq!(p, None);
        assert!(interval(&[(1.0, 0.0), (2.0, 0.0), (4.0, 0.0), (3.0, 0.0)]).2.is_none());
    }

    #[test]
    fn nothing_is_claimed_without_a_spread() {
        let one = PairedDifference::of(&[(1.0, 3.0)]).unwrap();
        assert_eq!((one.mean, one.certainty), (-2.0, Certainty::OnePair));
        // 97.8 - 97.7 and 96.8 - 96.7 differ in the last bit.
        let same = PairedDifference::of(&[(97.8, 97.7), (96.8, 96.7), (95.1, 95.0)]).unwrap();
        assert_eq!(same.certainty, Certainty::NoSpread);
        let zero = PairedDifference::of(&[(0.0, 0.0), (0.0, 0.0)]).unwrap();
        assert_eq!(zero.certainty, Certainty::NoSpread);
        assert_eq!(PairedDifference::of(&[]), None);
        assert_eq!(PairedDifference::of(&[(f64::NAN, 0.0), (1.0, 0.0)]), None);
        assert_eq!(Summary::of(&[1.0, f64::INFINITY]), None);
    }
}
