//! The gradients of a convolution's input and weight: where Winograd's algorithm takes that of the weight,
//! in one pass over groups of images, whose tensors are in the cache for both then. The gradient of a norm's
//! input is not even written.

use rayon::prelude::*;

use super::convolution::Prepared;
use super::gradient::{ApplyNorm, Finish, FinishGroup, OutputGradient};
use super::normalise::Operand;
use super::passes::{self, add_up, grown};
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::correlation::{Correlation, Direction};
use crate::kernels::conv::padded::Identity;
use crate::kernels::conv::{Algorithm, Conv2dShape, im2col, loaded_weight_gradient, winograd};
use crate::kernels::simd;
use crate::kernels::{InstructionSet, KernelChoice, Scratch, scratch};

/// The gradient of a convolution's input, finished, with `sums` as in [`finish`](super::finish), and that of
/// its weight; all are overwritten.
///
/// # Panics
/// If a length is not what `shape` says.
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
    let (to, _, sums) = &target;
    shape.check(to.len(), weight.len(), gradient.len());
    shape.check(input.values.len(), weight_gradient.len(), gradient.len());
    assert_eq!(sums.len(), 3 * shape.in_channels, "three sums of each channel");
    let ways = (KernelChoice::current(), InstructionSet::current());
    let of_input = Algorithm::of_correlation(ways.0, ways.1, shape, Direction::InputGradient);
    let of_weight = Algorithm::of_weight_gradient(ways.0, ways.1, shape);
    if of_input != Algorithm::Im2col && of_weight == Algorithm::Winograd {
        let both = Both { way: (ways.1, of_input), shape, weight, input, gradient: &gradient };
        return both.run(target, partials, weight_gradient, scratch);
    }
    let way = (ways.1, of_input);
    let gradient = input_gradient(way, shape, weight, gradient, target, partials, scratch);
    let (x, load) = (input.values, input.normalise);
    loaded_weight_gradient(ways, shape, x, gradient, weight_gradient, scratch, load);
}

/// Both gradients in one pass.
struct Both<'a> {
    /// That of the input's.
    way: (InstructionSet, Algorithm),
    shape: &'a Conv2dShape,
    weight: &'a [f32],
    input: Operand<'a>,
    gradient: &'a OutputGradient<'a>,
}

impl Both<'_> {
    fn run(
        &self,
        (target, finish, sums): (&mut [f32], Finish<'_>, &mut [f64]),
        partials: &mut Vec<f64>,
        weight_gradient: &mut [f32],
        scratch: &mut Scratch<f32>,
    ) {
        let Self { way, shape, input, .. } = *self;
        let set = way.0;
        let correlation = Correlation::new(*shape, Direction::InputGradient);
        let chunks = winograd::Chunks::new(set, shape, shape.group());
        let prepared_len = Prepared::len(way, &correlation);
        let buffer = scratch.take(prepared_len + chunks.partials_len());
        let (prepared, parts) = buffer.split_at_mut(prepared_len);
        let prepared = Prepared::new(way, correlation, self.weight, prepared);
        let (dy_len, dx_len) = (self.gradient.len() / shape.batch, target.len() / shape.batch);
        let (group, images) = (chunks.group, chunks.images);
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
                    let all = first..first + dx.len() / dx_len;
                    let rows = all.start * dx_len..all.end * dx_len;
                    let finish = finish.rows(rows.clone());
                    let input = Operand { values: &input.values[rows], ..input };
                    self.with_gradient(all.start * dy_len..all.end * dy_len, |dy, next| {
                        let ahead = Ahead::new(&finish.reads()).and_behind(dx);
                        prepared.group(dy, ahead, Identity, dx);
                        simd::run(set, FinishGroup { finish, gradient: dx, partial });
                        weight_sums.add(input.values, dy, input.normalise, next);
                    });
                }
            });
        });
        add_up(partials, sums);
        chunks.merge(parts, weight_gradient);
    }

    /// Calls `body` with some rows of the gradient, and what is read to have those behind them.
    fn with_gradient(&self, rows: std::ops::Range<usize>, body: impl FnOnce(&[f32], Ahead)) {
        match self.gradient {
            OutputGradient::Stored(gradient) => {
                let gradient = &gradient[rows];
                body(gradient, Ahead::new(&[]).and_behind(gradient));
            }
            OutputGradient::Norm { norm, .. } => {
                let norm = norm.rows(rows.clone());
                scratch::with_thread_buffer(rows.len(), |dz| {
                    simd::run(self.way.0, ApplyNorm { norm, add: None, to: dz });
                    body(dz, Ahead::new(&[]).and_behind(norm.gradient).and_behind(norm.input));
                });
            }
        }
    }
}

/// The gradient of the input in a pass of its own. Returned is that of the output, which is stored then.
fn input_gradient<'a>(
    (set, algorithm): (InstructionSet, Algorithm),
    shape: &Conv2dShape,
    weight: &[f32],
    gradient: OutputGradient<'a>,
    (target, finish, sums): (&mut [f32], Finish<'_>, &mut [f64]),
    partials: &mut Vec<f64>,
    scratch: &mut Scratch<f32>,
) -> &'a [f32] {
    if algorithm == Algorithm::Im2col {
        let gradient = gradient.store();
        im2col::input_gradient(set, shape, weight, gradient, target, scratch);
        passes::finish(finish, target, sums, partials);
        return gradient;
    }
    let correlation = Correlation::new(*shape, Direction::InputGradient);
    let way = (set, algorithm);
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
            gradient
        }
        OutputGradient::Norm { norm, to: dz } => {
            targets.zip(dz.par_chunks_mut(from)).for_each(|((k, (target, partial)), dz)| {
                let norm = norm.rows(k * from..k * from + dz.len());
                simd::run(set, ApplyNorm { norm, add: None, to: dz });
                task(k, dz, [norm.gradient, norm.input], target, partial);
            });
            dz
        }
    };
    add_up(partials, sums);
    gradient
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
