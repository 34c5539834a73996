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
    /// The answer: the undecided radius, or the geometric middle of the bracket.
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
    /// `Done` for a narrow bracket or an undecided radius inside one; `Budget` if no bracket was
    /// found.
    pub ending: Ending,
}

impl fmt::Display for ToleranceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the expected loss rises by {} at a radius of {:.4e} (surely between {:.4e} and {:.4e}): {}; {} radii, {} evaluations, seed {}",
            self.target,
            self.radius,
            self.low,
            self.high,
            self.perturbed,
            self.trials.len(),
            self.evaluations,
            self.seed
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
                    report.ending = Ending::Done;
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
mod tests {
    use smoothout_tensor::Geometry;

    use super::*;
    use crate::FnObjective;

    fn absolute(radius: f64) -> Perturbation {
        Perturbation::new(Geometry::Absolute, radius).unwrap()
    }

    /// m a^2 / 6 = rise, from guesses far too small and far too large; 50 seeds, the sure bracket
    /// holds the answer in all but a few.
    #[test]
    fn the_bracket_holds_the_answer() {
        let f = FnObjective::new(10, |w: &[f64]| w.iter().map(|w| 0.5 * w * w).sum());
        let truth = (6.0 * 0.02 / 10.0_f64).sqrt();
        let mut held = 0;
        for seed in 0..50 {
            let guess = if seed % 2 == 0 { 1e-4 } else { 1e3 };
            let settings = NoiseTolerance::new(absolute(guess), 0.02).unwrap().seed(seed);
            let report = settings.measure(&f, &ParameterLayout::flat(10), &[0.0; 10]).unwrap();
            assert_eq!(report.ending, Ending::Done);
            assert!((report.radius / truth - 1.0).abs() < 0.05, "{report}");
            held += usize::from(report.low <= truth && truth <= report.high);
        }
        assert!(held >= 46, "{held} of 50");
    }

    /// Called within a radius too, which may take thousands of evaluations; what was known stays.
    #[test]
    fn an_observer_stops_within_a_radius() {
        let f = FnObjective::new(10, |w: &[f64]| w.iter().map(|w| 0.5 * w * w).sum());
        let (settings, layout) =
            (NoiseTolerance::new(absolute(0.1), 0.02).unwrap(), ParameterLayout::flat(10));
        let whole = settings.measure(&f, &layout, &[0.0; 10]).unwrap();
        let mut calls = 0;
        let stopped = settings
            .measure_observed(&f, &layout, &[0.0; 10], &mut |progress| {
                calls += 1;
                assert_eq!(progress.evaluations, 128 * calls);
                if calls < 4 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
            .unwrap();
        assert_eq!((stopped.ending, stopped.evaluations), (Ending::Stopped, 512));
        assert!(stopped.trials.len() < whole.trials.len());
        assert_eq!(stopped.trials, whole.trials[..stopped.trials.len()]);
    }

    /// Every call of the objective is counted but for the six checks at w for each radius, where a
    /// loss is not finite too.
    #[test]
    fn evaluations_are_the_calls_of_the_objective() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        // Not finite among the first draws, never, and among the last 36 for some seeds.
        let cases = [(8.0, 0.5), (8.0, f64::INFINITY)].into_iter();
        for (seed, (guess, edge)) in cases.chain([(0.2, 0.199); 20]).enumerate() {
            let calls = AtomicUsize::new(0);
            let f = FnObjective::new(1, |w: &[f64]| {
                calls.fetch_add(1, Ordering::Relaxed);
                if w[0].abs() < edge { w[0].abs() } else { f64::NAN }
            });
            let settings = NoiseTolerance::new(absolute(guess), 0.1).unwrap().draws(100).unwrap();
            let settings = settings.precision(0.5).unwrap().seed(seed as u64);
            let report = settings.measure(&f, &ParameterLayout::flat(1), &[0.0]).unwrap();
            assert_eq!(report.evaluations + 6 * report.trials.len(), calls.into_inner());
            assert_eq!((report.seed, report.target), (seed as u64, 0.1));
        }
        let settings = || NoiseTolerance::new(absolute(1.0), 0.1).unwrap();
        assert!(settings().draws(1).is_err() && settings().draws(2).is_ok());
        assert!(settings().precision(0.0).is_err());
    }

    /// The largest of 2000 coordinates is the radius itself but for a thousandth: doublings, then
    /// geometric middles, until the bracket is as narrow as was asked for.
    #[test]
    fn radii_are_doubled_then_bisected() {
        let largest = |w: &[f64]| 3.0 + w.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
        let f = FnObjective::new(2000, largest);
        let (middle, infinite) = ((0.2_f64 * 0.4).sqrt(), f64::INFINITY);
        let end = (middle * 0.4).sqrt();
        for (guess, expected) in [
            (0.1, vec![(0.1, infinite), (0.2, infinite), (0.4, infinite), (middle, 0.2)]),
            (0.8, vec![(0.8, infinite), (0.4, 0.8), (0.2, 0.4), (middle, 0.2)]),
        ] {
            let settings = NoiseTolerance::new(absolute(guess), 0.3).unwrap();
            let settings = settings.precision(0.5).unwrap();
            let mut seen = Vec::new();
            let mut observer = |progress: Progress| {
                seen.push((progress.value, progress.uncertainty));
                ControlFlow::Continue(())
            };
            let (layout, w) = (ParameterLayout::flat(2000), [0.0; 2000]);
            let report = settings.measure_observed(&f, &layout, &w, &mut observer).unwrap();
            assert_eq!((report.ending, report.low, report.high), (Ending::Done, middle, 0.4));
            assert_eq!((report.radius, report.perturbed.radius), (end, end));
            assert_eq!(report.evaluations, 4 * 128, "the first look is decisive");
            assert_eq!(seen.len(), expected.len(), "{seen:?}");
            for (seen, expected) in seen.iter().zip(expected) {
                assert!((seen.0 - expected.0).abs() < 1e-15, "{seen:?} {expected:?}");
                assert!(seen.1 == expected.1 || (seen.1 - expected.1).abs() < 1e-15, "{seen:?}");
            }
        }
    }

    /// At the answer itself the draws are used up: with noise, and without, where a rise that is
    /// exactly the target is on neither side.
    #[test]
    fn an_undecided_radius_is_the_answer() {
        let noisy = FnObjective::new(1, |w: &[f64]| 0.5 + w[0].abs());
        let exact = FnObjective::new(1, |w: &[f64]| if w[0] == 0.0 { 0.5 } else { 1.5 });
        let measure = |f: &dyn Fn(&NoiseTolerance) -> ToleranceReport, radius, rise| {
            f(&NoiseTolerance::new(absolute(radius), rise).unwrap().draws(100).unwrap())
        };
        let layout = ParameterLayout::flat(1);
        let noisy = measure(&|t| t.measure(&noisy, &layout, &[0.0]).unwrap(), 0.2, 0.1);
        let exact = measure(&|t| t.measure(&exact, &layout, &[0.0]).unwrap(), 0.2, 1.0);
        for report in [noisy, exact] {
            assert_eq!(
                (report.ending, report.radius, report.evaluations),
                (Ending::Done, 0.2, 200)
            );
            assert_eq!(report.trials.len(), 1);
            assert_eq!(report.trials[0].verdict, Verdict::Undecided);
        }
    }

    #[test]
    fn a_pole_counts_as_above_and_a_constant_has_no_bracket() {
        let pole =
            FnObjective::new(1, |w: &[f64]| if w[0].abs() < 0.5 { w[0].abs() } else { f64::NAN });
        let report = NoiseTolerance::new(absolute(8.0), 0.1)
            .unwrap()
            .measure(&pole, &ParameterLayout::flat(1), &[0.0])
            .unwrap();
        assert!((report.radius - 0.2).abs() < 0.01, "{report}");
        assert_eq!(report.trials[0].verdict, Verdict::Above);
        let flat = FnObjective::new(1, |_: &[f64]| 1.0);
        let settings = NoiseTolerance::new(absolute(1.0), 0.1).unwrap().draws(64).unwrap();
        let report = settings.measure(&flat, &ParameterLayout::flat(1), &[0.0]).unwrap();
        assert_eq!((report.ending, report.high), (Ending::Budget, f64::INFINITY));
        assert!(NoiseTolerance::new(absolute(0.0), 0.1).is_err());
    }
}
