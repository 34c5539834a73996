//! Checks before measuring: is the objective a deterministic, finite function, and are its
//! derivatives its own?
//!
//! The metrics run the checks they need themselves; these functions are there to run them alone.

use smoothout_tensor::{Purpose, Real, StreamKey, fill_gaussian};

use crate::vector::{dot, epsilon, norm, scale, update, zeros};
use crate::{Differentiable, Objective, SharpnessError, TwiceDifferentiable, error};

/// Checks that f(w) is finite and comes out the same twice, in a used and in a new scratch, and
/// returns it.
///
/// # Errors
/// [`SharpnessError::Dimension`], [`SharpnessError::NotFinite`],
/// [`SharpnessError::NotDeterministic`].
///
/// # Examples
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use smoothout_sharpness::{FnObjective, check_value};
///
/// let calls = AtomicU64::new(0);
/// let dropout = FnObjective::new(1, |w: &[f64]| {
///     w[0] * calls.fetch_add(1, Ordering::Relaxed) as f64
/// });
/// assert!(check_value(&dropout, &[1.0]).is_err());
/// assert_eq!(check_value(&FnObjective::new(1, |w: &[f64]| w[0]), &[1.0]), Ok(1.0));
/// ```
pub fn check_value<O: Objective>(objective: &O, w: &[O::Real]) -> Result<f64, SharpnessError> {
    error::same_length("w", w.len(), objective.dimension())?;
    let mut scratch = objective.scratch();
    let first = error::finite("the loss", objective.value(w, &mut scratch))?;
    for scratch in [&mut scratch, &mut objective.scratch()] {
        let second = objective.value(w, scratch);
        if first.to_bits() != second.to_bits() {
            return Err(SharpnessError::NotDeterministic { first, second });
        }
    }
    Ok(first)
}

/// Checks that the gradient is finite, gives the value that [`Objective::value`] gives, and agrees
/// with central differences along itself, where its derivative is ‖g‖; returns f(w).
///
/// Accepted is a difference up to 0.1 % of the derivative in f64 (5 % in f32) plus what the
/// differences with two steps disagree by plus the rounding of f in each, for one of three step
/// lengths: near a minimum, where differences say nothing, the check is weak rather than wrong. A flipped sign fails wherever the
/// gradient can be seen at all.
///
/// # Errors
/// Those of [`check_value`], and [`SharpnessError::WrongGradient`].
///
/// # Examples
/// ```
/// use smoothout_sharpness::{FnObjective, SharpnessError, check_gradient};
///
/// let flipped = FnObjective::new(1, |w: &[f64]| w[0] * w[0]).with_gradient(|w, gradient| {
///     gradient[0] = -2.0 * w[0];
///     w[0] * w[0]
/// });
/// let error = check_gradient(&flipped, &[1.0]).unwrap_err();
/// assert!(matches!(error, SharpnessError::WrongGradient { .. }));
/// ```
pub fn check_gradient<O: Differentiable>(
    objective: &O,
    w: &[O::Real],
) -> Result<f64, SharpnessError> {
    let value = check_value(objective, w)?;
    let scratch = &mut objective.scratch();
    let mut gradient = zeros(w.len());
    let beside_gradient = objective.value_and_gradient(w, &mut gradient, scratch);
    let unit = epsilon::<O::Real>();
    // The value beside a gradient may be summed in another order, no more.
    let rounding = 1e3 * unit * value.abs().max(f64::MIN_POSITIVE);
    if (beside_gradient - value).abs() > rounding || beside_gradient.is_nan() {
        return Err(SharpnessError::NotDeterministic { first: value, second: beside_gradient });
    }
    let length = error::finite("the norm of the gradient", norm(&gradient))?;
    if length == 0.0 {
        return Ok(value);
    }
    scale(&mut gradient, 1.0 / length);
    let mut point = zeros(w.len());
    let mut difference = |h: f64| {
        let step = O::Real::from_f64(h);
        update(&mut point, |i, _| w[i] + step * gradient[i]);
        let ahead = objective.value(&point, scratch);
        update(&mut point, |i, _| w[i] - step * gradient[i]);
        (ahead - objective.value(&point, scratch)) / (2.0 * h)
    };
    let share = if unit < 1e-10 { 1e-3 } else { 5e-2 };
    let mut found = (f64::NAN, f64::NAN);
    for trial in 0..3 {
        let h = unit.cbrt() * (1.0 + norm(w)) * 8.0_f64.powi(-trial);
        let (far, near) = (difference(h), difference(h / 2.0));
        let tolerance =
            share * length.max(near.abs()) + (far - near).abs() + 16.0 * unit * value.abs() / h;
        // A shorter step helps where f is far from quadratic, and counts only if it tells much.
        let counts = trial == 0 || tolerance < length / 4.0;
        if counts && (near - length).abs() <= tolerance {
            return Ok(value);
        }
        if trial == 0 {
            found = (near, tolerance);
        }
    }
    let (difference, tolerance) = found;
    Err(SharpnessError::WrongGradient { gradient: length, difference, tolerance })
}

/// Checks that the Hessian-vector product is finite and symmetric: u'Hv = v'Hu for a random v and
/// u = Hv / ‖Hv‖, within 1e-4 ‖Hv‖ in f64 and 2e-2 ‖Hv‖ in f32.
///
/// # Errors
/// Those of [`check_value`], and [`SharpnessError::AsymmetricHessian`].
pub fn check_hessian<O: TwiceDifferentiable>(
    objective: &O,
    w: &[O::Real],
    seed: u64,
) -> Result<(), SharpnessError> {
    check_value(objective, w)?;
    let scratch = &mut objective.scratch();
    let [mut v, mut u, mut product] = [(); 3].map(|()| zeros(w.len()));
    fill_gaussian(StreamKey::new(seed, Purpose::Measurement).step(GUARD), &mut v);
    objective.hessian_vector_product(w, &v, &mut u, scratch);
    let forward = error::finite("the norm of a Hessian-vector product", norm(&u))?;
    if forward == 0.0 {
        return Ok(());
    }
    scale(&mut u, 1.0 / forward);
    objective.hessian_vector_product(w, &u, &mut product, scratch);
    let backward = dot(&v, &product);
    let share = if epsilon::<O::Real>() < 1e-10 { 1e-4 } else { 2e-2 };
    let tolerance = share * forward;
    if (forward - backward).abs() <= tolerance {
        Ok(())
    } else {
        Err(SharpnessError::AsymmetricHessian { forward, backward, tolerance })
    }
}

/// Keeps the guard's random vector apart from every metric's.
const GUARD: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FnObjective;

    #[test]
    fn a_right_gradient_passes_even_at_a_minimum_and_a_kink() {
        fn check<R: Real>(w: f64) {
            let f = FnObjective::new(1, |w: &[R]| w[0].as_f64().powi(2) + w[0].as_f64().abs())
                .with_gradient(|w: &[R], g: &mut [R]| {
                    g[0] = R::from_f64(2.0) * w[0] + w[0].signum();
                    w[0].as_f64().powi(2) + w[0].as_f64().abs()
                });
            check_gradient(&f, &[R::from_f64(w)]).unwrap();
        }
        for w in [1.0, -0.3, 40.0] {
            check::<f32>(w);
            check::<f64>(w);
        }
    }

    #[test]
    fn wrong_signs_and_scales_are_found_in_both_precisions() {
        fn check<R: Real>(factor: f64, right: bool) {
            let value = |w: &[R]| w.iter().map(|w| w.as_f64().cosh()).sum::<f64>();
            let f = FnObjective::new(5, value).with_gradient(|w: &[R], g: &mut [R]| {
                g.iter_mut().zip(w).for_each(|(g, w)| *g = R::from_f64(factor) * w.sinh());
                value(w)
            });
            let w = [0.1, -0.2, 0.5, 1.0, -0.7].map(R::from_f64);
            assert_eq!(check_gradient(&f, &w).is_ok(), right, "{factor} in {}", R::NAME);
        }
        for (factor, right) in [(1.0, true), (-1.0, false), (2.0, false), (0.5, false)] {
            check::<f32>(factor, right);
            check::<f64>(factor, right);
        }
    }

    #[test]
    fn losses_that_are_not_finite_are_named() {
        let f = FnObjective::new(1, |w: &[f64]| 1.0 / w[0]);
        assert!(matches!(check_value(&f, &[0.0]), Err(SharpnessError::NotFinite { .. })));
        assert!(matches!(check_value(&f, &[1.0, 2.0]), Err(SharpnessError::Dimension { .. })));
    }

    #[test]
    fn an_asymmetric_product_is_refused() {
        let product = |shear: f64| {
            FnObjective::new(2, |w: &[f64]| w[0]).with_hessian(
                move |_w, v: &[f64], out: &mut [f64]| {
                    out.copy_from_slice(&[2.0 * v[0] + shear * v[1], v[1]]);
                },
            )
        };
        assert!(check_hessian(&product(0.0), &[0.0, 0.0], 1).is_ok());
        let error = check_hessian(&product(0.5), &[0.0, 0.0], 1).unwrap_err();
        assert!(matches!(error, SharpnessError::AsymmetricHessian { .. }), "{error}");
    }
}
