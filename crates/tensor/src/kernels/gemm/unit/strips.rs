//! Strips of a factor, split into their parts.

use std::ops::Range;

use super::{LINES, TILE, step_len};
use crate::kernels::gemm::MatrixRef;
use crate::kernels::gemm::product::Product;
use crate::kernels::normalise::{Affine, Normalise};
use crate::kernels::simd::{LANES, Task, Vector, load, prefetch_at};
use crate::kernels::unit::store_parts;

/// Which factor strips are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Factor {
    /// a (M, K): its lines are rows.
    A,
    /// b (K, N): its lines are columns.
    B,
}

impl Factor {
    pub(super) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Lanes of the strips of so many lines and terms, in so many parts.
pub(super) fn strips_len(lines: usize, terms: usize, parts: usize) -> usize {
    lines.div_ceil(LINES) * strip_len(terms, parts)
}

/// Lanes of a strip.
pub(super) fn strip_len(terms: usize, parts: usize) -> usize {
    terms.div_ceil(LINES) * step_len(parts)
}

/// One strip after the other: `lines` of a factor for `terms`, in P parts, filled up with zeros.
pub(super) struct Strips<'a, const P: usize> {
    factor: Factor,
    matrix: MatrixRef<'a, f32>,
    /// What happens to the columns of the matrix first; its rows are contiguous then.
    normalise: Option<Normalise<'a>>,
    lines: Range<usize>,
    terms: Range<usize>,
    strips: &'a mut [f32],
}

impl<'a, const P: usize> Strips<'a, P> {
    /// Those of a product's factor.
    pub(super) fn new(
        product: &'a Product<'a>,
        factor: Factor,
        lines: Range<usize>,
        terms: Range<usize>,
        strips: &'a mut [f32],
    ) -> Self {
        let (matrix, normalise) = match factor {
            Factor::A => (product.a, product.normalise_a),
            Factor::B => (product.b, product.normalise_b),
        };
        assert!(normalise.is_none() || matrix.column_stride == 1, "rows are contiguous");
        Self { factor, matrix, normalise, lines, terms, strips }
    }
}

impl<const P: usize> Task for Strips<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { factor, matrix, normalise, lines, terms, strips } = self;
        let firsts = lines.clone().step_by(LINES);
        let next = LINES
            * match factor {
                Factor::A => matrix.column_stride,
                Factor::B => matrix.row_stride,
            };
        for (strip, first) in strips.chunks_exact_mut(strip_len(terms.len(), P)).zip(firsts) {
            for (step, term) in
                strip.chunks_exact_mut(step_len(P)).zip(terms.clone().step_by(LINES))
            {
                for half in 0..2 {
                    let lines = sixteen(first + half * LANES, lines.end);
                    let (lower, upper) =
                        (sixteen(term, terms.end), sixteen(term + LANES, terms.end));
                    let [lower, upper] = [lower, upper].map(|terms| match factor {
                        Factor::A => Block { matrix, rows: lines.clone(), columns: terms, next },
                        Factor::B => Block { matrix, rows: terms, columns: lines.clone(), next },
                    });
                    split::<V, P>(lower, upper, normalise.as_ref(), &mut step[half * TILE..]);
                }
            }
        }
    }
}

/// At most sixteen, from `first` on.
fn sixteen(first: usize, end: usize) -> Range<usize> {
    first.min(end)..end.min(first + LANES)
}

/// Writes the tiles of two blocks, whose rows become those of the tiles: one for each part, with a
/// tile of other lines between them.
#[inline(always)]
fn split<V: Vector, const P: usize>(
    lower: Block<'_>,
    upper: Block<'_>,
    normalise: Option<&Normalise<'_>>,
    tiles: &mut [f32],
) {
    let whole = lower.is_whole() && upper.is_whole();
    match (lower.matrix.column_stride, normalise) {
        // Each case has a loop of its own.
        (1, None) if whole => split_rows::<V, P, true>(lower, upper, None, tiles),
        (1, None) => split_rows::<V, P, false>(lower, upper, None, tiles),
        (1, Some(normalise)) => {
            let affine = Some([lower.affine(normalise), upper.affine(normalise)]);
            if whole {
                split_rows::<V, P, true>(lower, upper, affine, tiles);
            } else {
                split_rows::<V, P, false>(lower, upper, affine, tiles);
            }
        }
        _ => {
            let (lower, upper) = (lower.transposed(), upper.transposed());
            for i in 0..LANES {
                split_row::<V, P>(lower[i], upper[i], i, tiles);
            }
        }
    }
}

#[inline(always)]
fn split_rows<V: Vector, const P: usize, const WHOLE: bool>(
    lower: Block<'_>,
    upper: Block<'_>,
    affine: Option<[Affine<V>; 2]>,
    tiles: &mut [f32],
) {
    for i in 0..LANES {
        let low = lower.row::<V, WHOLE>(i, affine.as_ref().map(|both| &both[0]));
        let high = upper.row::<V, WHOLE>(i, affine.as_ref().map(|both| &both[1]));
        split_row::<V, P>(low, high, i, tiles);
    }
}

/// Writes a row of the tiles.
#[inline(always)]
fn split_row<V: Vector, const P: usize>(lower: V, upper: V, row: usize, tiles: &mut [f32]) {
    store_parts::<V, P>(lower, upper, &mut tiles[row * LANES..], 2 * TILE);
}

/// At most sixteen rows and columns of a matrix; the others are zeros.
struct Block<'a> {
    matrix: MatrixRef<'a, f32>,
    rows: Range<usize>,
    columns: Range<usize>,
    /// How far away the elements of the next step are, which are asked for on the way.
    next: usize,
}

impl Block<'_> {
    fn is_whole(&self) -> bool {
        [self.rows.len(), self.columns.len()] == [LANES; 2]
    }

    #[inline(always)]
    fn affine<V: Vector>(&self, normalise: &Normalise<'_>) -> Affine<V> {
        Affine::new(normalise, self.columns.start, self.columns.len())
    }

    /// A row, normalised, of a matrix whose rows are contiguous.
    #[inline(always)]
    fn row<V: Vector, const WHOLE: bool>(&self, i: usize, affine: Option<&Affine<V>>) -> V {
        let (row, columns) = (self.rows.start + i, self.columns.len());
        if !WHOLE && row >= self.rows.end {
            return V::splat(0.0);
        }
        let at = row * self.matrix.row_stride + self.columns.start;
        prefetch_at(self.matrix.data, at + self.next);
        let value = load(self.matrix.data, at, if WHOLE { LANES } else { columns });
        if let Some(affine) = affine { affine.apply(value) } else { value }
    }

    /// The rows of another matrix: its columns are contiguous, as a rule.
    #[inline(always)]
    fn transposed<V: Vector>(&self) -> [V; LANES] {
        let Self { matrix, rows, columns, next } = self;
        let mut values = [V::splat(0.0); LANES];
        for j in 0..LANES {
            let column = columns.start + j;
            if column < columns.end {
                let at = column * matrix.column_stride + rows.start * matrix.row_stride;
                if matrix.row_stride == 1 {
                    prefetch_at(matrix.data, at + next);
                    values[j] = load(matrix.data, at, rows.len());
                } else {
                    let mut lanes = [0.0; LANES];
                    for i in 0..rows.len() {
                        lanes[i] = matrix.data[at + i * matrix.row_stride];
                    }
                    values[j] = load(&lanes, 0, LANES);
                }
            }
        }
        V::transpose(values)
    }
}
