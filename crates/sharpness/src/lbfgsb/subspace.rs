//! The subspace minimisation: the quadratic model's minimum over the variables that the Cauchy
//! point leaves free, brought back into the box.
//!
//! With F the free variables, r_F = ( g + theta (x^c - x) - W M c )_F the model's gradient at the
//! Cauchy point x^c, and N = W_F'W_F:
//! d_F = -( r_F + W_F v / theta ) / theta, v = ( M^-1 - N / theta )^-1 W_F' r_F.
//! The end point z is the projection of x^c + d, if g'(z - x) is at most a tenth of g'(x^c - x) < 0;
//! else x^c + alpha d with the largest feasible alpha <= 1.
//!
//! # Source
//! Byrd, Lu, Nocedal and Zhu 1995, section 5.1 (direct primal method); Morales and Nocedal 2011,
//! ACM TOMS 38(1), 7 (the projection).
//!
//! # Differences
//! Morales and Nocedal take every projection with g'(z - x) < 0. Some descend so little that the line
//! search stops after a step of 1e-5, far from a minimum: hence the tenth.

use std::ops::Range;

use smoothout_tensor::Real;

use super::Bounds;
use super::history::{Columns, History, MOST_COLUMNS};
use crate::vector::{reduce, sum, update};

/// A projected point that descends less than this share of the Cauchy point's descent is not taken.
const LEAST_DESCENT: f64 = 0.1;

/// The sums over the free variables: W_F'r_F and the upper triangle of W_F'W_F.
#[derive(Clone)]
struct Sums {
    free: usize,
    residual: Columns,
    gram: [f64; MOST_COLUMNS * (MOST_COLUMNS + 1) / 2],
}

/// Moves `point`, the Cauchy point, on to the model's minimum over the free variables and writes it
/// to `z`. False if the model broke down, when the history should be forgotten.
pub(super) fn subspace_minimum<R: Real>(
    history: &mut History<R>,
    bounds: Bounds<'_, R>,
    x: &[R],
    g: &[R],
    c: &Columns,
    point: &[R],
    z: &mut [R],
) -> bool {
    z.copy_from_slice(point);
    let (theta, columns) = (history.theta, history.columns());
    if columns == 0 {
        return true;
    }
    let m_c = history.middle_times(c);
    let is_free = |i: usize| bounds.holds_inside(i, point[i]);
    let residual = |history: &History<R>, i: usize| {
        g[i].as_f64() + theta * (point[i].as_f64() - x[i].as_f64()) - history.row_dot(i, &m_c)
    };

    let piece = |range: Range<usize>| {
        let mut sums = Box::new(Sums {
            free: 0,
            residual: [0.0; MOST_COLUMNS],
            gram: [0.0; MOST_COLUMNS * (MOST_COLUMNS + 1) / 2],
        });
        let mut row = [0.0; MOST_COLUMNS];
        for i in range.filter(|&i| is_free(i)) {
            row.iter_mut().zip(history.row(i)).for_each(|(out, w)| *out = w.as_f64());
            let r = residual(history, i);
            sums.free += 1;
            let mut start = 0;
            for a in 0..columns {
                sums.residual[a] += r * row[a];
                let line = &mut sums.gram[start..start + a + 1];
                line.iter_mut().zip(&row).for_each(|(sum, w)| *sum += row[a] * w);
                start += a + 1;
            }
        }
        sums
    };
    let add = |mut a: Box<Sums>, b: Box<Sums>| {
        a.free += b.free;
        a.residual.iter_mut().zip(b.residual).for_each(|(a, b)| *a += b);
        a.gram.iter_mut().zip(b.gram).for_each(|(a, b)| *a += b);
        a
    };
    let sums = reduce(0..x.len(), &piece, &add);
    if sums.free == 0 {
        return true;
    }

    let mut system = history.middle_inverse.clone();
    let mut entries = sums.gram.iter();
    for a in 0..columns {
        for (b, entry) in (0..=a).zip(&mut entries) {
            system[a * columns + b] -= entry / theta;
            if a != b {
                system[b * columns + a] -= entry / theta;
            }
        }
    }
    let mut v = [0.0; MOST_COLUMNS];
    if !history.lu.factor(&system, columns) {
        return false;
    }
    history.lu.solve(&sums.residual[..columns], &mut v[..columns]);
    if !v.iter().all(|v| v.is_finite()) {
        return false;
    }

    let history = &*history;
    let step = |i: usize| -(residual(history, i) + history.row_dot(i, &v) / theta) / theta;
    update(z, |i, at| if is_free(i) { bounds.clamp(i, at + R::from_f64(step(i))) } else { at });
    let descent = |to: &[R]| {
        sum(x.len(), |range| range.map(|i| (to[i].as_f64() - x[i].as_f64()) * g[i].as_f64()).sum())
    };
    if descent(z) > LEAST_DESCENT * descent(point) {
        let feasible = |range: Range<usize>| {
            range.filter(|&i| is_free(i)).fold(1.0_f64, |alpha, i| {
                let d = step(i);
                let room = bounds.toward(i, R::from_f64(d)).as_f64() - point[i].as_f64();
                if d == 0.0 { alpha } else { alpha.min(room / d) }
            })
        };
        let alpha = reduce(0..x.len(), &feasible, &f64::min);
        update(z, |i, _| {
            if is_free(i) {
                bounds.clamp(i, point[i] + R::from_f64(alpha * step(i)))
            } else {
                point[i]
            }
        });
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{CHUNK, dot};

    /// Where the box is wide the model's gradient, g + B (z - x), vanishes in every free variable, and
    /// the others stay; also where sums are taken in several pieces.
    #[test]
    fn the_model_is_stationary_in_the_free_variables() {
        for n in [7, 3 * CHUNK + 5] {
            let wave = |i: usize, k: f64| (k * (i + 1) as f64).sin();
            let mut history = History::<f64>::new(n, 3);
            for k in [0.3, 0.7, 1.1, 1.9] {
                let s: Vec<f64> = (0..n).map(|i| wave(i, k)).collect();
                let y: Vec<f64> = (0..n).map(|i| (1.5 + wave(i, 0.9)) * s[i]).collect();
                assert!(history.push(|i| s[i], |i| y[i], dot(&s, &y), dot(&y, &y)));
            }
            let x: Vec<f64> = (0..n).map(|i| wave(i, 2.3)).collect();
            let g: Vec<f64> = (0..n).map(|i| wave(i, 3.1)).collect();
            // Every third variable went to its bound, and all of a first piece.
            let met = |i: usize| i.is_multiple_of(3) || (i < CHUNK && n > CHUNK);
            let point: Vec<f64> =
                (0..n).map(|i| if met(i) { x[i] - 0.5 * g[i] } else { x[i] }).collect();
            let lower: Vec<f64> = (0..n).map(|i| if met(i) { point[i] } else { -1e9 }).collect();
            let upper = vec![1e9; n];
            let bounds = Bounds::new(&lower, &upper).unwrap();
            let c = history.transposed_times(|i| point[i] - x[i]);
            let mut z = vec![f64::NAN; n];
            assert!(subspace_minimum(&mut history, bounds, &x, &g, &c, &point, &mut z));
            let m = history.middle_times(&history.transposed_times(|i| z[i] - x[i]));
            for i in 0..n {
                let b = history.theta * (z[i] - x[i]) - history.row_dot(i, &m);
                assert!(met(i) || (g[i] + b).abs() < 1e-9, "{n}, {i}: {} {b}", g[i]);
                assert!(!met(i) || z[i] == point[i], "{n}, {i}");
            }
        }
    }
}
