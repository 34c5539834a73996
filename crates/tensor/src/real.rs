//! The two precisions: `f32` trains, `f64` checks.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};

use num_traits::Float;

use crate::kernels::Kernels;
use crate::stream::Lanes;

pub(crate) mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point number that the kernels and random streams know: `f32`, `f64`, or a
/// [`Dual`](crate::Dual) of them.
///
/// Sealed: the kernels are written for `f32` and `f64`, and for duals of them.
pub trait Real:
    sealed::Sealed
    + Float
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + Kernels
    + Lanes
    + 'static
{
    /// The name of the precision: `"f32"`, `"f64"` or `"dual"`.
    const NAME: &'static str;

    /// What long sums are taken in: `f64`, or a dual of it.
    type Wide: Real<Wide = Self::Wide>;

    /// The number nearest to `value`.
    fn from_f64(value: f64) -> Self;

    /// The number as `f64`, exact; of a dual number the value alone.
    fn as_f64(self) -> f64;

    /// The number as a term of a long sum, exact.
    fn widen(self) -> Self::Wide;

    /// The number nearest to a long sum.
    fn narrow(wide: Self::Wide) -> Self;

    /// The slice itself, if the precision is `f32`: the way to what exists for `f32` only.
    fn as_single(values: &[Self]) -> Option<&[f32]>;

    /// As [`as_single`](Self::as_single).
    fn as_single_mut(values: &mut [Self]) -> Option<&mut [f32]>;
}

impl Real for f32 {
    const NAME: &'static str = "f32";
    type Wide = f64;

    fn from_f64(value: f64) -> Self {
        value as f32
    }

    fn as_f64(self) -> f64 {
        f64::from(self)
    }

    fn widen(self) -> f64 {
        f64::from(self)
    }

    fn narrow(wide: f64) -> Self {
        wide as f32
    }

    fn as_single(values: &[Self]) -> Option<&[f32]> {
        Some(values)
    }

    fn as_single_mut(values: &mut [Self]) -> Option<&mut [f32]> {
        Some(values)
    }
}

impl Real for f64 {
    const NAME: &'static str = "f64";
    type Wide = Self;

    fn from_f64(value: f64) -> Self {
        value
    }

    fn as_f64(self) -> f64 {
        self
    }

    fn widen(self) -> f64 {
        self
    }

    fn narrow(wide: f64) -> Self {
        wide
    }

    fn as_single(_: &[Self]) -> Option<&[f32]> {
        None
    }

    fn as_single_mut(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}
