//! Hessian-vector products of a network, by differences with a step that suits it.
//!
//! [`FiniteDifferenceHvp`]'s own step balances rounding against a smooth function's truncation. A
//! network is not that smooth: a step as long as a hundredth of w leaves the neighbourhood in which
//! its sharpest directions are quadratic, and crosses kinks of ReLU. So several steps are tried on a
//! random direction v and on a sharp one, u = Hv / ‖Hv‖. The shortest that is accurate enough is
//! taken: in another direction a kink may lie closer, and a step half as long meets half as many.

use serde::Serialize;
use smoothout_sharpness::{
    Differentiable, FiniteDifferenceHvp, Objective, SharpnessError, TwiceDifferentiable,
};
use smoothout_tensor::{Purpose, Real, StreamKey, fill_gaussian};

/// Where Hessian-vector products came from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Curvature {
    /// The method.
    pub products: &'static str,
    /// s: a product moves w by s (1 + ‖w‖) each way.
    pub step: f64,
    /// The relative error of the products with a random and a sharp direction, estimated: the larger.
    pub relative_error: f64,
}

/// Keeps the vector that the error is stated for apart from those of measurements.
const STATED_ERROR: u64 = u64::MAX - 1;

/// Steps are tried from u^(1/3) down by factors of 8; u is the unit roundoff. The best one for a
/// smooth function is the first; ReLUs have kinks, which a difference should not step over, and
/// those of a million units on hundreds of examples lie close.
const TRIALS: i32 = 8;

/// The relative errors that are accurate enough, the first that some step has: at most a tenth of
/// the symmetry that is asked of a Hessian in f64.
const ACCURATE: [f64; 2] = [1e-6, 1e-5];

impl Curvature {
    /// The products of `objective` at w with the shortest of eight steps whose error is below 1e-6,
    /// else below 1e-5, else with the one of the least error; and that error: the larger of those
    /// with a random direction and with a sharp one.
    ///
    /// # Errors
    /// If no step gives a finite product.
    pub fn of<O: Differentiable>(
        objective: O,
        w: &[O::Real],
        seed: u64,
    ) -> Result<(FiniteDifferenceHvp<O>, Self), SharpnessError> {
        let unit = if O::Real::NAME == "f32" { f32::EPSILON.into() } else { f64::EPSILON };
        let largest = f64::cbrt(unit / 2.0);
        let steps = (0..TRIALS).map(|k| largest * 8.0_f64.powi(-k));
        let mut v = vec![O::Real::default(); w.len()];
        let mut sharp = v.clone();
        fill_gaussian(StreamKey::new(seed, Purpose::Measurement).step(STATED_ERROR), &mut v);
        let middle = FiniteDifferenceHvp::new(&objective).step(largest / 64.0)?;
        middle.hessian_vector_product(w, &v, &mut sharp, &mut middle.scratch());
        let mut trials = Vec::new();
        for step in steps {
            let products = FiniteDifferenceHvp::new(&objective).step(step)?;
            let error = products.relative_error(w, &v).max(products.relative_error(w, &sharp));
            if error.is_finite() {
                trials.push((step, error));
            }
        }
        let shortest = |level| trials.iter().rev().find(move |(_, error)| *error < level);
        let least = || trials.iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
        let chosen = ACCURATE.into_iter().find_map(shortest).or_else(least);
        let (what, found) = ("a Hessian-vector product", f64::NAN);
        let &(step, relative_error) = chosen.ok_or(SharpnessError::NotFinite { what, found })?;
        let products = "central differences of the gradient";
        let hessian = FiniteDifferenceHvp::new(objective).step(step)?;
        Ok((hessian, Self { products, step, relative_error }))
    }
}

#[cfg(test)]
mod tests {
    use smoothout_sharpness::FnObjective;

    use super::*;

    /// f(w) = ‖w‖² / 2 + max(0, w_0 - 1 - d) at w = (1, ..., 1): a kink that lies at the distance
    /// d = 1e-7 in the direction of w_0, and thirty times as far in the random one that is tried.
    #[test]
    fn a_kink_close_in_another_direction_is_not_stepped_over() {
        const N: usize = 1000;
        let gradient = |w: &[f64], gradient: &mut [f64]| {
            gradient.copy_from_slice(w);
            gradient[0] += if w[0] > 1.0 + 1e-7 { 1.0 } else { 0.0 };
            w.iter().map(|w| w * w / 2.0).sum()
        };
        let value = |w: &[f64]| w.iter().map(|w| w * w / 2.0).sum();
        let w = [1.0; N];
        let objective = FnObjective::new(N, value).with_gradient(gradient);
        let (hessian, curvature) = Curvature::of(objective, &w, 0).unwrap();
        assert!(curvature.relative_error < ACCURATE[0], "{curvature:?}");
        let (mut v, mut product) = ([0.0; N], [0.0; N]);
        v[0] = 1.0;
        hessian.hessian_vector_product(&w, &v, &mut product, &mut hessian.scratch());
        assert!((product[0] - 1.0).abs() < 1e-4, "{} by {curvature:?}", product[0]);
    }
}
