//! Hessian-vector products from gradients, with a stated error.
//!
//! H(w) v ~ ( g(w + h v) - g(w - h v) ) / (2 h), with h = s (1 + ‖w‖) / ‖v‖.
//! Truncation leaves (h^2 / 6) D^3 g terms, rounding u ‖g‖ / h of the gradients and, since the
//! points are rounded too, u ‖H‖ ‖w‖ / h: their sum is least near s = u^(1/3), the default (u: the
//! unit roundoff of the precision).

use smoothout_tensor::Real;

use crate::vector::{epsilon, norm, update, zeros};
use crate::{Differentiable, Objective, SharpnessError, TwiceDifferentiable, error};

/// A [`Differentiable`] objective with Hessian-vector products by central differences of its
/// gradient: two gradients a product.
///
/// # Examples
/// The gradient of a quadratic is linear, so that its differences are exact up to rounding:
/// ```
/// use smoothout_sharpness::{FiniteDifferenceHvp, FnObjective, Objective, TwiceDifferentiable};
///
/// let f = FnObjective::new(2, |w: &[f64]| w[0] * w[0] + 3.0 * w[0] * w[1]).with_gradient(
///     |w, g| {
///         g.copy_from_slice(&[2.0 * w[0] + 3.0 * w[1], 3.0 * w[0]]);
///         w[0] * w[0] + 3.0 * w[0] * w[1]
///     },
/// );
/// let f = FiniteDifferenceHvp::new(f);
/// let mut product = [0.0; 2];
/// f.hessian_vector_product(&[1.0, 2.0], &[1.0, -1.0], &mut product, &mut f.scratch());
/// assert!((product[0] + 1.0).abs() < 1e-9 && (product[1] - 3.0).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FiniteDifferenceHvp<O> {
    objective: O,
    step: Option<f64>,
}

/// The buffers of one thread of a [`FiniteDifferenceHvp`].
#[derive(Debug)]
pub struct FiniteDifferenceScratch<R, S> {
    inner: S,
    point: Vec<R>,
    gradient: Vec<R>,
}

impl<O: Differentiable> FiniteDifferenceHvp<O> {
    /// Differences with the step u^(1/3) (1 + ‖w‖).
    pub fn new(objective: O) -> Self {
        Self { objective, step: None }
    }

    /// The same with the step s (1 + ‖w‖).
    ///
    /// # Errors
    /// If s is not positive and finite.
    pub fn step(self, s: f64) -> Result<Self, SharpnessError> {
        error::setting("the step", s, s > 0.0 && s.is_finite(), "positive and finite")?;
        Ok(Self { step: Some(s), ..self })
    }

    /// The objective inside.
    pub fn objective(&self) -> &O {
        &self.objective
    }

    /// The relative error of H(w) v, estimated: ‖P(h) - P(2h)‖ / 3 for the truncation (its leading
    /// term grows as h^2), plus what rounding did to the gradients, over ‖P(h)‖; plus what rounding did
    /// to the points w +- h v, u ‖w‖ / (h ‖v‖). The last takes ‖P(h)‖ / ‖v‖ for ‖H‖: where H hardly
    /// sees v, the error may be larger.
    pub fn relative_error(&self, w: &[O::Real], v: &[O::Real]) -> f64 {
        let scratch = &mut self.scratch();
        let (mut near, mut far) = (zeros(w.len()), zeros(w.len()));
        self.difference(self.relative_step(), w, v, &mut near, scratch);
        // The last gradient of `difference` still stands in the scratch.
        let h = self.relative_step() * (1.0 + norm(w));
        let rounding = epsilon::<O::Real>() * norm(&scratch.gradient) * norm(v) / h;
        self.difference(2.0 * self.relative_step(), w, v, &mut far, scratch);
        update(&mut far, |i, far| far - near[i]);
        (norm(&far) / 3.0 + rounding) / norm(&near) + epsilon::<O::Real>() * norm(w) / h
    }

    fn relative_step(&self) -> f64 {
        self.step.unwrap_or_else(|| epsilon::<O::Real>().cbrt())
    }

    fn difference(
        &self,
        step: f64,
        w: &[O::Real],
        v: &[O::Real],
        product: &mut [O::Real],
        scratch: &mut FiniteDifferenceScratch<O::Real, O::Scratch>,
    ) {
        let length = norm(v);
        if length == 0.0 {
            product.fill(O::Real::default());
            return;
        }
        let h = O::Real::from_f64(step * (1.0 + norm(w)) / length);
        let FiniteDifferenceScratch { inner, point, gradient } = scratch;
        update(point, |i, _| w[i] + h * v[i]);
        self.objective.value_and_gradient(point, product, inner);
        update(point, |i, _| w[i] - h * v[i]);
        self.objective.value_and_gradient(point, gradient, inner);
        let width = h + h;
        update(product, |i, forward| (forward - gradient[i]) / width);
    }
}

impl<O: Differentiable> Objective for FiniteDifferenceHvp<O> {
    type Real = O::Real;
    type Scratch = FiniteDifferenceScratch<O::Real, O::Scratch>;

    fn dimension(&self) -> usize {
        self.objective.dimension()
    }

    fn scratch(&self) -> Self::Scratch {
        FiniteDifferenceScratch {
            inner: self.objective.scratch(),
            point: zeros(self.dimension()),
            gradient: zeros(self.dimension()),
        }
    }

    fn value(&self, w: &[O::Real], scratch: &mut Self::Scratch) -> f64 {
        self.objective.value(w, &mut scratch.inner)
    }
}

impl<O: Differentiable> Differentiable for FiniteDifferenceHvp<O> {
    fn value_and_gradient(
        &self,
        w: &[O::Real],
        gradient: &mut [O::Real],
        scratch: &mut Self::Scratch,
    ) -> f64 {
        self.objective.value_and_gradient(w, gradient, &mut scratch.inner)
    }
}

impl<O: Differentiable> TwiceDifferentiable for FiniteDifferenceHvp<O> {
    fn hessian_vector_product(
        &self,
        w: &[O::Real],
        v: &[O::Real],
        product: &mut [O::Real],
        scratch: &mut Self::Scratch,
    ) {
        self.difference(self.relative_step(), w, v, product, scratch);
    }
}

#[cfg(test)]
mod tests {
    use smoothout_tensor::{Purpose, StreamKey, fill_gaussian};

    use super::*;
    use crate::FnObjective;

    /// f = sum exp(w_i): H = diag(exp(w)); the stated error holds what happened, in both precisions.
    #[test]
    fn the_stated_error_holds() {
        fn check<R: Real>(bound: f64) {
            let f = FnObjective::new(3, |w: &[R]| w.iter().map(|w| w.as_f64().exp()).sum())
                .with_gradient(|w: &[R], g: &mut [R]| {
                    g.iter_mut().zip(w).for_each(|(g, w)| *g = w.exp());
                    w.iter().map(|w| w.as_f64().exp()).sum()
                });
            let f = FiniteDifferenceHvp::new(f);
            let (w, v) = ([0.5, -1.0, 0.25].map(R::from_f64), [1.0, 2.0, -0.5].map(R::from_f64));
            let mut product = [R::zero(); 3];
            f.hessian_vector_product(&w, &v, &mut product, &mut f.scratch());
            let exact = [0, 1, 2].map(|i| w[i].as_f64().exp() * v[i].as_f64());
            let error = [0, 1, 2].map(|i| product[i].as_f64() - exact[i]);
            let relative = norm(&error) / norm(&exact);
            let stated = f.relative_error(&w, &v);
            assert!(relative <= 1.5 * stated && stated < bound, "{relative} {stated}");
        }
        check::<f32>(1e-3);
        check::<f64>(1e-9);
    }

    /// At a minimum the gradients are small, and rounding is that of the points alone: H = I at
    /// w = 3.3, in 200 directions.
    #[test]
    fn the_stated_error_holds_at_a_minimum() {
        fn check<R: Real>() {
            let f = FnObjective::new(50, |_: &[R]| 0.0).with_gradient(|w: &[R], g: &mut [R]| {
                update(g, |i, _| w[i] - R::from_f64(3.3));
                0.0
            });
            let f = FiniteDifferenceHvp::new(f);
            let (w, mut v, mut product) =
                ([R::from_f64(3.3); 50], [R::zero(); 50], [R::zero(); 50]);
            for seed in 0..200 {
                fill_gaussian(StreamKey::new(seed, Purpose::Data), &mut v);
                f.hessian_vector_product(&w, &v, &mut product, &mut f.scratch());
                update(&mut product, |i, product| product - v[i]);
                let (relative, stated) = (norm(&product) / norm(&v), f.relative_error(&w, &v));
                assert!(relative <= stated && stated < 10.0 * relative, "{relative} {stated}");
            }
        }
        check::<f32>();
        check::<f64>();
    }

    /// The gradient of a cubic is of second degree: central differences are exact for any step but
    /// for rounding; those of exp(w) are off by h^2 / 6 e^w, h = s (1 + |w|) for a unit vector.
    #[test]
    fn the_step_is_its_formula() {
        let f = |gradient: fn(f64) -> f64| {
            FnObjective::new(1, |_: &[f64]| 0.0).with_gradient(move |w, g| {
                g[0] = gradient(w[0]);
                0.0
            })
        };
        let product = |gradient, s, v: f64| {
            let f = FiniteDifferenceHvp::new(f(gradient)).step(s).unwrap();
            let mut product = [0.0];
            f.hessian_vector_product(&[2.0], &[v], &mut product, &mut f.scratch());
            product[0]
        };
        for v in [1.0, -3.0] {
            assert!((product(|w| 3.0 * w * w, 0.1, v) - 12.0 * v).abs() < 1e-12);
            let h: f64 = 0.01 * 3.0;
            let expected = 2.0_f64.exp() * h.sinh() / h;
            assert!((product(f64::exp, 0.01, v) - expected * v).abs() < 1e-12 * expected * 3.0);
        }
    }

    /// Truncation alone: the gradient w^3 gives P(h) = 3 w^2 v + h^2 v^3, h = s (1 + |w|) / |v|, so a
    /// third of P(2h) - P(h) is h^2 v^3. Rounding alone: the gradient w, with a step that is a power
    /// of two, is exact, and what is left is u (|g| |v| / |P| + |w|) / (s (1 + |w|)).
    #[test]
    fn the_stated_error_is_its_formula() {
        let stated = |gradient: fn(f64) -> f64, s: f64| {
            let f = FnObjective::new(1, |_: &[f64]| 0.0).with_gradient(move |w, g| {
                g[0] = gradient(w[0]);
                0.0
            });
            FiniteDifferenceHvp::new(f).step(s).unwrap().relative_error(&[3.0], &[2.0])
        };
        let h: f64 = 0.25 * 4.0 / 2.0;
        let truncation = h * h * 8.0 / (27.0 * 2.0 + h * h * 8.0);
        assert!((stated(|w| w.powi(3), 0.25) / truncation - 1.0).abs() < 1e-12);
        let rounding = f64::EPSILON * (3.0 * 2.0 / 2.0 + 3.0) / (2.0_f64.powi(-30) * 4.0);
        assert!((stated(|w| w, 2.0_f64.powi(-30)) / rounding - 1.0).abs() < 1e-6);
    }

    /// Loss and gradient are the objective's own.
    #[test]
    fn losses_and_gradients_pass_through() {
        let f = FnObjective::new(1, |w: &[f64]| w[0].powi(3)).with_gradient(|w, g| {
            g[0] = 3.0 * w[0] * w[0];
            w[0].powi(3)
        });
        let f = FiniteDifferenceHvp::new(f);
        let (mut scratch, mut gradient) = (f.scratch(), [0.0]);
        assert_eq!((f.dimension(), f.value(&[2.0], &mut scratch)), (1, 8.0));
        assert_eq!(f.value_and_gradient(&[2.0], &mut gradient, &mut scratch), 8.0);
        assert_eq!(gradient, [12.0]);
    }

    #[test]
    fn a_zero_vector_has_a_zero_product() {
        let f = FnObjective::new(1, |w: &[f64]| w[0]).with_gradient(|w, g| {
            g[0] = 1.0;
            w[0]
        });
        let f = FiniteDifferenceHvp::new(f);
        let mut product = [7.0];
        f.hessian_vector_product(&[1.0], &[0.0], &mut product, &mut f.scratch());
        assert_eq!(product, [0.0]);
        assert!(f.step(0.0).is_err());
    }
}
