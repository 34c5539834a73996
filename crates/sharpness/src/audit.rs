//! The reparametrisation audit: which measures of sharpness change when the function does not.
//!
//! A network of ReLUs computes the same function when the weights into a layer are multiplied by c
//! and those out of it by 1/c, yet its Hessian, and every measure in absolute distances, changes at
//! will. The audit measures at both weight vectors and says what moved; a comparison of two
//! solutions should rest on what did not.
//!
//! # Source
//! Dinh, Pascanu, Bengio and Bengio 2017, arXiv:1703.04933 (sharp minima can generalise).

use std::fmt;

use smoothout_tensor::{Geometry, ParameterLayout, Perturbation, Real};

use crate::{
    Ball, Differentiable, Estimate, ExpectedLoss, Keskar, Scaling, SharpnessError, WorstCase,
    check_value, error,
};

/// Multiplies named blocks of w by factors; the others stay as they are.
///
/// # Errors
/// If the length is not the layout's, or a name is not in it.
///
/// # Examples
/// ```
/// use smoothout_sharpness::rescale_blocks;
/// use smoothout_tensor::{BlockKind, ParameterLayout};
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Audit {
    radius: f64,
    epsilon: f64,
    seed: u64,
}

/// What is measured at both weight vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Audited {
    /// The rise of the expected loss in the absolute box.
    AbsoluteRise,
    /// The rise of the expected loss, elementwise.
    ElementwiseRise,
    /// The rise of the expected loss, filter-wise.
    FilterRise,
    /// Keskar's sharpness.
    Keskar,
    /// The rise in the l2 ball (SAM).
    Sam,
    /// The rise in the elementwise l2 ball (ASAM; invariant but for its eta).
    Asam,
}

/// One measure at both weight vectors.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AuditRow {
    /// The measure.
    pub measure: Audited,
    /// At w; its standard error is 0 for measures that are not sampled.
    pub before: Estimate,
    /// At the rescaled w.
    pub after: Estimate,
}

impl AuditRow {
    /// `after` / `before`.
    pub fn ratio(&self) -> f64 {
        self.after.value / self.before.value
    }

    /// True if the values differ by more than 5 % and by more than three standard errors.
    pub fn moved(&self) -> bool {
        let difference = (self.after.value - self.before.value).abs();
        let size = self.after.value.abs().max(self.before.value.abs());
        let error = self.before.standard_error.hypot(self.after.standard_error);
        difference > 0.05 * size && difference > 3.0 * error
    }
}

/// What [`Audit::measure`] found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AuditReport {
    /// f(w).
    pub loss: f64,
    /// f at the rescaled w: the same but for rounding.
    pub rescaled_loss: f64,
    /// The measures.
    pub rows: Vec<AuditRow>,
    /// The radius of the sampled measures and of the balls.
    pub radius: f64,
    /// Keskar's eps.
    pub epsilon: f64,
    /// The seed.
    pub seed: u64,
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the same function (loss {:.6e}, rescaled {:.6e}):",
            self.loss, self.rescaled_loss
        )?;
        self.rows.iter().try_for_each(|row| {
            let verdict = if row.moved() { "moved" } else { "kept" };
            write!(
                f,
                "\n  {:?}: {:.6e} -> {:.6e}, ratio {:.3}, {verdict}",
                row.measure,
                row.before.value,
                row.after.value,
                row.ratio()
            )
        })
    }
}

impl Audit {
    /// Perturbations and balls of this radius, Keskar's box of this eps, seed 0.
    ///
    /// # Errors
    /// If one of them is not positive and finite.
    pub fn new(radius: f64, epsilon: f64) -> Result<Self, SharpnessError> {
        error::setting("the radius", radius, radius > 0.0 && radius.is_finite(), "positive")?;
        error::setting("eps", epsilon, epsilon > 0.0 && epsilon.is_finite(), "positive")?;
        Ok(Self { radius, epsilon, seed: 0 })
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
    /// Those of the measures; and if the loss differs by more than 1e-3 of its size, for then the
    /// rescaling changed the function.
    pub fn measure<O: Differentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        rescaled: &[O::Real],
    ) -> Result<AuditReport, SharpnessError> {
        let (loss, rescaled_loss) = (check_value(objective, w)?, check_value(objective, rescaled)?);
        if (loss - rescaled_loss).abs() > 1e-3 * loss.abs().max(1e-6) {
            return Err(SharpnessError::OtherFunction { loss, rescaled: rescaled_loss });
        }
        let exact = |value| Estimate { value, standard_error: 0.0, samples: 1 };
        let at = |measure: Audited, w: &[O::Real]| -> Result<Estimate, SharpnessError> {
            let rise = |geometry| {
                let perturbation = Perturbation::new(geometry, self.radius)?;
                let settings = ExpectedLoss::new(perturbation).seed(self.seed);
                Ok(settings.measure(objective, layout, w)?.rise)
            };
            let worst = |scaling| {
                let settings =
                    WorstCase::new(Ball::L2, self.radius)?.scaling(scaling).seed(self.seed);
                Ok(exact(settings.measure(objective, layout, w)?.rise))
            };
            match measure {
                Audited::AbsoluteRise => rise(Geometry::Absolute),
                Audited::ElementwiseRise => rise(Geometry::Elementwise),
                Audited::FilterRise => rise(Geometry::Filter),
                Audited::Keskar => {
                    let settings = Keskar::new(self.epsilon)?.seed(self.seed);
                    Ok(exact(settings.measure(objective, layout, w)?.sharpness))
                }
                Audited::Sam => worst(Scaling::Plain),
                Audited::Asam => worst(Scaling::Elementwise),
            }
        };
        let measures = [
            Audited::AbsoluteRise,
            Audited::ElementwiseRise,
            Audited::FilterRise,
            Audited::Keskar,
            Audited::Sam,
            Audited::Asam,
        ];
        let row = |measure| {
            Ok(AuditRow { measure, before: at(measure, w)?, after: at(measure, rescaled)? })
        };
        let rows = measures.into_iter().map(row).collect::<Result<_, SharpnessError>>()?;
        let (radius, epsilon, seed) = (self.radius, self.epsilon, self.seed);
        Ok(AuditReport { loss, rescaled_loss, rows, radius, epsilon, seed })
    }
}

#[cfg(test)]
mod tests {
    use smoothout_tensor::BlockKind;

    use super::*;
    use crate::FnObjective;

    /// f = (relu(a x) b - 1)^2 over x = 1, 2: the absolute measures move, the relative ones do not.
    #[test]
    fn relative_measures_stay() {
        let mut layout = ParameterLayout::new();
        layout.push("fc1.weight", &[1, 1], BlockKind::Weight).unwrap();
        layout.push("fc2.weight", &[1, 1], BlockKind::Weight).unwrap();
        let value = |w: &[f64]| {
            let loss = |x: f64| 0.5 * ((w[0] * x).max(0.0) * w[1] - x).powi(2);
            loss(1.0) + loss(2.0)
        };
        let f = FnObjective::new(2, value).with_gradient(|w, g| {
            g.fill(0.0);
            for x in [1.0, 2.0] {
                let hidden = (w[0] * x).max(0.0);
                let off = hidden * w[1] - x;
                g[0] += off * w[1] * if hidden > 0.0 { x } else { 0.0 };
                g[1] += off * hidden;
            }
            value(w)
        });
        let w = [1.1, 1.0];
        let factors = [("fc1.weight", 0.1), ("fc2.weight", 10.0)];
        let rescaled = rescale_blocks(&layout, &w, &factors).unwrap();
        let report = Audit::new(0.02, 1e-3).unwrap().measure(&f, &layout, &w, &rescaled).unwrap();
        let moved =
            |measure| report.rows.iter().find(|row| row.measure == measure).unwrap().moved();
        assert!(
            moved(Audited::AbsoluteRise) && moved(Audited::Keskar) && moved(Audited::Sam),
            "{report}"
        );
        assert!(!moved(Audited::ElementwiseRise) && !moved(Audited::FilterRise), "{report}");
        let other = Audit::new(0.02, 1e-3).unwrap().measure(&f, &layout, &w, &[1.0, 2.0]);
        assert!(matches!(other, Err(SharpnessError::OtherFunction { .. })), "{other:?}");
        assert!(rescale_blocks(&layout, &w, &[("fc3.weight", 2.0)]).is_err());
    }
}
