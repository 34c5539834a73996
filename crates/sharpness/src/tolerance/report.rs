//! What the search of a tolerance leaves behind: the bracket, and what each radius showed.

use std::fmt;

use crate::{Ending, Perturbed};

/// What one radius showed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Trial {
    /// The radius.
    pub radius: f64,
    /// The rise there; infinite if a perturbed loss was not finite.
    pub rise: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Which side of the target it is on.
    pub verdict: Verdict,
}

/// On which side of the target a rise is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Verdict {
    /// Below, by three standard errors.
    Below,
    /// Above, by three standard errors.
    Above,
    /// The draws could not tell.
    Undecided,
}

/// What [`NoiseTolerance::measure`](crate::NoiseTolerance::measure) found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ToleranceReport {
    /// The answer, if there [is a bracket](Self::is_bracketed): the undecided radius in it, or its geometric
    /// middle; else the radius that is undecided or would be next.
    pub radius: f64,
    /// The largest radius that was below, by three standard errors of all draws (0 if none was).
    pub low: f64,
    /// The smallest radius that was above, by three standard errors of all draws (infinite if none was).
    pub high: f64,
    /// The rise that was asked for.
    pub target: f64,
    /// Every radius that was tried, in order; the ends of the bracket again, with all draws.
    pub trials: Vec<Trial>,
    /// Evaluations of the objective.
    pub evaluations: usize,
    /// The seed of the draws.
    pub seed: u64,
    /// What was perturbed, with `radius` as the radius.
    pub perturbed: Perturbed,
    /// `Done` for a narrow bracket or an undecided radius inside one; `Budget` if none was found: the rise
    /// does not exist, or the draws could not tell on which side of it a radius is. A bracket that was
    /// `Stopped` may not have been confirmed.
    pub ending: Ending,
}

impl ToleranceReport {
    /// Whether some radius was below and some above.
    pub fn is_bracketed(&self) -> bool {
        self.low > 0.0 && self.high.is_finite()
    }
}

impl fmt::Display for ToleranceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, radius, low, high, .. } = self;
        if self.is_bracketed() {
            write!(
                f,
                "the expectation rises by {target} at a radius of {radius:.4e} (between {low:.4e} and {high:.4e})"
            )?;
        } else {
            let tried = self.trials.last().map_or(*radius, |trial| trial.radius);
            write!(
                f,
                "no bracket was found for a rise of the expectation by {target}: {low:.4e} is below, {high:.4e} above, {tried:.4e} was tried last (more draws or another first guess may tell)"
            )?;
        }
        write!(
            f,
            ": {}; {} radii, {} evaluations, seed {}{}",
            self.perturbed,
            self.trials.len(),
            self.evaluations,
            self.seed,
            self.ending.remark()
        )
    }
}
