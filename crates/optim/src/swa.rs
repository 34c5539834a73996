//! SWA: the average of the weights that SGD visits late in training, with a learning rate that
//! stays high or goes up and down.
//!
//! From epoch `start` on, every c epochs:
//! 1. `w_SWA <- (n w_SWA + w) / (n + 1)`, n counting the weights averaged so far;
//! 2. with a learning rate that is constant (c = 1), or cyclical:
//!    `t(i) = (mod(i - 1, c) + 1) / c`, `alpha(i) = (1 - t(i)) alpha_1 + t(i) alpha_2` in update i,
//!    counted from 1, so that weights are averaged where the learning rate is least.
//!
//! Training goes on from w, by any optimiser; w_SWA is only looked at. Batch norm's running
//! statistics do not belong to w_SWA: whoever evaluates it computes them anew, in a pass over the
//! training examples with the weights w_SWA.
//!
//! # Source
//! Izmailov et al. 2018, arXiv:1803.05407, algorithm 1 and the learning rate of section 3.1; the
//! authors' `train.py`, which starts at epoch 161 of 200 or so, with a learning rate of 0.05 and
//! c = 1 epoch.
//!
//! # Differences
//! The average is kept as `w_SWA + (w - w_SWA) / (n + 1)`, which is the same with less rounding.

use rayon::prelude::*;
use smoothout_tensor::Real;

use crate::OptimError;
use crate::pass::PIECE;

/// A running average of weights.
///
/// # Examples
/// ```
/// use smoothout_optim::Swa;
///
/// // From the second epoch on, every other epoch: 2, 4 and 6.
/// let mut swa = Swa::new(2)?.cycle(2)?;
/// for epoch in 1..=6 {
///     let w = [epoch as f64];
///     assert_eq!(swa.observe(epoch, &w), epoch % 2 == 0);
/// }
/// assert_eq!(swa.average(), Some(&[4.0][..]));
/// # Ok::<(), smoothout_optim::OptimError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Swa<R> {
    start: u64,
    cycle: u64,
    models: u64,
    average: Vec<R>,
}

impl<R: Real> Swa<R> {
    /// An average from the end of epoch `start` on (1 is the first), of every epoch's weights.
    ///
    /// # Errors
    /// If `start` is 0: there is no epoch before the first.
    pub fn new(start: u64) -> Result<Self, OptimError> {
        OptimError::check("start", start as f64, start > 0, "at least 1")?;
        Ok(Self { start, cycle: 1, models: 0, average: Vec::new() })
    }

    /// c, the epochs from one averaged vector of weights to the next.
    ///
    /// # Errors
    /// If it is 0.
    pub fn cycle(self, cycle: u64) -> Result<Self, OptimError> {
        OptimError::check("cycle", cycle as f64, cycle > 0, "at least 1")?;
        Ok(Self { cycle, ..self })
    }

    /// Takes the weights after `epochs` epochs into the average, if their turn has come.
    ///
    /// # Panics
    /// If the length of `w` changed.
    pub fn observe(&mut self, epochs: u64, w: &[R]) -> bool {
        let Some(since) = epochs.checked_sub(self.start) else { return false };
        if !since.is_multiple_of(self.cycle) {
            return false;
        }
        if self.models == 0 {
            self.average = w.to_vec();
        } else {
            assert_eq!(w.len(), self.average.len(), "lengths of the weights");
            let share = R::from_f64(1.0 / (self.models + 1) as f64);
            let pieces = self.average.par_chunks_mut(PIECE).zip(w.par_chunks(PIECE));
            pieces.for_each(|(average, w)| {
                for (average, &w) in average.iter_mut().zip(w) {
                    *average += share * (w - *average); // 1
                }
            });
        }
        self.models += 1;
        true
    }

    /// w_SWA, once there is one.
    pub fn average(&self) -> Option<&[R]> {
        (self.models > 0).then_some(&self.average)
    }

    /// n, the weights averaged so far.
    pub fn models(&self) -> u64 {
        self.models
    }

    /// Goes on from a checkpoint, with the average of `models` vectors (empty for none).
    ///
    /// # Errors
    /// If one of them is nothing and the other is not; the average is then what it was.
    pub fn restore(&mut self, models: u64, average: Vec<R>) -> Result<(), OptimError> {
        let fits = (models == 0) == average.is_empty();
        let expected = "0 without an average, and at least 1 with one";
        OptimError::check("models", models as f64, fits, expected)?;
        (self.models, self.average) = (models, average);
        Ok(())
    }
}

/// The cyclical learning rate: from alpha_1 down to alpha_2 within each cycle, then up at once.
///
/// # Examples
/// ```
/// use smoothout_optim::CyclicalRate;
///
/// let rate = CyclicalRate::new([0.5, 0.1], 4)?;
/// let rates = [1, 2, 3, 4, 5].map(|i| rate.at(i));
/// for (rate, expected) in rates.into_iter().zip([0.4, 0.3, 0.2, 0.1, 0.4]) {
///     assert!((rate - expected).abs() < 1e-15);
/// }
/// # Ok::<(), smoothout_optim::OptimError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CyclicalRate {
    alphas: [f64; 2],
    cycle: u64,
}

impl CyclicalRate {
    /// From alpha_1 to alpha_2 in `cycle` updates.
    ///
    /// # Errors
    /// If alpha_2 is not positive or exceeds alpha_1, alpha_1 is not finite, or `cycle` is 0.
    pub fn new(alphas: [f64; 2], cycle: u64) -> Result<Self, OptimError> {
        let [first, last] = alphas;
        OptimError::check("alpha_1", first, first > 0.0, "positive and finite")?;
        OptimError::check("alpha_2", last, last > 0.0 && last <= first, "in (0, alpha_1]")?;
        OptimError::check("cycle", cycle as f64, cycle > 0, "at least 1")?;
        Ok(Self { alphas, cycle })
    }

    /// alpha(i) in update i, counted from 1.
    ///
    /// # Panics
    /// If i is 0.
    pub fn at(&self, i: u64) -> f64 {
        assert!(i > 0, "updates are counted from 1");
        let [first, last] = self.alphas;
        let t = ((i - 1) % self.cycle + 1) as f64 / self.cycle as f64;
        (1.0 - t) * first + t * last // 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(epoch: u64) -> Vec<f32> {
        (0..40_000).map(|i| (i as f32 * 0.1 + epoch as f32).sin()).collect()
    }

    /// The mean of what was seen, on any number of threads.
    #[test]
    fn the_average_is_the_mean() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut swa = Swa::new(4).unwrap().cycle(3).unwrap();
            pool.install(|| {
                for epoch in 1..=20 {
                    assert_eq!(swa.observe(epoch, &weights(epoch)), epoch % 3 == 1 && epoch > 1);
                }
            });
            (swa.models(), swa.average().unwrap().to_vec())
        };
        let expected = run(1);
        assert_eq!(expected, run(2));
        assert_eq!(expected, run(7));
        let seen = [4, 7, 10, 13, 16, 19].map(weights);
        assert_eq!(expected.0, 6);
        for (i, &average) in expected.1.iter().enumerate() {
            let mean = seen.iter().map(|w| f64::from(w[i])).sum::<f64>() / 6.0;
            assert!((f64::from(average) - mean).abs() < 1e-6, "{i}");
        }
    }

    /// Iterates of SGD around the minimum of a quadratic lie on its sides; their mean is inside.
    #[test]
    fn the_average_is_nearer_to_the_minimum_than_the_iterates() {
        // w <- w - 1.9 w: the iterates alternate in sign and shrink by 0.9.
        let (mut swa, mut w) = (Swa::new(1).unwrap(), 1.0_f64);
        for epoch in 1..=10 {
            w -= 1.9 * w;
            swa.observe(epoch, &[w]);
        }
        // The mean of the geometric series -0.9, 0.81, ...
        let expected = -0.9 * (1.0 - 0.9_f64.powi(10)) / 1.9 / 10.0;
        let average = swa.average().unwrap()[0];
        assert!((average - expected).abs() < 1e-15, "{average}");
        assert!(average.abs() < w.abs() / 10.0);
    }

    #[test]
    fn a_resumed_average_has_the_same_bits() {
        let (mut whole, mut half) = (Swa::new(2).unwrap(), Swa::new(2).unwrap());
        assert_eq!(half.average(), None);
        for epoch in 1..=9 {
            whole.observe(epoch, &weights(epoch));
            if epoch <= 5 {
                half.observe(epoch, &weights(epoch));
            }
        }
        let mut rest = Swa::new(2).unwrap();
        rest.restore(half.models(), half.average().unwrap().to_vec()).unwrap();
        for epoch in 6..=9 {
            rest.observe(epoch, &weights(epoch));
        }
        assert_eq!((rest.models(), rest.average()), (whole.models(), whole.average()));
    }

    #[test]
    fn an_average_of_nothing_is_no_average() {
        let mut swa = Swa::new(1).unwrap();
        swa.restore(2, vec![3.0_f64]).unwrap();
        for (models, average) in [(3, vec![]), (0, vec![1.0])] {
            let error = swa.restore(models, average).unwrap_err();
            assert!(error.to_string().starts_with("models is"), "{error}");
        }
        assert_eq!((swa.models(), swa.average()), (2, Some(&[3.0][..])));
        swa.restore(0, Vec::new()).unwrap();
        assert!(swa.average().is_none() && swa.observe(1, &[7.0]));
        assert_eq!(swa.average(), Some(&[7.0][..]));
    }

    /// t(i) = (mod(i - 1, c) + 1) / c: down to alpha_2 at the end of each cycle, then up at once.
    #[test]
    fn the_cyclical_rate_is_its_formula() {
        let rate = CyclicalRate::new([0.5, 0.1], 4).unwrap();
        for (i, expected) in (1..).zip([0.4, 0.3, 0.2, 0.1, 0.4, 0.3, 0.2, 0.1, 0.4]) {
            assert!((rate.at(i) - expected).abs() < 1e-15, "{i}");
        }
        assert!(CyclicalRate::new([0.1, 0.1], 1).is_ok());
    }

    #[test]
    fn settings_are_checked() {
        for (name, error) in [
            ("start", Swa::<f32>::new(0).unwrap_err()),
            ("cycle", Swa::<f32>::new(1).unwrap().cycle(0).unwrap_err()),
            ("alpha_1", CyclicalRate::new([f64::NAN, 0.1], 1).unwrap_err()),
            ("alpha_2", CyclicalRate::new([0.1, 0.2], 1).unwrap_err()),
            ("alpha_2", CyclicalRate::new([0.1, 0.0], 1).unwrap_err()),
            ("cycle", CyclicalRate::new([0.2, 0.1], 0).unwrap_err()),
        ] {
            assert!(error.to_string().starts_with(&format!("{name} is")), "{error}");
        }
    }
}
