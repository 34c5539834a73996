//! Dual numbers: a value and its derivative along one direction.
//!
//! ```text
//! (x + x' e)(y + y' e) = x y + (x y' + x' y) e,    f(x + x' e) = f(x) + f'(x) x' e,    e^2 = 0
//! ```
//! Whatever is written for [`Real`] differentiates itself: with w + v e for w, a loss has the slope
//! of the loss along v as its tangent, and a gradient has the product H(w) v of the Hessian, exact up
//! to rounding. Comparisons look at values alone, so that a kink (ReLU, max pool) has the derivative
//! of the piece that its value lies on, as in PyTorch.
//!
//! # Source
//! Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6, 1994.

mod float;
mod kernels;
mod number;

use std::fmt;

use crate::stream::{CHUNK, Lanes, StreamKey};
use crate::{Real, real};

/// x + x' e: a value and its tangent, the derivative along one direction.
///
/// ```
/// use smoothout_tensor::{Dual, Float};
///
/// // d/dx exp(x^2) = 2 x exp(x^2).
/// let x = Dual { value: 0.5_f64, tangent: 1.0 };
/// let y = (x * x).exp();
/// assert_eq!((y.value, y.tangent), (0.25_f64.exp(), 0.25_f64.exp()));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Dual<R> {
    /// x.
    pub value: R,
    /// x'.
    pub tangent: R,
}

impl<R: Real> Dual<R> {
    /// A number that does not move: its tangent is 0.
    pub fn constant(value: R) -> Self {
        Self { value, tangent: R::zero() }
    }

    /// f(x + x' e), given f(x) and f'(x).
    fn chain(self, value: R, derivative: R) -> Self {
        Self { value, tangent: derivative * self.tangent }
    }
}

impl<R: Real> fmt::Display for Dual<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {} e", self.value, self.tangent)
    }
}

impl<R: Real> real::sealed::Sealed for Dual<R> {}

impl<R: Real> Real for Dual<R> {
    const NAME: &'static str = "dual";
    type Wide = Dual<R::Wide>;

    fn from_f64(value: f64) -> Self {
        Self::constant(R::from_f64(value))
    }

    fn as_f64(self) -> f64 {
        self.value.as_f64()
    }

    fn widen(self) -> Self::Wide {
        Dual { value: self.value.widen(), tangent: self.tangent.widen() }
    }

    fn narrow(wide: Self::Wide) -> Self {
        Self { value: R::narrow(wide.value), tangent: R::narrow(wide.tangent) }
    }

    fn as_single(_: &[Self]) -> Option<&[f32]> {
        None
    }

    fn as_single_mut(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}

/// Random numbers do not move.
impl<R: Real> Lanes for Dual<R> {
    fn fill_chunk(key: StreamKey, chunk: usize, out: &mut [Self]) {
        fill(out, |values| R::fill_chunk(key, chunk, values));
    }

    fn fill_chunk_gaussian(key: StreamKey, chunk: usize, out: &mut [Self]) {
        fill(out, |values| R::fill_chunk_gaussian(key, chunk, values));
    }
}

fn fill<R: Real>(out: &mut [Dual<R>], draw: impl FnOnce(&mut [R])) {
    let values = &mut [R::zero(); CHUNK][..out.len()];
    draw(values);
    out.iter_mut().zip(values).for_each(|(out, &mut value)| *out = Dual::constant(value));
}

#[cfg(test)]
mod tests;
