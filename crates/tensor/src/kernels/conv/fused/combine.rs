//! What is written because several layers read it: a norm's output, or the end of a residual block.

use rayon::prelude::*;

use super::passes::piece;
use crate::kernels::InstructionSet;
use crate::kernels::normalise::{Affine, Operand};
use crate::kernels::simd::{self, LANES, Task, Vector, load, store};

/// `y = first + second`, then maybe `max(0, .)`: (rows, channels) tensors of the same length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Combination<'a> {
    /// The first operand.
    pub first: Operand<'a>,
    /// What is added to it.
    pub second: Option<Operand<'a>>,
    /// Whether negative results become 0.
    pub relu: bool,
}

impl Combination<'_> {
    /// Some of the rows.
    pub(super) fn rows(&self, range: std::ops::Range<usize>) -> Self {
        let Self { first, second, .. } = *self;
        Self {
            first: Operand { values: &first.values[range.clone()], ..first },
            second: second.map(|second| Operand { values: &second.values[range], ..second }),
            ..*self
        }
    }

    /// # Panics
    /// If there are not so many values.
    pub(super) fn check(&self, len: usize) {
        assert_eq!(self.first.values.len(), len, "length of the first operand");
        if let Some(second) = self.second {
            assert_eq!(second.values.len(), len, "length of the second operand");
        }
    }
}

/// What a convolution reads.
#[derive(Debug)]
pub enum Input<'a> {
    /// A tensor that is there.
    Stored(Operand<'a>),
    /// One that is written to `to` first, group by group.
    Combined {
        /// What it is made of.
        combination: Combination<'a>,
        /// The tensor, overwritten.
        to: &'a mut [f32],
    },
}

impl<'a> Input<'a> {
    /// How many values it has.
    ///
    /// # Panics
    /// If what it is made of has others.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Stored(operand) => operand.values.len(),
            Self::Combined { combination, to } => {
                combination.check(to.len());
                to.len()
            }
        }
    }

    /// The input, written in a pass of its own if it is not stored.
    pub(super) fn store(self, channels: usize) -> Operand<'a> {
        match self {
            Self::Stored(operand) => operand,
            Self::Combined { combination, to } => {
                combine(combination, channels, to);
                Operand { values: to, normalise: None }
            }
        }
    }
}

/// Writes `output` (rows, `channels`), in parallel.
///
/// # Panics
/// If lengths differ.
pub fn combine(combination: Combination<'_>, channels: usize, output: &mut [f32]) {
    let set = InstructionSet::current();
    combination.check(output.len());
    let piece = piece(channels);
    output.par_chunks_mut(piece).enumerate().for_each(|(k, output)| {
        let combination = combination.rows(k * piece..k * piece + output.len());
        simd::run(set, Combine { combination, channels, output });
    });
}

/// Writes some rows.
pub(super) struct Combine<'a> {
    pub(super) combination: Combination<'a>,
    pub(super) channels: usize,
    pub(super) output: &'a mut [f32],
}

impl Task for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { combination: Combination { first, second, relu }, channels, output } = self;
        let other = second.and_then(|second| second.normalise);
        for channel in (0..channels).step_by(LANES) {
            let width = LANES.min(channels - channel);
            let affine = first.normalise.as_ref().map(|n| Affine::<V>::new(n, channel, width));
            let other = other.as_ref().map(|n| Affine::<V>::new(n, channel, width));
            for at in (channel..output.len()).step_by(channels) {
                let mut y: V = load(first.values, at, width);
                if let Some(affine) = &affine {
                    y = affine.apply(y);
                }
                if let Some(second) = &second {
                    let mut x: V = load(second.values, at, width);
                    if let Some(other) = &other {
                        x = other.apply(x);
                    }
                    y = y.add(x);
                }
                store(if relu { y.relu() } else { y }, output, at, width);
            }
        }
    }
}
