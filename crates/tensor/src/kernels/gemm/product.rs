//! What a product is made of, and how it is cut: by its shape alone, so that the bits do not depend
//! on the number of threads.
//!
//! Either factor can be normalised on its way into its copy, which is all that reads it. A product
//! of few rows, such as that of a small batch and the weights of a layer, is computed as
//! `c' = b' a'`: the sums are the same, and less is packed.

use std::ops::Range;

use rayon::prelude::*;

use super::pack::PackPanels;
use super::{MatrixRef, unit};
use crate::kernels::normalise::Normalise;
use crate::kernels::simd::{self, LANES};
use crate::kernels::{Arithmetic, InstructionSet, scratch};

/// About as many terms of a sum are taken in one go.
const DEPTH: usize = 1024;
/// The most rows of c to a task.
pub(super) const ROWS: usize = 96;
/// A product of no more rows than this is cut into columns alone.
pub(super) const FEW: usize = 128;
/// Sums of many terms are added up in parts, if there are no more sums than this.
const FEW_SUMS: usize = 1 << 19;
/// The most sums of all parts.
const PART_SUMS: usize = 1 << 22;
/// So many values are a page: rows that begin a multiple of it apart would fall into the same set of
/// the cache.
const PAGE: usize = 1024;
/// Tasks that a product is cut into at least, if it is large enough.
pub(super) const TASKS: usize = 8;

/// Columns that are packed at a time into panels of so many: four cache lines of a row, as memory is read
/// fastest some lines at a time.
pub(super) const fn together(width: usize) -> usize {
    64_usize.next_multiple_of(width)
}

/// A product of two matrices.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Product<'a> {
    /// (M, K)
    pub(super) a: MatrixRef<'a, f32>,
    pub(super) normalise_a: Option<Normalise<'a>>,
    /// (K, N)
    pub(super) b: MatrixRef<'a, f32>,
    pub(super) normalise_b: Option<Normalise<'a>>,
    pub(super) bias: &'a [f32],
    /// Whether a and b are those of `c' = b' a'`: then the bias is added to each column of this
    /// product, and `normalise_b` means the rows of b.
    pub(super) transposed: bool,
}

impl<'a> Product<'a> {
    /// `a b`.
    pub(in crate::kernels) fn new(a: MatrixRef<'a, f32>, b: MatrixRef<'a, f32>) -> Self {
        assert_eq!(a.columns, b.rows, "the columns of a and the rows of b");
        Self { a, normalise_a: None, b, normalise_b: None, bias: &[], transposed: false }
    }

    /// Rows and columns.
    pub(in crate::kernels) fn extents(&self) -> [usize; 2] {
        [self.a.rows, self.b.columns]
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
    ///
    /// # Panics
    /// If it is not as long as a row.
    pub(in crate::kernels) fn bias(self, bias: &'a [f32]) -> Self {
        assert!(bias.is_empty() || bias.len() == self.b.columns, "a bias for each column");
        Self { bias, ..self }
    }

    /// The same product with less to be packed into panels: if c has few rows, those of a instead
    /// of the columns of b. Only where b would have to be transposed and a lies row by row: then it
    /// is a that is transposed, the smaller one.
    pub(super) fn with_fewer_panels(self) -> Self {
        let transposed = self.a.column_stride == 1 && self.b.column_stride != 1;
        let few = 2 * self.a.rows <= self.b.columns;
        if !(transposed && few) || self.normalise_b.is_some() {
            return self;
        }
        let Self { a, normalise_a, b, bias, .. } = self;
        let (a, b) = (b.transposed(), a.transposed());
        Self { a, normalise_a: None, b, normalise_b: normalise_a, bias, transposed: true }
    }

    /// Whether it is taken by the matrix unit, or what does its work, with factors split into parts.
    pub(super) fn splits(&self, with: Arithmetic) -> bool {
        with.has_unit() && self.a.columns > 0
    }

    /// Rows to a task, if there are enough for tasks that take whole rows: then, as soon as rows
    /// are finished, something can be done with them.
    pub(in crate::kernels) fn whole_rows(&self, with: Arithmetic) -> Option<usize> {
        let groups = self.a.rows.div_ceil(ROWS);
        let tile = if self.splits(with) { unit::LINES } else { self.tile_rows(with.set) };
        (groups >= 2 * TASKS).then(|| self.a.rows.div_ceil(groups).next_multiple_of(tile))
    }

    /// Whether the rows of a are read where they lie: they are contiguous, not normalised, and do not
    /// fall into the same set of the cache.
    pub(super) fn a_in_place(&self) -> bool {
        let MatrixRef { row_stride, column_stride, .. } = self.a;
        column_stride == 1 && self.normalise_a.is_none() && row_stride % PAGE != 0
    }

    /// Rows of a register tile: more of them if they are copied, because one address serves all then.
    pub(super) fn tile_rows(&self, set: InstructionSet) -> usize {
        match simd::register_tile(set) {
            (8, 2) if !self.a_in_place() => 12,
            (rows, _) => rows,
        }
    }

    /// How many terms of a sum are taken in one go: about [`DEPTH`], and equal shares.
    pub(super) fn stretch(&self) -> usize {
        let depth = self.a.columns;
        depth.div_ceil(((depth + DEPTH / 2) / DEPTH).max(1)).max(1)
    }

    /// Whether there are so many terms to few sums that each stretch has sums of its own.
    pub(super) fn in_parts(&self) -> bool {
        let (len, count) = (self.a.rows * self.b.columns, self.a.columns.div_ceil(self.stretch()));
        self.bias.is_empty() && count > 1 && len <= FEW_SUMS && count * len <= PART_SUMS
    }

    /// Lends `body` the panels of the rows of b that belong to a stretch.
    pub(super) fn panels(&self, set: InstructionSet, stretch: &Stretch, body: impl FnOnce(&[f32])) {
        let (width, terms) = (simd::columns(set) * LANES, stretch.terms.clone());
        let next = width * terms.len();
        let task = together(width) * terms.len();
        scratch::with_thread_buffer(self.b.columns.div_ceil(width) * next, |panels| {
            let pack = |(p, panels)| {
                simd::run(set, self.pack(p * together(width), terms.clone(), width, panels));
            };
            if terms.is_empty() {
                // There is nothing to pack.
            } else if stretch.shared {
                panels.par_chunks_mut(task).enumerate().for_each(pack);
            } else {
                panels.chunks_mut(task).enumerate().for_each(pack);
            }
            body(panels);
        });
    }

    /// The packing of panels of `width` columns, from `first` on.
    pub(super) fn pack<'p>(
        &self,
        first: usize,
        terms: Range<usize>,
        width: usize,
        panels: &'p mut [f32],
    ) -> PackPanels<'p>
    where
        'a: 'p,
    {
        let (matrix, normalise, by_rows) = (self.b, self.normalise_b, self.transposed);
        PackPanels { matrix, normalise, by_rows, first, terms, width, panels }
    }
}

/// A stretch of the terms of all sums.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub(super) terms: Range<usize>,
    /// Whether its sums overwrite c: those of later stretches are added.
    pub(super) first: bool,
    /// Whether the threads share its work, instead of each taking a stretch.
    pub(super) shared: bool,
}

/// The first element of c, for tasks that write disjoint blocks.
#[derive(Clone, Copy)]
pub(super) struct First(*mut f32);

// SAFETY: whoever takes an address vouches that no other task writes there.
unsafe impl Sync for First {}

impl First {
    pub(super) fn of(c: &mut [f32]) -> Self {
        Self(c.as_mut_ptr())
    }

    /// # Safety
    /// Element `at` lies inside c, or right behind it.
    pub(super) unsafe fn at(&self, at: usize) -> *mut f32 {
        // SAFETY: as the caller vouches.
        unsafe { self.0.add(at) }
    }
}
