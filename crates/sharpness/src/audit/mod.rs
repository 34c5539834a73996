//! The reparametrisation audit: which measures of sharpness change when the function does not.
//!
//! A network of ReLUs computes the same function when the weights into a layer are multiplied by c
//! and those out of it by 1/c, yet its Hessian, and every measure in absolute distances, changes at
//! will. The audit measures at both weight vectors and says what moved; a comparison of two
//! solutions should rest on what did not.
//!
//! # Source
//! Dinh, Pascanu, Bengio and Bengio 2017, arXiv:1703.04933 (sharp minima can generalise).

mod report;
mod same_function;

use smoothout_tensor::{Geometry, ParameterLayout, Perturbation, Real, Selection};

use crate::observer::{unobserved, watched};
use crate::{
    Ball, Differentiable, Ending, Estimate, ExpectedLoss, Keskar, Observer, Progress, Scaling,
    SharpnessError, WorstCase, check_value, error,
};

pub use report::{AuditReport, AuditRow, Audited};

/// Multiplies named blocks of w by factors; the others stay as they are.
///
/// # Errors
/// If the length is not the layout's, or a name is not in it.
///
/// # Examples
/// ```
/// use smoothout_sharpness::{BlockKind, ParameterLayout, rescale_blocks};
///
/// let mut layout = ParameterLayout::new();
/// layout.push("fc1.weight", &[2, 1], BlockKind::Weight)?;
/// layout.push("fc2.weight", &[1, 2], BlockKind::Weight)?;
/// let rescaled = rescale_blocks(
///     &layout,
///     &[1.0, 2.0, 3.0, 4.0],
///     &[("fc1.weight", 0.5), ("fc2.weight", 2.0)],
/// )?;
/// assert_eq!(rescaled, [0.5, 1.0, 6.0, 8.0]);
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
pub fn rescale_blocks<R: Real>(
    layout: &ParameterLayout,
    w: &[R],
    factors: &[(&str, f64)],
) -> Result<Vec<R>, SharpnessError> {
    error::same_length("w", w.len(), layout.len())?;
    let mut rescaled = w.to_vec();
    for &(name, factor) in factors {
        let block =
            layout.block(name).ok_or_else(|| SharpnessError::NoBlock { name: name.to_owned() })?;
        let factor = R::from_f64(factor);
        rescaled[block.range()].iter_mut().for_each(|w| *w *= factor);
    }
    Ok(rescaled)
}

/// The audit: settings, checked.
///
/// # Examples
/// f = (relu(a) b - 1)^2 / 2 at a = 1.5, b = 1, and the same function at a = 0.15, b = 10:
/// ```
/// use smoothout_sharpness::{
///     Audit, Audited, BlockKind, FnObjective, ParameterLayout, rescale_blocks,
/// };
///
/// let value = |w: &[f64]| 0.5 * (w[0].max(0.0) * w[1] - 1.0).powi(2);
/// let f = FnObjective::new(2, value).with_gradient(|w, g| {
///     let off = w[0].max(0.0) * w[1] - 1.0;
///     g.copy_from_slice(&[if w[0] > 0.0 { off * w[1] } else { 0.0 }, off * w[0].max(0.0)]);
///     value(w)
/// });
/// let mut layout = ParameterLayout::new();
/// layout.push("a", &[1, 1], BlockKind::Weight)?;
/// layout.push("b", &[1, 1], BlockKind::Weight)?;
/// let w = [1.5, 1.0];
/// let rescaled = rescale_blocks(&layout, &w, &[("a", 0.1), ("b", 10.0)])?;
/// let report = Audit::new(0.01, 1e-3)?.measure(&f, &layout, &w, &rescaled)?;
/// let moved = |measure| report.rows.iter().any(|row| row.measure == measure && row.moved());
/// assert!(moved(Audited::AbsoluteRise) && moved(Audited::Keskar), "{report}");
/// assert!(!moved(Audited::FilterRise) && !moved(Audited::ElementwiseRise), "{report}");
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    radius: f64,
    epsilon: f64,
    draws: usize,
    selection: Selection,
    seed: u64,
}

/// What is measured, in this order.
const MEASURES: [Audited; 6] = [
    Audited::AbsoluteRise,
    Audited::ElementwiseRise,
    Audited::FilterRise,
    Audited::Keskar,
    Audited::Sam,
    Audited::Asam,
];

impl Audit {
    /// Perturbations (100 antithetic pairs) and balls of this radius, Keskar's box of this eps, every
    /// block, seed 0.
    ///
    /// # Errors
    /// If one of them is not positive and finite.
    pub fn new(radius: f64, epsilon: f64) -> Result<Self, SharpnessError> {
        error::setting("the radius", radius, radius > 0.0 && radius.is_finite(), "positive")?;
        error::setting("eps", epsilon, epsilon > 0.0 && epsilon.is_finite(), "positive")?;
        Ok(Self { radius, epsilon, draws: 100, selection: Selection::all(), seed: 0 })
    }

    /// The number of antithetic pairs of each sampled measure.
    ///
    /// # Errors
    /// For fewer than 2.
    pub fn draws(self, draws: usize) -> Result<Self, SharpnessError> {
        error::setting("the number of draws", draws as f64, draws >= 2, "at least 2")?;
        Ok(Self { draws, ..self })
    }

    /// Only the chosen blocks move while measuring.
    #[must_use]
    pub fn selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// Another seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Measures at w and at `rescaled`, which must compute the same function
    /// ([`rescale_blocks`]).
    ///
    /// # Errors
    /// Those of the measures; and [`OtherFunction`](SharpnessError::OtherFunction) or
    /// [`OtherSlopes`](SharpnessError::OtherSlopes) if the rescaling changed the function. It left it
    /// as it was, f(s w) = f(w) for every w, only if the loss stays, and the slopes w_i df/dw_i along
    /// each weight's own size. Both are compared, the loss to 1e-4 of its size in f32 and 1e-9 in f64,
    /// the slopes of each block to 1 % of their norm in f32 and 1e-6 in f64, plus the rounding of 1 + |f|.
    /// Where the loss hardly depends on the weights, the slopes still tell.
    pub fn measure<O: Differentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        rescaled: &[O::Real],
    ) -> Result<AuditReport, SharpnessError> {
        self.measure_observed(objective, layout, w, rescaled, &mut unobserved)
    }

    /// [`measure`](Self::measure) with an observer, called after each measure with the largest factor
    /// by which one moved.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn measure_observed<O: Differentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        rescaled: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<AuditReport, SharpnessError> {
        let (loss, rescaled_loss) = same_function::check(objective, layout, w, rescaled)?;
        let mut report = AuditReport {
            loss,
            rescaled_loss,
            rows: Vec::with_capacity(MEASURES.len()),
            radius: self.radius,
            epsilon: self.epsilon,
            selection: self.selection.clone(),
            evaluations: 0,
            seed: self.seed,
            ending: Ending::Done,
        };
        report.ending = watched(MEASURES.len(), observer, |k| {
            let (row, evaluations) = self.row(MEASURES[k], objective, layout, [w, rescaled])?;
            report.rows.push(row);
            report.evaluations += evaluations;
            let (evaluations, value) = (report.evaluations, report.largest_move());
            Ok(Progress { evaluations, value, uncertainty: f64::NAN })
        })?;
        Ok(report)
    }

    /// One measure at both weight vectors, and the evaluations it took.
    fn row<O: Differentiable>(
        &self,
        measure: Audited,
        objective: &O,
        layout: &ParameterLayout,
        [w, rescaled]: [&[O::Real]; 2],
    ) -> Result<(AuditRow, usize), SharpnessError> {
        let rise = |geometry| -> Result<_, SharpnessError> {
            let perturbation = Perturbation::new(geometry, self.radius)?;
            let perturbation = perturbation.selection(self.selection.clone());
            let settings = ExpectedLoss::new(perturbation).draws(self.draws)?.seed(self.seed);
            let found = settings.compare(objective, layout, rescaled, w)?;
            let before = found.second.shifted(-check_value(objective, w)?);
            let after = found.first.shifted(-check_value(objective, rescaled)?);
            let difference = found.rise_difference;
            Ok((AuditRow { measure, before, after, difference }, found.evaluations))
        };
        let scaling = match measure {
            Audited::AbsoluteRise => return rise(Geometry::Absolute),
            Audited::ElementwiseRise => return rise(Geometry::Elementwise),
            Audited::FilterRise => return rise(Geometry::Filter),
            Audited::Keskar => None,
            Audited::Sam => Some(Scaling::Plain),
            Audited::Asam => Some(Scaling::Elementwise),
        };
        let (before, first) = self.searched(scaling, objective, layout, w)?;
        let (after, second) = self.searched(scaling, objective, layout, rescaled)?;
        let exact = |value| Estimate { value, standard_error: 0.0, samples: 1 };
        let [before, after, difference] = [before, after, after - before].map(exact);
        Ok((AuditRow { measure, before, after, difference }, first + second))
    }

    /// The rise in a ball of this scaling, or Keskar's sharpness, at w; and the evaluations it took.
    fn searched<O: Differentiable>(
        &self,
        scaling: Option<Scaling>,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<(f64, usize), SharpnessError> {
        let selection = self.selection.clone();
        let Some(scaling) = scaling else {
            let settings = Keskar::new(self.epsilon)?.selection(selection).seed(self.seed);
            let report = settings.measure(objective, layout, w)?;
            return Ok((report.sharpness, report.evaluations));
        };
        let settings = WorstCase::new(Ball::L2, self.radius)?.scaling(scaling);
        let report = settings.selection(selection).seed(self.seed).measure(objective, layout, w)?;
        Ok((report.rise, report.evaluations))
    }
}

#[cfg(test)]
mod tests;
