//! Checks before measuring: is the objective a deterministic, finite function, and are its
//! derivatives its own?
//!
//! The metrics run the checks they need themselves; these functions are there to run them alone.

use std::ops::Range;

use smoothout_tensor::{ParameterLayout, Purpose, Real, StreamKey, fill_gaussian};

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
/// with central differences along itself, where its derivative is ‖g‖ (along a random direction, if it is
/// zero); returns f(w).
///
/// Differences are taken with five steps, each a step h and its half. What they may be off by is 0.2 %
/// of the derivative in f64 (2 % in f32), plus twice what h and h/2 disagree by and the rounding of f.
/// A step *tells* if that is less than half of the derivative. The gradient passes if it agrees at a
/// step that tells, or if none does: at a minimum, where nothing can be seen, the check is weak rather
/// than wrong. Elsewhere a flipped sign, a factor of 2 and a wrong block that holds a good part of the
/// gradient fail; [`check_gradient_blocks`] looks at each block by itself.
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
    let (value, mut direction) = value_and_gradient(objective, w)?;
    let slope = unit_direction(&mut direction, 0..w.len(), 0);
    let mut differences = Differences::new(objective, w, value);
    match differences.contradict(&direction, slope) {
        Some((difference, tolerance)) => {
            Err(SharpnessError::WrongGradient { gradient: slope, difference, tolerance })
        }
        None => Ok(value),
    }
}

/// [`check_gradient`] block by block, along each block's own part of the gradient; along a random
/// direction in a block whose gradient is zero. Two to ten pairs of evaluations a block. In f32 no step
/// may tell along some blocks of a network, and nothing is said about those.
///
/// # Errors
/// Those of [`check_gradient`], and [`SharpnessError::WrongBlock`].
///
/// # Examples
/// A block whose gradient was forgotten, beside one that is a thousand times larger:
/// ```
/// use smoothout_sharpness::{BlockKind, FnObjective, ParameterLayout, SharpnessError};
/// use smoothout_sharpness::{check_gradient, check_gradient_blocks};
///
/// let value = |w: &[f64]| 1e3 * w[0] * w[0] + w[1] * w[1];
/// let f = FnObjective::new(2, value).with_gradient(|w, g| {
///     g.copy_from_slice(&[2e3 * w[0], 0.0]);
///     value(w)
/// });
/// let mut layout = ParameterLayout::new();
/// layout.push("weight", &[1], BlockKind::Weight)?;
/// layout.push("bias", &[1], BlockKind::Bias)?;
/// assert!(check_gradient(&f, &[1.0, 1.0]).is_ok());
/// let error = check_gradient_blocks(&f, &layout, &[1.0, 1.0]).unwrap_err();
/// assert!(matches!(error, SharpnessError::WrongBlock { block, .. } if block == "bias"));
/// # Ok::<(), SharpnessError>(())
/// ```
pub fn check_gradient_blocks<O: Differentiable>(
    objective: &O,
    layout: &ParameterLayout,
    w: &[O::Real],
) -> Result<f64, SharpnessError> {
    error::same_length("the layout", layout.len(), objective.dimension())?;
    let (value, gradient) = value_and_gradient(objective, w)?;
    let mut differences = Differences::new(objective, w, value);
    let mut direction = zeros(w.len());
    for (index, block) in layout.blocks().iter().enumerate() {
        let range = block.range();
        direction.fill(O::Real::default());
        direction[range.clone()].copy_from_slice(&gradient[range.clone()]);
        let slope = unit_direction(&mut direction, range, 1 + index as u64);
        if let Some((difference, tolerance)) = differences.contradict(&direction, slope) {
            let block = block.name().to_owned();
            return Err(SharpnessError::WrongBlock {
                block,
                gradient: slope,
                difference,
                tolerance,
            });
        }
    }
    Ok(value)
}

/// Makes a gradient, which is zero outside `range`, a unit vector, and returns how long it was; one of zero
/// becomes a random direction within the range, along which nothing should change.
fn unit_direction<R: Real>(gradient: &mut [R], range: Range<usize>, block: u64) -> f64 {
    let slope = norm(gradient);
    if slope == 0.0 {
        let key = StreamKey::new(0, Purpose::Measurement).step(GUARD).block(block);
        fill_gaussian(key, &mut gradient[range]);
    }
    let length = norm(gradient);
    if length > 0.0 {
        scale(gradient, 1.0 / length);
    }
    slope
}

/// f(w) and its gradient, which is finite and came with the same value.
fn value_and_gradient<O: Differentiable>(
    objective: &O,
    w: &[O::Real],
) -> Result<(f64, Vec<O::Real>), SharpnessError> {
    let value = check_value(objective, w)?;
    let mut gradient = zeros(w.len());
    let second = objective.value_and_gradient(w, &mut gradient, &mut objective.scratch());
    // The value beside a gradient may be summed in another order, no more.
    let rounding = 1e3 * epsilon::<O::Real>() * value.abs().max(f64::MIN_POSITIVE);
    if (second - value).abs() > rounding || second.is_nan() {
        return Err(SharpnessError::NotDeterministic { first: value, second });
    }
    error::finite("the norm of the gradient", norm(&gradient))?;
    Ok((value, gradient))
}

/// Central differences of f around w.
struct Differences<'a, O: Objective> {
    objective: &'a O,
    w: &'a [O::Real],
    value: f64,
    longest: f64,
    point: Vec<O::Real>,
    scratch: O::Scratch,
}

/// Steps that are tried, each an eighth of the one before.
const STEPS: i32 = 5;

impl<'a, O: Objective> Differences<'a, O> {
    fn new(objective: &'a O, w: &'a [O::Real], value: f64) -> Self {
        let longest = epsilon::<O::Real>().cbrt() * (1.0 + norm(w));
        let (point, scratch) = (zeros(w.len()), objective.scratch());
        Self { objective, w, value, longest, point, scratch }
    }

    /// ( f(w + h u) - f(w - h u) ) / (2 h).
    fn slope(&mut self, u: &[O::Real], h: f64) -> f64 {
        let Self { objective, w, point, scratch, .. } = self;
        let step = O::Real::from_f64(h);
        update(point, |i, _| w[i] + step * u[i]);
        let ahead = objective.value(point, scratch);
        update(point, |i, _| w[i] - step * u[i]);
        (ahead - objective.value(point, scratch)) / (2.0 * h)
    }

    /// ( f(w + h u) - f(w) ) / h.
    fn ahead(&mut self, u: &[O::Real], h: f64) -> f64 {
        let Self { objective, w, point, scratch, .. } = self;
        let step = O::Real::from_f64(h);
        update(point, |i, _| w[i] + step * u[i]);
        (objective.value(point, scratch) - self.value) / h
    }

    /// What contradicts a slope of `expected` along the unit vector u: (difference, tolerance) of the
    /// surest step, if some step tells and none of those agrees.
    fn contradict(&mut self, u: &[O::Real], expected: f64) -> Option<(f64, f64)> {
        let unit = epsilon::<O::Real>();
        let share = if unit < 1e-10 { 1e-3 } else { 1e-2 };
        let mut surest: Option<(f64, f64)> = None;
        for step in 0..STEPS {
            let h = self.longest * 8.0_f64.powi(-step);
            let (far, near) = (self.slope(u, h), self.slope(u, h / 2.0));
            let size = expected.max(near.abs());
            let rounding = 16.0 * unit * self.value.abs() / h;
            let tolerance = 2.0 * (share * size + (far - near).abs() + rounding);
            // A zero may be the subgradient of a kink, where one side alone rises.
            let kink = expected == 0.0 && (self.ahead(u, h / 2.0) - near).abs() > tolerance;
            if tolerance < size / 2.0 && !kink {
                if (near - expected).abs() <= tolerance {
                    return None;
                }
                if surest.is_none_or(|(_, least)| tolerance < least) {
                    surest = Some((near, tolerance));
                }
            }
        }
        surest
    }
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
mod tests;
