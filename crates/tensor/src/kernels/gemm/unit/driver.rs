//! `c = a b + bias` by strips, block by block.
//!
//! The factor with more lines is cut, a block to a task. The other one is needed by all tasks: each
//! thread splits it once and keeps its strips, which is faster than to fetch them from another core.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::LINES;
use super::block::Block;
use super::strips::Factor;
use crate::kernels::Arithmetic;
use crate::kernels::gemm::MatrixMut;
use crate::kernels::gemm::product::{First, Product, Stretch, TASKS};
use crate::kernels::gemm::stretches::{parts, stretches};
use crate::kernels::remaining::Remaining;

/// The most strips to a task.
const STRIPS: usize = 4;
/// The most lines of the other factor in one go: a bound on what a thread keeps.
const KEPT_LINES: usize = 1024;

/// `c = a b + bias`.
pub(in crate::kernels::gemm) fn product(
    with: Arithmetic,
    product: &Product<'_>,
    c: MatrixMut<'_, f32>,
) {
    let [rows, columns] = product.extents();
    assert_eq!([c.rows, c.columns], [rows, columns], "a b must fit c");
    let (kept, lines, others) =
        if rows >= columns { (Factor::B, rows, columns) } else { (Factor::A, columns, rows) };
    let strips = lines.div_ceil(LINES);
    let count = strips.div_ceil(STRIPS).max(TASKS.min(strips));
    let blocks = |stretch: &Stretch, c: &mut [f32]| {
        let first_element = First::of(c);
        for first in (0..others).step_by(KEPT_LINES) {
            let (others, key) = (first..others.min(first + KEPT_LINES), next_key());
            let task = |task: usize| {
                let line = |task: usize| (task * strips / count * LINES).min(lines);
                let (own, others) = (line(task)..line(task + 1), others.clone());
                let (rows, columns) = match kept {
                    Factor::A => (others, own),
                    Factor::B => (own, others),
                };
                // SAFETY: c holds these rows and columns; those of other tasks are others.
                unsafe {
                    let c = first_element.at(rows.start * product.b.columns + columns.start);
                    Block { with, product, stretch, rows, columns, kept, key, c }.run();
                }
            };
            if stretch.shared {
                let (remaining, numbers) = (Remaining::new(count), (0..count).into_par_iter());
                numbers.with_max_len(1).for_each(|number| remaining.run(|| task(number)));
            } else {
                (0..count).for_each(task);
            }
        }
    };
    if product.in_parts() {
        parts(product, c.data, blocks);
    } else {
        stretches(product, c.data, blocks);
    }
}

/// `c = a b + bias`, groups of `rows` whole rows to a task; `after(group, rows, partial)` as in
/// [`product_rows`](crate::kernels::gemm::product_rows).
pub(in crate::kernels::gemm) fn product_rows(
    with: Arithmetic,
    product: &Product<'_>,
    rows: usize,
    c: &mut [f32],
    (partials, partial_len): (&mut [f64], usize),
    after: impl Fn(usize, &mut [f32], &mut [f64]) + Sync,
) {
    let (width, kept) = (product.b.columns, Factor::B);
    stretches(product, c, |stretch, c| {
        for first in (0..width).step_by(KEPT_LINES) {
            let (end, key) = (width.min(first + KEPT_LINES), next_key());
            let groups = c.par_chunks_mut(rows * width).zip(partials.par_chunks_mut(partial_len));
            groups.enumerate().with_max_len(1).for_each(|(group, (c, partial))| {
                let rows = group * rows..group * rows + c.len() / width;
                let columns = first..end;
                // SAFETY: c is these rows, borrowed alone.
                unsafe {
                    let c = c.as_mut_ptr().add(first);
                    Block { with, product, stretch, rows, columns, kept, key, c }.run();
                }
                if end == width && stretch.terms.end == product.a.columns {
                    after(group, c, partial);
                }
            });
        }
    });
}

/// A number that no other strips have.
fn next_key() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
