//! Objectives from closures: a function alone, with its gradient, with its Hessian products.

use std::marker::PhantomData;

use smoothout_tensor::Real;

use crate::{Differentiable, Objective, TwiceDifferentiable};

/// An [`Objective`] made of closures.
///
/// # Examples
/// f(w) = w_0^2 + 3 w_1^2, first alone, then with its gradient and its Hessian products:
/// ```
/// use smoothout_sharpness::{Differentiable, FnObjective, Objective};
///
/// let f = |w: &[f64]| w[0] * w[0] + 3.0 * w[1] * w[1];
/// let alone = FnObjective::new(2, f);
/// assert_eq!(alone.value(&[2.0, 1.0], &mut ()), 7.0);
///
/// let complete = FnObjective::new(2, f)
///     .with_gradient(|w, gradient| {
///         gradient.copy_from_slice(&[2.0 * w[0], 6.0 * w[1]]);
///         w[0] * w[0] + 3.0 * w[1] * w[1]
///     })
///     .with_hessian(|_w, v, product| product.copy_from_slice(&[2.0 * v[0], 6.0 * v[1]]));
/// let mut gradient = [0.0; 2];
/// assert_eq!(complete.value_and_gradient(&[2.0, 1.0], &mut gradient, &mut ()), 7.0);
/// assert_eq!(gradient, [4.0, 6.0]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct FnObjective<R, F, G = (), H = ()> {
    dimension: usize,
    value: F,
    value_and_gradient: G,
    hessian: H,
    precision: PhantomData<fn() -> R>,
}

impl<R: Real, F: Fn(&[R]) -> f64 + Sync> FnObjective<R, F> {
    /// A function of vectors of length `dimension`.
    pub fn new(dimension: usize, value: F) -> Self {
        Self { dimension, value, value_and_gradient: (), hessian: (), precision: PhantomData }
    }
}

impl<R: Real, F, H> FnObjective<R, F, (), H> {
    /// The same with its gradient: the closure writes the gradient and returns the value.
    pub fn with_gradient<G: Fn(&[R], &mut [R]) -> f64 + Sync>(
        self,
        value_and_gradient: G,
    ) -> FnObjective<R, F, G, H> {
        let Self { dimension, value, hessian, precision, .. } = self;
        FnObjective { dimension, value, value_and_gradient, hessian, precision }
    }
}

impl<R: Real, F, G> FnObjective<R, F, G, ()> {
    /// The same with its Hessian products: the closure takes (w, v, product) and writes H(w) v.
    pub fn with_hessian<H: Fn(&[R], &[R], &mut [R]) + Sync>(
        self,
        hessian: H,
    ) -> FnObjective<R, F, G, H> {
        let Self { dimension, value, value_and_gradient, precision, .. } = self;
        FnObjective { dimension, value, value_and_gradient, hessian, precision }
    }
}

impl<R: Real, F: Fn(&[R]) -> f64 + Sync, G: Sync, H: Sync> Objective for FnObjective<R, F, G, H> {
    type Real = R;
    type Scratch = ();

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn scratch(&self) {}

    fn value(&self, w: &[R], _scratch: &mut ()) -> f64 {
        (self.value)(w)
    }
}

impl<R, F, G, H> Differentiable for FnObjective<R, F, G, H>
where
    R: Real,
    F: Fn(&[R]) -> f64 + Sync,
    G: Fn(&[R], &mut [R]) -> f64 + Sync,
    H: Sync,
{
    fn value_and_gradient(&self, w: &[R], gradient: &mut [R], _scratch: &mut ()) -> f64 {
        (self.value_and_gradient)(w, gradient)
    }
}

impl<R, F, G, H> TwiceDifferentiable for FnObjective<R, F, G, H>
where
    R: Real,
    F: Fn(&[R]) -> f64 + Sync,
    G: Sync,
    H: Fn(&[R], &[R], &mut [R]) + Sync,
{
    fn hessian_vector_product(&self, w: &[R], v: &[R], product: &mut [R], _scratch: &mut ()) {
        (self.hessian)(w, v, product);
    }
}
