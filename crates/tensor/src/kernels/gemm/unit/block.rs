//! A block of c: the work of a task.

use std::cell::RefCell;
use std::ops::Range;

use super::strips::{Factor, Strips, strip_len, strips_len};
use super::{LINES, Unit, step_len};
use crate::kernels::gemm::product::{Product, Stretch};
use crate::kernels::simd::{self, Task, Vector};
use crate::kernels::unit::PARTS;
use crate::kernels::{Arithmetic, Scratch, scratch};

/// Rows and columns of c, for a stretch of terms.
pub(super) struct Block<'a> {
    pub(super) with: Arithmetic,
    pub(super) product: &'a Product<'a>,
    pub(super) stretch: &'a Stretch,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    /// The factor whose strips the thread keeps for other blocks.
    pub(super) kept: Factor,
    /// The name of these strips, the same for all blocks that need them.
    pub(super) key: u64,
    /// The block's first element.
    pub(super) c: *mut f32,
}

impl Block<'_> {
    /// Computes it.
    ///
    /// # Safety
    /// c holds the block, and nobody else has access to its elements.
    pub(super) unsafe fn run(self) {
        // SAFETY: as the caller vouches.
        unsafe {
            if self.with.rounds() {
                self.run_in_parts::<1>();
            } else {
                self.run_in_parts::<PARTS>();
            }
        }
    }

    /// The same with factors in P parts.
    ///
    /// # Safety
    /// As there.
    unsafe fn run_in_parts<const P: usize>(self) {
        let [kept, own] = [self.kept, self.kept.other()].map(|factor| self.strips_len(factor, P));
        with_kept(self.key, kept, |kept, is_new| {
            scratch::with_thread_buffer(own, |own| {
                simd::run(self.with.set, Buffered::<P> { block: self, kept, is_new, own });
            });
        });
    }

    fn lines(&self, factor: Factor) -> Range<usize> {
        match factor {
            Factor::A => self.rows.clone(),
            Factor::B => self.columns.clone(),
        }
    }

    fn strips_len(&self, factor: Factor, parts: usize) -> usize {
        strips_len(self.lines(factor).len(), self.stretch.terms.len(), parts)
    }

    #[inline(always)]
    fn split<V: Vector, const P: usize>(&self, factor: Factor, strips: &mut [f32]) {
        let (lines, terms) = (self.lines(factor), self.stretch.terms.clone());
        Strips::<P>::new(self.product, factor, lines, terms, strips).run::<V>();
    }

    /// Adds the product of two strips to what the block has of the sums, from `row` and `column` after
    /// its first on.
    fn tile<const P: usize>(
        &self,
        unit: &mut Unit<P>,
        factors: [&[f32]; 2],
        row: usize,
        column: usize,
    ) {
        assert!(row < self.rows.len() && column < self.columns.len(), "the block has the sums");
        assert_eq!(factors[0].len(), factors[1].len(), "strips of the same terms");
        let (rows, columns) = (self.rows.len() - row, self.columns.len() - column);
        let (steps, factors) = (factors[0].len() / step_len(P), factors.map(<[f32]>::as_ptr));
        // SAFETY: the block has this element, and c holds the block.
        let c = unsafe { self.c.add(row * self.product.b.columns + column) };
        let c = (c, self.product.b.columns);
        // The sums of the first stretch begin with the bias, which is as long as a row, or with nothing;
        // others where those before have ended.
        let start = match self.product.bias {
            _ if !self.stretch.first => (c.0.cast_const(), c.1),
            [] => (NOTHING.as_ptr(), 0),
            bias => (bias[self.columns.start + column..].as_ptr(), 0),
        };
        if rows >= LINES && columns >= LINES {
            // SAFETY: both strips hold the steps, and the block these rows and columns, of which the
            // bias has all.
            return unsafe { unit.multiply(factors, steps, start, c) };
        }
        let (rows, columns) = (rows.min(LINES), columns.min(LINES));
        let mut sums = Sums([0.0; LINES * LINES]);
        for (i, sums) in sums.0.chunks_exact_mut(LINES).take(rows).enumerate() {
            // SAFETY: there are as many columns, of a row or of the bias.
            sums[..columns].copy_from_slice(unsafe {
                std::slice::from_raw_parts(start.0.add(i * start.1), columns)
            });
        }
        let buffer = (sums.0.as_mut_ptr(), LINES);
        // SAFETY: both strips hold the steps, and there are as many sums.
        unsafe { unit.multiply(factors, steps, (buffer.0, LINES), buffer) };
        for (i, sums) in sums.0.chunks_exact(LINES).take(rows).enumerate() {
            // SAFETY: the block has these columns of the row.
            let c = unsafe { std::slice::from_raw_parts_mut(c.0.add(i * c.1), columns) };
            c.copy_from_slice(&sums[..columns]);
        }
    }
}

/// What sums begin with if there is no bias.
static NOTHING: [f32; LINES] = [0.0; LINES];

/// A block with the strips that it needs.
struct Buffered<'a, const P: usize> {
    block: Block<'a>,
    kept: &'a mut [f32],
    /// Whether the strips that are kept are still to be split.
    is_new: bool,
    own: &'a mut [f32],
}

impl<const P: usize> Task for Buffered<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { block, kept, is_new, own } = self;
        if is_new {
            block.split::<V, P>(block.kept, kept);
        }
        block.split::<V, P>(block.kept.other(), own);
        // SAFETY: this thread has no other unit until this one is dropped.
        let mut unit = unsafe { Unit::<P>::take(block.with.set) };
        let len = strip_len(block.stretch.terms.len(), P);
        for (k, kept) in kept.chunks_exact(len).enumerate() {
            for (o, own) in own.chunks_exact(len).enumerate() {
                match block.kept {
                    Factor::A => block.tile(&mut unit, [kept, own], k * LINES, o * LINES),
                    Factor::B => block.tile(&mut unit, [own, kept], o * LINES, k * LINES),
                }
            }
        }
    }
}

/// A tile of sums, whose rows begin a cache line.
#[repr(align(64))]
struct Sums([f32; LINES * LINES]);

/// Strips that a thread keeps, and their name.
#[derive(Default)]
struct Kept {
    key: u64,
    strips: Scratch<f32>,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// Lends `body` the strips of that name, and says whether it is to make them first.
fn with_kept(key: u64, len: usize, body: impl FnOnce(&mut [f32], bool)) {
    let mut kept = KEPT.take();
    body(kept.strips.take(len), kept.key != key);
    kept.key = key;
    KEPT.set(kept);
}
