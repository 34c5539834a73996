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
