//! The products of a block: 36 times (tiles, source channels) by (source channels, target channels).

use super::blocks::plane_len;
use super::transform::PRODUCTS;
use crate::kernels::ahead::Ahead;
use crate::kernels::simd::{LANES, Vector};
use crate::kernels::tile::{Sums, multiply, zeros};

/// The planes of a block and of its products.
pub(super) struct Planes {
    /// Of source and target.
    pub(super) channels: (usize, usize),
    /// Tiles that there is room for, a multiple of the register tile's rows.
    pub(super) tiles: usize,
    /// Tiles that there are.
    pub(super) count: usize,
}

impl Planes {
    /// Multiplies them, panel by panel of `weights`.
    #[inline(always)]
    pub(super) fn multiply<V: Vector>(
        &self,
        block: &mut [f32],
        weights: &[f32],
        products: &mut [f32],
        ahead: &mut Ahead,
    ) {
        self.clear_rest::<V>(block);
        match (V::ROWS, V::COLUMNS) {
            (8, 2) => self.panels::<V, 8, 2>(block, weights, products, ahead),
            (6, _) => self.panels::<V, 6, 1>(block, weights, products, ahead),
            _ => self.panels::<V, 2, 1>(block, weights, products, ahead),
        }
    }

    /// Zeros after the last tile, up to a whole register tile: those are multiplied as well, and not read.
    /// What is left there by others may be subnormal numbers, which take a hundred times as long.
    #[inline(always)]
    fn clear_rest<V: Vector>(&self, block: &mut [f32]) {
        let sources = self.channels.0;
        let rows = if self.tiles.is_multiple_of(16) { 16 } else { V::ROWS };
        let end = self.count.next_multiple_of(rows).min(self.tiles);
        if self.count < end {
            for plane in block.chunks_exact_mut(plane_len(self.tiles, sources)) {
                plane[self.count * sources..end * sources].fill(0.0);
            }
        }
    }

    #[inline(always)]
    fn panels<V: Vector, const Q: usize, const N: usize>(
        &self,
        block: &[f32],
        weights: &[f32],
        products: &mut [f32],
        ahead: &mut Ahead,
    ) {
        let (sources, targets) = self.channels;
        let [from, to] = [sources, targets].map(|channels| plane_len(self.tiles, channels));
        for first in (0..targets).step_by(N * LANES) {
            let width = (N * LANES).min(targets - first);
            let panel = &weights[PRODUCTS * sources * first..][..PRODUCTS * sources * width];
            for j in 0..PRODUCTS {
                if first == 0 {
                    ahead.step();
                }
                let weights = &panel[j * sources * width..][..sources * width];
                let (block, products) = (&block[j * from..], &mut products[j * to..]);
                if width == N * LANES {
                    self.plane::<V, Q, N>(block, weights, products, first);
                } else if self.tiles.is_multiple_of(16) {
                    self.plane::<V, 16, 1>(block, weights, products, first);
                } else {
                    self.plane::<V, Q, 1>(block, weights, products, first);
                }
            }
        }
    }

    /// 16 N target channels, from `first` on, of a plane.
    #[inline(always)]
    fn plane<V: Vector, const Q: usize, const N: usize>(
        &self,
        block: &[f32],
        weights: &[f32],
        products: &mut [f32],
        first: usize,
    ) {
        let (sources, targets) = self.channels;
        for tile in (0..self.count).step_by(Q) {
            let from = &block[tile * sources..][..Q * sources];
            let to = &mut products[tile * targets + first..][..(Q - 1) * targets + N * LANES];
            // The places of all tiles are a constant distance from one address then.
            let sums = match sources {
                16 => of_tiles::<V, Q, N>(from, 16, weights),
                32 => of_tiles::<V, Q, N>(from, 32, weights),
                _ => of_tiles::<V, Q, N>(from, sources, weights),
            };
            for q in 0..Q {
                for n in 0..N {
                    // SAFETY: `to` holds 16 N channels of each of Q tiles.
                    unsafe { sums[q][0][n].store(to.as_mut_ptr().add(q * targets + n * LANES)) };
                }
            }
        }
    }
}

/// The products of Q neighbouring tiles of `sources` values and as many rows of 16 N weights.
#[inline(always)]
fn of_tiles<V: Vector, const Q: usize, const N: usize>(
    tiles: &[f32],
    sources: usize,
    weights: &[f32],
) -> Sums<V, Q, 1, N> {
    assert!(tiles.len() == Q * sources && weights.len() == sources * N * LANES);
    let mut x = [tiles.as_ptr(); Q];
    for q in 0..Q {
        x[q] = x[q].wrapping_add(q * sources);
    }
    let mut sums = zeros();
    // SAFETY: as asserted.
    unsafe { multiply(&mut sums, x, 1, weights.as_ptr(), N * LANES, sources) };
    sums
}
