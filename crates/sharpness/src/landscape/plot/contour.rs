//! Contours of a grid.

use super::has_place;
use crate::Grid;

/// The segments of one contour of a two-dimensional grid, in its coordinates: each cell whose four
/// corners have a place is cut into two triangles, and a triangle whose corners are not all on one side of `level`
/// holds one segment.
///
/// # Panics
/// If the grid has fewer than two axes.
///
/// # Examples
/// ```
/// use smoothout_sharpness::{Axis, Chart, FnObjective, Grid, contour};
///
/// let axis = Axis { from: 0.0, to: 1.0, count: 2 };
/// let mut grid = Grid::new("x + y", &[axis, axis])?;
/// let plane = Chart::new(&[0.0, 0.0], vec![vec![1.0, 0.0], vec![0.0, 1.0]])?;
/// grid.fill(&FnObjective::new(2, |w: &[f64]| w[0] + w[1]), &plane)?;
/// for (x, y) in contour(&grid, 0.5).into_iter().flatten() {
///     assert!((x + y - 0.5).abs() < 1e-12);
/// }
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
pub fn contour(grid: &Grid, level: f64) -> Vec<[(f64, f64); 2]> {
    let (x, y) = (grid.axes()[0], grid.axes()[1]);
    let mut segments = Vec::new();
    let corner = |i: usize, j: usize| {
        grid.value(&[i, j]).filter(|&v| has_place(v)).map(|v| (x.at(i), y.at(j), v - level))
    };
    for i in 1..x.count {
        for j in 1..y.count {
            let corners = [corner(i - 1, j - 1), corner(i, j - 1), corner(i, j), corner(i - 1, j)];
            let [Some(a), Some(b), Some(c), Some(d)] = corners else { continue };
            for triangle in [[a, b, c], [a, c, d]] {
                let edges = [(0, 1), (1, 2), (2, 0)];
                let crossing: Vec<(f64, f64)> = edges
                    .iter()
                    .map(|&(p, q)| (triangle[p], triangle[q]))
                    .filter(|(p, q)| (p.2 < 0.0) != (q.2 < 0.0))
                    .map(|(p, q)| {
                        let t = p.2 / (p.2 - q.2);
                        (p.0 + t * (q.0 - p.0), p.1 + t * (q.1 - p.1))
                    })
                    .collect();
                if let [start, end] = crossing[..] {
                    segments.push([start, end]);
                }
            }
        }
    }
    segments
}
