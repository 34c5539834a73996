//! How the terms of a product are taken: in stretches, one after the other or in parts.
//!
//! The sums of stretches are added in order. Where they are few, as in the weight gradient of a large
//! batch, stretches have sums of their own, and can be taken side by side.

use rayon::prelude::*;

use super::product::{Product, Stretch};
use crate::kernels::scratch;

/// Sums that are added up at once.
const PIECE: usize = 1 << 14;

/// Calls `body(stretch, c)` for one stretch after the other.
pub(super) fn stretches(
    product: &Product<'_>,
    c: &mut [f32],
    mut body: impl FnMut(&Stretch, &mut [f32]),
) {
    if c.is_empty() {
        return;
    }
    let (depth, len) = (product.a.columns, product.stretch());
    // Without a term, the sums are still written.
    for start in (0..depth.max(1)).step_by(len) {
        let terms = start..(start + len).min(depth);
        let stretch = Stretch { terms, first: start == 0, shared: true };
        body(&stretch, c);
    }
}

/// Calls `body(stretch, part)` for every stretch with sums of its own, and adds those up in
/// order, as if there were one c. If threads can take the same number of stretches each, they do:
/// none waits for panels of another. This changes no bit.
pub(super) fn parts(
    product: &Product<'_>,
    c: &mut [f32],
    body: impl Fn(&Stretch, &mut [f32]) + Sync,
) {
    let (depth, len, sums) = (product.a.columns, product.stretch(), c.len());
    let count = depth.div_ceil(len);
    let shared = !count.is_multiple_of(rayon::current_num_threads());
    scratch::with_thread_buffer(count * sums, |parts| {
        let part = |(part, c): (usize, &mut [f32])| {
            let terms = part * len..((part + 1) * len).min(depth);
            let stretch = Stretch { terms, first: true, shared };
            body(&stretch, c);
        };
        if shared {
            parts.chunks_exact_mut(sums).enumerate().for_each(part);
        } else {
            parts.par_chunks_exact_mut(sums).enumerate().for_each(part);
        }
        let parts = &*parts;
        c.par_chunks_mut(PIECE).enumerate().for_each(|(piece, c)| {
            c.copy_from_slice(&parts[piece * PIECE..][..c.len()]);
            for part in parts.chunks_exact(sums).skip(1) {
                let part = &part[piece * PIECE..];
                c.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
            }
        });
    });
}
