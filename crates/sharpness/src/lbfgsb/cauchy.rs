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
