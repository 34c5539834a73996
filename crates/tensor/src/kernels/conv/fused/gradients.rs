//! The gradients of a convolution's input and weight: where Winograd's algorithm takes that of the weight, or
//! the unit that of a weight that is not wide, in one pass over groups of images, whose tensors are in the
//! cache for both then. The gradient of a norm's input is not even written.

use rayon::prelude::*;

use super::gradient::{ApplyNorm, Finish, FinishGroup};
use super::output_gradient::{Gradients, OutputGradient};
use super::passes::{self, add_up, grown};
use super::prepared::Prepared;
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::by_images::ByImages;
use crate::kernels::conv::chunks::{ChunkSums, Chunks};
use crate::kernels::conv::correlation::{Correlation, Direction};
use crate::kernels::conv::padded::Identity;
use crate::kernels::conv::weight_gradient::Cut;
use crate::kernels::conv::{self, Algorithm, Conv2dShape, im2col, unit, winograd};
use crate::kernels::normalise::Operand;
use crate::kernels::simd;
use crate::kernels::unit::PARTS;
use crate::kernels::{Arithmetic, KernelChoice, Scratch};

/// The most weights of a convolution whose output is better pooled group by group than stored: the gradient
/// of so many is taken from sixteen chunks of the batch, each of a thread that holds its part of the output's
/// gradient.
pub const POOLED_WEIGHTS: usize = conv::weight_gradient::OF_MANY_CHUNKS;

/// The gradient of a convolution's input, finished, with `sums` as in [`finish`](super::finish), and that of
/// its weight; all are overwritten.
///
/// # Panics
/// If a length is not what `shape` says, or a pool does not take what the convolution writes.
#[expect(clippy::too_many_arguments, reason = "each is a tensor of the formulas")]
pub fn gradients(
    shape: &Conv2dShape,
    weight: &[f32],
    gradient: OutputGradient<'_>,
    input: Operand<'_>,
    target: (&mut [f32], Finish<'_>, &mut [f64]),
    partials: &mut Vec<f64>,
    weight_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    gradient.check(shape);
    let (to, _, sums) = &target;
    shape.check(to.len(), weight.len(), gradient.len());
    shape.check(input.values.len(), weight_gradient.len(), gradient.len());
    assert_eq!(sums.len(), 3 * shape.in_channels, "three sums of each channel");
    let (choice, with) = (KernelChoice::current(), Arithmetic::current());
    let mut of_input = Algorithm::of_correlation(choice, with, shape, Direction::InputGradient);
    let mut of_weight = Algorithm::of_weight_gradient(choice, with, shape);
    if matches!(gradient, OutputGradient::Pooled { .. }) {
        [of_input, of_weight] = [of_input, of_weight].map(Algorithm::by_images);
    }
    let way = (with, of_input);
    if of_input != Algorithm::Im2col {
        let (set, group) = (with.set, shape.group());
        let gradient = Gradients { set, batch: shape.batch, of: &gradient };
        let both = Both { way, shape, weight, input, gradient };
        if of_weight == Algorithm::Winograd {
            let chunks = winograd::Chunks::new(set, shape, group);
            return both.run(chunks, target, partials, weight_gradient, scratch);
        }
        if unit::serves_weight_gradient(with, shape) && Cut::new(shape).is_whole() {
            return if with.rounds() {
                let chunks = unit::Chunks::<1>::new(set, shape, group);
                both.run(chunks, target, partials, weight_gradient, scratch)
            } else {
                let chunks = unit::Chunks::<PARTS>::new(set, shape, group);
                both.run(chunks, target, partials, weight_gradient, scratch)
            };
        }
    }
    let gradient = input_gradient(way, shape, weight, gradient, target, partials, scratch);
    alone((with, of_weight), shape, input, gradient, weight_gradient, scratch);
}

/// The gradient of a convolution's weight (overwritten), given that of its output.
///
/// # Panics
/// If a length is not what `shape` says, or a pool does not take what the convolution writes.
pub fn weight_gradient(
    shape: &Conv2dShape,
    input: Operand<'_>,
    gradient: OutputGradient<'_>,
    weight_gradient: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    gradient.check(shape);
    shape.check(input.values.len(), weight_gradient.len(), gradient.len());
    let (choice, with) = (KernelChoice::current(), Arithmetic::current());
    let mut algorithm = Algorithm::of_weight_gradient(choice, with, shape);
    if matches!(gradient, OutputGradient::Pooled { .. }) {
        algorithm = algorithm.by_images();
    }
    alone((with, algorithm), shape, input, gradient, weight_gradient, scratch);
}

/// The gradient of the weight in a pass of its own.
fn alone(
    (with, algorithm): (Arithmetic, Algorithm),
    shape: &Conv2dShape,
    input: Operand<'_>,
    gradient: OutputGradient<'_>,
    to: &mut [f32],
    scratch: &mut Scratch<f32>,
) {
    let (x, load) = (input.values, input.normalise);
    if algorithm == Algorithm::Im2col {
        return im2col::weight_gradient(with, shape, x, gradient.store(), to, scratch, load);
    }
    // Of many weights, few chunks are added up side by side: each would be a large part of the gradient.
    let gradient = match gradient {
        pooled @ OutputGradient::Pooled { .. } => pooled,
        gradient if shape.weight_len() > POOLED_WEIGHTS => OutputGradient::Stored(gradient.store()),
        gradient => gradient,
    };
    let gradient = Gradients { set: with.set, batch: shape.batch, of: &gradient };
    if algorithm == Algorithm::Winograd {
        winograd::weight_gradient(with.set, shape, x, &gradient, to, scratch, load);
    } else {
        conv::weight_gradient::direct(with, shape, x, &gradient, to, scratch, load);
    }
}

/// Both gradients in one pass.
struct Both<'a> {
    /// Instructions and algorithm of the input's gradient.
    way: (Arithmetic, Algorithm),
    shape: &'a Conv2dShape,
    weight: &'a [f32],
    input: Operand<'a>,
    gradient: Gradients<'a>,
}

impl Both<'_> {
    fn run(
        &self,
        chunks: impl Chunks,
        (target, finish, sums): (&mut [f32], Finish<'_>, &mut [f64]),
        partials: &mut Vec<f64>,
        weight_gradient: &mut [f32],
        scratch: &mut Scratch<f32>,
    ) {
        let Self { way, shape, input, ref gradient, .. } = *self;
        let set = way.0.set;
        let correlation = Correlation::new(*shape, Direction::InputGradient);
        let (group, images) = (chunks.group(), chunks.images());
        let prepared_len = Prepared::len(way, &correlation);
        let parts_len = shape.batch.div_ceil(images) * chunks.partial_len();
        let buffer = scratch.take(prepared_len + parts_len);
        let (prepared, parts) = buffer.split_at_mut(prepared_len);
        let prepared = Prepared::new(way, correlation, self.weight, prepared);
        let dx_len = target.len() / shape.batch;
        let partials = grown(partials, shape.batch.div_ceil(group) * sums.len());
        let targets = target.par_chunks_mut(images * dx_len);
        let partials_of = partials.par_chunks_mut(images / group * sums.len());
        let parts_of = parts.par_chunks_mut(chunks.partial_len());
        let tasks = targets.zip(partials_of).zip(parts_of).enumerate();
        tasks.for_each(|(chunk, ((target, partials), part))| {
            chunks.sum(part, |weight_sums| {
                let groups = target.chunks_mut(group * dx_len);
                let groups = groups.zip(partials.chunks_mut(sums.len())).enumerate();
                for (k, (dx, partial)) in groups {
                    let first = chunk * images + k * group;
                    let images = first..first + dx.len() / dx_len;
                    let rows = images.start * dx_len..images.end * dx_len;
                    let finish = finish.rows(rows.clone());
                    let next = gradient.ahead(&images);
                    gradient.images(images, |dy| {
                        let ahead = Ahead::new(&finish.reads()).and_behind(dx);
                        prepared.group(dy, ahead, Identity, dx);
                        simd::run(set, FinishGroup { finish, gradient: dx, partial });
                        weight_sums.add(&input.values[rows], dy, input.normalise, next);
                    });
                }
            });
        });
        add_up(partials, sums);
        chunks.merge(parts, weight_gradient);
    }
}

/// The gradient of the input in a pass of its own. Returned is that of the output, which is stored then if
/// there is room.
fn input_gradient<'a>(
    (with, algorithm): (Arithmetic, Algorithm),
    shape: &Conv2dShape,
    weight: &[f32],
    gradient: OutputGradient<'a>,
    (target, finish, sums): (&mut [f32], Finish<'_>, &mut [f64]),
    partials: &mut Vec<f64>,
    scratch: &mut Scratch<f32>,
) -> OutputGradient<'a> {
    if algorithm == Algorithm::Im2col {
        let gradient = gradient.store();
        im2col::input_gradient(with, shape, weight, gradient, target, scratch);
        passes::finish(finish, target, sums, partials);
        return OutputGradient::Stored(gradient);
    }
    let correlation = Correlation::new(*shape, Direction::InputGradient);
    let (way, set) = ((with, algorithm), with.set);
    let buffer = scratch.take(Prepared::len(way, &correlation));
    let prepared = Prepared::new(way, correlation, weight, buffer);
    let group = shape.group();
    let (from, to) = (group * shape.output_len() / shape.batch, group * target.len() / shape.batch);
    let partials = grown(partials, shape.batch.div_ceil(group) * sums.len());
    let task = |k: usize, source: &[f32], norm: [&[f32]; 2], gradient: &mut [f32], partial| {
        let finish = finish.rows(k * to..k * to + gradient.len());
        let ahead = Ahead::new(&finish.reads()).and_behind(norm[0]).and_behind(norm[1]);
        let ahead = ahead.and_behind(source).and_behind(gradient);
        prepared.group(source, ahead, Identity, gradient);
        simd::run(set, FinishGroup { finish, gradient, partial });
    };
    let targets = target.par_chunks_mut(to).zip(partials.par_chunks_mut(sums.len())).enumerate();
    let gradient = match gradient {
        OutputGradient::Stored(gradient) => {
            targets.zip(gradient.par_chunks(from)).for_each(|((k, (target, partial)), source)| {
                task(k, source, [&[]; 2], target, partial);
            });
            OutputGradient::Stored(gradient)
        }
        OutputGradient::Norm { norm, to: dz } => {
            targets.zip(dz.par_chunks_mut(from)).for_each(|((k, (target, partial)), dz)| {
                let norm = norm.rows(k * from..k * from + dz.len());
                simd::run(set, ApplyNorm { norm, add: None, to: dz });
                task(k, dz, [norm.gradient, norm.input], target, partial);
            });
            OutputGradient::Stored(dz)
        }
        OutputGradient::Pooled { .. } => {
            let gradients = Gradients { set: with.set, batch: shape.batch, of: &gradient };
            targets.for_each(|(k, (target, partial))| {
                let images = k * group..k * group + target.len() / (to / group);
                gradients.images(images, |source| task(k, source, [&[]; 2], target, partial));
            });
            gradient
        }
    };
    add_up(partials, sums);
    gradient
}
