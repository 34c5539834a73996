//! The same work as passes of their own, over tensors that no convolution reads or writes just
//! then.

use rayon::prelude::*;

use super::gradient::{ApplyNorm, Finish, FinishGroup, NormGradient};
use super::moments::{GroupMoments, merge};
use crate::kernels::InstructionSet;
use crate::kernels::remaining::Remaining;
use crate::kernels::simd;

/// Values of a piece of work: an L2 cache holds three such pieces.
const PIECE: usize = 1 << 15;

/// Values of a piece with whole rows.
pub(super) fn piece(channels: usize) -> usize {
    (PIECE / channels).max(1) * channels
}

/// The first `len` values of a buffer that grows when it must.
pub(super) fn grown(buffer: &mut Vec<f64>, len: usize) -> &mut [f64] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Mean and sum of squared deviations of each column of a (rows, channels) matrix: `moments` is
/// first all means, then all sums.
///
/// # Panics
/// If the length of `values` is no multiple of the number of channels.
pub fn moments(values: &[f32], moments: &mut [f64], partials: &mut Vec<f64>) {
    let set = InstructionSet::current();
    let channels = moments.len() / 2;
    assert!(values.len().is_multiple_of(channels), "whole rows");
    let piece = piece(channels);
    let partials = grown(partials, values.len().div_ceil(piece) * 2 * channels);
    let pieces = values.par_chunks(piece);
    let remaining = Remaining::new(pieces.len());
    partials.par_chunks_mut(2 * channels).zip(pieces).for_each(|(partial, values)| {
        remaining.run(|| simd::run(set, GroupMoments { values, partial }));
    });
    merge(partials, moments, piece / channels, values.len() / channels);
}

/// Finishes a gradient in place; `sums` becomes s1, s2 of the first norm, s2 of the second, each
/// for all channels.
///
/// # Panics
/// If lengths differ.
pub fn finish(finish: Finish<'_>, gradient: &mut [f32], sums: &mut [f64], partials: &mut Vec<f64>) {
    let set = InstructionSet::current();
    let channels = sums.len() / 3;
    let piece = piece(channels);
    let partials = grown(partials, gradient.len().div_ceil(piece) * sums.len());
    let pieces = gradient.par_chunks_mut(piece).zip(partials.par_chunks_mut(sums.len()));
    let remaining = Remaining::new(pieces.len());
    pieces.enumerate().for_each(|(k, (gradient, partial))| {
        let finish = finish.rows(k * piece..k * piece + gradient.len());
        remaining.run(|| simd::run(set, FinishGroup { finish, gradient, partial }));
    });
    add_up(partials, sums);
}

/// The sums of the columns, row after row.
pub(super) fn add_up(partials: &[f64], sums: &mut [f64]) {
    sums.fill(0.0);
    for partial in partials.chunks_exact(sums.len()) {
        sums.iter_mut().zip(partial).for_each(|(sum, value)| *sum += value);
    }
}

/// `to = dz`, or `to = add + dz`.
///
/// # Panics
/// If lengths differ.
pub fn norm_gradient(norm: NormGradient<'_>, add: Option<&[f32]>, to: &mut [f32]) {
    let set = InstructionSet::current();
    let piece = piece(norm.mean.len());
    let remaining = Remaining::new(to.len().div_ceil(piece));
    to.par_chunks_mut(piece).enumerate().for_each(|(k, to)| {
        let at = k * piece..k * piece + to.len();
        let add = add.map(|add| &add[at.clone()]);
        remaining.run(|| simd::run(set, ApplyNorm { norm: norm.rows(at), add, to }));
    });
}
