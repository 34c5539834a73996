//! Noise tolerance: the radius at which the expected loss has risen by a chosen amount.
//!
//! Sought is a with Cbar_a(w) - C(w) = rise. At each radius the rise is sampled until it differs from
//! the target by three standard errors (three and not two, for the test looks after every 64
//! draws) or the draws are used up. Radii grow or shrink by factors of 2 until one is below and one
//! above; then the bracket is halved (on the logarithm) until it is narrow, or until a radius cannot
//! be told from the answer. All radii see the same draws. A perturbed loss that is not finite counts
//! as above.
//!
//! It answers "which a should I take?", and is the sigma of PAC-Bayes sharpness.
//!
//! # Source
//! Jiang, Neyshabur et al. 2020, arXiv:1912.02178, appendix C (PAC-Bayes sharpness by bisection on
//! the radius).

use std::fmt;
use std::ops::ControlFlow;

use smoothout_tensor::{ParameterLayout, Perturbation};

use crate::observer::unobserved;
use crate::sampling::BATCH;
use crate::{
    Ending, ExpectedLoss, Objective, Observer, Perturbed, Progress, Sampling, SharpnessError, error,
};

/// The measurement of the tolerance: settings, checked.
///
/// # Examples
/// For C = sum w_i^2 / 2 the rise is m a^2 / 6: with m = 6 it is 0.01 at a = 0.1.
/// ```
/// use smoothout_sharpness::{FnObjective, Geometry, NoiseTolerance, ParameterLayout, Perturbation};
///
/// let f = FnObjective::new(6, |w: &[f64]| w.iter().map(|w| 0.5 * w * w).sum());
/// let first_guess = Perturbation::new(Geometry::Absolute, 1.0)?;
/// let report = NoiseTolerance::new(first_guess, 0.01)?
///     .measure(&f, &ParameterLayout::flat(6), &[0.0; 6])?;
/// assert!(report.low <= 0.1 && 0.1 <= report.high, "{report}");
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseTolerance {
    perturbation: Perturbation,
    rise: f64,
    precision: f64,
    draws: usize,
    seed: u64,
}

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

/// What [`NoiseTolerance::measure`] found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ToleranceReport {
    /// The answer, if there [is a bracket](Self::is_bracketed): the undecided radius in it, or its geometric
    /// middle; else the radius that is undecided or would be next.
    pub radius: f64,
    /// The largest radius that was certainly below (0 if none was).
    pub low: f64,
    /// The smallest radius that was certainly above (infinite if none was).
    pub high: f64,
    /// The rise that was asked for.
    pub target: f64,
    /// Every radius that was tried, in order.
    pub trials: Vec<Trial>,
    /// Evaluations of the objective.
    pub evaluations: usize,
    /// The seed of the draws.
    pub seed: u64,
    /// What was perturbed, with `radius` as the radius.
    pub perturbed: Perturbed,
    /// `Done` for a narrow bracket or an undecided radius inside one; `Budget` if none was found: the rise
    /// does not exist, or the draws could not tell on which side of it a radius is.
    pub ending: Ending,
}

impl ToleranceReport {
    /// Whether some radius was certainly below and some certainly above.
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
                "the expectation rises by {target} at a radius of {radius:.4e} (surely between {low:.4e} and {high:.4e})"
            )?;
        } else {
            let tried = self.trials.last().map_or(*radius, |trial| trial.radius);
            write!(
                f,
                "no bracket was found for a rise of the expectation by {target}: {low:.4e} is surely below, {high:.4e} surely above, {tried:.4e} was tried last (more draws or another first guess may tell)"
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

/// Radii tried at most: 60 doublings span 18 orders of magnitude.
const MOST_TRIALS: usize = 60;

/// Standard errors that decide.
const DECISIVE: f64 = 3.0;

impl NoiseTolerance {
    /// The radius of `perturbation` is the first guess; within 2 %, at most 10 000 antithetic pairs a
    /// radius, seed 0.
    ///
    /// # Errors
    /// If the first guess or the rise is not positive and finite.
    pub fn new(perturbation: Perturbation, rise: f64) -> Result<Self, SharpnessError> {
        let guess = perturbation.radius();
        error::setting("the first guess of the radius", guess, guess > 0.0, "positive")?;
        error::setting("the rise", rise, rise > 0.0 && rise.is_finite(), "positive and finite")?;
        Ok(Self { perturbation, rise, precision: 0.02, draws: 10_000, seed: 0 })
    }

    /// The relative width of the bracket that is narrow enough.
    ///
    /// # Errors
    /// If it is not positive.
    pub fn precision(self, precision: f64) -> Result<Self, SharpnessError> {
        error::setting("the precision", precision, precision > 0.0, "positive")?;
        Ok(Self { precision, ..self })
    }

    /// The most draws a radius.
    ///
    /// # Errors
    /// For fewer than 2.
    pub fn draws(self, draws: usize) -> Result<Self, SharpnessError> {
        error::setting("the number of draws", draws as f64, draws >= 2, "at least 2")?;
        Ok(Self { draws, ..self })
    }

    /// Another seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The tolerance at w.
    ///
    /// # Errors
    /// As [`ExpectedLoss::measure`].
    pub fn measure<O: Objective>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<ToleranceReport, SharpnessError> {
        self.measure_observed(objective, layout, w, &mut unobserved)
    }

    /// [`measure`](Self::measure) with an observer, called after every 64 draws with the radius
    /// under way and the width of the bracket so far. A radius that it interrupts is no trial.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn measure_observed<O: Objective>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<ToleranceReport, SharpnessError> {
        let mut report = ToleranceReport {
            radius: self.perturbation.radius(),
            low: 0.0,
            high: f64::INFINITY,
            target: self.rise,
            trials: Vec::new(),
            evaluations: 0,
            seed: self.seed,
            perturbed: Perturbed::new(&self.perturbation, layout)?,
            ending: Ending::Budget,
        };
        for _trial in 0..MOST_TRIALS {
            let mut stopped = false;
            let (done, radius) = (report.evaluations, report.radius);
            let uncertainty = report.high - report.low;
            let (trial, evaluations) =
                self.try_radius(radius, objective, layout, w, &mut |evaluations| {
                    let evaluations = done + evaluations;
                    stopped = Progress { evaluations, value: radius, uncertainty }.stops(observer);
                    stopped
                })?;
            report.evaluations += evaluations;
            if stopped {
                report.ending = Ending::Stopped;
                break;
            }
            report.trials.push(trial);
            match trial.verdict {
                Verdict::Below => report.low = report.low.max(trial.radius),
                Verdict::Above => report.high = report.high.min(trial.radius),
                Verdict::Undecided => {
                    if report.is_bracketed() {
                        report.ending = Ending::Done;
                    }
                    break;
                }
            }
            report.radius = match (report.low, report.high) {
                (0.0, high) => high / 2.0,
                (low, high) if high.is_infinite() => 2.0 * low,
                (low, high) => (low * high).sqrt(),
            };
            if report.high <= report.low * (1.0 + self.precision) {
                report.ending = Ending::Done;
                break;
            }
        }
        report.perturbed.radius = report.radius;
        Ok(report)
    }

    /// Samples at one radius until the rise is surely on one side, or `stops`, who is told the
    /// evaluations so far, wants to.
    fn try_radius<O: Objective>(
        &self,
        radius: f64,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        stops: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(Trial, usize), SharpnessError> {
        let perturbation = Perturbation::new(self.perturbation.geometry(), radius)?
            .distribution(self.perturbation.law())
            .selection(self.perturbation.selected().clone());
        let threshold = self.rise + crate::check_value(objective, w)?;
        let decisive = |value: f64, error: f64| (value - threshold).abs() > DECISIVE * error;
        let mut seen = 0;
        let sampled = ExpectedLoss::new(perturbation)
            .sampling(Sampling::Antithetic)
            .draws(self.draws)?
            .seed(self.seed)
            .measure_observed(objective, layout, w, &mut |progress| {
                seen = progress.evaluations;
                let stopped = stops(seen);
                if stopped || decisive(progress.value, progress.uncertainty) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
        match sampled {
            Ok(report) => {
                let (rise, standard_error) = (report.rise.value, report.rise.standard_error);
                let verdict = if !decisive(report.expected.value, standard_error) {
                    Verdict::Undecided
                } else if rise < self.rise {
                    Verdict::Below
                } else {
                    Verdict::Above
                };
                Ok((Trial { radius, rise, standard_error, verdict }, report.evaluations))
            }
            Err(SharpnessError::NotFinite { .. }) => {
                let (rise, standard_error) = (f64::INFINITY, 0.0);
                let batch = 2 * BATCH.min(self.draws - seen / 2);
                Ok((Trial { radius, rise, standard_error, verdict: Verdict::Above }, seen + batch))
            }
            Err(other) => Err(other),
        }
    }
}

#[cfg(test)]
mod tests;
