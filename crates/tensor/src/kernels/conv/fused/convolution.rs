//! The forward pass of a convolution, a group of images to a task.

use rayon::prelude::*;

use super::combine::{Combine, Input};
use super::moments::{GroupMoments, merge};
use super::passes::{self, grown};
use super::prepared::Prepared;
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::correlation::{Correlation, Direction};
use crate::kernels::conv::padded::{Identity, Load};
use crate::kernels::conv::{Algorithm, Conv2dShape, im2col};
use crate::kernels::normalise::Operand;
use crate::kernels::simd;
use crate::kernels::{Arithmetic, KernelChoice, Scratch, max_pool, scratch};

/// Where the output of a convolution goes.
#[derive(Debug)]
pub enum Output<'a> {
    /// All of it.
    Stored(&'a mut [f32]),
    /// Only the maxima of a max pool behind it.
    Pooled {
        /// The pool, as [`max_pool`] takes it, with the whole batch.
        pool: Conv2dShape,
        /// The maxima (overwritten).
        maxima: &'a mut [f32],
        /// The number of the pixel of each (overwritten).
        argmax: &'a mut [u32],
    },
}

impl Output<'_> {
    /// How many values the convolution has.
    fn len(&self) -> usize {
        match self {
            Self::Stored(output) => output.len(),
            Self::Pooled { pool, .. } => pool.input_len(),
        }
    }
}

/// A group of images of an output.
enum Target<'a> {
    Stored(&'a mut [f32]),
    Pooled(&'a mut [f32], &'a mut [u32]),
}

/// The convolution of an input. With `moments`, also the moments of the channels of what is stored: first
/// all means, then all sums of squared deviations.
///
/// # Panics
/// If a length is not what `shape` says, or a pool does not take what the convolution writes.
pub fn forward(
    shape: &Conv2dShape,
    input: Input<'_>,
    weight: &[f32],
    output: Output<'_>,
    moments: Option<&mut [f64]>,
    partials: &mut Vec<f64>,
    scratch: &mut Scratch<f32>,
) {
    shape.check(input.len(), weight.len(), output.len());
    if let Some(moments) = &moments {
        assert_eq!(moments.len(), 2 * shape.out_channels, "two moments of each channel");
    }
    let (choice, with) = (KernelChoice::current(), Arithmetic::current());
    let algorithm = Algorithm::of_correlation(choice, with, shape, Direction::Forward);
    match output {
        Output::Stored(output) if algorithm == Algorithm::Im2col => {
            let Operand { values, normalise } = input.store(shape.in_channels);
            im2col::forward(with, shape, values, weight, output, scratch, normalise);
            if let Some(moments) = moments {
                passes::moments(output, moments, partials);
            }
        }
        Output::Stored(output) => {
            let groups = Groups::new((with, algorithm), shape, None, weight, scratch);
            let (len, targets) = (output.len(), output.par_chunks_mut(groups.len(output.len())));
            groups.forward(input, targets.map(Target::Stored), len, moments, partials);
        }
        Output::Pooled { pool, maxima, argmax } => {
            shape.check_pool(&pool);
            assert_eq!(maxima.len(), pool.output_len(), "length of the maxima");
            assert_eq!(argmax.len(), maxima.len(), "one position for each maximum");
            let way = (with, algorithm.by_images());
            let groups = Groups::new(way, shape, Some(pool), weight, scratch);
            let (len, each) = (maxima.len(), groups.len(maxima.len()));
            let targets = maxima.par_chunks_mut(each).zip(argmax.par_chunks_mut(each));
            let targets = targets.map(|(maxima, argmax)| Target::Pooled(maxima, argmax));
            groups.forward(input, targets, len, moments, partials);
        }
    }
}

/// The forward pass, group by group.
struct Groups<'a> {
    prepared: Prepared<'a>,
    shape: &'a Conv2dShape,
    pool: Option<Conv2dShape>,
}

impl<'a> Groups<'a> {
    fn new(
        way: (Arithmetic, Algorithm),
        shape: &'a Conv2dShape,
        pool: Option<Conv2dShape>,
        weight: &[f32],
        scratch: &'a mut Scratch<f32>,
    ) -> Self {
        let correlation = Correlation::new(*shape, Direction::Forward);
        let buffer = scratch.take(Prepared::len(way, &correlation));
        Self { prepared: Prepared::new(way, correlation, weight, buffer), shape, pool }
    }

    /// Values of a group, of a tensor of so many.
    fn len(&self, all: usize) -> usize {
        self.shape.group() * (all / self.shape.batch)
    }

    /// All groups. The targets have so many values together.
    fn forward<'t>(
        &self,
        input: Input<'_>,
        targets: impl IndexedParallelIterator<Item = Target<'t>>,
        len: usize,
        moments: Option<&mut [f64]>,
        partials: &mut Vec<f64>,
    ) {
        let Self { shape, .. } = *self;
        // Without moments one value of each group is not used: there are no chunks of none.
        let of_group = moments.as_ref().map_or(1, |moments| moments.len());
        let partials = grown(partials, targets.len() * of_group);
        let has_moments = moments.is_some();
        let partial_of = |partial| has_moments.then_some(partial);
        let targets = targets.zip(partials.par_chunks_mut(of_group));
        let from = self.len(input.len());
        match input {
            Input::Stored(Operand { values, normalise }) => {
                targets.zip(values.par_chunks(from)).for_each(|((target, partial), source)| {
                    let ahead = Ahead::new(&[]).and_behind(source);
                    self.group(source, ahead, normalise, target, partial_of(partial));
                });
            }
            Input::Combined { combination, to: y } => {
                let sources = y.par_chunks_mut(from).enumerate();
                targets.zip(sources).for_each(|((target, partial), (k, y))| {
                    let combination = combination.rows(k * from..k * from + y.len());
                    let second = combination.second.map_or(&[][..], |second| second.values);
                    let ahead = Ahead::new(&[]).and_behind(combination.first.values);
                    let ahead = ahead.and_behind(second).and_behind(y);
                    let task = Combine { combination, channels: shape.in_channels, output: y };
                    simd::run(self.prepared.with.set, task);
                    self.group(y, ahead, Identity, target, partial_of(partial));
                });
            }
        }
        if let Some(moments) = moments {
            let rows = |values: usize| values / shape.out_channels;
            merge(partials, moments, rows(self.len(len)), rows(len));
        }
    }

    /// A group, and the moments of what is stored of it.
    fn group<L: Load>(
        &self,
        source: &[f32],
        ahead: Ahead,
        load: L,
        target: Target<'_>,
        partial: Option<&mut [f64]>,
    ) {
        let values = match target {
            Target::Stored(output) => {
                self.prepared.group(source, ahead.and_behind(output), load, output);
                output
            }
            Target::Pooled(maxima, argmax) => {
                let pool = self.pool.expect("the pool of a pooled output");
                let of_image = |len: usize| len / pool.batch;
                let [all, each] = [pool.input_len(), pool.output_len()].map(of_image);
                let images = maxima.len() / each;
                scratch::with_thread_buffer(images * all, |output| {
                    self.prepared.group(source, ahead, load, output);
                    let targets = maxima.chunks_exact_mut(each).zip(argmax.chunks_exact_mut(each));
                    for (image, (maxima, argmax)) in output.chunks_exact(all).zip(targets) {
                        max_pool(&Conv2dShape { batch: 1, ..pool }, image, maxima, argmax);
                    }
                });
                maxima
            }
        };
        if let Some(partial) = partial {
            simd::run(self.prepared.with.set, GroupMoments { values, partial });
        }
    }
}
