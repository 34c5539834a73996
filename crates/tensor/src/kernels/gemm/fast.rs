//! The `f32` product `c = a b + bias`: register tiles over panels.
//!
//! The terms of the sums are taken in stretches. For each, b is packed into panels of 16 N columns (by
//! the task that multiplies them, if one alone does), and c is cut into blocks, in parallel: a task
//! runs every panel over its rows of a, and the rows of a tile stay in the first cache level. The sums
//! of stretches are added in order. Where they are few, as in the weight gradient of a large batch,
//! stretches have sums of their own, and can be taken side by side.

use rayon::prelude::*;

use super::block::Block;
use super::product::{FEW, First, Product, ROWS, Stretch, TASKS};
use super::stretches::{parts, stretches};
use super::{MatrixMut, unit};
use crate::kernels::Arithmetic;
use crate::kernels::simd::{self, LANES};

/// The fewest register tiles, below each other, to a task that could be a larger one.
const TILES: usize = 4;

/// `c = a b + bias`, in blocks of rows and columns.
pub(in crate::kernels) fn product(with: Arithmetic, product: &Product<'_>, c: MatrixMut<'_, f32>) {
    assert_eq!((product.a.rows, product.b.columns), (c.rows, c.columns), "a b must fit c");
    if c.data.is_empty() {
        return;
    }
    if product.splits(with) {
        return unit::product(with, product, c);
    }
    let product = &product.with_fewer_panels();
    let (rows, columns) = (product.a.rows, product.b.columns);
    let strides = if product.transposed { [1, c.columns] } else { [c.columns, 1] };
    let (tile, width) = (product.tile_rows(with.set), simd::columns(with.set) * LANES);
    let tiles = rows.div_ceil(tile);
    // Few rows are not cut, so that a panel is read once.
    let down = if rows <= FEW { 1 } else { rows.div_ceil(ROWS).max(TASKS.min(tiles / TILES)) };
    // Blocks of as many columns, and of as many register tiles or one less.
    let across = TASKS.div_ceil(down.max(1)).min(columns.div_ceil(width)).max(1);
    let block_columns = columns.div_ceil(across).next_multiple_of(width);
    let across = columns.div_ceil(block_columns);
    // Panels that one task alone reads are packed by it, while they are in its cache.
    let own_panels = down == 1 && across > 1;
    let blocks = |stretch: &Stretch, panels: Option<&[f32]>, c: &mut [f32]| {
        let first_element = First::of(c);
        let block = |task: usize| {
            let row = |block: usize| (block * tiles / down * tile).min(rows);
            let rows = row(task / across)..row(task / across + 1);
            let first = task % across * block_columns;
            let block = Block {
                product,
                stretch,
                panels: panels.map(|panels| &panels[first * stretch.terms.len()..]),
                columns: first..(first + block_columns).min(columns),
                // SAFETY: the first of the rows lies inside c.
                c: unsafe { first_element.at(rows.start * strides[0]) },
                strides,
                rows,
            };
            // SAFETY: c holds the rows and columns; those of other tasks are others.
            unsafe { block.run(with.set) };
        };
        if stretch.shared {
            (0..down * across).into_par_iter().for_each(block);
        } else {
            (0..down * across).for_each(block);
        }
    };
    let blocks = |stretch: &Stretch, c: &mut [f32]| {
        if own_panels {
            return blocks(stretch, None, c);
        }
        product.panels(with.set, stretch, |panels| blocks(stretch, Some(panels), c));
    };
    if product.in_parts() {
        parts(product, c.data, blocks);
    } else {
        stretches(product, c.data, blocks);
    }
}

/// `c = a b + bias`, whole rows to a task as [`Product::whole_rows`] has them; `after(group, rows,
/// partial)` is called for each group as soon as it is finished, with a piece of `partials` of its
/// own.
pub(in crate::kernels) fn product_rows(
    with: Arithmetic,
    product: &Product<'_>,
    rows: usize,
    c: &mut [f32],
    (partials, partial_len): (&mut [f64], usize),
    after: impl Fn(usize, &mut [f32], &mut [f64]) + Sync,
) {
    let columns = product.b.columns;
    assert_eq!(product.a.rows * columns, c.len(), "a b must fit c");
    if product.splits(with) {
        return unit::product_rows(with, product, rows, c, (partials, partial_len), after);
    }
    stretches(product, c, |stretch, c| {
        product.panels(with.set, stretch, |panels| {
            let groups = c.par_chunks_mut(rows * columns).zip(partials.par_chunks_mut(partial_len));
            groups.enumerate().for_each(|(group, (c, partial))| {
                let first = group * rows;
                let block = Block {
                    product,
                    stretch,
                    panels: Some(panels),
                    rows: first..first + c.len() / columns,
                    columns: 0..columns,
                    c: c.as_mut_ptr(),
                    strides: [columns, 1],
                };
                // SAFETY: c is these rows, borrowed alone.
                unsafe { block.run(with.set) };
                if stretch.terms.end == product.a.columns {
                    after(group, c, partial);
                }
            });
        });
    });
}
