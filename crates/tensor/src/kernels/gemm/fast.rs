//! The `f32` product `c = a b + bias`: register tiles over packed panels.
//!
//! b is packed into panels of 16 N columns, a stretch of its rows at a time; c is cut into blocks,
//! in parallel, never along the sums, so the bits do not depend on the number of threads. A task
//! takes its rows of a, [`DEPTH`] terms at a time, and runs every panel over them: the rows of a
//! tile stay in the first cache level. They are read in place, or copied if they are normalised, do
//! not lie row by row, or lie a whole number of pages apart. Longer sums are added in order.
//!
//! Either factor can be normalised on its way into the copy, which is all that reads it. A product
//! of few rows, such as that of a small batch and the weights of a layer, is computed as
//! `c' = b' a'`: the sums are the same, and less is packed.

use std::ops::Range;

use rayon::prelude::*;

use super::block::{Block, Panels};
use super::pack::Panel;
use super::{MatrixMut, MatrixRef};
use crate::kernels::conv::fused::Normalise;
use crate::kernels::simd::{self, LANES};
use crate::kernels::{InstructionSet, scratch};

/// About as many terms of a sum are taken in one go.
const DEPTH: usize = 1024;
/// About as many rows of b are packed at once.
const PACKED: usize = 1024;
/// The most rows of c to a task.
const ROWS: usize = 96;
/// A product of no more rows than this is cut into columns alone; one of no more columns reads its
/// rows in place.
const FEW: usize = 128;
/// A product of no more sums than this, and many terms, adds up parts of its own.
const FEW_SUMS: usize = 1 << 19;
/// Sums that are added up at once.
const PIECE: usize = 1 << 14;
/// So many values are a page: rows that begin as many apart would fall into the same set of the
/// cache, and are copied.
const PAGE: usize = 1024;
/// The fewest register tiles, below each other, to a task that could be a larger one.
const TILES: usize = 4;
/// Tasks that a product is cut into at least, if it is large enough.
const TASKS: usize = 8;

/// A product of two matrices.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Product<'a> {
    /// (M, K)
    pub(super) a: MatrixRef<'a, f32>,
    pub(super) normalise_a: Option<Normalise<'a>>,
    /// (K, N)
    b: MatrixRef<'a, f32>,
    normalise_b: Option<Normalise<'a>>,
    pub(super) bias: &'a [f32],
    /// Whether a and b are those of `c' = b' a'`: then the bias is added to each column of this
    /// product, and `normalise_b` means the rows of b.
    exchanged: bool,
}

impl<'a> Product<'a> {
    /// `a b`.
    pub(in crate::kernels) fn new(a: MatrixRef<'a, f32>, b: MatrixRef<'a, f32>) -> Self {
        assert_eq!(a.columns, b.rows, "the columns of a and the rows of b");
        Self { a, normalise_a: None, b, normalise_b: None, bias: &[], exchanged: false }
    }

    /// What happens to the columns of a first; its rows are contiguous then.
    pub(in crate::kernels) fn normalise_a(self, normalise_a: Option<Normalise<'a>>) -> Self {
        Self { normalise_a, ..self }
    }

    /// What happens to the columns of b first; its rows are contiguous then.
    pub(in crate::kernels) fn normalise_b(self, normalise_b: Option<Normalise<'a>>) -> Self {
        Self { normalise_b, ..self }
    }

    /// Added to each row of the product, unless it is empty.
    pub(in crate::kernels) fn bias(self, bias: &'a [f32]) -> Self {
        Self { bias, ..self }
    }

    /// The same product with less to be packed into panels: if c has few rows, those of a instead
    /// of the columns of b. Only where b would have to be transposed and a lies row by row: then it
    /// is a that is transposed, the smaller one.
    fn with_fewer_panels(self) -> Self {
        let transposed = self.a.column_stride == 1 && self.b.column_stride != 1;
        let few = 2 * self.a.rows <= self.b.columns;
        if !(transposed && few) || self.normalise_b.is_some() {
            return self;
        }
        let Self { a, normalise_a, b, bias, .. } = self;
        let (a, b) = (b.transposed(), a.transposed());
        Self { a, normalise_a: None, b, normalise_b: normalise_a, bias, exchanged: true }
    }

    /// Rows to a task, if there are enough for tasks that take whole rows: then, as soon as rows
    /// are finished, something can be done with them.
    pub(in crate::kernels) fn whole_rows(&self, set: InstructionSet) -> Option<usize> {
        let groups = self.a.rows.div_ceil(ROWS);
        let tile = self.tile_rows(set);
        (groups >= 2 * TASKS).then(|| self.a.rows.div_ceil(groups).next_multiple_of(tile))
    }

    /// Whether the rows of a are read where they lie: there are few panels to read them for, they are
    /// contiguous, not normalised, and do not fall into the same set of the cache.
    pub(super) fn a_in_place(&self) -> bool {
        let MatrixRef { row_stride, column_stride, .. } = self.a;
        column_stride == 1 && self.normalise_a.is_none() && row_stride % PAGE != 0
    }

    /// Rows of a register tile: more of them if they are copied, because then one address serves all.
    pub(super) fn tile_rows(&self, set: InstructionSet) -> usize {
        match simd::register_tile(set) {
            (8, 2) if !self.a_in_place() => 12,
            (rows, _) => rows,
        }
    }

    /// Whether b is read where it lies: it is not read often enough to be worth a copy, its rows are
    /// contiguous, not normalised, and made of whole vectors.
    fn b_in_place(&self) -> bool {
        let MatrixRef { columns, row_stride, column_stride, .. } = self.b;
        let few = self.a.rows <= FEW || self.b.rows <= FEW;
        let whole = columns % LANES == 0 && row_stride % LANES == 0;
        few && whole && row_stride <= PAGE && column_stride == 1 && self.normalise_b.is_none()
    }

    /// How many terms of a sum are taken in one go: about [`DEPTH`], and equal shares.
    pub(super) fn stretch(&self) -> usize {
        let depth = self.a.columns;
        depth.div_ceil(((depth + DEPTH / 2) / DEPTH).max(1)).max(1)
    }

    /// How many terms are packed at once.
    fn pass(&self) -> usize {
        self.stretch() * (PACKED / self.stretch()).max(1)
    }

    /// Whether there are so many terms to few sums that each pass has sums of its own.
    fn in_parts(&self) -> bool {
        let len = self.a.rows * self.b.columns;
        self.bias.is_empty() && self.a.columns > self.pass() && (1..=FEW_SUMS).contains(&len)
    }

    /// Lends `body` the panels of the rows `terms` of b.
    fn panels(&self, set: InstructionSet, terms: &Range<usize>, body: impl FnOnce(Panels<'_>)) {
        let width = simd::columns(set) * LANES;
        if self.b_in_place() {
            let (next, step) = (width, self.b.row_stride);
            return body(Panels { values: self.b.data, next, step }.skip(terms.start * step));
        }
        let columns = self.b.columns.next_multiple_of(width);
        scratch::with_thread_buffer(terms.len() * columns, |panels| {
            if !terms.is_empty() {
                self.pack(set, terms, panels, width);
            }
            body(Panels { values: panels, next: width * terms.len(), step: width });
        });
    }

    /// Packs the rows `terms` of b into panels of `width` columns, one after the other.
    fn pack(&self, set: InstructionSet, terms: &Range<usize>, panels: &mut [f32], width: usize) {
        let panels = panels.par_chunks_mut(terms.len() * width);
        panels.enumerate().for_each(|(p, panel)| {
            let (matrix, normalise, by_rows) = (self.b, self.normalise_b, self.exchanged);
            let (first, terms) = (p * width, terms.clone());
            simd::run(set, Panel { matrix, normalise, by_rows, first, terms, width, panel });
        });
    }
}

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
