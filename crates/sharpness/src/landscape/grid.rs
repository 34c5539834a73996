//! Values on the points of a line or a rectangle, filled in order and resumed where they stopped.
//!
//! Value (i, j) is the loss at (x_i, y_j) and stands at i * (number of y) + j: the first axis is x.
//! How many values are known is a count of its own, so that zeros, negative values and NaN are values
//! like any other.

use std::ops::ControlFlow;

use super::Chart;
use crate::pool::Pool;
use crate::{Ending, Objective, SharpnessError, error};

/// Evenly spaced coordinates along one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Axis {
    /// The first coordinate.
    pub from: f64,
    /// The last coordinate.
    pub to: f64,
    /// How many, at least 1.
    pub count: usize,
}

impl Axis {
    /// Coordinate i; the last one is exactly `to`.
    pub fn at(&self, i: usize) -> f64 {
        if i + 1 == self.count && i > 0 {
            self.to
        } else {
            self.from + (self.to - self.from) * i as f64 / (self.count.max(2) - 1) as f64
        }
    }
}

/// Values on a grid, all or the first few.
///
/// # Examples
/// The paper's line: alpha in [-1, 2] from one solution to another.
/// ```
/// use smoothout_sharpness::{Axis, Chart, FnObjective, Grid};
///
/// let f = FnObjective::new(2, |w: &[f64]| w[0] * w[0] + w[1]);
/// let chart = Chart::line(&[0.0, 0.0], &[1.0, 2.0])?;
/// let mut grid = Grid::new("loss", &[Axis { from: -1.0, to: 2.0, count: 7 }])?;
/// grid.fill(&f, &chart)?;
/// assert_eq!(grid.value(&[6]), Some(4.0 + 4.0)); // alpha = 2: w = (2, 4)
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "super::write::SavedGrid"))]
pub struct Grid {
    quantity: String,
    axes: Vec<Axis>,
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::write::numbers::serialize"))]
    values: Vec<f64>,
}

/// The most axes of a grid.
const MOST_AXES: usize = 8;

/// The most points of a grid: a plane of 4096 by 4096, each an evaluation of the objective.
const MOST_POINTS: usize = 1 << 24;

/// Points evaluated between two calls of the observer.
const BATCH: usize = 64;

impl Grid {
    /// An empty grid of a named quantity ("loss", "error").
    ///
    /// # Errors
    /// If there is no axis or more than 8, an axis has no point, an end is not finite, or there are
    /// more than 2^24 points.
    pub fn new(quantity: &str, axes: &[Axis]) -> Result<Self, SharpnessError> {
        let allowed = (1..=MOST_AXES).contains(&axes.len());
        error::setting("the number of axes", axes.len() as f64, allowed, "from 1 to 8")?;
        let mut points = 1.0;
        for axis in axes {
            let count = axis.count;
            error::setting("an axis's number of points", count as f64, count > 0, "at least 1")?;
            error::finite("an end of an axis", axis.from)?;
            error::finite("an end of an axis", axis.to)?;
            points *= count as f64;
        }
        let allowed = points <= MOST_POINTS as f64;
        error::setting("a grid's number of points", points, allowed, "at most 2^24")?;
        Ok(Self { quantity: quantity.to_owned(), axes: axes.to_vec(), values: Vec::new() })
    }

    /// A grid with its first values.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if there are more values than points.
    #[cfg(feature = "serde")]
    pub(super) fn with_values(
        quantity: &str,
        axes: &[Axis],
        values: Vec<f64>,
    ) -> Result<Self, SharpnessError> {
        let grid = Self::new(quantity, axes)?;
        let (found, allowed) = (values.len() as f64, values.len() <= grid.len());
        error::setting("a grid's number of values", found, allowed, "at most that of its points")?;
        Ok(Self { values, ..grid })
    }

    /// Takes the values of a saved grid, to go on with.
    ///
    /// # Errors
    /// If the saved grid is of another quantity or has other axes.
    pub fn resume(self, saved: Self) -> Result<Self, SharpnessError> {
        let describe = |grid: &Self| format!("{} on {:?}", grid.quantity, grid.axes);
        if (&saved.quantity, &saved.axes) == (&self.quantity, &self.axes) {
            Ok(saved)
        } else {
            let (found, expected) = (describe(&saved), describe(&self));
            Err(SharpnessError::OtherGrid { found, expected })
        }
    }

    /// The quantity.
    pub fn quantity(&self) -> &str {
        &self.quantity
    }

    /// The axes.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// The values so far, the last axis fastest.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The number of points.
    #[expect(clippy::len_without_is_empty, reason = "a grid has at least one point")]
    pub fn len(&self) -> usize {
        self.axes.iter().map(|axis| axis.count).product()
    }

    /// True when every point has a value.
    pub fn is_complete(&self) -> bool {
        self.values.len() == self.len()
    }

    /// The value at these indices; `None` if it is not known yet or they are outside.
    pub fn value(&self, indices: &[usize]) -> Option<f64> {
        let inside = indices.len() == self.axes.len()
            && indices.iter().zip(&self.axes).all(|(&i, axis)| i < axis.count);
        let place =
            indices.iter().zip(&self.axes).fold(0, |place, (i, axis)| place * axis.count + i);
        if inside { self.values.get(place).copied() } else { None }
    }

    /// The coordinates of point `place`.
    pub fn coordinates(&self, mut place: usize, out: &mut [f64]) {
        for (axis, out) in self.axes.iter().zip(out).rev() {
            *out = axis.at(place % axis.count);
            place /= axis.count;
        }
    }

    /// Evaluates what is missing, in parallel.
    ///
    /// # Errors
    /// If the chart does not fit the grid or the objective.
    pub fn fill<O: Objective>(
        &mut self,
        objective: &O,
        chart: &Chart<O::Real>,
    ) -> Result<Ending, SharpnessError> {
        self.fill_observed(objective, chart, &mut |_| ControlFlow::Continue(()))
    }

    /// [`fill`](Self::fill) with an observer that sees the grid after every 64 points: save it there
    /// to be able to resume, or break.
    ///
    /// # Errors
    /// As [`fill`](Self::fill).
    pub fn fill_observed<O: Objective>(
        &mut self,
        objective: &O,
        chart: &Chart<O::Real>,
        observer: &mut dyn FnMut(&Self) -> ControlFlow<()>,
    ) -> Result<Ending, SharpnessError> {
        error::same_length("the chart's origin", chart.len(), objective.dimension())?;
        error::same_length("the grid's axes", self.axes.len(), chart.dimensions())?;
        let mut pool = Pool::of_points(objective);
        let (mut batch, count) = ([0.0; BATCH], self.len());
        self.values.reserve_exact(count - self.values.len());
        while self.values.len() < count {
            let first = self.values.len();
            let out = &mut batch[..BATCH.min(count - first)];
            let grid = &*self;
            pool.values(first, out, &|objective, place, slot| {
                let mut coordinates = [0.0; MOST_AXES];
                let coordinates = &mut coordinates[..grid.axes.len()];
                grid.coordinates(place, coordinates);
                chart.point(coordinates, &mut slot.point);
                objective.value(&slot.point, &mut slot.scratch)
            });
            self.values.extend_from_slice(out);
            if observer(self) == ControlFlow::Break(()) && !self.is_complete() {
                return Ok(Ending::Stopped);
            }
        }
        Ok(Ending::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FnObjective;

    fn rectangle() -> Grid {
        let axes = [Axis { from: 0.0, to: 2.0, count: 3 }, Axis { from: 0.0, to: 4.0, count: 5 }];
        Grid::new("loss", &axes).unwrap()
    }

    fn chart() -> Chart<f64> {
        Chart::new(&[0.0, 0.0], vec![vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap()
    }

    /// The trap: a rectangular grid stored transposed.
    #[test]
    fn each_index_has_its_own_value() {
        let mut grid = rectangle();
        grid.fill(&FnObjective::new(2, |w: &[f64]| 10.0 * w[0] + w[1]), &chart()).unwrap();
        for i in 0..3 {
            for j in 0..5 {
                assert_eq!(grid.value(&[i, j]), Some((10 * i + j) as f64));
            }
        }
        assert_eq!(grid.value(&[3, 0]), None);
        assert_eq!(grid.value(&[0, 5]), None);
    }

    /// Zeros, negative values and NaN are kept, and not evaluated again after an interruption.
    #[test]
    fn values_like_any_other() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let calls = AtomicUsize::new(0);
        let f = FnObjective::new(1, |w: &[f64]| {
            calls.fetch_add(1, Ordering::Relaxed);
            match w[0] as i64 % 4 {
                0 => 0.0,
                1 => -1.0,
                2 => f64::NAN,
                _ => w[0],
            }
        });
        let axis = Axis { from: 0.0, to: 199.0, count: 200 };
        let line = Chart::line(&[0.0], &[1.0]).unwrap();
        let mut grid = Grid::new("loss", &[axis]).unwrap();
        let ending = grid.fill_observed(&f, &line, &mut |_| ControlFlow::Break(())).unwrap();
        assert_eq!((ending, grid.values().len()), (Ending::Stopped, 64));
        let mut resumed = Grid::new("loss", &[axis]).unwrap().resume(grid).unwrap();
        resumed.fill(&f, &line).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 200);
        let whole: Vec<u64> = resumed.values().iter().map(|value| value.to_bits()).collect();
        let mut once = Grid::new("loss", &[axis]).unwrap();
        let mut looks = Vec::new();
        let ending = once.fill_observed(&f, &line, &mut |grid| {
            looks.push((grid.values().len(), grid.is_complete()));
            if grid.values().len() < 200 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        // Nothing is left to be stopped.
        assert_eq!(ending.unwrap(), Ending::Done);
        assert_eq!(looks, [(64, false), (128, false), (192, false), (200, true)]);
        assert_eq!(whole, once.values().iter().map(|value| value.to_bits()).collect::<Vec<_>>());
        assert!(resumed.value(&[2]).unwrap().is_nan() && resumed.value(&[4]) == Some(0.0));
        assert!(Grid::new("error", &[axis]).unwrap().resume(resumed).is_err());
    }

    #[test]
    fn axes_end_where_they_should() {
        let axis = Axis { from: -1.0, to: 2.0, count: 31 };
        assert_eq!((axis.at(0), axis.at(10), axis.at(30)), (-1.0, 0.0, 2.0));
        assert_eq!(Axis { count: 1, ..axis }.at(0), -1.0);
        // Not 1 + (1e-20 - 1), which is 0.
        assert_eq!(Axis { from: 1.0, to: 1e-20, count: 3 }.at(2), 1e-20);
        assert!(Grid::new("loss", &[]).is_err());
        assert!(Grid::new("loss", &[Axis { count: 0, ..axis }]).is_err());
    }

    /// Counts whose product a machine word cannot hold are refused, not wrapped around.
    #[test]
    fn grids_are_of_a_size_that_can_be_evaluated() {
        let axes = |count, axes| vec![Axis { from: 0.0, to: 1.0, count }; axes];
        assert_eq!(Grid::new("loss", &axes(1 << 12, 2)).unwrap().len(), MOST_POINTS);
        for (count, number) in [(1 << 13, 2), (1 << 40, 2), (usize::MAX, 1), (1, 9)] {
            let error = Grid::new("loss", &axes(count, number)).unwrap_err().to_string();
            assert!(error.contains("points") || error.contains("axes"), "{error}");
        }
    }
}
