//! Theorem 1 as a check: at a point of symmetry the expected loss has a zero gradient.
//!
//! If C(w + t) = C(w - t) for all t in the box, the gradients at w + theta and w - theta cancel, so
//! the average over antithetic pairs is zero whatever the pairs are. In floating point each mirror
//! image is off by a rounding of w and of theta, and each gradient by its own rounding: the sum of a
//! pair is within a few hundred roundings of the largest gradient in it.

use smoothout_tensor::{Geometry, ParameterLayout, Perturbation, PerturbationKey};

use crate::vector::{epsilon, norm_inf, zeros};
use crate::{Differentiable, SharpnessError, error};

/// How far the expected gradient is from zero, beside what rounding explains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stationarity {
    /// max_i | average gradient |.
    pub gradient: f64,
    /// The largest |g_i| of any perturbed gradient: what would have to cancel.
    pub largest: f64,
    /// The stated bound on rounding: 512 epsilon (1 + max |w_i| / a) `largest`. (A mirror image is
    /// off by epsilon |w_i|, and a gradient that grows to `largest` within a changes by
    /// `largest` / a times that.)
    pub rounding: f64,
}

impl Stationarity {
    /// True if nothing but rounding is left.
    pub fn holds(&self) -> bool {
        self.gradient <= self.rounding
    }
}

/// The average gradient over `pairs` antithetic pairs in the absolute box of radius a around w.
///
/// # Errors
/// If lengths differ or are 0, the radius is not positive or too small for the precision, or a gradient is
/// not finite.
pub fn expected_gradient_at<O: Differentiable>(
    objective: &O,
    w: &[O::Real],
    radius: f64,
    pairs: usize,
) -> Result<Stationarity, SharpnessError> {
    error::same_length("w", w.len(), objective.dimension())?;
    error::setting("the dimension", 0.0, !w.is_empty(), "at least 1")?;
    error::setting("the radius", radius, radius > 0.0 && radius.is_finite(), "positive")?;
    error::setting("the number of pairs", pairs as f64, pairs > 0, "at least 1")?;
    // Beyond it, rounding would explain any gradient.
    let share = 512.0 * epsilon::<O::Real>() * (1.0 + norm_inf(w) / radius);
    let expected = "so large beside w that rounding does not explain everything: 512 epsilon (1 + max |w_i| / a) below 1";
    error::setting("the radius", radius, share < 1.0, expected)?;
    let perturbation = Perturbation::new(Geometry::Absolute, radius)?;
    let layout = ParameterLayout::flat(w.len());
    let scratch = &mut objective.scratch();
    let [mut point, mut gradient] = [(); 2].map(|()| zeros(w.len()));
    let (mut sum, mut largest) = (vec![0.0; w.len()], 0.0_f64);
    for pair in 0..pairs {
        perturbation.apply(
            &layout,
            PerturbationKey::measurement(0).copy(pair as u64),
            w,
            &mut point,
        );
        for _side in 0..2 {
            objective.value_and_gradient(&point, &mut gradient, scratch);
            let most = error::finite("a perturbed gradient", norm_inf(&gradient))?;
            largest = largest.max(most);
            add(&mut sum, &gradient);
            point.iter_mut().zip(w).for_each(|(point, &w)| *point = w - (*point - w));
        }
    }
    let gradient = norm_inf(&sum) / (2 * pairs) as f64;
    Ok(Stationarity { gradient, largest, rounding: share * largest })
}

fn add<R: smoothout_tensor::Real>(sum: &mut [f64], vector: &[R]) {
    sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value.as_f64());
}

/// Asserts Theorem 1 at w: the objective is point-symmetric there, so the gradient of its expected
/// loss over the box of radius a is zero up to rounding ([`Stationarity::rounding`]).
///
/// # Panics
/// If it is not, with the numbers; or if it cannot be evaluated.
///
/// # Source
/// Wen et al. 2018, arXiv:1805.07898, theorem 1 (what it needs is point symmetry).
///
/// # Examples
/// In a property test of your own, `w` and the radius are what is generated; a whole one is
/// `examples/stationary.rs`.
/// ```
/// use smoothout_sharpness::{FnObjective, assert_stationary_expected_loss};
///
/// let cosine = FnObjective::new(2, |w: &[f64]| -w[0].cos() * w[1].cos()).with_gradient(|w, g| {
///     g.copy_from_slice(&[w[0].sin() * w[1].cos(), w[0].cos() * w[1].sin()]);
///     -w[0].cos() * w[1].cos()
/// });
/// assert_stationary_expected_loss(&cosine, &[0.0, 0.0], 0.7);
/// ```
pub fn assert_stationary_expected_loss<O: Differentiable>(
    objective: &O,
    w: &[O::Real],
    radius: f64,
) {
    let found = expected_gradient_at(objective, w, radius, 16);
    let found = found.unwrap_or_else(|error| panic!("the expected gradient is not known: {error}"));
    assert!(
        found.holds(),
        "the expected loss is not stationary: |gradient| is {:e}, rounding explains {:e} (the largest perturbed gradient is {:e})",
        found.gradient,
        found.rounding,
        found.largest
    );
}
