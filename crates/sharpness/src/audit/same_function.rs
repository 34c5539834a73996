//! Whether a rescaling left the function as it was: f(s w) = f(w) for every w.
//!
//! The loss at one w stays by accident where it hardly depends on the weights. But then its
//! derivative stays too, df/dw_i (w) = s_i df/dw_i (s w), so that the slopes w_i df/dw_i are the same
//! at w and at s w, however small they are.

use smoothout_tensor::ParameterLayout;

use crate::vector::{epsilon, norm, update, zeros};
use crate::{Differentiable, SharpnessError, check_gradient, error};

/// Checks both weight vectors, and that they compute the same function; the loss at each.
pub(super) fn check<O: Differentiable>(
    objective: &O,
    layout: &ParameterLayout,
    w: &[O::Real],
    rescaled: &[O::Real],
) -> Result<(f64, f64), SharpnessError> {
    error::same_length("the layout", layout.len(), objective.dimension())?;
    let (loss, after) = (check_gradient(objective, w)?, check_gradient(objective, rescaled)?);
    let unit = epsilon::<O::Real>();
    let (of_loss, of_slopes) = if unit < 1e-10 { (1e-9, 1e-6) } else { (1e-4, 1e-2) };
    if (loss - after).abs() > of_loss * loss.abs().max(unit) {
        return Err(SharpnessError::OtherFunction { loss, rescaled: after });
    }
    let (before, mut change) = (slopes(objective, w), slopes(objective, rescaled));
    update(&mut change, |i, slope| slope - before[i]);
    // Block by block: a large one would hide a small one.
    for block in layout.blocks() {
        let (size, difference) = (norm(&before[block.range()]), norm(&change[block.range()]));
        // Where they vanish, slopes are rounding alone.
        let tolerance = of_slopes * size + 1e2 * unit * (1.0 + loss.abs());
        if difference > tolerance || difference.is_nan() {
            let block = block.name().to_owned();
            return Err(SharpnessError::OtherSlopes { block, size, difference, tolerance });
        }
    }
    Ok((loss, after))
}

/// w_i df/dw_i.
fn slopes<O: Differentiable>(objective: &O, w: &[O::Real]) -> Vec<O::Real> {
    let mut slopes = zeros(w.len());
    objective.value_and_gradient(w, &mut slopes, &mut objective.scratch());
    update(&mut slopes, |i, g| g * w[i]);
    slopes
}

#[cfg(test)]
mod tests {
    use smoothout_tensor::Real;

    use super::*;
    use crate::FnObjective;

    /// ln 10 + size * (a b - 1)^2, whose slopes are 2 size (a b - 1) a b.
    fn product<R: Real>(size: f64) -> impl Differentiable<Real = R> {
        let at = |w: &[R]| w[0].as_f64() * w[1].as_f64();
        let value = move |w: &[R]| 10.0_f64.ln() + size * (at(w) - 1.0).powi(2);
        FnObjective::new(2, value).with_gradient(move |w: &[R], g: &mut [R]| {
            let slope = 2.0 * size * (at(w) - 1.0);
            g.copy_from_slice(&[slope * w[1].as_f64(), slope * w[0].as_f64()].map(R::from_f64));
            value(w)
        })
    }

    /// Where the loss barely changes, the slopes tell a changed function; one that is the same but
    /// for rounding passes in both precisions.
    #[test]
    fn a_loss_that_hardly_depends_on_the_weights_hides_nothing() {
        fn of<R: Real>(size: f64, rescaled: [f64; 2]) -> Result<(f64, f64), SharpnessError> {
            let (w, rescaled) = ([1.5, 1.0].map(R::from_f64), rescaled.map(R::from_f64));
            check(&product::<R>(size), &ParameterLayout::flat(2), &w, &rescaled)
        }
        for size in [1e-3, 1.0] {
            of::<f32>(size, [0.15, 10.0]).unwrap();
            of::<f64>(size, [0.15, 10.0]).unwrap();
        }
        // a b = 1.55 instead of 1.5: the loss of 2.3 moves by 5e-5, or by 5e-11.
        let other = of::<f32>(1e-3, [0.155, 10.0]);
        assert!(matches!(other, Err(SharpnessError::OtherSlopes { .. })), "{other:?}");
        let other = of::<f64>(1e-9, [0.155, 10.0]);
        assert!(matches!(other, Err(SharpnessError::OtherSlopes { .. })), "{other:?}");
        // At the minimum itself, a b = 1, both are rounding.
        for c in [0.1, 0.3, 7.0] {
            let w = [1.5_f32, 1.0 / 1.5];
            let rescaled = [w[0] * c, w[1] * (1.0 / c)];
            check(&product::<f32>(1.0), &ParameterLayout::flat(2), &w, &rescaled).unwrap();
        }
        // The loss itself: 2.55 and 2.35.
        let other = of::<f32>(1.0, [0.12, 10.0]);
        assert!(matches!(other, Err(SharpnessError::OtherFunction { .. })), "{other:?}");
    }
    /// A loss may be off by 1e-9 of it in f64 and 1e-4 in f32, and where it is zero, by that of the
    /// precision.
    #[test]
    fn a_loss_may_be_off_by_its_rounding() {
        fn passes<R: Real>(loss: f64, off: f64) -> bool {
            let jump = move |w: &[R]| if w[1].as_f64() < 5.0 { loss } else { loss + off };
            let f = FnObjective::new(2, jump).with_gradient(move |w: &[R], g: &mut [R]| {
                g.fill(R::zero());
                jump(w)
            });
            let (w, rescaled) = ([1.0, 1.0].map(R::from_f64), [0.1, 10.0].map(R::from_f64));
            check(&f, &ParameterLayout::flat(2), &w, &rescaled).is_ok()
        }
        for loss in [20.0, 0.125, 0.0] {
            for sign in [1.0, -1.0] {
                let off = |share: f64, unit: f64| sign * share * f64::max(loss, unit);
                assert!(passes::<f64>(loss, off(0.9e-9, f64::EPSILON)));
                assert!(!passes::<f64>(loss, off(1.1e-9, f64::EPSILON)));
                assert!(passes::<f32>(loss, off(0.9e-4, f32::EPSILON.into())));
                assert!(!passes::<f32>(loss, off(1.1e-4, f32::EPSILON.into())));
            }
        }
    }

    /// 1e-6 of the slopes in f64 and 1e-2 in f32, and a hundred units of rounding of 1 + the loss.
    #[test]
    fn slopes_may_be_off_by_their_rounding() {
        fn tolerance<R: Real>(share: f64, size: f64) {
            let (w, rescaled) = ([1.5, 1.0].map(R::from_f64), [0.155, 10.0].map(R::from_f64));
            let f = product::<R>(size);
            let Err(SharpnessError::OtherSlopes { size, tolerance, .. }) =
                check(&f, &ParameterLayout::flat(2), &w, &rescaled)
            else {
                panic!("another function, {share}")
            };
            let rounding = 1e2 * epsilon::<R>() * (1.0 + 10.0_f64.ln());
            let expected = share * size + rounding;
            assert!((tolerance / expected - 1.0).abs() < 1e-4, "{tolerance} {expected}");
        }
        tolerance::<f64>(1e-6, 3e-8);
        tolerance::<f32>(1e-2, 1e-3);
    }
}
