//! Keskar's sharpness, metric 2.1: how high the loss can get in a small box around w.
//!
//! C_eps = { z in R^p : |z_i| <= eps ( |(A^+ w)_i| + 1 ) },
//! phi = ( max_{z in C_eps} f(w + A z) - f(w) ) / ( 1 + f(w) ) * 100,
//! A = I (full space) or a random n x p matrix. The maximum is sought by [`Lbfgsb`] on -f from
//! several starts, and what is reported is the highest point seen: a lower bound of the maximum,
//! with a certificate of how it was reached. A start at w alone can end at once with 0 where the
//! gradient is tiny, and random starts alone can miss the vertex that the gradient points to; so
//! there are three kinds.
//!
//! # Source
//! Keskar, Mudigere, Nocedal, Smelyanskiy and Tang 2017, arXiv:1609.04836, metric 2.1 and appendix.
//!
//! # Differences
//! The SmoothOut authors' script hands the optimiser -f with the gradient of +f, and measures on the
//! test split: its line search fails and its answer is the start. Here the gradient is checked first
//! ([`check_gradient`]). Keskar's protocol is 10 iterations; [`Effort::Converged`] goes on.

mod report;
mod search;
mod subspace;

use std::fmt;

use smoothout_tensor::{ParameterLayout, Real, Selection};

use crate::observer::unobserved;
use crate::selected::Selected;
use crate::vector::zeros;
use crate::{Differentiable, Observer, SharpnessError, check_gradient, error};

pub use report::{KeskarReport, KeskarSearch};

use search::Negated;
use subspace::{InSubspace, Plane};

/// The space in which the maximum is sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Space {
    /// All selected parameters: A = I.
    #[default]
    Full,
    /// The span of p random directions: A_ij normal with variance 1/p, kept in memory.
    Subspace {
        /// p.
        dimension: usize,
    },
    /// The same A, drawn anew from its seed whenever it is needed: no memory, p n random numbers an
    /// evaluation.
    ImplicitSubspace {
        /// p.
        dimension: usize,
    },
}

impl Space {
    /// The span of so many random directions of `parameters` coordinates: kept if they take no more
    /// than a gigabyte in f32, else drawn anew for each evaluation. The numbers are the same.
    pub fn random(dimension: usize, parameters: usize) -> Self {
        const MOST_STORED: usize = 1 << 28;
        if dimension.saturating_mul(parameters) <= MOST_STORED {
            Self::Subspace { dimension }
        } else {
            Self::ImplicitSubspace { dimension }
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full space"),
            Self::Subspace { dimension } => {
                write!(f, "random subspace of dimension {dimension}")
            }
            Self::ImplicitSubspace { dimension } => {
                write!(f, "random subspace of dimension {dimension}, drawn anew")
            }
        }
    }
}

/// Where a search starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Start {
    /// At w.
    Centre,
    /// At the vertex of the box that the gradient at w points to.
    GradientVertex,
    /// Anywhere in the box, uniformly.
    Random,
}

/// How long a search goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Effort {
    /// So many iterations of L-BFGS-B; Keskar's protocol is 10.
    Iterations(usize),
    /// Until the KKT conditions hold or the value no longer rises (at most 1000 iterations).
    Converged,
}

/// The measurement of Keskar's sharpness: settings, checked.
///
/// # Examples
/// f = (w_0^2 + 4 w_1^2) / 2 at (1, 0), eps = 0.1: the box is |z_0| <= 0.2, |z_1| <= 0.1, the maximum
/// (1.44 + 0.04) / 2 at its vertices, phi = 100 * (0.74 - 0.5) / 1.5 = 16.
/// ```
/// use smoothout_sharpness::{FnObjective, Keskar, ParameterLayout};
///
/// let value = |w: &[f64]| (w[0] * w[0] + 4.0 * w[1] * w[1]) / 2.0;
/// let f = FnObjective::new(2, value).with_gradient(|w, g| {
///     g.copy_from_slice(&[w[0], 4.0 * w[1]]);
///     value(w)
/// });
/// let report = Keskar::new(0.1)?.measure(&f, &ParameterLayout::flat(2), &[1.0, 0.0])?;
/// assert!((report.sharpness - 16.0).abs() < 1e-9, "{report}");
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Keskar {
    epsilon: f64,
    space: Space,
    starts: Vec<Start>,
    effort: Effort,
    selection: Selection,
    seed: u64,
    data: String,
}

impl Keskar {
    /// Keskar's protocol at this eps (1e-3 and 5e-4 in the paper): full space, 10 iterations, five
    /// starts (w, the gradient's vertex, three random), every block, seed 0.
    ///
    /// # Errors
    /// If eps is not positive and finite.
    pub fn new(epsilon: f64) -> Result<Self, SharpnessError> {
        error::setting("eps", epsilon, epsilon > 0.0 && epsilon.is_finite(), "positive")?;
        let random = Start::Random;
        Ok(Self {
            epsilon,
            space: Space::Full,
            starts: vec![Start::Centre, Start::GradientVertex, random, random, random],
            effort: Effort::Iterations(10),
            selection: Selection::all(),
            seed: 0,
            data: String::new(),
        })
    }

    /// Another space.
    ///
    /// # Errors
    /// For a subspace of dimension 0.
    pub fn space(self, space: Space) -> Result<Self, SharpnessError> {
        if let Space::Subspace { dimension } | Space::ImplicitSubspace { dimension } = space {
            error::setting(
                "the subspace's dimension",
                dimension as f64,
                dimension > 0,
                "positive",
            )?;
        }
        Ok(Self { space, ..self })
    }

    /// Other starts, searched in this order.
    ///
    /// # Errors
    /// If there is none.
    pub fn starts(self, starts: &[Start]) -> Result<Self, SharpnessError> {
        let count = starts.len();
        error::setting("the number of starts", count as f64, count > 0, "at least 1")?;
        Ok(Self { starts: starts.to_vec(), ..self })
    }

    /// Another length of the searches.
    #[must_use]
    pub fn effort(self, effort: Effort) -> Self {
        Self { effort, ..self }
    }

    /// Only the chosen blocks move.
    #[must_use]
    pub fn selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// Another seed of the random starts and of A.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Names the data f is the loss on, for the report: "training split, 512 examples, seed 3".
    #[must_use]
    pub fn measured_on(self, data: &str) -> Self {
        Self { data: data.to_owned(), ..self }
    }

    /// The sharpness at w.
    ///
    /// # Errors
    /// If lengths differ, nothing is selected, the objective fails [`check_gradient`], 1 + f(w) is
    /// not positive, eps is so small that rounding closes the box, or the directions of a subspace are dependent.
    pub fn measure<O: Differentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<KeskarReport, SharpnessError> {
        self.measure_observed(objective, layout, w, &mut unobserved)
    }

    /// [`measure`](Self::measure) with an observer, called once an iteration with the highest loss
    /// so far.
    ///
    /// # Errors
    /// As [`measure`](Self::measure).
    pub fn measure_observed<O: Differentiable>(
        &self,
        objective: &O,
        layout: &ParameterLayout,
        w: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<KeskarReport, SharpnessError> {
        error::same_length("the layout", layout.len(), objective.dimension())?;
        let loss = check_gradient(objective, w)?;
        error::setting("the loss at w", loss, 1.0 + loss > 0.0, "above -1, for 1 + f(w) divides")?;
        let selected = Selected::new(&self.selection, layout)?;
        let size = |x: f64| self.epsilon * (x.abs() + 1.0);
        match self.space {
            Space::Full => {
                // In the coordinates of w itself: w + z, with bounds that hold the others still.
                let (mut lower, mut upper) = (w.to_vec(), w.to_vec());
                for i in selected.ranges().flatten() {
                    let x = w[i].as_f64();
                    lower[i] = O::Real::from_f64(x - size(x));
                    upper[i] = O::Real::from_f64(x + size(x));
                    let rounded = lower[i] == w[i] || upper[i] == w[i];
                    error::setting("eps", self.epsilon, !rounded, WIDE_ENOUGH)?;
                }
                self.search(&Negated(objective), (&lower, &upper), w, loss, observer)
            }
            Space::Subspace { dimension } | Space::ImplicitSubspace { dimension } => {
                let stored = matches!(self.space, Space::Subspace { .. });
                let plane = Plane::new(&selected, w.len(), dimension, self.seed, stored)?;
                let upper: Vec<O::Real> =
                    plane.coordinates(w)?.iter().map(|&x| O::Real::from_f64(size(x))).collect();
                let lower: Vec<O::Real> = upper.iter().map(|&u| -u).collect();
                let inside = InSubspace { objective, plane: &plane, w };
                self.search(&Negated(&inside), (&lower, &upper), &zeros(dimension), loss, observer)
            }
        }
    }
}

/// A box that rounding closes would hold no higher loss, and say nothing.
const WIDE_ENOUGH: &str =
    "large enough to move every weight in the precision of w: 1e-7 in f32, 1e-15 in f64";

#[cfg(test)]
mod tests;
