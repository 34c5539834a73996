//! What is measured: a deterministic function of a vector, and what it can tell about itself.
//!
//! An [`Objective`] gives f(w); a [`Differentiable`] one also its gradient, a [`TwiceDifferentiable`]
//! one also products of its Hessian with a vector. Evaluation takes `&self` and a scratch of the
//! thread's own, so that many points are evaluated at once and nothing is allocated per point.

use smoothout_tensor::Real;

/// A deterministic function f of a vector w in R^m.
///
/// A closure becomes one through [`FnObjective`](crate::FnObjective). Networks implement it with
/// their buffers as [`Scratch`](Self::Scratch).
pub trait Objective: Sync {
    /// The precision of w. Values are `f64` in both.
    type Real: Real;
    /// The buffers of one thread; `()` if none are needed.
    type Scratch: Send;

    /// m, the length of w.
    fn dimension(&self) -> usize;

    /// Buffers for one thread.
    fn scratch(&self) -> Self::Scratch;

    /// f(w). What the scratch held before does not matter.
    fn value(&self, w: &[Self::Real], scratch: &mut Self::Scratch) -> f64;
}

/// An [`Objective`] that knows its gradient.
pub trait Differentiable: Objective {
    /// f(w), with its gradient written over `gradient`.
    fn value_and_gradient(
        &self,
        w: &[Self::Real],
        gradient: &mut [Self::Real],
        scratch: &mut Self::Scratch,
    ) -> f64;
}

/// An [`Objective`] that knows products of its Hessian H(w) with a vector.
///
/// A [`Differentiable`] one becomes one through
/// [`FiniteDifferenceHvp`](crate::FiniteDifferenceHvp).
pub trait TwiceDifferentiable: Objective {
    /// Writes H(w) v over `product`.
    fn hessian_vector_product(
        &self,
        w: &[Self::Real],
        v: &[Self::Real],
        product: &mut [Self::Real],
        scratch: &mut Self::Scratch,
    );
}

impl<O: Objective> Objective for &O {
    type Real = O::Real;
    type Scratch = O::Scratch;

    fn dimension(&self) -> usize {
        (*self).dimension()
    }

    fn scratch(&self) -> O::Scratch {
        (*self).scratch()
    }

    fn value(&self, w: &[O::Real], scratch: &mut O::Scratch) -> f64 {
        (*self).value(w, scratch)
    }
}

impl<O: Differentiable> Differentiable for &O {
    fn value_and_gradient(
        &self,
        w: &[O::Real],
        gradient: &mut [O::Real],
        scratch: &mut O::Scratch,
    ) -> f64 {
        (*self).value_and_gradient(w, gradient, scratch)
    }
}

impl<O: TwiceDifferentiable> TwiceDifferentiable for &O {
    fn hessian_vector_product(
        &self,
        w: &[O::Real],
        v: &[O::Real],
        product: &mut [O::Real],
        scratch: &mut O::Scratch,
    ) {
        (*self).hessian_vector_product(w, v, product, scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FnObjective;

    /// Whatever measures an objective can measure a reference to one.
    #[test]
    fn a_reference_is_the_objective() {
        let f = FnObjective::new(2, |w: &[f64]| w[0] * w[1])
            .with_gradient(|w, g| {
                g.copy_from_slice(&[w[1], w[0]]);
                w[0] * w[1]
            })
            .with_hessian(|_w, v, out| out.copy_from_slice(&[v[1], v[0]]));
        let (f, w) = (&f, [3.0, 5.0]);
        let mut out = [f64::NAN; 2];
        assert_eq!((Objective::dimension(&f), Objective::value(&f, &w, &mut ())), (2, 15.0));
        assert_eq!(Differentiable::value_and_gradient(&f, &w, &mut out, &mut ()), 15.0);
        assert_eq!(out, [5.0, 3.0]);
        TwiceDifferentiable::hessian_vector_product(&f, &w, &[1.0, 2.0], &mut out, &mut ());
        assert_eq!(out, [2.0, 1.0]);
    }
}
