//! The generalised Cauchy point: the first minimiser of the quadratic model along the projected
//! steepest descent path.
//!
//! The path x(t) = P(x - t g) is a broken line with a corner wherever a variable meets its bound, at
//! t_i = (x_i - bound_i) / g_i. Along each piece the model is a parabola in t, whose derivatives are
//! updated from corner to corner in O(k^2) (k: pairs). The corners are sorted in growing
//! portions, so that a path that ends early sorts little.
//!
//! # Source
//! Byrd, Lu, Nocedal and Zhu 1995, algorithm CP (section 4).

use rayon::prelude::*;
use smoothout_tensor::Real;

use super::Bounds;
use super::history::{Columns, History, MOST_COLUMNS};
use crate::vector::{sum, update};

/// The corners of the path: (t, index).
pub(super) type Corners<R> = Vec<(R, u32)>;

/// Writes the Cauchy point to `point` and returns c = W'(point - x).
pub(super) fn cauchy_point<R: Real>(
    history: &History<R>,
    bounds: Bounds<'_, R>,
    x: &[R],
    g: &[R],
    corners: &mut Corners<R>,
    point: &mut [R],
) -> Columns {
    // d = -g where the path can move at all; its corner, infinite without a bound.
    let corner = |i: usize| {
        let bound = bounds.toward(i, -g[i]);
        if g[i] == R::zero() { R::infinity() } else { ((x[i] - bound) / g[i]).max(R::zero()) }
    };
    let direction = |i: usize| if corner(i) > R::zero() { -g[i].as_f64() } else { 0.0 };
    corners.clear();
    corners.extend((0..x.len()).filter_map(|i| {
        let t = corner(i);
        (t > R::zero() && t < R::infinity()).then_some((t, i as u32))
    }));
    point.copy_from_slice(x);

    let theta = history.theta;
    let columns = history.columns();
    let mut p =
        if columns == 0 { [0.0; MOST_COLUMNS] } else { history.transposed_times(direction) };
    let mut c = [0.0; MOST_COLUMNS];
    let mut slope = -sum(x.len(), |range| range.map(|i| direction(i).powi(2)).sum());
    let inner = |a: &Columns, b: &Columns| -> f64 { (0..columns).map(|k| a[k] * b[k]).sum() };
    let mut curvature = -theta * slope - inner(&p, &history.middle_times(&p));
    let least_curvature = f64::EPSILON * -theta * slope;
    if slope == 0.0 {
        return c;
    }
    curvature = curvature.max(least_curvature);
    let mut to_minimum = -slope / curvature;
    let mut t_before = 0.0;

    let (mut sorted, mut portion) = (0, 64);
    for k in 0..corners.len() {
        if k == sorted {
            // The next portion of the smallest corners, in order; ties by index.
            let rest = &mut corners[sorted..];
            let by_t = |a: &(R, u32), b: &(R, u32)| {
                a.0.as_f64().total_cmp(&b.0.as_f64()).then(a.1.cmp(&b.1))
            };
            if portion < rest.len() {
                rest.select_nth_unstable_by(portion, by_t);
            }
            let taken = portion.min(rest.len());
            rest[..taken].par_sort_unstable_by(by_t);
            sorted += taken;
            portion *= 8;
        }
        let (t, i) = (corners[k].0.as_f64(), corners[k].1 as usize);
        let dt = t - t_before;
        if to_minimum < dt {
            break;
        }
        t_before = t;
        let bound = bounds.toward(i, -g[i]);
        point[i] = bound;
        let (g_i, z_i) = (g[i].as_f64(), bound.as_f64() - x[i].as_f64());
        slope += dt * curvature + g_i * g_i + theta * g_i * z_i;
        curvature -= theta * g_i * g_i;
        if columns > 0 {
            let mut row = [0.0; MOST_COLUMNS];
            row.iter_mut().zip(history.row(i)).for_each(|(out, w)| *out = w.as_f64());
            let m_row = history.middle_times(&row);
            for k in 0..columns {
                c[k] += dt * p[k];
            }
            slope -= g_i * inner(&m_row, &c);
            curvature -= 2.0 * g_i * inner(&m_row, &p) + g_i * g_i * inner(&m_row, &row);
            for k in 0..columns {
                p[k] += g_i * row[k];
            }
        }
        curvature = curvature.max(least_curvature);
        to_minimum = if k + 1 == x.len() { 0.0 } else { -slope / curvature };
    }
    let to_minimum = to_minimum.max(0.0);
    let t_end = t_before + to_minimum;
    for k in 0..columns {
        c[k] += to_minimum * p[k];
    }
    let t = R::from_f64(t_end);
    update(point, |i, at| {
        // A variable that met its bound stands there already.
        if g[i] == R::zero() || at == bounds.toward(i, -g[i]) {
            at
        } else {
            bounds.clamp(i, x[i] - t * g[i])
        }
    });
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The point by its definition: B as a matrix, the model's slope taken anew on each piece.
    fn plain(b: &[Vec<f64>], bounds: Bounds<'_, f64>, x: &[f64], g: &[f64]) -> Vec<f64> {
        let n = x.len();
        let at = |t: f64| (0..n).map(|i| bounds.clamp(i, x[i] - t * g[i])).collect::<Vec<_>>();
        let corner = |i: usize| (x[i] - bounds.toward(i, -g[i])) / g[i];
        let mut corners: Vec<f64> = (0..n).filter(|&i| g[i] != 0.0).map(corner).collect();
        corners.sort_by(f64::total_cmp);
        let mut start = 0.0;
        for end in corners.into_iter().filter(|&t| t > 0.0).chain([f64::INFINITY]) {
            let moves = |i: usize| g[i] != 0.0 && corner(i) > start;
            let d: Vec<f64> = (0..n).map(|i| if moves(i) { -g[i] } else { 0.0 }).collect();
            let way: Vec<f64> = at(start).iter().zip(x).map(|(at, x)| at - x).collect();
            let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let slope: f64 = (0..n).map(|i| d[i] * (g[i] + inner(&b[i], &way))).sum();
            let curvature: f64 = (0..n).map(|i| d[i] * inner(&b[i], &d)).sum();
            if slope >= 0.0 {
                break;
            } else if start - slope / curvature < end {
                return at(start - slope / curvature);
            }
            start = end;
        }
        at(start)
    }

    /// With and without pairs, with bounds on either side, on both or on none, variables at a bound
    /// or without gradient, and as many corners as a portion has, one more, and many.
    #[test]
    fn the_point_is_the_first_minimiser_along_the_path() {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        let (mut ended, mut passed) = (0, 0);
        for (case, n) in [1, 2, 5, 9, 65, 64, 65, 64, 130, 260].repeat(4).into_iter().enumerate() {
            let mut history = History::<f64>::new(n, 3);
            for _ in 0..case % 5 {
                let s: Vec<f64> = (0..n).map(|_| random() - 0.5).collect();
                let y: Vec<f64> = s.iter().map(|s| s * (0.2 + 2.0 * random())).collect();
                let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
                history.push(|i| s[i], |i| y[i], product(&s, &y), product(&y, &y));
            }
            let b: Vec<Vec<f64>> = (0..n)
                .map(|j| {
                    let m = history
                        .middle_times(&history.transposed_times(|i| f64::from(u8::from(i == j))));
                    let unit = |i: usize| if i == j { history.theta } else { 0.0 };
                    (0..n).map(|i| unit(i) - history.row_dot(i, &m)).collect()
                })
                .collect();
            let x: Vec<f64> = (0..n).map(|_| random()).collect();
            let mut g: Vec<f64> = (0..n).map(|_| random() - 0.5).collect();
            // As far as the path goes, or farther; in every second case all variables have bounds.
            let reach = [0.1, 0.5, 2.0][case % 3];
            let mut bound = |i: usize, sign: f64| match (random() * 8.0) as u32 {
                0 if case % 2 == 0 => sign * f64::INFINITY,
                1 if case % 4 == 0 => x[i],
                _ => x[i] + sign * reach * random(),
            };
            let lower: Vec<f64> = (0..n).map(|i| bound(i, -1.0)).collect();
            let upper: Vec<f64> = (0..n).map(|i| bound(i, 1.0)).collect();
            if case % 4 == 2 {
                g[n / 2] = 0.0;
            }
            let bounds = Bounds::new(&lower, &upper).unwrap();
            let (mut point, mut corners) = (vec![f64::NAN; n], Vec::new());
            let c = cauchy_point(&history, bounds, &x, &g, &mut corners, &mut point);
            let expected = plain(&b, bounds, &x, &g);
            for i in 0..n {
                let off = (point[i] - expected[i]).abs();
                assert!(off < 1e-9, "{case}, {n}: {} not {}", point[i], expected[i]);
            }
            let way = history.transposed_times(|i| point[i] - x[i]);
            for k in 0..history.columns() {
                assert!((c[k] - way[k]).abs() < 1e-9, "{case}, {n}: {} not {}", c[k], way[k]);
            }
            let met = (0..n).filter(|&i| bounds.meets(i, point[i])).count();
            (ended, passed) =
                (ended + usize::from(met == n), passed + usize::from(64 < met && met < n));
        }
        assert!(ended > 2 && passed > 2, "{ended} at the last corner, {passed} beyond a portion");
    }
}
