//! Direct correlations by the [matrix unit](crate::kernels::unit).
//!
//! Source values are split into their parts once, into *planes*: padded copies of the images, one for
//! each part, in which every tap of every target pixel finds its value (see [`planes`]). There the terms
//! of a target pixel are runs of neighbouring values, and those of the next pixel lie a fixed distance
//! further: so sixteen pixels are a tile of the unit as they lie, and nothing else is copied. Weights are
//! tiles of sixteen target channels (see [`weights`]).

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

/// How the terms of a target pixel are cut into runs of neighbouring values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    /// One for each kernel row: (columns, channels).
    Rows,
    /// One for all: (columns, rows, channels). In the planes, the kernel rows of a column stand next to
    /// each other: half as many zeros are multiplied at the ends of the runs of sixteen channels.
    Whole,
}

impl Runs {
    fn of(correlation: &Correlation) -> Self {
        let few = correlation.channels().0 == LANES;
        let several = correlation.phases(0) == 1 && correlation.axis(0, 0).taps > 1;
        if few && several { Self::Whole } else { Self::Rows }
    }
}

/// Runs of a pair of phases, and steps of each.
fn steps(correlation: &Correlation, y: &Axis, x: &Axis) -> [usize; 2] {
    let run = x.taps * correlation.channels().0;
    match Runs::of(correlation) {
        Runs::Rows => [y.taps, run.div_ceil(TERMS)],
        Runs::Whole => [1, (y.taps * run).div_ceil(TERMS)],
    }
}
