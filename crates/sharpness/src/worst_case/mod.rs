//! The highest loss in a ball around w, by projected gradient ascent: SAM's and ASAM's objective.
//!
//! max f(w + T u) over ‖u‖ <= rho, in the l2 or the l-infinity norm, with T = I (SAM),
//! T = diag(|w| + eta) or T = ‖w_f‖ + eta on each filter (ASAM). With G = T grad f the gradient in
//! u, an ascent step is u <- P( u + s rho G / ‖G‖ ) (l2) or P( u + s rho sign G ) (l-infinity), s = 1
//! at first and halved whenever the loss did not rise. The first step from u = 0 is SAM's.
//!
//! # Source
//! Foret et al. 2021, arXiv:2010.01412 (SAM, m-sharpness); Kwon et al. 2021, arXiv:2102.11600 (ASAM;
//! eta = 0.01); Madry et al. 2018, arXiv:1706.06083 (projected gradient ascent).
//!
//! # Differences
//! T stretches every selected block here, biases and batch norm's betas too, so that rescaled layers
//! have the same rise. ASAM's authors, and so the optimiser `Asam` of `smoothout-optim`, let T = 1 on
//! those: a rise measured here is not that of the ball in which `Asam` climbs.

mod ball;
mod m_sharpness;
mod report;

use std::fmt;

use smoothout_tensor::{ParameterLayout, Real, Selection};

use crate::observer::{unobserved, watched};
use crate::selected::Selected;
use crate::vector::{norm, update, zeros};
use crate::{Differentiable, Ending, Observer, Progress, SharpnessError, check_gradient, error};

pub use ball::Ball;
pub use m_sharpness::MSharpness;
pub use report::WorstCaseReport;

/// What the ball is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Scaling {
    /// T = I: SAM.
    #[default]
    Plain,
    /// T = diag(|w| + 0.01): ASAM, elementwise.
    Elementwise,
    /// T = ‖w_f‖ + 0.01 on each filter: ASAM, filter-wise.
    Filter,
}

impl fmt::Display for Scaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Elementwise => "elementwise",
            Self::Filter => "filter-wise",
        })
    }
}

/// ASAM's eta: keeps T from vanishing.
const ETA: f64 = 0.01;

/// The measurement of the worst case: settings, checked.
///
/// # Examples
/// f = (w_0^2 + 4 w_1^2) / 2 at 0: in the ball of radius 0.1 at most 4 * 0.01 / 2.
/// ```
/// use smoothout_sharpness::{Ball, FnObjective, ParameterLayout, WorstCase};
///
/// let value = |w: &[f64]| (w[0] * w[0] + 4.0 * w[1] * w[1]) / 2.0;
/// let f = FnObjective::new(2, value).with_gradient(|w, g| {
///     g.copy_from_slice(&[w[0], 4.0 * w[1]]);
///     value(w)
/// });
/// let report = WorstCase::new(Ball::L2, 0.1)?.measure(&f, &ParameterLayout::flat(2), &[0.0, 0.0])?;
/// assert!((report.rise - 0.02).abs() < 1e-6, "{report}");
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct WorstCase {
    ball: Ball,
    radius: f64,
    scaling: Scaling,
    steps: usize,
    starts: usize,
    selection: Selection,
    seed: u64,
}

impl WorstCase {
    /// The plain ball of radius rho: 20 steps from w and from one random start, every block, seed 0.
    ///
    /// # Errors
    /// If rho is not positive and finite.
    pub fn new(ball: Ball, radius: f64) -> Result<Self, SharpnessError> {
        error::setting("the radius", radius, radius > 0.0 && radius.is_finite(), "positive")?;
        Ok(Self {
            ball,
            radius,
            scaling: Scaling::Plain,
            steps: 20,
            starts: 2,
            selection: Selection::all(),
            seed: 0,
        })
    }

    /// Another scaling.
    #[must_use]
    pub fn scaling(self, scaling: Scaling) -> Self {
        Self { scaling, ..self }
    }

    /// Steps from each start, and the number of starts (the first is w, the others are random).
    ///
    /// # Errors
    /// If one of them is 0.
    pub fn steps(self, steps: usize, starts: usize) -> Result<Self, SharpnessError> {
        error::setting("the number of steps", steps as f64, steps > 0, "at least 1")?;
        error::setting("the number of starts", starts as f64, starts > 0, "at least 1")?;
        Ok(Self { steps, starts, ..self })
    }

    /// Only the chosen blocks move.
    #[must_use]
    pub fn selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// Another seed of the random starts.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The worst case at w.
    ///
    /// # Errors
    /// If lengths differ, nothing is selected, or the objective fails [`check_gradient`].
    pub fn measure<O: Differentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<WorstCaseReport, SharpnessError> {
        self.measure_observed(objective, layout, w, &mut unobserved)
    }

    /// [`measure`](Self::measure) with an observer, called after every step.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn measure_observed<O: Differentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<WorstCaseReport, SharpnessError> {
        error::same_length("the layout", layout.len(), objective.dimension())?;
        let loss = check_gradient(objective, w)?;
        let selected = Selected::new(&self.selection, layout)?;
        let t = self.scales(layout, &selected, w);
        let scratch = &mut objective.scratch();
        let [mut u, mut g, mut trial, mut trial_g, mut point] = [(); 5].map(|()| zeros(w.len()));
        let mut report = WorstCaseReport {
            loss,
            maximum: loss,
            rise: 0.0,
            first_step_rise: 0.0,
            misalignment: 1.0,
            ball: self.ball,
            radius: self.radius,
            scaling: self.scaling,
            selection: self.selection.clone(),
            seed: self.seed,
            evaluations: 0,
            ending: Ending::Done,
        };
        let mut evaluate = |u: &[O::Real], g: &mut [O::Real]| {
            update(&mut point, |i, _| w[i] + t[i] * u[i]);
            let value = objective.value_and_gradient(&point, g, scratch);
            update(g, |i, g| g * t[i]);
            error::finite("a loss in the ball", value)
        };
        let (ball, rho) = (self.ball, self.radius);
        let (mut value, mut size) = (loss, 1.0);
        report.ending = watched(self.starts * self.steps, observer, |k| {
            let (start, step) = (k / self.steps, k % self.steps);
            if step == 0 {
                ball.place(rho, self.seed, start, &selected, &mut u);
                (value, size) = (evaluate(&u, &mut g)?, 1.0);
                report.evaluations += 1;
            }
            ball.ascend(rho, size, &u, &g, &mut trial);
            let reached = evaluate(&trial, &mut trial_g)?;
            report.evaluations += 1;
            if k == 0 {
                report.first_step_rise = reached - loss;
            }
            if reached > value {
                value = reached;
                std::mem::swap(&mut u, &mut trial);
                std::mem::swap(&mut g, &mut trial_g);
            } else {
                size /= 2.0;
            }
            if value > report.maximum {
                report.maximum = value;
                report.misalignment = ball.misalignment(rho, selected.count(), &u, &g);
            }
            let WorstCaseReport { evaluations, maximum: value, misalignment, .. } = report;
            Ok(Progress { evaluations, value, uncertainty: misalignment })
        })?;
        report.rise = report.maximum - loss;
        Ok(report)
    }

    /// T, zero where nothing moves.
    fn scales<R: Real>(&self, layout: &ParameterLayout, selected: &Selected, w: &[R]) -> Vec<R> {
        let mut t = vec![R::one(); w.len()];
        match self.scaling {
            Scaling::Plain => {}
            Scaling::Elementwise => update(&mut t, |i, _| w[i].abs() + R::from_f64(ETA)),
            Scaling::Filter => {
                for block in layout.blocks() {
                    let filters = w[block.range()].chunks(block.filter_len());
                    for (t, w) in t[block.range()].chunks_mut(block.filter_len()).zip(filters) {
                        t.fill(R::from_f64(norm(w) + ETA));
                    }
                }
            }
        }
        selected.mask(&mut t);
        t
    }
}

#[cfg(test)]
mod tests;
