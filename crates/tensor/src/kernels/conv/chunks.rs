//! The gradient of a weight, summed up over chunks of the batch.
//!
//! The batch is cut by shape only. The sums of a chunk stay with its thread, which adds a group of images after
//! the other; then the chunks are added in order.

use rayon::prelude::*;

use super::padded::Load;
use crate::kernels::ahead::Ahead;

/// How a batch is cut, and what becomes of the sums.
pub(in crate::kernels) trait Chunks: Sync {
    /// The sums of a chunk so far.
    type Sums<'a>: ChunkSums;

    /// Images of a group.
    fn group(&self) -> usize;

    /// Images of a chunk, whole groups.
    fn images(&self) -> usize;

    /// Values of the partial sums of a chunk.
    fn partial_len(&self) -> usize;

    /// The partial sums of a chunk, whose groups `add_all` adds.
    fn sum(&self, partial: &mut [f32], add_all: impl FnOnce(&mut Self::Sums<'_>));

    /// Adds the chunks up, and sorts the sums as weights (O, I, KH, KW) are.
    fn merge(&self, partials: &mut [f32], weight_gradient: &mut [f32]);
}

/// Sums that grow.
pub(in crate::kernels) trait ChunkSums {
    /// Adds a few images. What is read or written next is `ahead`.
    fn add<L: Load>(&mut self, input: &[f32], gradient: &[f32], load: L, ahead: Ahead);
}

/// The sum of all chunks, each of so many values, added in order to the first.
pub(super) fn add_up(partials: &mut [f32], partial_len: usize) -> &[f32] {
    const PIECE: usize = 1 << 12;
    let (sum, rest) = partials.split_at_mut(partial_len);
    sum.par_chunks_mut(PIECE).enumerate().for_each(|(piece, sum)| {
        for partial in rest.chunks_exact(partial_len) {
            let partial = &partial[piece * PIECE..][..sum.len()];
            sum.iter_mut().zip(partial).for_each(|(sum, value)| *sum += value);
        }
    });
    sum
}
