//! The two halves of a batch norm's backward pass.
//!
//! The first half belongs to whatever makes the gradient d of the norm's output: see [`Finish`].
//! It adds up the gradients of all readers, applies the ReLU, and sums `s1 = sum d` and
//! `s2 = sum d xhat`, with `xhat = (z - mean) / std`. The second belongs to whatever reads the
//! gradient of the norm's input z, see [`NormGradient`]:
//! `dz = gamma / std (d - s1 / n - xhat s2 / n)`, with frozen statistics without the sums.

use std::ops::Range;

use super::moments::{BLOCK, accumulate};
use crate::kernels::normalise::{Affine, Operand};
use crate::kernels::simd::{LANES, Task, Vector, load, prefetch_at, store};

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
