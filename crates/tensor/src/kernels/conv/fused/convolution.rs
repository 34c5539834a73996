//! The passes of a convolution, a group of images to a task.

use rayon::prelude::*;

use super::combine::{Combine, Input};
use super::gradient::{ApplyNorm, Finish, FinishGroup, OutputGradient};
use super::moments::{GroupMoments, merge};
use super::normalise::Operand;
use super::passes::{self, add_up, grown};
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::correlation::{Correlation, Direction};
use crate::kernels::conv::direct::{self, Band};
use crate::kernels::conv::padded::{Identity, Load};
use crate::kernels::conv::{Algorithm, Conv2dShape, loaded_weight_gradient, patches, winograd};
use crate::kernels::simd;
use crate::kernels::{InstructionSet, KernelChoice, Scratch};

/// Pixels of a group, if its images are small.
const PIXELS: usize = 1024;
/// Tasks that a batch is cut into at least, if it has as many images.
const TASKS: usize = 16;

impl Conv2dShape {
    /// Images of a group.
    fn group(&self) -> usize {
        let pixels = |image: [usize; 2]| image[0] * image[1];
        let pixels = pixels(self.image).max(pixels(self.output_image())).max(1);
        (PIXELS / pixels).min(self.batch.div_ceil(TASKS)).max(1)
    }
}

/// A correlation of which groups of images can be computed on their own.
struct Prepared<'a> {
    set: InstructionSet,
    correlation: Correlation,
    /// Packed, and transformed if Winograd's algorithm runs.
    weights: &'a [f32],
    winograd: bool,
}

/// How a correlation is computed.
fn algorithm(shape: &Conv2dShape, direction: Direction) -> Algorithm {
    Algorithm::of_correlation(KernelChoice::current(), InstructionSet::current(), shape, direction)
}

impl<'a> Prepared<'a> {
    fn new(
        shape: &Conv2dShape,
        direction: Direction,
        weight: &[f32],
        scratch: &'a mut Scratch<f32>,
    ) -> Self {
        let set = InstructionSet::current();
        let correlation = Correlation::new(*shape, direction);
        let algorithm = algorithm(shape, direction);
        assert_ne!(algorithm, Algorithm::Patches, "takes all images at once");
        let winograd = algorithm == Algorithm::Winograd;
        let weights = if winograd {
            winograd::prepare(set, &correlation, weight, scratch)
        } else {
            direct::prepare(set, &correlation, weight, scratch)
        };
        Self { set, correlation, weights, winograd }
    }

    /// The target of a few images, overwritten. What is `ahead` is read next.
    fn group<L: Load>(&self, source: &[f32], ahead: Ahead, load: L, target: &mut [f32]) {
        let (correlation, packed) = (self.correlation, self.weights);
        if self.winograd {
            return winograd::group(self.set, &correlation, packed, source, ahead, target, load);
        }
        let rows = 0..correlation.images().1[0];
        Band { correlation, source, packed, rows, load, target }.compute(self.set);
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
    if algorithm(shape, Direction::Forward) == Algorithm::Patches {
        let Operand { values, normalise } = input.store(shape.in_channels);
        shape.check(values.len(), weight.len(), output.len());
        let set = InstructionSet::current();
        patches::forward(set, shape, values, weight, output, scratch, normalise);
        if let Some(moments) = moments {
            passes::moments(output, moments, partials);
        }
        return;
    }
    let prepared = Prepared::new(shape, Direction::Forward, weight, scratch);
    let (group, set, channels) = (shape.group(), prepared.set, shape.in_channels);
    let from = group * shape.input_len() / shape.batch;
    let (to, output_len) = (group * output.len() / shape.batch, output.len());
    // Without moments there is nothing to write to.
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
            shape.check(values.len(), weight.len(), output_len);
            targets.zip(values.par_chunks(from)).for_each(|((output, partial), source)| {
                prepared.group(source, Ahead::new(&[]), normalise, output);
                finish(output, partial);
            });
        }
        Input::Combined { combination, to: y } => {
            shape.check(y.len(), weight.len(), output_len);
            combination.check(y.len());
            let sources = y.par_chunks_mut(from).enumerate();
            targets.zip(sources).for_each(|((target, partial), (k, y))| {
                let combination = combination.rows(k * from..k * from + y.len());
                let second = combination.second.map_or(&[][..], |second| second.values);
                let ahead = Ahead::new(&[]).and_behind(combination.first.values).and_behind(second);
                simd::run(set, Combine { combination, channels, output: y });
                prepared.group(y, ahead, Identity, target);
                finish(target, partial);
            });
        }
    }
    if let Some(moments) = moments {
        assert_eq!(moments.len(), 2 * shape.out_channels, "two moments of each channel");
        let rows = |values: usize| values / shape.out_channels;
        merge(partials, moments, rows(to), rows(output_len));
    }
}

/// The gradient of a convolution's input, finished; `sums` as in [`finish`](super::finish).
///
/// # Panics
/// If a length is not what `shape` says.
#[expect(clippy::too_many_arguments, reason = "each is a tensor of the formula")]
pub fn input_gradient(
    shape: &Conv2dShape,
    weight: &[f32],
    gradient: OutputGradient<'_>,
    target: &mut [f32],
    finish: Finish<'_>,
    sums: &mut [f64],
    partials: &mut Vec<f64>,
    scratch: &mut Scratch<f32>,
) {
    if algorithm(shape, Direction::InputGradient) == Algorithm::Patches {
        let gradient = gradient.store();
        shape.check(target.len(), weight.len(), gradient.len());
        let set = InstructionSet::current();
        patches::input_gradient(set, shape, weight, gradient, target, scratch);
        return passes::finish(finish, target, sums, partials);
    }
    let prepared = Prepared::new(shape, Direction::InputGradient, weight, scratch);
    let (group, set) = (shape.group(), prepared.set);
    let (from, to) = (group * shape.output_len() / shape.batch, group * target.len() / shape.batch);
    assert_eq!(sums.len(), 3 * shape.in_channels, "three sums of each channel");
    let partials = grown(partials, shape.batch.div_ceil(group) * sums.len());
    let task = |k: usize, source: &[f32], norm: [&[f32]; 2], gradient: &mut [f32], partial| {
        let finish = finish.rows(k * to..k * to + gradient.len());
        let ahead = Ahead::new(&finish.reads()).and_behind(norm[0]).and_behind(norm[1]);
        prepared.group(source, ahead, Identity, gradient);
        simd::run(set, FinishGroup { finish, gradient, partial });
    };
    let targets = target.par_chunks_mut(to).zip(partials.par_chunks_mut(sums.len())).enumerate();
    match gradient {
        OutputGradient::Stored(gradient) => {
            shape.check(shape.input_len(), weight.len(), gradient.len());
            targets.zip(gradient.par_chunks(from)).for_each(|((k, (target, partial)), source)| {
                task(k, source, [&[]; 2], target, partial);
            });
        }
        OutputGradient::Norm { norm, to: dz } => {
            shape.check(shape.input_len(), weight.len(), dz.len());
            targets.zip(dz.par_chunks_mut(from)).for_each(|((k, (target, partial)), dz)| {
                let norm = norm.rows(k * from..k * from + dz.len());
                simd::run(set, ApplyNorm { norm, add: None, to: dz });
                task(k, dz, [norm.gradient, norm.input], target, partial);
            });
        }
    }
    add_up(partials, sums);
}

/// The gradient of a convolution's weight (overwritten), given that of its output.
///
/// # Panics
/// If a length is not what `shape` says.
pub fn weight_gradient(
    shape: &Conv2dShape,
    input: Operand<'_>,
    gradient: &[f32],
    weight_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    let ways = (KernelChoice::current(), InstructionSet::current());
    let (x, g, load) = (input.values, gradient, input.normalise);
    loaded_weight_gradient(ways, shape, x, g, weight_gradient, scratch, load);
}
