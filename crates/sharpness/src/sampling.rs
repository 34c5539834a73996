//! How many draws: a fixed number, or until the standard error is small.
//!
//! The rule looks at the standard error first after [`FIRST_LOOK`] draws and then whenever their
//! number has grown by half. A rule that looks after every draw stops at the lucky ones, and its
//! interval covers too seldom.

use crate::{Ending, Estimate, Observer, Progress, SharpnessError, error};

/// Fewer draws say too little about their own spread.
const FIRST_LOOK: usize = 64;

/// Draws evaluated between two calls of the observer.
pub(crate) const BATCH: usize = 64;

/// The most draws, and the wished standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Budget {
    pub(crate) draws: usize,
    wish: Option<f64>,
}

impl Budget {
    pub(crate) fn new(draws: usize) -> Self {
        Self { draws, wish: None }
    }

    pub(crate) fn draws(self, draws: usize) -> Result<Self, SharpnessError> {
        error::setting("the number of draws", draws as f64, draws >= 2, "at least 2")?;
        Ok(Self { draws, ..self })
    }

    pub(crate) fn until(self, standard_error: f64) -> Result<Self, SharpnessError> {
        let allowed = standard_error > 0.0;
        error::setting("the wished standard error", standard_error, allowed, "positive")?;
        Ok(Self { wish: Some(standard_error), ..self })
    }

    /// Takes batches of draws from `batch(first draw, values)` until the budget is used, the wish
    /// met, or the observer has seen enough.
    pub(crate) fn sample(
        &self,
        observer: Observer<'_>,
        evaluations: usize,
        mut batch: impl FnMut(usize, &mut [f64]) -> Result<Estimate, SharpnessError>,
    ) -> Result<Ending, SharpnessError> {
        let mut values = [0.0; BATCH];
        let first_look = self.wish.map_or(self.draws, |_| FIRST_LOOK.min(self.draws));
        let (mut done, mut look) = (0, first_look);
        loop {
            let count = BATCH.min(look - done);
            let estimate = batch(done, &mut values[..count])?;
            done += count;
            if self.wish.is_some_and(|wish| done == look && estimate.standard_error <= wish) {
                return Ok(Ending::Done);
            }
            if Progress::of(&estimate, done * evaluations).stops(observer) {
                return Ok(Ending::Stopped);
            }
            if done == self.draws {
                return Ok(if self.wish.is_some() { Ending::Budget } else { Ending::Done });
            }
            if done == look {
                look = (look + look.div_ceil(2)).min(self.draws);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::observer::unobserved;

    /// Samples with an error that is small after the draws of `small` only: how it ended, and the
    /// draws after each batch.
    fn sample(budget: Budget, small: &[usize]) -> (Ending, Vec<usize>) {
        let mut done = vec![0];
        let ending = budget.sample(&mut unobserved, 2, |first, out| {
            assert_eq!(first, done[done.len() - 1]);
            let samples = first + out.len();
            done.push(samples);
            let standard_error = if small.contains(&samples) { 0.1 } else { 1.0 };
            Ok(Estimate { value: 0.0, standard_error, samples })
        });
        (ending.unwrap(), done)
    }

    /// Looked at after 64 draws, and whenever they have grown by half: lucky errors in between do
    /// not end it.
    #[test]
    fn the_rule_looks_seldom() {
        let budget = Budget::new(9).draws(300).unwrap().until(0.1).unwrap();
        let all = vec![0, 64, 96, 144, 208, 216, 280, 300];
        assert_eq!(sample(budget, &[]), (Ending::Budget, all.clone()));
        assert_eq!(sample(budget, &[208, 280]), (Ending::Budget, all.clone()));
        assert_eq!(sample(budget, &[216]), (Ending::Done, all[..6].to_vec()));
        assert_eq!(sample(budget, &[300]), (Ending::Done, all));
        assert_eq!(sample(Budget::new(100), &[]), (Ending::Done, vec![0, 64, 100]));
        let few = Budget::new(10).until(0.1).unwrap();
        assert_eq!(sample(few, &[]), (Ending::Budget, vec![0, 10]));
    }

    #[test]
    fn the_observer_sees_evaluations_and_stops_it() {
        let mut seen = Vec::new();
        let mut observer = |progress: Progress| {
            seen.push(progress.evaluations);
            ControlFlow::Break(())
        };
        let estimate = Estimate { value: 0.0, standard_error: 1.0, samples: 64 };
        let ending = Budget::new(100).sample(&mut observer, 3, |_, _| Ok(estimate)).unwrap();
        assert_eq!((ending, seen), (Ending::Stopped, vec![3 * 64]));
    }

    #[test]
    fn settings_are_checked() {
        assert!(Budget::new(9).draws(1).is_err() && Budget::new(9).draws(2).is_ok());
        assert!(Budget::new(9).until(0.0).is_err() && Budget::new(9).until(f64::NAN).is_err());
    }
}
