//! What a search in a ball leaves behind.

use std::fmt;

use smoothout_tensor::Selection;

use super::{Ball, Scaling};
use crate::Ending;

/// What [`WorstCase::measure`](crate::WorstCase::measure) found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WorstCaseReport {
    /// f(w).
    pub loss: f64,
    /// The highest loss seen in the ball.
    pub maximum: f64,
    /// `maximum` - f(w): a lower bound of the true rise.
    pub rise: f64,
    /// The rise after the first step from w: SAM's own estimate.
    pub first_step_rise: f64,
    /// The certificate: 1 - cos of the angle between u and G for l2, the share of the selected
    /// coordinates that could still be moved uphill for l-infinity. 0 at a stationary point of the boundary.
    pub misalignment: f64,
    /// The norm.
    pub ball: Ball,
    /// rho.
    pub radius: f64,
    /// T.
    pub scaling: Scaling,
    /// The blocks.
    pub selection: Selection,
    /// The seed of the random starts.
    pub seed: u64,
    /// Evaluations of value and gradient.
    pub evaluations: usize,
    /// How it ended.
    pub ending: Ending,
}

impl fmt::Display for WorstCaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "worst case in the {} ball of radius {} ({}): loss {:.6e} rises by {:.6e} (first step {:.6e}, misalignment {:.1e}); {} evaluations, seed {}",
            self.ball,
            self.radius,
            self.scaling,
            self.loss,
            self.rise,
            self.first_step_rise,
            self.misalignment,
            self.evaluations,
            self.seed
        )
    }
}
