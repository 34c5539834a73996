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
