//! The `f32` product `c = a b + bias`: register tiles over panels.
//!
//! b is packed into panels of 16 N columns, a stretch of its rows at a time; c is cut into blocks,
//! in parallel. A task takes its rows of a, a stretch of terms at a time, and runs every panel over
//! them: the rows of a tile stay in the first cache level. Longer sums are added in order; if there
//! are few of them, as in the weight gradient of a large batch, stretches are added up side by side,
//! each with panels of its own, and their sums in order at the end: no thread waits for another's
//! panels.

use std::ops::Range;

use rayon::prelude::*;

use super::MatrixMut;
use super::block::{Block, Panels};
use super::product::{FEW, Product, ROWS, TASKS};
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
    let blocks = |begin: usize, terms: Range<usize>, panels: Panels<'_>, c: &mut [f32]| {
        let target = Target(c.as_mut_ptr());
        (0..down * across).into_par_iter().for_each(|task| {
            let row = |block: usize| (block * tiles / down * tile).min(rows);
            let rows = row(task / across)..row(task / across + 1);
            let first = task % across * block_columns;
            let block = Block {
                product,
                begin,
                terms: terms.clone(),
                panels: panels.skip(first / width * panels.next),
                columns: first..(first + block_columns).min(columns),
                // SAFETY: blocks are disjoint, and lie inside c.
                c: unsafe { target.at(rows.start * strides[0]) },
                strides,
                rows,
            };
            block.run(set);
        });
    };
    if product.in_parts() {
        parts(set, product, c.data, blocks);
    } else {
        passes(set, product, c.data, |terms, panels, c| blocks(0, terms, panels, c));
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
    passes(set, product, c, |terms, panels, c| {
        let groups = c.par_chunks_mut(rows * columns).zip(partials.par_chunks_mut(partial_len));
        groups.enumerate().for_each(|(group, (c, partial))| {
            let first = group * rows;
            let block = Block {
                product,
                begin: 0,
                terms: terms.clone(),
                panels,
                rows: first..first + c.len() / columns,
                columns: 0..columns,
                c: c.as_mut_ptr(),
                strides: [columns, 1],
            };
            block.run(set);
            if terms.end == product.a.columns {
                after(group, c, partial);
            }
        });
    });
}

/// Calls `body(terms, panels, c)` for one range of terms after the other, with the panels of b.
fn passes(
    set: InstructionSet,
    product: &Product<'_>,
    c: &mut [f32],
    mut body: impl FnMut(Range<usize>, Panels<'_>, &mut [f32]),
) {
    if c.is_empty() {
        return;
    }
    let depth = product.a.columns;
    // Without a term, the sums are still written.
    for start in (0..depth.max(1)).step_by(product.pass()) {
        let terms = start..(start + product.pass()).min(depth);
        product.panels(set, &terms, |panels| body(terms.clone(), panels, c));
    }
}

/// Calls `body(begin, terms, panels, part)` for all ranges of terms at once, each with its panels and
/// a c of its own, and adds those up in order.
fn parts(
    set: InstructionSet,
    product: &Product<'_>,
    c: &mut [f32],
    body: impl Fn(usize, Range<usize>, Panels<'_>, &mut [f32]) + Sync,
) {
    let (depth, len) = (product.a.columns, c.len());
    let count = depth.div_ceil(product.pass());
    scratch::with_thread_buffer(count * len, |parts| {
        parts.par_chunks_exact_mut(len).enumerate().for_each(|(part, c)| {
            let start = part * product.pass();
            let terms = start..(start + product.pass()).min(depth);
            product.panels(set, &terms, |panels| body(start, terms.clone(), panels, c));
        });
        let parts = &*parts;
        c.par_chunks_mut(PIECE).enumerate().for_each(|(piece, c)| {
            c.copy_from_slice(&parts[piece * PIECE..][..c.len()]);
            for part in parts.chunks_exact(len).skip(1) {
                let part = &part[piece * PIECE..];
                c.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
            }
        });
    });
}

/// Where the first element of c is, for tasks that write disjoint blocks.
#[derive(Clone, Copy)]
struct Target(*mut f32);

// SAFETY: whoever takes an address vouches that no other task writes there.
unsafe impl Sync for Target {}

impl Target {
    /// # Safety
    /// Element `at` lies inside c; what is written from there on is written by no other task.
    unsafe fn at(&self, at: usize) -> *mut f32 {
        // SAFETY: as the caller vouches.
        unsafe { self.0.add(at) }
    }
}
