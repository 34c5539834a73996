//! The share of wrong answers as a function of the weights.
//!
//! It has steps and no useful gradient, but it is what noise tolerance and landscapes are asked for.

use smoothout_sharpness::Objective;
use smoothout_tensor::Real;

use super::{NetworkObjective, NetworkScratch};

/// w -> the share, 0 to 1, of the examples whose label does not have the largest logit. A logit that
/// is NaN makes its example wrong.
#[derive(Debug, Clone)]
pub struct ErrorRate<'a, R>(NetworkObjective<'a, R>);

impl<'a, R> ErrorRate<'a, R> {
    pub(super) fn of(objective: NetworkObjective<'a, R>) -> Self {
        Self(objective)
    }
}

impl<R: Real> Objective for ErrorRate<'_, R> {
    type Real = R;
    type Scratch = NetworkScratch<R>;

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn scratch(&self) -> NetworkScratch<R> {
        self.0.scratch()
    }

    fn value(&self, w: &[R], scratch: &mut NetworkScratch<R>) -> f64 {
        let wrong = self.0.count() - self.0.totals(w, scratch).top1;
        wrong as f64 / self.0.count() as f64
    }
}
