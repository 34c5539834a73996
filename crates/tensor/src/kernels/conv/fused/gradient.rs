//! The two halves of a batch norm's backward pass.
//!
//! The first half belongs to whatever makes the gradient d of the norm's output: see [`Finish`].
//! It adds up the gradients of all readers, applies the ReLU, and sums `s1 = sum d` and
//! `s2 = sum d xhat`, with `xhat = (z - mean) / std`. The second belongs to whatever reads the
//! gradient of the norm's input z, see [`NormGradient`]:
//! `dz = gamma / std (d - s1 / n - xhat s2 / n)`, with frozen statistics without the sums.

use std::ops::Range;

use super::lanes::{BLOCK, accumulate, load, store};
use super::normalise::{Affine, Operand};
use super::passes::norm_gradient;
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::Conv2dShape;
use crate::kernels::conv::by_images::ByImages;
use crate::kernels::simd::{self, LANES, Task, Vector, prefetch_at};
use crate::kernels::{InstructionSet, max_pool_gradient, scratch};

/// `dz = scale d + slope (z - mean) + offset`, channel by channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormGradient<'a> {
    /// d, the gradient of the norm's output.
    pub gradient: &'a [f32],
    /// z, the norm's input.
    pub input: &'a [f32],
    /// The mean of z.
    pub mean: &'a [f32],
    /// gamma / std.
    pub scale: &'a [f32],
    /// - gamma s2 / (n std^2), or 0.
    pub slope: &'a [f32],
    /// - gamma s1 / (n std), or 0.
    pub offset: &'a [f32],
}

impl<'a> NormGradient<'a> {
    /// Some of the rows.
    pub(super) fn rows(&self, range: Range<usize>) -> Self {
        Self { gradient: &self.gradient[range.clone()], input: &self.input[range], ..*self }
    }
}

/// The gradient of what a convolution or linear layer writes.
#[derive(Debug)]
pub enum OutputGradient<'a> {
    /// As it is.
    Stored(&'a [f32]),
    /// The gradient of a norm's input, which the layer's output is.
    Norm {
        /// Where it comes from.
        norm: NormGradient<'a>,
        /// Room for dz.
        to: &'a mut [f32],
    },
    /// The gradient of a max pool's input, which a convolution's output is. It is never stored.
    Pooled {
        /// The pool, as [`max_pool`](crate::kernels::max_pool) takes it, with the whole batch.
        pool: Conv2dShape,
        /// Where the maxima were.
        argmax: &'a [u32],
        /// That of the maxima.
        maxima: MaximaGradient<'a>,
    },
}

/// The gradient of a pool's maxima.
#[derive(Debug, Clone, Copy)]
pub enum MaximaGradient<'a> {
    /// As it is.
    Stored(&'a [f32]),
    /// That of a norm's input.
    Norm(NormGradient<'a>),
}

impl<'a> OutputGradient<'a> {
    /// How many values it has.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Stored(gradient) => gradient.len(),
            Self::Norm { to, .. } => to.len(),
            Self::Pooled { pool, .. } => pool.input_len(),
        }
    }

    pub(super) fn is_pooled(&self) -> bool {
        matches!(self, Self::Pooled { .. })
    }

    /// The gradient, computed and written in a pass of its own if it is not stored.
    ///
    /// # Panics
    /// If it is that of a pool's input.
    pub fn store(self) -> &'a [f32] {
        match self {
            Self::Stored(gradient) => gradient,
            Self::Norm { norm, to } => {
                norm_gradient(norm, None, to);
                to
            }
            Self::Pooled { .. } => panic!("there is no room for the gradient of a pool's input"),
        }
    }
}

/// The gradient of a convolution's output, computed as it is needed.
pub(super) struct Gradients<'a> {
    pub(super) set: InstructionSet,
    pub(super) batch: usize,
    pub(super) of: &'a OutputGradient<'a>,
}

impl Gradients<'_> {
    /// Where some images are in a tensor of so many values.
    fn rows(&self, images: &Range<usize>, len: usize) -> Range<usize> {
        let image = len / self.batch;
        images.start * image..images.end * image
    }

    /// What is read to have the images behind these.
    pub(super) fn ahead(&self, images: &Range<usize>) -> Ahead {
        let none = Ahead::new(&[]);
        match self.of {
            OutputGradient::Stored(values)
            | OutputGradient::Pooled { maxima: MaximaGradient::Stored(values), .. } => {
                none.and_behind(&values[self.rows(images, values.len())])
            }
            OutputGradient::Norm { norm, .. }
            | OutputGradient::Pooled { maxima: MaximaGradient::Norm(norm), .. } => {
                let norm = norm.rows(self.rows(images, norm.input.len()));
                none.and_behind(norm.gradient).and_behind(norm.input)
            }
        }
    }

    /// Calls `body` with some rows of a norm's dz.
    fn norm(&self, norm: &NormGradient<'_>, rows: Range<usize>, body: impl FnOnce(&[f32])) {
        scratch::with_thread_buffer(rows.len(), |dz| {
            simd::run(self.set, ApplyNorm { norm: norm.rows(rows), add: None, to: dz });
            body(dz);
        });
    }
}

impl ByImages for Gradients<'_> {
    fn images(&self, images: Range<usize>, body: impl FnOnce(&[f32])) {
        match self.of {
            OutputGradient::Stored(values) => body(&values[self.rows(&images, values.len())]),
            OutputGradient::Norm { norm, .. } => {
                self.norm(norm, self.rows(&images, norm.input.len()), body);
            }
            OutputGradient::Pooled { pool, argmax, maxima } => {
                let len = images.len() * pool.input_len() / self.batch;
                scratch::with_thread_buffer(len, |to| {
                    let rows = self.rows(&images, argmax.len());
                    let argmax = &argmax[rows.clone()];
                    let each = argmax.len() / images.len();
                    let mut spread = |gradient: &[f32]| {
                        let from = gradient.chunks_exact(each).zip(argmax.chunks_exact(each));
                        for (image, (gradient, argmax)) in
                            to.chunks_exact_mut(len / images.len()).zip(from)
                        {
                            max_pool_gradient(pool.in_channels, gradient, argmax, image);
                        }
                    };
                    match maxima {
                        MaximaGradient::Stored(values) => spread(&values[rows]),
                        MaximaGradient::Norm(norm) => self.norm(norm, rows, spread),
                    }
                    body(to);
                });
            }
        }
    }
}

/// Writes dz, or adds it.
pub(super) struct ApplyNorm<'a> {
    pub(super) norm: NormGradient<'a>,
    pub(super) add: Option<&'a [f32]>,
    pub(super) to: &'a mut [f32],
}

impl Task for ApplyNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { norm, add, to } = self;
        let channels = norm.mean.len();
        for channel in (0..channels).step_by(LANES) {
            let width = LANES.min(channels - channel);
            let minus_mean = load::<V>(norm.mean, channel, width).mul(V::splat(-1.0));
            let scale: V = load(norm.scale, channel, width);
            let slope: V = load(norm.slope, channel, width);
            let offset: V = load(norm.offset, channel, width);
            for at in (channel..to.len()).step_by(channels) {
                // The next channels of the row, which are read when all rows have been.
                prefetch_at(norm.input, at + LANES);
                prefetch_at(norm.gradient, at + LANES);
                prefetch_at(to, at + LANES);
                let centered = load::<V>(norm.input, at, width).add(minus_mean);
                let d: V = load(norm.gradient, at, width);
                let mut dz = d.mul_add(scale, centered.mul_add(slope, offset));
                if let Some(add) = add {
                    dz = dz.add(load(add, at, width));
                }
                store(dz, to, at, width);
            }
        }
    }
}

/// A batch norm that waits for the sums of its output's gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normed<'a> {
    /// z.
    pub input: &'a [f32],
    /// The mean of z.
    pub mean: &'a [f32],
    /// 1 / std.
    pub inverse_std: &'a [f32],
}

/// What is done with the gradient of a value when its last part has been computed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Finish<'a> {
    /// The sum of the other parts.
    pub add: Option<&'a [f32]>,
    /// The value whose signs say where the gradient passes: the output of a ReLU.
    pub gate: Option<Operand<'a>>,
    /// The norms whose output's gradient it is, the first before the second.
    pub norms: [Option<Normed<'a>>; 2],
}

impl Finish<'_> {
    /// Some of the rows.
    pub(super) fn rows(&self, range: Range<usize>) -> Self {
        let part = || range.clone();
        Self {
            add: self.add.map(|add| &add[part()]),
            gate: self.gate.map(|gate| Operand { values: &gate.values[part()], ..gate }),
            norms: self
                .norms
                .map(|norm| norm.map(|norm| Normed { input: &norm.input[part()], ..norm })),
        }
    }

    /// What it reads beside the gradient.
    pub(super) fn reads(&self) -> [&[f32]; 4] {
        let [first, second] = self.norms.map(|norm| norm.map(|norm| norm.input));
        [self.gate.map(|gate| gate.values), first, second, self.add].map(Option::unwrap_or_default)
    }

    /// Whether there is nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

/// Finishes a group of rows: `gradient` in place; `partial` becomes (s1, s2 of the first norm, s2
/// of the second).
pub(super) struct FinishGroup<'a> {
    pub(super) finish: Finish<'a>,
    pub(super) gradient: &'a mut [f32],
    pub(super) partial: &'a mut [f64],
}

impl Task for FinishGroup<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { finish, gradient, partial } = self;
        partial.fill(0.0);
        if finish.is_idle() {
            return;
        }
        let channels = partial.len() / 3;
        for first in (0..gradient.len()).step_by(BLOCK * channels) {
            let end = (first + BLOCK * channels).min(gradient.len());
            for channel in (0..channels).step_by(LANES) {
                let width = LANES.min(channels - channel);
                let gate = finish.gate.and_then(|gate| gate.normalise);
                let affine = gate.as_ref().map(|gate| Affine::<V>::new(gate, channel, width));
                let minus_mean = [
                    minus_mean::<V>(&finish.norms[0], channel, width),
                    minus_mean::<V>(&finish.norms[1], channel, width),
                ];
                let mut sums = [V::splat(0.0); 3];
                for at in (first + channel..end).step_by(channels) {
                    let mut d: V = load(gradient, at, width);
                    // The next channels of the row, as above.
                    if let Some(gate) = finish.gate {
                        prefetch_at(gate.values, at + LANES);
                    }
                    if let Some(norm) = &finish.norms[0] {
                        prefetch_at(norm.input, at + LANES);
                    }
                    if let Some(add) = finish.add {
                        d = d.add(load(add, at, width));
                    }
                    if let Some(gate) = finish.gate {
                        let value: V = load(gate.values, at, width);
                        d = match &affine {
                            Some(affine) => d.where_positive(affine.apply(value)),
                            None => d.where_positive(value),
                        };
                    }
                    store(d, gradient, at, width);
                    sums[0] = sums[0].add(d);
                    for k in 0..2 {
                        if let Some(norm) = &finish.norms[k] {
                            let centered = load::<V>(norm.input, at, width).add(minus_mean[k]);
                            sums[k + 1] = d.mul_add(centered, sums[k + 1]);
                        }
                    }
                }
                for k in 0..3 {
                    accumulate(sums[k], &mut partial[k * channels..][..channels][channel..]);
                }
            }
        }
        for k in 0..2 {
            if let Some(norm) = &finish.norms[k] {
                let sums = &mut partial[(k + 1) * channels..][..channels];
                for (sum, &inverse_std) in sums.iter_mut().zip(norm.inverse_std) {
                    *sum *= f64::from(inverse_std);
                }
            }
        }
    }
}

#[inline(always)]
fn minus_mean<V: Vector>(norm: &Option<Normed<'_>>, channel: usize, width: usize) -> V {
    match norm {
        Some(norm) => load::<V>(norm.mean, channel, width).mul(V::splat(-1.0)),
        None => V::splat(0.0),
    }
}
