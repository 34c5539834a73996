//! The limited-memory Hessian: B = theta I - W M W'.
//!
//! From the last k <= m pairs s = x_new - x, y = g_new - g with s'y > 0: W = [Y S], and
//!
//! M^-1 = [ -D    L'/theta     ]   D = diag(s_i'y_i), L_ij = s_i'y_j for i newer than j,
//!        [ L/theta  S'S/theta ]   theta = y'y / s'y of the newest pair.
//!
//! (The paper's W is [Y theta S]; theta is moved into M here, so that rows of W never change.) W is
//! stored row by row, y and s of a pair side by side: a row, which is what a breakpoint or a free
//! variable needs, is one or two cache lines. Slots are used in turn; the order of the pairs stands
//! in `age`.
//!
//! # Source
//! Byrd, Nocedal and Schnabel 1994 (compact representations); Byrd, Lu, Nocedal and Zhu 1995,
//! section 3.

use std::ops::Range;

use rayon::prelude::*;
use smoothout_tensor::Real;

use crate::dense::Lu;
use crate::vector::{CHUNK, reduce, zeros};

/// The most pairs.
pub(super) const MOST_PAIRS: usize = 20;
/// The most columns of W.
pub(super) const MOST_COLUMNS: usize = 2 * MOST_PAIRS;

/// One number per column of W.
pub(super) type Columns = [f64; MOST_COLUMNS];

/// The pairs, and M.
pub(super) struct History<R> {
    n: usize,
    pairs: usize,
    used: usize,
    next: usize,
    age: [u64; MOST_PAIRS],
    clock: u64,
    rows: Vec<R>,
    pub(super) theta: f64,
    /// s_i'y_j at [i * pairs + j], s_i's_j likewise.
    sy: Vec<f64>,
    ss: Vec<f64>,
    /// M^-1 and M, columns() x columns().
    pub(super) middle_inverse: Vec<f64>,
    middle: Vec<f64>,
    pub(super) lu: Lu,
}

impl<R: Real> History<R> {
    pub(super) fn new(n: usize, pairs: usize) -> Self {
        Self {
            n,
            pairs,
            used: 0,
            next: 0,
            age: [0; MOST_PAIRS],
            clock: 0,
            rows: zeros(n * 2 * pairs),
            theta: 1.0,
            sy: vec![0.0; pairs * pairs],
            ss: vec![0.0; pairs * pairs],
            middle_inverse: Vec::with_capacity(4 * pairs * pairs),
            middle: Vec::with_capacity(4 * pairs * pairs),
            lu: Lu::default(),
        }
    }

    /// The columns of W in use: two a pair.
    pub(super) fn columns(&self) -> usize {
        2 * self.used
    }

    /// Forgets all pairs: B = I.
    pub(super) fn reset(&mut self) {
        (self.used, self.next, self.theta) = (0, 0, 1.0);
    }

    /// Row i of W.
    pub(super) fn row(&self, i: usize) -> &[R] {
        &self.rows[i * 2 * self.pairs..][..self.columns()]
    }

    /// The inner product of row i with `v`.
    pub(super) fn row_dot(&self, i: usize, v: &Columns) -> f64 {
        self.row(i).iter().zip(v).map(|(w, v)| w.as_f64() * v).sum()
    }

    /// M v.
    pub(super) fn middle_times(&self, v: &Columns) -> Columns {
        let columns = self.columns();
        let mut product = [0.0; MOST_COLUMNS];
        for (row, &v) in self.middle.chunks_exact(columns.max(1)).zip(v) {
            product[..columns].iter_mut().zip(row).for_each(|(out, m)| *out += m * v);
        }
        product
    }

    /// W'v for the vector v_i = `element(i)`.
    pub(super) fn transposed_times(&self, element: impl Fn(usize) -> f64 + Sync) -> Columns {
        let piece = |range: Range<usize>| {
            let mut sums = [0.0; MOST_COLUMNS];
            for i in range {
                let v = element(i);
                if v != 0.0 {
                    sums.iter_mut().zip(self.row(i)).for_each(|(sum, w)| *sum += w.as_f64() * v);
                }
            }
            sums
        };
        reduce(0..self.n, &piece, &add_columns)
    }

    /// Takes the pair s = `step` (z - x), y = g - `before`, given s'y; false if B can no longer be
    /// formed, after which the history is empty.
    pub(super) fn push(
        &mut self,
        s: impl Fn(usize) -> R + Sync,
        y: impl Fn(usize) -> R + Sync,
        sy: f64,
        yy: f64,
    ) -> bool {
        let slot = self.next;
        self.next = (slot + 1) % self.pairs;
        self.used = self.used.max(slot + 1);
        self.clock += 1;
        self.age[slot] = self.clock;
        self.theta = yy / sy;
        let stride = 2 * self.pairs;
        let pieces = self.rows.par_chunks_mut(stride * CHUNK).enumerate();
        pieces.for_each(|(chunk, rows)| {
            for (i, row) in rows.chunks_exact_mut(stride).enumerate() {
                (row[2 * slot], row[2 * slot + 1]) = (y(chunk * CHUNK + i), s(chunk * CHUNK + i));
            }
        });
        let with_s = self.transposed_times(|i| s(i).as_f64());
        let with_y = self.transposed_times(|i| y(i).as_f64());
        for j in 0..self.used {
            self.sy[slot * self.pairs + j] = with_s[2 * j];
            self.sy[j * self.pairs + slot] = with_y[2 * j + 1];
            self.ss[slot * self.pairs + j] = with_s[2 * j + 1];
            self.ss[j * self.pairs + slot] = with_s[2 * j + 1];
        }
        let formed = self.form_middle();
        if !formed {
            self.reset();
        }
        formed
    }

    /// M^-1 from the inner products, and M by inverting it.
    fn form_middle(&mut self) -> bool {
        let (columns, pairs) = (self.columns(), self.pairs);
        self.middle_inverse.clear();
        self.middle_inverse.resize(columns * columns, 0.0);
        for i in 0..self.used {
            for j in 0..self.used {
                let (y_i, s_i, y_j, s_j) = (2 * i, 2 * i + 1, 2 * j, 2 * j + 1);
                self.middle_inverse[s_i * columns + s_j] = self.ss[i * pairs + j] / self.theta;
                if i == j {
                    self.middle_inverse[y_i * columns + y_j] = -self.sy[i * pairs + i];
                } else if self.age[i] > self.age[j] {
                    let l = self.sy[i * pairs + j] / self.theta;
                    self.middle_inverse[s_i * columns + y_j] = l;
                    self.middle_inverse[y_j * columns + s_i] = l;
                }
            }
        }
        if !self.lu.factor(&self.middle_inverse, columns) {
            return false;
        }
        self.middle.clear();
        self.middle.resize(columns * columns, 0.0);
        let mut unit = [0.0; MOST_COLUMNS];
        for (column, out) in self.middle.chunks_exact_mut(columns).enumerate() {
            unit[column] = 1.0;
            self.lu.solve(&unit[..columns], out);
            unit[column] = 0.0;
        }
        self.middle.iter().all(|m| m.is_finite())
    }
}

fn add_columns(mut a: Columns, b: Columns) -> Columns {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B s = y for the newest pair (the secant equation), also after old pairs were dropped.
    #[test]
    fn the_secant_equation_holds() {
        let n = 6;
        let mut history = History::<f64>::new(n, 3);
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1 << 30) - 1.0
        };
        for _pair in 0..7 {
            let s: Vec<f64> = (0..n).map(|_| random()).collect();
            let y: Vec<f64> = (0..n).map(|i| (i + 1) as f64 * s[i]).collect();
            let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            assert!(history.push(|i| s[i], |i| y[i], product(&s, &y), product(&y, &y)));
            let c = history.middle_times(&history.transposed_times(|i| s[i]));
            for i in 0..n {
                let b_s = history.theta * s[i] - history.row_dot(i, &c);
                assert!((b_s - y[i]).abs() < 1e-10, "{b_s} {}", y[i]);
            }
        }
    }

    /// W'v where the sums are taken in several pieces.
    #[test]
    fn products_are_their_definition_over_several_chunks() {
        let n = 3 * CHUNK + 5;
        let mut history = History::<f64>::new(n, 2);
        let (s, y) = (|i: usize| (0.1 * i as f64).sin(), |i: usize| (0.3 * i as f64).cos());
        assert!(history.push(s, y, 1.0, 2.0));
        let v = |i: usize| (0.7 * i as f64).sin() + 1.0;
        let found = history.transposed_times(v);
        for (found, w) in found.iter().zip([&y as &dyn Fn(usize) -> f64, &s]) {
            let expected: f64 = (0..n).map(|i| w(i) * v(i)).sum();
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
    }
}
