//! Direct correlations by the [matrix unit](crate::kernels::unit).
//!
//! Source values are split into their parts once, into *planes*: padded copies of the images, one for
//! each part, in which every tap of every target pixel finds its value (see [`planes`]). There the terms
//! of a target pixel are a run of neighbouring values for each kernel row, and those of the next pixel lie
//! a fixed distance further: so sixteen pixels are a tile of the unit as they lie, and nothing else is
//! copied. Weights are tiles of sixteen target channels (see [`weights`]).

mod correlate;
mod planes;
#[cfg(test)]
mod tests;
mod weights;

pub(super) use correlate::band;
pub(super) use weights::prepare;

use super::correlation::{Axis, Correlation};
use crate::kernels::InstructionSet;
use crate::kernels::simd::LANES;
use crate::kernels::unit::TERMS;

/// Whether the matrix unit takes a direct correlation: with few source channels it would multiply zeros
/// for the most part, and pairs of terms are made of two channels.
pub(super) fn serves(set: InstructionSet, correlation: &Correlation) -> bool {
    let (sources, _) = correlation.channels();
    set == InstructionSet::Amx && sources >= LANES && sources.is_multiple_of(2)
}

/// Kernel rows of a pair of phases, and steps of each.
fn steps(correlation: &Correlation, y: &Axis, x: &Axis) -> [usize; 2] {
    [y.taps, (x.taps * correlation.channels().0).div_ceil(TERMS)]
}
