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

use std::fmt;
use std::ops::ControlFlow;

use smoothout_tensor::{
    ParameterLayout, Purpose, Real, Selection, StreamKey, fill_gaussian, fill_uniform,
};

use crate::observer::unobserved;
use crate::selected::Selected;
use crate::vector::{norm, scale, update, zeros};
use crate::{
    Differentiable, Ending, Estimate, Observer, Progress, SharpnessError, check_gradient, error,
};

/// The norm of the ball.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Ball {
    /// ‖u‖_2 <= rho.
    L2,
    /// |u_i| <= rho for every i.
    LInfinity,
}

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

/// ASAM's eta: keeps T from vanishing.
const ETA: f64 = 0.01;

/// The measurement of the worst case: settings, checked.
///
/// # Examples
/// f = (w_0^2 + 4 w_1^2) / 2 at 0: in the ball of radius 0.1 at most 4 * 0.01 / 2.
/// ```
/// use smoothout_sharpness::{Ball, FnObjective, WorstCase};
/// use smoothout_tensor::ParameterLayout;
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

/// What [`WorstCase::measure`] found.
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
    /// The certificate: 1 - cos of the angle between u and G for l2, the share of coordinates that
    /// could still be moved uphill for l-infinity. 0 at a stationary point of the boundary.
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
            "worst case in the {:?} ball of radius {} ({:?}): loss {:.6e} rises by {:.6e} (first step {:.6e}, misalignment {:.1e}); {} evaluations, seed {}",
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

/// What [`WorstCase::measure_batches`] found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MSharpness {
    /// The mean over the batches of each batch's own rise, and its standard error over the batches.
    pub rise: Estimate,
    /// The same after one step only: what SAM sees.
    pub first_step_rise: Estimate,
    /// One report a batch.
    pub batches: Vec<WorstCaseReport>,
}

impl fmt::Display for MSharpness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.batches.first() else { return f.write_str("no batch") };
        write!(
            f,
            "m-sharpness: mean rise {} (first step {}) over {} batches, each in its own {:?} ball of radius {} ({:?}); seed {}",
            self.rise,
            self.first_step_rise,
            self.batches.len(),
            first.ball,
            first.radius,
            first.scaling,
            first.seed
        )
    }
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

    /// m-sharpness: every batch's own worst case at w, averaged.
    ///
    /// # Errors
    /// As [`measure`](Self::measure), of any batch; and if there is no batch.
    ///
    /// # Source
    /// Foret et al. 2021, section 4.1.
    pub fn measure_batches<O: Differentiable>(
        &self,
        batches: impl IntoIterator<Item = O>,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<MSharpness, SharpnessError> {
        let batches: Vec<WorstCaseReport> = batches
            .into_iter()
            .map(|batch| self.measure(&batch, layout, w))
            .collect::<Result<_, _>>()?;
        let count = batches.len();
        error::setting("the number of batches", count as f64, count > 0, "at least 1")?;
        let over = |pick: fn(&WorstCaseReport) -> f64| {
            Estimate::of(&batches.iter().map(pick).collect::<Vec<_>>())
        };
        let (rise, first_step_rise) = (over(|b| b.rise), over(|b| b.first_step_rise));
        Ok(MSharpness { rise, first_step_rise, batches })
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
        'starts: for start in 0..self.starts {
            self.place(start, &selected, &mut u);
            let mut value = evaluate(&u, &mut g)?;
            report.evaluations += 1;
            let mut size = 1.0;
            for step in 0..self.steps {
                self.ascend(size, &u, &g, &mut trial);
                let reached = evaluate(&trial, &mut trial_g)?;
                report.evaluations += 1;
                if start == 0 && step == 0 {
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
                    report.misalignment = self.misalignment(&u, &g);
                }
                let progress = Progress {
                    evaluations: report.evaluations,
                    value: report.maximum,
                    uncertainty: report.misalignment,
                };
                if observer(progress) == ControlFlow::Break(()) {
                    report.ending = Ending::Stopped;
                    break 'starts;
                }
            }
        }
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

    /// Start 0 is w; the others are random points of the boundary.
    fn place<R: Real>(&self, start: usize, selected: &Selected, u: &mut [R]) {
        let key = StreamKey::new(self.seed, Purpose::Measurement).step(BALL).copy(start as u64);
        match (start, self.ball) {
            (0, _) => u.fill(R::zero()),
            (_, Ball::L2) => {
                fill_gaussian(key, u);
                selected.mask(u);
                let length = norm(u);
                scale(u, self.radius / length);
            }
            (_, Ball::LInfinity) => {
                fill_uniform(key, u);
                selected.mask(u);
                scale(u, self.radius);
            }
        }
    }

    /// `to` = P(u + s rho G / ‖G‖), or with the sign of G.
    fn ascend<R: Real>(&self, size: f64, u: &[R], g: &[R], to: &mut [R]) {
        match self.ball {
            Ball::L2 => {
                let length = norm(g);
                let factor = if length > 0.0 { size * self.radius / length } else { 0.0 };
                let factor = R::from_f64(factor);
                update(to, |i, _| u[i] + factor * g[i]);
                let length = norm(to);
                if length > self.radius {
                    scale(to, self.radius / length);
                }
            }
            Ball::LInfinity => {
                let (step, rho) = (R::from_f64(size * self.radius), R::from_f64(self.radius));
                update(to, |i, _| {
                    let sign = if g[i] == R::zero() { R::zero() } else { g[i].signum() };
                    (u[i] + step * sign).max(-rho).min(rho)
                });
            }
        }
    }

    fn misalignment<R: Real>(&self, u: &[R], g: &[R]) -> f64 {
        match self.ball {
            Ball::L2 => {
                let lengths = norm(u) * norm(g);
                if lengths > 0.0 { 1.0 - crate::vector::dot(u, g) / lengths } else { 1.0 }
            }
            Ball::LInfinity => {
                let rho = R::from_f64(self.radius);
                let free =
                    u.iter().zip(g).filter(|(u, g)| **g != R::zero() && **u != rho * g.signum());
                free.count() as f64 / u.len() as f64
            }
        }
    }
}

/// Keeps the streams of the starts apart from those of other measurements.
const BALL: u64 = 4;

#[cfg(test)]
mod tests {
    use smoothout_tensor::BlockKind;

    use super::*;
    use crate::FnObjective;

    fn quadratic(h: [f64; 4]) -> impl Differentiable<Real = f64> {
        let value = move |w: &[f64]| w.iter().zip(h).map(|(w, h)| 0.5 * h * w * w).sum::<f64>();
        FnObjective::new(4, value).with_gradient(move |w: &[f64], g: &mut [f64]| {
            g.iter_mut().zip(w).zip(h).for_each(|((g, w), h)| *g = h * w);
            value(w)
        })
    }

    fn layout() -> ParameterLayout {
        let mut layout = ParameterLayout::new();
        layout.push("fc.weight", &[2, 2], BlockKind::Weight).unwrap();
        layout
    }

    /// l2 at a minimum: rho^2 lambda_max / 2; l-infinity: rho^2 tr H / 2.
    #[test]
    fn closed_forms_at_a_minimum() {
        let f = quadratic([1.0, 7.0, 3.0, 2.0]);
        for (ball, expected) in [(Ball::L2, 0.01 * 7.0 / 2.0), (Ball::LInfinity, 0.01 * 13.0 / 2.0)]
        {
            let settings = WorstCase::new(ball, 0.1).unwrap().steps(100, 2).unwrap();
            let report = settings.measure(&f, &layout(), &[0.0; 4]).unwrap();
            assert!((report.rise / expected - 1.0).abs() < 1e-9, "{report}");
            assert!(report.misalignment < 1e-6, "{report}");
        }
    }

    /// A linear function: the first step is exact, rho ‖T g‖ in l2 and rho |T g|_1 in l-infinity.
    #[test]
    fn closed_forms_of_a_slope() {
        let slope = [3.0, -1.0, 0.5, 0.0];
        let value = move |w: &[f64]| w.iter().zip(slope).map(|(w, s)| w * s).sum::<f64>();
        let f = FnObjective::new(4, value).with_gradient(move |w: &[f64], g: &mut [f64]| {
            g.copy_from_slice(&slope);
            value(w)
        });
        let w = [3.0, 4.0, -1.0, 0.0];
        let elementwise = [3.01, 4.01, 1.01, 0.01];
        for (scaling, t) in [
            (Scaling::Plain, [1.0; 4]),
            (Scaling::Elementwise, elementwise),
            (Scaling::Filter, [5.01, 5.01, 1.01, 1.01]),
        ] {
            let product = [0, 1, 2, 3].map(|i| t[i] * slope[i]);
            for (ball, length) in [
                (Ball::L2, norm(&product)),
                (Ball::LInfinity, product.iter().map(|p| p.abs()).sum()),
            ] {
                let settings = WorstCase::new(ball, 0.2).unwrap().scaling(scaling);
                let report = settings.measure(&f, &layout(), &w).unwrap();
                assert!((report.first_step_rise - 0.2 * length).abs() < 1e-12, "{report}");
                assert!((report.rise - 0.2 * length).abs() < 1e-12, "{report}");
            }
        }
    }

    /// Batches with curvatures h_b: the mean of rho^2 h_b / 2, not the worst case of the mean.
    #[test]
    fn m_sharpness_averages_worst_cases() {
        let batches = [quadratic([2.0, 0.0, 0.0, 0.0]), quadratic([0.0, 4.0, 0.0, 0.0])];
        let settings = WorstCase::new(Ball::L2, 0.1).unwrap().steps(100, 2).unwrap();
        let found = settings.measure_batches(&batches, &layout(), &[0.0; 4]).unwrap();
        assert!((found.rise.value - 0.01 * 3.0 / 2.0).abs() < 1e-9);
        assert_eq!(found.batches.len(), 2);
        assert!(settings.measure_batches(&batches[..0], &layout(), &[0.0; 4]).is_err());
    }
}
