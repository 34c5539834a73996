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

mod subspace;

use std::fmt;
use std::ops::ControlFlow;

use smoothout_tensor::{ParameterLayout, Purpose, Real, Selection, StreamKey, fill_uniform};

use crate::observer::unobserved;
use crate::selected::Selected;
use crate::vector::{update, zeros};
use crate::{
    Bounds, Differentiable, Ending, Lbfgsb, LbfgsbReport, Objective, Observer, Progress,
    SharpnessError, Status, check_gradient, error,
};

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
/// use smoothout_sharpness::{FnObjective, Keskar};
/// use smoothout_tensor::ParameterLayout;
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

/// One search.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KeskarSearch {
    /// Where it started.
    pub start: Start,
    /// The sharpness it reached.
    pub sharpness: f64,
    /// max |P(z - g) - z|: 0 where the KKT conditions hold.
    pub projected_gradient: f64,
    /// The share of the coordinates at a bound.
    pub share_at_bound: f64,
    /// Iterations.
    pub iterations: usize,
    /// Evaluations of value and gradient.
    pub evaluations: usize,
    /// Why it ended.
    pub status: Status,
}

/// What [`Keskar::measure`] found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KeskarReport {
    /// phi, in percent: the highest of all searches, a lower bound of the true maximum.
    pub sharpness: f64,
    /// f(w).
    pub loss: f64,
    /// The highest loss seen in the box.
    pub maximum: f64,
    /// The searches, in the order of their starts; the certificate of each.
    pub searches: Vec<KeskarSearch>,
    /// eps.
    pub epsilon: f64,
    /// The space searched.
    pub space: Space,
    /// The blocks.
    pub selection: Selection,
    /// The seed of the random starts and of A.
    pub seed: u64,
    /// What f is measured on, as given to [`Keskar::measured_on`].
    pub data: String,
    /// Evaluations of value and gradient in all searches.
    pub evaluations: usize,
    /// Whether all searches were run.
    pub ending: Ending,
}

impl KeskarReport {
    /// The search that reached the highest loss: the certificate.
    pub fn best(&self) -> Option<&KeskarSearch> {
        self.searches.iter().max_by(|a, b| a.sharpness.total_cmp(&b.sharpness))
    }

    /// Mean and standard deviation over the searches, as Keskar's tables give them.
    pub fn spread(&self) -> (f64, f64) {
        let n = self.searches.len() as f64;
        let mean = self.searches.iter().map(|s| s.sharpness).sum::<f64>() / n;
        let squares: f64 = self.searches.iter().map(|s| (s.sharpness - mean).powi(2)).sum();
        (mean, (squares / (n - 1.0).max(1.0)).sqrt())
    }
}

impl fmt::Display for KeskarReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mean, deviation) = self.spread();
        write!(
            f,
            "Keskar sharpness {:.6} % (eps {}, {:?}): loss {:.6e}, at most {:.6e} seen; {} starts, {mean:.4} ± {deviation:.4}; {} evaluations, seed {}",
            self.sharpness,
            self.epsilon,
            self.space,
            self.loss,
            self.maximum,
            self.searches.len(),
            self.evaluations,
            self.seed
        )?;
        if let Some(best) = self.best() {
            write!(
                f,
                "; the best ended when {} (projected gradient {:.1e}, {:.1} % at a bound)",
                best.status,
                best.projected_gradient,
                100.0 * best.share_at_bound
            )?;
        }
        if !self.data.is_empty() {
            write!(f, "; on {}", self.data)?;
        }
        Ok(())
    }
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
    /// not positive, or the directions of a subspace are dependent.
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
                }
                self.search(&Negated(objective), (&lower, &upper), w, loss, observer)
            }
            Space::Subspace { dimension } | Space::ImplicitSubspace { dimension } => {
                let stored = matches!(self.space, Space::Subspace { .. });
                let plane = Plane::new(&selected, w.len(), dimension, self.seed, stored);
                let upper: Vec<O::Real> =
                    plane.coordinates(w)?.iter().map(|&x| O::Real::from_f64(size(x))).collect();
                let lower: Vec<O::Real> = upper.iter().map(|&u| -u).collect();
                let inside = InSubspace { objective, plane: &plane, w };
                self.search(&Negated(&inside), (&lower, &upper), &zeros(dimension), loss, observer)
            }
        }
    }

    /// Minimises -f in the box from every start.
    fn search<O: Differentiable>(
        &self,
        negated: &O,
        (lower, upper): (&[O::Real], &[O::Real]),
        centre: &[O::Real],
        loss: f64,
        observer: Observer<'_>,
    ) -> Result<KeskarReport, SharpnessError> {
        let bounds = Bounds::new(lower, upper)?;
        let iterations = match self.effort {
            Effort::Iterations(iterations) => iterations,
            Effort::Converged => 1000,
        };
        // The variables are of the size of eps, and so is what counts as a small step.
        let minimizer = Lbfgsb::default()
            .iterations(iterations)
            .gradient_tolerance(1e-6 * self.epsilon)
            .value_tolerance(1e-12);
        let phi = |maximum: f64| 100.0 * (maximum - loss) / (1.0 + loss);
        let (mut maximum, mut evaluations, mut ending) = (loss, 0, Ending::Done);
        let mut searches = Vec::with_capacity(self.starts.len());
        let mut x = centre.to_vec();
        for (index, &start) in self.starts.iter().enumerate() {
            self.place(negated, start, index, (lower, upper), centre, &mut x);
            let (done, best) = (evaluations, maximum);
            let mut stopped = false;
            let report: LbfgsbReport =
                minimizer.minimize_observed(negated, bounds, &mut x, &mut |progress| {
                    let answer = observer(Progress {
                        evaluations: done + progress.evaluations,
                        value: best.max(-progress.value),
                        uncertainty: progress.uncertainty,
                    });
                    stopped = answer == ControlFlow::Break(());
                    answer
                })?;
            maximum = maximum.max(-report.value);
            evaluations += report.evaluations;
            searches.push(KeskarSearch {
                start,
                sharpness: phi(-report.value),
                projected_gradient: report.projected_gradient,
                share_at_bound: report.share_at_bound,
                iterations: report.iterations,
                evaluations: report.evaluations,
                status: report.status,
            });
            if stopped {
                ending = Ending::Stopped;
                break;
            }
        }
        Ok(KeskarReport {
            sharpness: phi(maximum),
            loss,
            maximum,
            searches,
            epsilon: self.epsilon,
            space: self.space,
            selection: self.selection.clone(),
            seed: self.seed,
            data: self.data.clone(),
            evaluations,
            ending,
        })
    }

    /// Writes the start point to `x`.
    fn place<O: Differentiable>(
        &self,
        negated: &O,
        start: Start,
        index: usize,
        (lower, upper): (&[O::Real], &[O::Real]),
        centre: &[O::Real],
        x: &mut [O::Real],
    ) {
        match start {
            Start::Centre => x.copy_from_slice(centre),
            Start::GradientVertex => {
                negated.value_and_gradient(centre, x, &mut negated.scratch());
                // x holds the gradient of -f: f rises where it is negative.
                update(x, |i, slope| if slope < O::Real::default() { upper[i] } else { lower[i] });
            }
            Start::Random => {
                let key = StreamKey::new(self.seed, Purpose::Measurement).step(STARTS);
                fill_uniform(key.copy(index as u64), x);
                update(x, |i, u| {
                    let (l, h) = (lower[i].as_f64(), upper[i].as_f64());
                    O::Real::from_f64(l + (h - l) * (u.as_f64() + 1.0) / 2.0)
                });
            }
        }
    }
}

/// Keeps the streams of the starts apart from those of other measurements.
const STARTS: u64 = 2;

/// -f.
struct Negated<O>(O);

impl<O: Objective> Objective for Negated<O> {
    type Real = O::Real;
    type Scratch = O::Scratch;

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn scratch(&self) -> O::Scratch {
        self.0.scratch()
    }

    fn value(&self, w: &[O::Real], scratch: &mut O::Scratch) -> f64 {
        -self.0.value(w, scratch)
    }
}

impl<O: Differentiable> Differentiable for Negated<O> {
    fn value_and_gradient(
        &self,
        w: &[O::Real],
        gradient: &mut [O::Real],
        scratch: &mut O::Scratch,
    ) -> f64 {
        let value = self.0.value_and_gradient(w, gradient, scratch);
        update(gradient, |_, g| -g);
        -value
    }
}

#[cfg(test)]
mod tests;
