//! Noise tolerance: the radius at which the expected loss has risen by a chosen amount.
//!
//! Sought is a with Cbar_a(w) - C(w) = rise.
//! 1. At each radius the rise is sampled until it differs from the target by three standard errors
//!    (three and not two, for the test looks after every 64 draws) or the draws are used up. Draws that
//!    were all alike, with an error of 0, decide only when they are used up. Radii grow or shrink by
//!    factors of 2 until one is below and one above; then the bracket is halved (on the logarithm) until
//!    it is narrow, or until a radius cannot be told from the answer. All radii see the same draws.
//! 2. A rule that looks often stops at lucky draws, above all where the rise is skewed. So both ends
//!    are measured again with all draws of another stream. If one is not confirmed, by three standard
//!    errors, the search goes on near it, now with all draws at every radius.
//!
//! A perturbed loss that is not finite counts as above.
//!
//! What remains: where the loss rises in very few of the draws, all of them may miss it, and a radius
//! counts as below that is above. Take more draws than one over the share of those that matter.
//!
//! It answers "which a should I take?", and is the sigma of PAC-Bayes sharpness.
//!
//! # Source
//! Jiang, Neyshabur et al. 2020, arXiv:1912.02178, appendix C (PAC-Bayes sharpness by bisection on
//! the radius).

mod bracket;
mod report;

use std::ops::ControlFlow;

use smoothout_tensor::{ParameterLayout, Perturbation};

use crate::observer::unobserved;
use crate::sampling::BATCH;
use crate::{
    Ending, ExpectedLoss, Objective, Observer, Perturbed, Progress, Sampling, SharpnessError, error,
};

pub use report::{ToleranceReport, Trial, Verdict};

use bracket::{Bracket, Next};

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

/// Radii tried at most: 60 doublings span 18 orders of magnitude.
const MOST_TRIALS: usize = 60;

/// Standard errors that decide.
const DECISIVE: f64 = 3.0;

impl NoiseTolerance {
    /// The radius of `perturbation` is the first guess; within 2 %, at most 10 000 antithetic pairs a
    /// radius, seed 0. The two ends take all of them once more.
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
    /// under way and the width of the bracket so far (infinite while its ends are confirmed). A radius
    /// that it interrupts is no trial.
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
        let (mut bracket, mut radius) = (Bracket::new(), report.radius);
        // What the first part found, and its upper end, as long as it waits to be confirmed.
        let (mut found, mut upper) = (None::<Bracket>, None);
        for _trial in 0..MOST_TRIALS {
            let mut stopped = false;
            let (done, uncertainty) = (report.evaluations, bracket.high - bracket.low);
            let stops = &mut |evaluations| {
                let evaluations = done + evaluations;
                stopped = Progress { evaluations, value: radius, uncertainty }.stops(observer);
                stopped
            };
            let confirms = found.is_some();
            let (trial, evaluations) =
                self.try_radius(radius, confirms, objective, layout, w, stops)?;
            report.evaluations += evaluations;
            if stopped {
                report.ending = Ending::Stopped;
                break;
            }
            report.trials.push(trial);
            bracket.take(radius, trial.verdict);
            // There is another upper end already if the lower one has turned out to be above.
            let again = upper.take().filter(|_| bracket.high.is_infinite());
            radius = match again.map_or_else(|| bracket.next(self.precision), Next::Try) {
                Next::Try(radius) => radius,
                Next::Found if confirms => {
                    report.ending = Ending::Done;
                    break;
                }
                Next::Found => {
                    upper = Some(bracket.high);
                    let again = bracket.again(self.precision);
                    found.insert(std::mem::replace(&mut bracket, again)).low // 2
                }
                Next::GiveUp => break,
            };
        }
        let known = found.filter(|_| report.ending == Ending::Stopped).unwrap_or(bracket);
        (report.low, report.high) = (known.low, known.high);
        report.radius = known.answer().unwrap_or(radius);
        report.perturbed.radius = report.radius;
        Ok(report)
    }

    /// Samples at one radius until the rise is on one side, or `stops`, who is told the evaluations so
    /// far, wants to. What `confirms` takes all draws of a stream of its own.
    fn try_radius<O: Objective>(
        &self,
        radius: f64,
        confirms: bool,
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
            .seed(if confirms { !self.seed } else { self.seed })
            .measure_observed(objective, layout, w, &mut |progress| {
                seen = progress.evaluations;
                let stopped = stops(seen);
                let early = !confirms && progress.uncertainty > 0.0;
                if stopped || early && decisive(progress.value, progress.uncertainty) {
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
