//! A value that is kept as what a batch norm reads, and normalised whenever it is read:
//! `(x - mean) scale + shift`, with `scale = gamma / std` and `shift = beta`, then maybe
//! `max(0, .)`.

use crate::kernels::conv::padded::Load;
use crate::kernels::simd::{LANES, Vector, load, store};

/// A batch norm's affine map of each channel, and whether a ReLU follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalise<'a> {
    /// The mean of each channel.
    pub mean: &'a [f32],
    /// gamma / std.
    pub scale: &'a [f32],
    /// beta.
    pub shift: &'a [f32],
    /// Whether negative results become 0.
    pub relu: bool,
}

/// A (rows, channels) tensor as it is stored, and what is to be done when it is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operand<'a> {
    /// The values as they are stored.
    pub values: &'a [f32],
    /// What makes of them the values that are meant; `None` if they are those.
    pub normalise: Option<Normalise<'a>>,
}

/// A block of sixteen channels of a [`Normalise`].
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Affine<V> {
    minus_mean: V,
    scale: V,
    shift: V,
    relu: bool,
}

impl<V: Vector> Affine<V> {
    #[inline(always)]
    pub(in crate::kernels) fn new(normalise: &Normalise<'_>, channel: usize, width: usize) -> Self {
        Self {
            minus_mean: load::<V>(normalise.mean, channel, width).mul(V::splat(-1.0)),
            scale: load(normalise.scale, channel, width),
            shift: load(normalise.shift, channel, width),
            relu: normalise.relu,
        }
    }

    #[inline(always)]
    pub(in crate::kernels) fn apply(&self, x: V) -> V {
        let y = x.add(self.minus_mean).mul_add(self.scale, self.shift);
        if self.relu { y.relu() } else { y }
    }
}

impl Load for Option<Normalise<'_>> {
    #[inline(always)]
    fn load<V: Vector>(self, source: &[f32], padded: &mut [f32]) {
        let Some(normalise) = self else {
            padded.copy_from_slice(source);
            return;
        };
        assert_eq!(source.len(), padded.len(), "whole pixels in both");
        let channels = normalise.mean.len();
        for channel in (0..channels).step_by(LANES) {
            let width = LANES.min(channels - channel);
            let affine = Affine::<V>::new(&normalise, channel, width);
            for pixel in (channel..source.len()).step_by(channels) {
                store(affine.apply(load(source, pixel, width)), padded, pixel, width);
            }
        }
    }
}
