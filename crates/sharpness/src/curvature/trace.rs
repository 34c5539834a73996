//! The trace of the Hessian with its standard error: Hutchinson's estimator, and Hutch++.
//!
//! Hutchinson: tr H = E[ z'Hz ] for random signs z; the variance is 2 (‖H‖_F^2 - sum H_ii^2).
//! Hutch++: with Q an orthonormal basis of H S (S random signs, r columns),
//! tr H = tr(Q'HQ) + E[ z' (I - QQ') H (I - QQ') z ]: the large eigenvalues are taken exactly, and
//! random probes see only what is left. Its standard error is that of the second part.
//!
//! Where one eigenvalue makes up a third of the trace, Hutchinson's probes are as skewed as a squared
//! normal number, and the 95 % interval from 40 of them covers 91.7 %, from 100 93.5 %, from 400
//! 94.8 %: take more, or Hutch++.
//!
//! # Source
//! Hutchinson 1990; Meyer, Musco, Musco and Woodruff 2021, arXiv:2010.09649 (Hutch++).

use std::fmt;

use smoothout_tensor::{ParameterLayout, Purpose, Real, Selection, StreamKey, fill_uniform};

use super::Vectors;
use super::operator::Operator;
use crate::estimate::Moments;
use crate::observer::unobserved;
use crate::pool::Pool;
use crate::sampling::Budget;
use crate::selected::Selected;
use crate::vector::{dot, epsilon, norm, project_out, scale, update, zeros};
use crate::{Ending, Estimate, Observer, Progress, SharpnessError, TwiceDifferentiable, error};

/// Which estimator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum TraceEstimator {
    /// Random signs alone.
    #[default]
    Hutchinson,
    /// The range of a sketch of so many columns exactly (two products and a vector each), random
    /// signs for the rest.
    HutchPlusPlus {
        /// r.
        sketch: usize,
    },
}

/// The measurement of the trace: settings, checked.
///
/// # Examples
/// For a diagonal Hessian each probe of signs is exact:
/// ```
/// use smoothout_sharpness::{FnObjective, ParameterLayout, Trace};
///
/// let f = FnObjective::new(3, |_: &[f64]| 0.0)
///     .with_hessian(|_w, v, hv| hv.copy_from_slice(&[v[0], 2.0 * v[1], -3.5 * v[2]]));
/// let report = Trace::new().measure(&f, &ParameterLayout::flat(3), &[0.0; 3])?;
/// assert!((report.trace.value + 0.5).abs() < 1e-12 && report.trace.standard_error < 1e-12);
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    estimator: TraceEstimator,
    budget: Budget,
    selection: Selection,
    seed: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`Trace::measure`] found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TraceReport {
    /// tr H. Of Hutch++ the standard error is that of the probes alone: the rounding of the part that is
    /// known, u times its size for each column or so, is not in it, and may be the larger of the two in
    /// f32.
    pub trace: Estimate,
    /// The estimator.
    pub estimator: TraceEstimator,
    /// Hessian-vector products.
    pub evaluations: usize,
    /// The seed of the probes.
    pub seed: u64,
    /// The blocks.
    pub selection: Selection,
    /// How many parameters they hold.
    pub parameters: usize,
    /// How the sampling ended.
    pub ending: Ending,
}

impl fmt::Display for TraceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.trace.interval();
        write!(
            f,
            "trace of the Hessian {} (95 % interval [{low:.6e}, {high:.6e}]) over {} parameters ({}); {} Hessian-vector products, seed {}{}",
            self.trace,
            self.parameters,
            self.selection,
            self.evaluations,
            self.seed,
            self.ending.remark()
        )
    }
}

impl Trace {
    /// Hutchinson's estimator with 100 probes on every block, seed 0.
    pub fn new() -> Self {
        Self {
            estimator: TraceEstimator::Hutchinson,
            budget: Budget::new(100),
            selection: Selection::all(),
            seed: 0,
        }
    }

    /// Another estimator.
    #[must_use]
    pub fn estimator(self, estimator: TraceEstimator) -> Self {
        Self { estimator, ..self }
    }

    /// The number of probes; with [`until`](Self::until) the most.
    ///
    /// # Errors
    /// For fewer than 2.
    pub fn probes(self, probes: usize) -> Result<Self, SharpnessError> {
        Ok(Self { budget: self.budget.draws(probes)?, ..self })
    }

    /// Probes until the standard error is at most `standard_error`, looked at first after 64.
    ///
    /// # Errors
    /// If it is not positive.
    pub fn until(self, standard_error: f64) -> Result<Self, SharpnessError> {
        Ok(Self { budget: self.budget.until(standard_error)?, ..self })
    }

    /// The Hessian of the chosen blocks only.
    #[must_use]
    pub fn selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// Another seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The trace at w.
    ///
    /// # Errors
    /// If lengths differ, nothing is selected, or the objective fails
    /// [`check_hessian`](crate::check_hessian).
    pub fn measure<O: TwiceDifferentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<TraceReport, SharpnessError> {
        self.measure_observed(objective, layout, w, &mut unobserved)
    }

    /// The trace of each block's own Hessian, in the order of the layout: (name, report). Only
    /// selected blocks are measured.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn measure_blocks<O: TwiceDifferentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<Vec<(String, TraceReport)>, SharpnessError> {
        self.measure_blocks_observed(objective, layout, w, &mut unobserved)
    }

    /// [`measure_blocks`](Self::measure_blocks) with an observer, who sees the trace of the block
    /// under way and the products of all blocks so far. Where it stops, the blocks behind are
    /// missing, and the last report's `ending` says so.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn measure_blocks_observed<O: TwiceDifferentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<Vec<(String, TraceReport)>, SharpnessError> {
        self.selection.count(layout)?;
        let chosen = layout.blocks().iter().filter(|block| self.selection.contains(block));
        let (mut reports, mut done) = (Vec::new(), 0);
        for block in chosen {
            let alone = self.clone().selection(self.selection.clone().named(block.name()));
            let report = alone.measure_observed(objective, layout, w, &mut |progress| {
                observer(Progress { evaluations: done + progress.evaluations, ..progress })
            })?;
            let ending = report.ending;
            done += report.evaluations;
            reports.push((block.name().to_owned(), report));
            if ending == Ending::Stopped {
                break;
            }
        }
        Ok(reports)
    }

    /// [`measure`](Self::measure) with an observer.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn measure_observed<O: TwiceDifferentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<TraceReport, SharpnessError> {
        let operator = Operator::new(objective, layout, &self.selection, w, self.seed)?;
        let key = StreamKey::new(self.seed, Purpose::Measurement).step(TRACE);
        let (range, known) = match self.estimator {
            TraceEstimator::Hutchinson => (Vec::new(), 0.0),
            TraceEstimator::HutchPlusPlus { sketch } => {
                known_part(&operator, sketch, key.block(1))?
            }
        };
        let mut pool = Pool::of_vectors(objective);
        let mut moments = Moments::default();
        let ending = self.budget.sample(observer, 1, |first, out| {
            pool.values(first, out, &|_, j, slot| {
                let (probe, product) = (&mut slot.point, &mut slot.second);
                signs(key.copy(j as u64), &operator.selected, probe);
                project_out(&range, probe);
                operator.apply(probe, product, &mut slot.scratch);
                dot(probe, product)
            });
            for &value in &*out {
                moments.push(error::finite("a probe of the trace", value)?);
            }
            Ok(moments.estimate().shifted(known))
        })?;
        let trace = moments.estimate().shifted(known);
        Ok(TraceReport {
            trace,
            estimator: self.estimator,
            evaluations: trace.samples + self.sketch_products(),
            seed: self.seed,
            selection: self.selection.clone(),
            parameters: operator.selected.count(),
            ending,
        })
    }

    fn sketch_products(&self) -> usize {
        match self.estimator {
            TraceEstimator::Hutchinson => 0,
            TraceEstimator::HutchPlusPlus { sketch } => sketch.saturating_mul(2),
        }
    }
}

/// Random signs on the selected blocks.
fn signs<R: Real>(key: StreamKey, selected: &Selected, out: &mut [R]) {
    fill_uniform(key, out);
    update(out, |_, u| u.signum());
    selected.mask(out);
}

/// Q, an orthonormal basis of the sketch H S, and tr(Q'HQ).
fn known_part<O: TwiceDifferentiable>(
    operator: &Operator<'_, O>,
    sketch: usize,
    key: StreamKey,
) -> Result<(Vectors<O::Real>, f64), SharpnessError> {
    let n = operator.objective.dimension();
    let expected = "at least 1, and at most the number of parameters";
    error::setting("the sketch", sketch as f64, (1..=n).contains(&sketch), expected)?;
    let scratch = &mut operator.objective.scratch();
    let mut product = zeros(n);
    let mut range: Vectors<O::Real> = Vec::new();
    let mut probe = zeros(n);
    for column in 0..sketch {
        signs(key.copy(column as u64), &operator.selected, &mut probe);
        operator.apply(&probe, &mut product, scratch);
        let before = error::finite("a Hessian-vector product", norm(&product))?;
        for _pass in 0..2 {
            project_out(&range, &mut product);
        }
        let length = norm(&product);
        // A column that the others span already adds nothing.
        if length > 1e3 * epsilon::<O::Real>() * before {
            scale(&mut product, 1.0 / length);
            range.push(product.clone());
        }
    }
    let mut trace = 0.0;
    for q in &range {
        operator.apply(q, &mut product, scratch);
        trace += dot(q, &product);
    }
    Ok((range, trace))
}

/// Keeps the streams of the probes apart from those of other measurements.
const TRACE: u64 = 6;
