//! The random subspace w + A y: A in memory, or drawn column by column when it is needed.
//!
//! A is n x p with independent normal entries of variance 1/p; rows of parameters that are not
//! selected are zero. A^+ w, which the size of the box needs, is the solution of A'A c = A'w.

use smoothout_tensor::{Purpose, Real, StreamKey, fill_gaussian};

use crate::dense::Lu;
use crate::selected::Selected;
use crate::vector::{add_scaled, dot, scale, zeros};
use crate::{Differentiable, Objective, SharpnessError};

/// The columns of A.
pub(super) struct Plane<'a, R> {
    selected: &'a Selected,
    n: usize,
    dimension: usize,
    seed: u64,
    /// All columns, or nothing.
    stored: Vec<Vec<R>>,
}

impl<'a, R: Real> Plane<'a, R> {
    pub(super) fn new(
        selected: &'a Selected,
        n: usize,
        dimension: usize,
        seed: u64,
        store: bool,
    ) -> Result<Self, SharpnessError> {
        if dimension > selected.count() {
            return Err(SharpnessError::DependentDirections { what: FEWER_DIRECTIONS });
        }
        let mut plane = Self { selected, n, dimension, seed, stored: Vec::new() };
        if store {
            plane.stored = (0..dimension)
                .map(|j| {
                    let mut column = zeros(n);
                    plane.draw(j, &mut column);
                    column
                })
                .collect();
        }
        Ok(plane)
    }

    fn draw(&self, j: usize, column: &mut [R]) {
        let key = StreamKey::new(self.seed, Purpose::Measurement).step(PLANE).copy(j as u64);
        fill_gaussian(key, column);
        scale(column, 1.0 / (self.dimension as f64).sqrt());
        self.selected.mask(column);
    }

    /// Calls `f(j, column j)` for every column; `buffer` holds the ones that are not stored.
    fn each(&self, buffer: &mut [R], mut f: impl FnMut(usize, &[R])) {
        for j in 0..self.dimension {
            if let Some(column) = self.stored.get(j) {
                f(j, column);
            } else {
                self.draw(j, buffer);
                f(j, buffer);
            }
        }
    }

    /// A^+ w.
    pub(super) fn coordinates(&self, w: &[R]) -> Result<Vec<f64>, SharpnessError> {
        let p = self.dimension;
        let (mut gram, mut right) = (vec![0.0; p * p], vec![0.0; p]);
        let [mut buffer, mut other] = [(); 2].map(|()| zeros(self.n));
        self.each(&mut buffer, |j, column| {
            right[j] = dot(column, w);
            self.each(&mut other, |k, second| {
                if k <= j {
                    gram[j * p + k] = dot(column, second);
                    gram[k * p + j] = gram[j * p + k];
                }
            });
        });
        let (mut lu, mut coordinates) = (Lu::default(), vec![0.0; p]);
        if !lu.factor(&gram, p) {
            return Err(SharpnessError::DependentDirections { what: FEWER_DIRECTIONS });
        }
        lu.solve(&right, &mut coordinates);
        Ok(coordinates)
    }
}

/// What a subspace of too many directions is told.
const FEWER_DIRECTIONS: &str =
    "a random subspace needs at most as many directions as there are selected parameters";

/// Keeps the streams of A apart from those of other measurements.
const PLANE: u64 = 3;

/// y -> f(w + A y).
pub(super) struct InSubspace<'a, O: Objective> {
    pub(super) objective: &'a O,
    pub(super) plane: &'a Plane<'a, O::Real>,
    pub(super) w: &'a [O::Real],
}

/// The buffers of one thread of an [`InSubspace`].
pub(super) struct SubspaceScratch<R, S> {
    inner: S,
    point: Vec<R>,
    gradient: Vec<R>,
    column: Vec<R>,
}

impl<O: Objective> InSubspace<'_, O> {
    fn place(&self, y: &[O::Real], scratch: &mut SubspaceScratch<O::Real, O::Scratch>) {
        let SubspaceScratch { point, column, .. } = scratch;
        point.copy_from_slice(self.w);
        self.plane.each(column, |j, column| add_scaled(point, y[j].as_f64(), column));
    }
}

impl<O: Objective> Objective for InSubspace<'_, O> {
    type Real = O::Real;
    type Scratch = SubspaceScratch<O::Real, O::Scratch>;

    fn dimension(&self) -> usize {
        self.plane.dimension
    }

    fn scratch(&self) -> Self::Scratch {
        let [point, gradient, column] = [(); 3].map(|()| zeros(self.w.len()));
        SubspaceScratch { inner: self.objective.scratch(), point, gradient, column }
    }

    fn value(&self, y: &[O::Real], scratch: &mut Self::Scratch) -> f64 {
        self.place(y, scratch);
        self.objective.value(&scratch.point, &mut scratch.inner)
    }
}

impl<O: Differentiable> Differentiable for InSubspace<'_, O> {
    fn value_and_gradient(
        &self,
        y: &[O::Real],
        out: &mut [O::Real],
        scratch: &mut Self::Scratch,
    ) -> f64 {
        self.place(y, scratch);
        let SubspaceScratch { inner, point, gradient, column } = scratch;
        let value = self.objective.value_and_gradient(point, gradient, inner);
        self.plane.each(column, |j, column| out[j] = O::Real::from_f64(dot(column, gradient)));
        value
    }
}

#[cfg(test)]
mod tests {
    use smoothout_tensor::{BlockKind, ParameterLayout, Selection};

    use super::*;

    /// Columns are normal numbers of variance 1/p on the selected blocks; c = A^+ w leaves a rest that
    /// is orthogonal to each of them.
    #[test]
    fn coordinates_are_those_of_the_nearest_point() {
        let mut layout = ParameterLayout::new();
        layout.push("fc.weight", &[4, 8], BlockKind::Weight).unwrap();
        layout.push("fc.bias", &[8], BlockKind::Bias).unwrap();
        let selected = Selected::new(&Selection::weights(), &layout).unwrap();
        let w: Vec<f64> = (0..40).map(|i| (1.7 * i as f64).sin()).collect();
        let dimension = 3;
        // Refused before room is made for it.
        assert!(Plane::<f64>::new(&selected, 40, 1 << 40, 5, true).is_err());
        for stored in [true, false] {
            let plane = Plane::new(&selected, 40, dimension, 5, stored).unwrap();
            let (mut columns, mut buffer) = (Vec::new(), vec![0.0; 40]);
            plane.each(&mut buffer, |_, column| columns.push(column.to_vec()));
            for (j, column) in columns.iter().enumerate() {
                let mut normal = vec![0.0; 40];
                let key = StreamKey::new(5, Purpose::Measurement).step(PLANE).copy(j as u64);
                fill_gaussian(key, &mut normal);
                for i in 0..40 {
                    let expected = if i < 32 { normal[i] / 3.0_f64.sqrt() } else { 0.0 };
                    assert!((column[i] - expected).abs() < 1e-15);
                }
            }
            let c = plane.coordinates(&w).unwrap();
            let mut rest = w.clone();
            columns.iter().zip(&c).for_each(|(column, c)| add_scaled(&mut rest, -c, column));
            for column in &columns {
                assert!(dot(column, &rest).abs() < 1e-12, "{c:?}");
            }
        }
    }
}
