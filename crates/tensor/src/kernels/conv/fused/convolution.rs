//! The forward pass of a convolution, a group of images to a task.

use rayon::prelude::*;

use super::combine::{Combine, Input};
use super::moments::{GroupMoments, merge};
use super::normalise::Operand;
use super::passes::{self, grown};
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::correlation::{Correlation, Direction};
use crate::kernels::conv::direct::{self, Band};
use crate::kernels::conv::padded::{Identity, Load};
use crate::kernels::conv::{Algorithm, Conv2dShape, im2col, winograd};
use crate::kernels::simd;
use crate::kernels::{InstructionSet, KernelChoice, Scratch};

/// Pixels of a group, if its images are small.
const PIXELS: usize = 512;
/// Tasks that a batch is cut into at least, if it has as many images.
const TASKS: usize = 32;

impl Conv2dShape {
    /// Images of a group.
    pub(super) fn group(&self) -> usize {
        let pixels = |image: [usize; 2]| image[0] * image[1];
        let pixels = pixels(self.image).max(pixels(self.output_image())).max(1);
        (PIXELS / pixels).min(self.batch.div_ceil(TASKS)).max(1)
    }
}

/// A correlation of which groups of images can be computed on their own.
pub(super) struct Prepared<'a> {
    set: InstructionSet,
    algorithm: Algorithm,
    correlation: Correlation,
    /// Packed, and transformed if Winograd's algorithm runs.
    weights: &'a [f32],
}

impl<'a> Prepared<'a> {
    /// Values of the buffer that [`new`](Self::new) takes.
    pub(super) fn len(way: (InstructionSet, Algorithm), correlation: &Correlation) -> usize {
        match way {
            (set, Algorithm::Direct) => direct::prepared_len(set, correlation),
            (_, Algorithm::Winograd) => winograd::prepared_len(correlation),
            (_, Algorithm::Im2col) => unreachable!("takes all images at once"),
        }
    }

    pub(super) fn new(
        (set, algorithm): (InstructionSet, Algorithm),
        correlation: Correlation,
        weight: &[f32],
        buffer: &'a mut [f32],
    ) -> Self {
        let weights = match algorithm {
            Algorithm::Direct => direct::prepare(set, &correlation, weight, buffer),
            Algorithm::Winograd => winograd::prepare(set, &correlation, weight, buffer),
            Algorithm::Im2col => unreachable!("takes all images at once"),
        };
        Self { set, algorithm, correlation, weights }
    }

    /// The target of a few images, overwritten. Winograd's algorithm asks for what is `ahead`.
    pub(super) fn group<L: Load>(&self, source: &[f32], ahead: Ahead, load: L, target: &mut [f32]) {
        let Self { set, correlation, weights: packed, .. } = *self;
        if self.algorithm == Algorithm::Winograd {
            return winograd::group(set, &correlation, packed, source, ahead, target, load);
        }
        let rows = 0..correlation.images().1[0];
        Band { correlation, source, packed, rows, load, target }.compute(set);
    }
}

/// The convolution of an input. With `moments`, also the moments of the output's channels: first all
/// means, then all sums of squared deviations.
///
/// # Panics
/// If a length is not what `shape` says.
pub fn forward(
    shape: &Conv2dShape,
    input: Input<'_>,
    weight: &[f32],
    output: &mut [f32],
    moments: Option<&mut [f64]>,
    partials: &mut Vec<f64>,
    scratch: &mut Scratch<f32>,
) {
    shape.check(input.len(), weight.len(), output.len());
    if let Some(moments) = &moments {
        assert_eq!(moments.len(), 2 * shape.out_channels, "two moments of each channel");
    }
    let (choice, set) = (KernelChoice::current(), InstructionSet::current());
    let algorithm = Algorithm::of_correlation(choice, set, shape, Direction::Forward);
    if algorithm == Algorithm::Im2col {
        let Operand { values, normalise } = input.store(shape.in_channels);
        im2col::forward(set, shape, values, weight, output, scratch, normalise);
        if let Some(moments) = moments {
            passes::moments(output, moments, partials);
        }
        return;
    }
    let correlation = Correlation::new(*shape, Direction::Forward);
    let way = (set, algorithm);
    let buffer = scratch.take(Prepared::len(way, &correlation));
    let prepared = Prepared::new(way, correlation, weight, buffer);
    let (group, channels) = (shape.group(), shape.in_channels);
    let from = group * shape.input_len() / shape.batch;
    let (to, output_len) = (group * output.len() / shape.batch, output.len());
    // Without moments one value of each group is not used: there are no chunks of none.
    let of_group = moments.as_ref().map_or(1, |moments| moments.len());
    let partials = grown(partials, shape.batch.div_ceil(group) * of_group);
    let finish = |values: &[f32], partial: &mut [f64]| {
        if moments.is_some() {
            simd::run(set, GroupMoments { values, partial });
        }
    };
    let targets = output.par_chunks_mut(to).zip(partials.par_chunks_mut(of_group));
    match input {
        Input::Stored(Operand { values, normalise }) => {
            targets.zip(values.par_chunks(from)).for_each(|((output, partial), source)| {
                let ahead = Ahead::new(&[]).and_behind(source).and_behind(output);
                prepared.group(source, ahead, normalise, output);
                finish(output, partial);
            });
        }
        Input::Combined { combination, to: y } => {
            let sources = y.par_chunks_mut(from).enumerate();
            targets.zip(sources).for_each(|((target, partial), (k, y))| {
                let combination = combination.rows(k * from..k * from + y.len());
                let second = combination.second.map_or(&[][..], |second| second.values);
                let ahead = Ahead::new(&[]).and_behind(combination.first.values).and_behind(second);
                let ahead = ahead.and_behind(y).and_behind(target);
                simd::run(set, Combine { combination, channels, output: y });
                prepared.group(y, ahead, Identity, target);
                finish(target, partial);
            });
        }
    }
    if let Some(moments) = moments {
        let rows = |values: usize| values / shape.out_channels;
        merge(partials, moments, rows(to), rows(output_len));
    }
}
