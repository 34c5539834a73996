//! Forward pass and input gradient: blocks of tiles are transformed, multiplied with the
//! transformed weights plane by plane, and transformed back. A block and its products stay in the
//! caches.

use std::ops::Range;

use rayon::prelude::*;

use super::blocks::{block_len, plane_len, transform_input, transform_output};
use super::multiply::Planes;
use super::tiles::{Tile, Tiles};
use super::transform::PRODUCTS;
use super::weights;
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::correlation::Correlation;
use crate::kernels::conv::padded::{Load, Window};
use crate::kernels::simd::{self, LANES, Task, Vector};
use crate::kernels::{InstructionSet, Scratch, scratch};

/// Tasks that a call is cut into at least, if the shape allows.
const TASKS: usize = 16;

/// Tiles to a block, for so many channels of source and target together: whole register tiles of
/// `rows`.
fn block_tiles(rows: usize, channels: usize) -> usize {
    if channels > 256 { rows } else { 16_usize.next_multiple_of(rows) }
}

/// Runs a correlation over a whole batch, in parallel.
pub(in crate::kernels::conv) fn correlate<L: Load>(
    set: InstructionSet,
    correlation: Correlation,
    source: &[f32],
    weight: &[f32],
    target: &mut [f32],
    scratch: &mut Scratch<f32>,
    load: L,
) {
    if target.is_empty() {
        return;
    }
    let tiles = Tiles::new(&correlation);
    let (sources, targets) = correlation.channels();
    let packed = scratch.take(prepared_len(&correlation));
    let (packed, batch) = (prepare(set, &correlation, weight, packed), correlation.batch());
    let (source_len, target_len) = (source.len() / batch, target.len() / batch);
    let block = block_tiles(simd::register_tile(set).0, sources + targets);
    let bands = TASKS.div_ceil(batch).min(tiles.per_image() / block).max(1);
    let images = block.div_ceil(tiles.per_image()).min(batch.div_ceil(TASKS));
    let rows = tiles.count[0].div_ceil(bands) * tiles.side;
    let row_len = target_len / tiles.image[0];
    target.par_chunks_mut(images * target_len).enumerate().for_each(|(group, target)| {
        let source = &source[group * images * source_len..];
        let source = &source[..target.len() / target_len * source_len];
        let band_len = if images == 1 { rows * row_len } else { target.len() };
        target.par_chunks_mut(band_len).enumerate().for_each(|(band, target)| {
            let images = source.len() / source_len;
            let rows = band * rows..band * rows + target.len() / row_len / images;
            let ahead = Ahead::new(&[]);
            let ahead =
                if bands == 1 { ahead.and_behind(source).and_behind(target) } else { ahead };
            compute(set, &correlation, rows, packed, source, ahead, target, load);
        });
    });
}

/// Values of the buffer that [`prepare`] takes.
pub(in crate::kernels::conv) fn prepared_len(correlation: &Correlation) -> usize {
    let (sources, targets) = correlation.channels();
    correlation.packed_len() + PRODUCTS * sources * targets
}

/// The transformed weights of a correlation, for [`group`].
pub(in crate::kernels::conv) fn prepare<'b>(
    set: InstructionSet,
    correlation: &Correlation,
    weight: &[f32],
    buffer: &'b mut [f32],
) -> &'b [f32] {
    let (packed, weights) = buffer.split_at_mut(correlation.packed_len());
    weights::transform(set, correlation, weight, packed, weights);
    weights
}

/// The whole target of a few images, in this thread. What is read or written next is `ahead`.
pub(in crate::kernels::conv) fn group<L: Load>(
    set: InstructionSet,
    correlation: &Correlation,
    packed: &[f32],
    source: &[f32],
    ahead: Ahead,
    target: &mut [f32],
    load: L,
) {
    let rows = 0..correlation.images().1[0];
    compute(set, correlation, rows, packed, source, ahead, target, load);
}

/// Some rows of the target of a few images.
#[expect(clippy::too_many_arguments, reason = "what a band is made of")]
fn compute<L: Load>(
    set: InstructionSet,
    correlation: &Correlation,
    rows: Range<usize>,
    packed: &[f32],
    source: &[f32],
    ahead: Ahead,
    target: &mut [f32],
    load: L,
) {
    let (tiles, channels) = (Tiles::new(correlation), correlation.channels());
    let [height, width] = correlation.images().0;
    let images = source.len() / (height * width * channels.0);
    let window = tiles.window(correlation, &rows);
    let block = block_tiles(simd::register_tile(set).0, channels.0 + channels.1);
    let padded_len = (images * window.len()).next_multiple_of(LANES);
    let len = padded_len + block_len(block, channels.0) + block_len(block, channels.1);
    scratch::with_thread_buffer(len, |buffer| {
        let (padded, blocks) = buffer.split_at_mut(padded_len);
        let (block, products) = blocks.split_at_mut(block_len(block, channels.0));
        let task = Band {
            tiles,
            channels,
            images,
            window,
            source,
            ahead,
            packed,
            rows,
            load,
            padded,
            block,
            products,
            target,
        };
        simd::run(set, task);
    });
}

/// A band of target rows of a few images: the unit of work of one thread.
struct Band<'a, L> {
    tiles: Tiles,
    /// Of source and target.
    channels: (usize, usize),
    images: usize,
    window: Window,
    source: &'a [f32],
    ahead: Ahead,
    packed: &'a [f32],
    rows: Range<usize>,
    load: L,
    /// Working memory: the padded source, a transformed block, and its products.
    padded: &'a mut [f32],
    block: &'a mut [f32],
    products: &'a mut [f32],
    target: &'a mut [f32],
}

impl<L: Load> Task for Band<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        self.window.load::<V>(self.source, self.padded, self.load);
        let (sources, targets) = self.channels;
        let block = block_tiles(V::ROWS, sources + targets);
        let in_rows = self.tiles.in_rows(&self.rows);
        let all = self.images * in_rows;
        let plane = plane_len(block, sources);
        let mut ahead = self.ahead.within(all.div_ceil(block) * PRODUCTS + 2 * all);
        let mut sources_of = self.tiles.walk(self.rows.len());
        let mut targets_of = sources_of;
        for first in (0..all).step_by(block) {
            let count = block.min(all - first);
            for number in 0..count {
                ahead.step();
                let tile = sources_of.step();
                self.prefetch_target(tile);
                let from = tile.image * self.window.len()
                    + tile.row * self.window.row_len()
                    + tile.column * sources;
                assert!(
                    from + self.window.patch_len(6) <= self.padded.len(),
                    "a patch in the window"
                );
                // SAFETY: the patch lies inside of the window, and the block has room for `block` tiles.
                unsafe {
                    let patch = self.padded.as_ptr().add(from);
                    let to = self.block.as_mut_ptr().add(number * sources);
                    transform_input::<V>(patch, self.window.row_len(), sources, to, plane);
                }
            }
            let planes = Planes { channels: self.channels, tiles: block, count };
            planes.multiply::<V>(self.block, self.packed, self.products, &mut ahead);
            for number in 0..count {
                ahead.step();
                let tile = targets_of.step();
                match self.tiles.side {
                    4 => self.transform_output::<V, 4>(block, number, tile),
                    _ => self.transform_output::<V, 2>(block, number, tile),
                }
            }
        }
    }
}

impl<L: Load> Band<'_, L> {
    /// Asks for the pixels that a tile will be written to.
    #[inline(always)]
    fn prefetch_target(&self, tile: Tile) {
        let targets = self.channels.1;
        let [rows, columns] = self.tiles.inside(tile, self.rows.len());
        for row in 0..rows {
            let pixel = self.tiles.pixel(tile, self.rows.len()) + row * self.tiles.image[1];
            simd::prefetch(&self.target[pixel * targets..][..columns * targets]);
        }
    }

    /// Transforms the products of a tile back to the part of it inside the image.
    #[inline(always)]
    fn transform_output<V: Vector, const M: usize>(
        &mut self,
        block: usize,
        number: usize,
        tile: Tile,
    ) {
        let targets = self.channels.1;
        let (plane, width) = (plane_len(block, targets), self.tiles.image[1]);
        let valid = self.tiles.inside(tile, self.rows.len());
        let pixel = self.tiles.pixel(tile, self.rows.len());
        let end = (pixel + (valid[0] - 1) * width + valid[1]) * targets;
        assert!(end <= self.target.len(), "a tile in the band");
        // SAFETY: the products have 36 planes of `block` tiles; rows and columns below `valid` of
        // the tile lie inside the band.
        unsafe {
            let from = self.products.as_ptr().add(number * targets);
            let to = self.target.as_mut_ptr().add(pixel * targets);
            transform_output::<V, M>(from, plane, to, width * targets, valid, targets);
        }
    }
}
