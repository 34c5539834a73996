//! The `f32` product `c = a b + bias`: register tiles over panels.
//!
//! The terms of the sums are taken in stretches. For each, b is packed into panels of 16 N columns,
//! and c is cut into blocks, in parallel: a task runs every panel over its rows of a, and the rows of
//! a tile stay in the first cache level. The sums of stretches are added in order. Where they are few,
//! as in the weight gradient of a large batch, stretches have sums of their own, and can be taken side
//! by side.

use rayon::prelude::*;

use super::MatrixMut;
use super::block::{Block, Panels};
use super::product::{FEW, Product, ROWS, Stretch, TASKS};
use crate::kernels::simd::{self, LANES};
use crate::kernels::{InstructionSet, scratch};

/// The fewest register tiles, below each other, to a task that could be a larger one.
const TILES: usize = 4;
/// Sums that are added up at once.
const PIECE: usize = 1 << 14;

/// `c = a b + bias`, in blocks of rows and columns.
pub(in crate::kernels) fn product(
    set: InstructionSet,
    product: &Product<'_>,
    c: MatrixMut<'_, f32>,
) {
    assert_eq!((product.a.rows, product.b.columns), (c.rows, c.columns), "a b must fit c");
    if c.data.is_empty() {
        return;
    }
    let product = &product.with_fewer_panels();
    let (rows, columns) = (product.a.rows, product.b.columns);
    let strides = if product.exchanged { [1, c.columns] } else { [c.columns, 1] };
    let (tile, width) = (product.tile_rows(set), simd::columns(set) * LANES);
    let tiles = rows.div_ceil(tile);
    // Few rows are not cut, so that a panel is read once.
    let down = if rows <= FEW { 1 } else { rows.div_ceil(ROWS).max(TASKS.min(tiles / TILES)) };
    // Blocks of as many columns, and of as many register tiles or one less.
    let across = TASKS.div_ceil(down.max(1)).min(columns.div_ceil(width)).max(1);
    let block_columns = columns.div_ceil(across).next_multiple_of(width);
    let across = columns.div_ceil(block_columns);
    let blocks = |stretch: &Stretch, panels: Panels<'_>, c: &mut [f32]| {
        let first_element = First(c.as_mut_ptr());
        let block = |task: usize| {
            let row = |block: usize| (block * tiles / down * tile).min(rows);
            let rows = row(task / across)..row(task / across + 1);
            let first = task % across * block_columns;
            let block = Block {
                product,
                stretch,
                panels: panels.skip(first / width * panels.next),
                columns: first..(first + block_columns).min(columns),
                // SAFETY: the first of the rows lies inside c.
                c: unsafe { first_element.at(rows.start * strides[0]) },
                strides,
                rows,
            };
            // SAFETY: c holds the rows and columns; those of other tasks are others.
            unsafe { block.run(set) };
        };
        if stretch.shared {
            (0..down * across).into_par_iter().for_each(block);
        } else {
            (0..down * across).for_each(block);
        }
    };
    if product.in_parts() {
        parts(set, product, c.data, blocks);
    } else {
        stretches(set, product, c.data, blocks);
    }
}

/// `c = a b + bias`, whole rows to a task as [`Product::whole_rows`] has them; `after(group, rows,
/// partial)` is called for each group as soon as it is finished, with a piece of `partials` of its
/// own.
pub(in crate::kernels) fn product_rows(
    set: InstructionSet,
    product: &Product<'_>,
    rows: usize,
    c: &mut [f32],
    (partials, partial_len): (&mut [f64], usize),
    after: impl Fn(usize, &mut [f32], &mut [f64]) + Sync,
) {
    let columns = product.b.columns;
    assert_eq!(product.a.rows * columns, c.len(), "a b must fit c");
    stretches(set, product, c, |stretch, panels, c| {
        let groups = c.par_chunks_mut(rows * columns).zip(partials.par_chunks_mut(partial_len));
        groups.enumerate().for_each(|(group, (c, partial))| {
            let first = group * rows;
            let block = Block {
                product,
                stretch,
                panels,
                rows: first..first + c.len() / columns,
                columns: 0..columns,
                c: c.as_mut_ptr(),
                strides: [columns, 1],
            };
            // SAFETY: c is these rows, borrowed alone.
            unsafe { block.run(set) };
            if stretch.terms.end == product.a.columns {
                after(group, c, partial);
            }
        });
    });
}

/// Calls `body(stretch, panels, c)` for one stretch after the other, with the panels of b.
fn stretches(
    set: InstructionSet,
    product: &Product<'_>,
    c: &mut [f32],
    mut body: impl FnMut(&Stretch, Panels<'_>, &mut [f32]),
) {
    if c.is_empty() {
        return;
    }
    let (depth, len) = (product.a.columns, product.stretch());
    // Without a term, the sums are still written.
    for start in (0..depth.max(1)).step_by(len) {
        let terms = start..(start + len).min(depth);
        let stretch = Stretch { terms, first: start == 0, shared: true };
        product.panels(set, &stretch, |panels| body(&stretch, panels, c));
    }
}

/// Calls `body(stretch, panels, part)` for every stretch with sums of its own, and adds those up in
/// order, as if there were one c. If threads can take the same number of stretches each, they do:
/// none waits for panels of another. This changes no bit.
fn parts(
    set: InstructionSet,
    product: &Product<'_>,
    c: &mut [f32],
    body: impl Fn(&Stretch, Panels<'_>, &mut [f32]) + Sync,
) {
    let (depth, len, sums) = (product.a.columns, product.stretch(), c.len());
    let count = depth.div_ceil(len);
    let shared = !count.is_multiple_of(rayon::current_num_threads());
    scratch::with_thread_buffer(count * sums, |parts| {
        let part = |(part, c): (usize, &mut [f32])| {
            let terms = part * len..((part + 1) * len).min(depth);
            let stretch = Stretch { terms, first: true, shared };
            product.panels(set, &stretch, |panels| body(&stretch, panels, c));
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

/// The first element of c, for tasks that write disjoint blocks.
#[derive(Clone, Copy)]
struct First(*mut f32);

// SAFETY: whoever takes an address vouches that no other task writes there.
unsafe impl Sync for First {}

impl First {
    /// # Safety
    /// Element `at` lies inside c, or right behind it.
    unsafe fn at(&self, at: usize) -> *mut f32 {
        // SAFETY: as the caller vouches.
        unsafe { self.0.add(at) }
    }
}
