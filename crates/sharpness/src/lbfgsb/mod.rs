//! L-BFGS-B: minimises a smooth function of very many variables in a box.
//!
//! Each iteration, at x with gradient g and the limited-memory model m of f ([`history`]):
//! 1. the generalised Cauchy point x^c: the first minimiser of m along P(x - t g) ([`cauchy`]);
//! 2. the minimum of m over the variables that x^c leaves free, brought back into the box: z
//!    ([`subspace`]);
//! 3. a step along z - x that satisfies the strong Wolfe conditions ([`line_search`]);
//! 4. the pair (s, y) joins the model if s'y > epsilon |g's|.
//!
//! It ends when the projected gradient is small, the value hardly falls, the budget is used, or no
//! step can be found. Every evaluation is inside the box, exactly. Memory: 2 m vectors for the model
//! (m = 10 pairs unless told otherwise) and six more beside x and the bounds.
//!
//! # Source
//! Byrd, Lu, Nocedal and Zhu 1995, "A limited memory algorithm for bound constrained optimization",
//! SIAM J. Sci. Comput. 16(5); Morales and Nocedal 2011, ACM TOMS 38(1), 7; More and Thuente 1994.
//!
//! # Differences
//! From the authors' Fortran code (and SciPy's): systems with M^-1 are solved by LU with scaled
//! pivots instead of Cholesky factors; trial points are clamped to the box, so rounding cannot leave
//! it; a trial value that is infinite or NaN shortens the step instead of ending the search.

mod bounds;
mod cauchy;
mod history;
mod line_search;
mod subspace;

use std::fmt;

use smoothout_tensor::Real;

use crate::observer::unobserved;
use crate::vector::{dot, largest, reduce, sum, update, zeros};
use crate::{Differentiable, Observer, Progress, SharpnessError, error};

pub use bounds::Bounds;

use history::{History, MOST_COLUMNS, MOST_PAIRS};
use line_search::{LineSearch, Next, Point};

/// The minimiser: settings, checked.
///
/// # Examples
/// Rosenbrock's function with x_1 at most 0.5: the minimum is at (0.5, 0.25).
/// ```
/// use smoothout_sharpness::{Bounds, FnObjective, Lbfgsb};
///
/// let rosenbrock = |x: &[f64]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2);
/// let f = FnObjective::new(2, rosenbrock).with_gradient(|x, g| {
///     let off = x[1] - x[0] * x[0];
///     g.copy_from_slice(&[-2.0 * (1.0 - x[0]) - 400.0 * off * x[0], 200.0 * off]);
///     rosenbrock(x)
/// });
/// let mut x = [-1.0, 1.0];
/// let bounds = Bounds::new(&[-2.0, -2.0], &[0.5, 2.0])?;
/// let report = Lbfgsb::default().minimize(&f, bounds, &mut x)?;
/// assert!((x[0] - 0.5).abs() < 1e-6 && (x[1] - 0.25).abs() < 1e-6, "{report}");
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lbfgsb {
    pairs: usize,
    gradient_tolerance: f64,
    value_tolerance: f64,
    iterations: usize,
    evaluations: usize,
}

impl Default for Lbfgsb {
    /// SciPy's defaults: 10 pairs, projected gradient 1e-5, relative fall of the value 2.22e-9,
    /// 15 000 iterations and evaluations.
    fn default() -> Self {
        Self {
            pairs: 10,
            gradient_tolerance: 1e-5,
            value_tolerance: 1e7 * f64::EPSILON,
            iterations: 15_000,
            evaluations: 15_000,
        }
    }
}

/// Why the minimisation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Status {
    /// max_i |P(x - g) - x|_i is below the tolerance: the KKT conditions hold.
    ProjectedGradient,
    /// The value fell by less than its tolerance.
    ValueFall,
    /// The iterations were used.
    Iterations,
    /// The evaluations were used.
    Evaluations,
    /// No lower point was found along steepest descent: the value is at its rounding, or the
    /// gradient is not its own.
    NoDescent,
    /// The observer stopped it.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProjectedGradient => "the projected gradient vanishes",
            Self::ValueFall => "the value no longer falls",
            Self::Iterations => "all iterations were used",
            Self::Evaluations => "all evaluations were used",
            Self::NoDescent => "no lower point along steepest descent",
            Self::Stopped => "stopped by the observer",
        })
    }
}

/// What [`Lbfgsb::minimize`] reached, beside the point.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LbfgsbReport {
    /// f at the end.
    pub value: f64,
    /// max_i |P(x - g) - x|_i at the end.
    pub projected_gradient: f64,
    /// The share of the variables at a bound, of those with l_i < u_i; 0 if there are none.
    pub share_at_bound: f64,
    /// Steps taken.
    pub iterations: usize,
    /// Evaluations of value and gradient.
    pub evaluations: usize,
    /// Why it ended.
    pub status: Status,
}

impl fmt::Display for LbfgsbReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.6e} after {} iterations and {} evaluations: {} (projected gradient {:.1e}, {:.1} % at a bound)",
            self.value,
            self.iterations,
            self.evaluations,
            self.status,
            self.projected_gradient,
            100.0 * self.share_at_bound
        )
    }
}

/// The most trial steps along one line.
const MOST_TRIALS: usize = 20;

impl Lbfgsb {
    /// The number of pairs (s, y) kept, from 1 to 20; 2 vectors each.
    ///
    /// # Errors
    /// If it is outside.
    pub fn pairs(self, pairs: usize) -> Result<Self, SharpnessError> {
        let allowed = (1..=MOST_PAIRS).contains(&pairs);
        error::setting("the number of pairs", pairs as f64, allowed, "from 1 to 20")?;
        Ok(Self { pairs, ..self })
    }

    /// Ends when max_i |P(x - g) - x|_i is at most this; 0 never does short of an exact zero.
    ///
    /// # Errors
    /// If it is negative or NaN.
    pub fn gradient_tolerance(self, gradient_tolerance: f64) -> Result<Self, SharpnessError> {
        let allowed = gradient_tolerance >= 0.0;
        error::setting("the gradient tolerance", gradient_tolerance, allowed, "0 or more")?;
        Ok(Self { gradient_tolerance, ..self })
    }

    /// Ends when an iteration lowers the value by at most this times max(|f|, 1).
    ///
    /// # Errors
    /// If it is negative or NaN.
    pub fn value_tolerance(self, value_tolerance: f64) -> Result<Self, SharpnessError> {
        let allowed = value_tolerance >= 0.0;
        error::setting("the value tolerance", value_tolerance, allowed, "0 or more")?;
        Ok(Self { value_tolerance, ..self })
    }

    /// The most iterations.
    #[must_use]
    pub fn iterations(self, iterations: usize) -> Self {
        Self { iterations, ..self }
    }

    /// The most evaluations; the line search under way is finished.
    #[must_use]
    pub fn evaluations(self, evaluations: usize) -> Self {
        Self { evaluations, ..self }
    }

    /// Minimises from `x`, which is first projected into the box, and leaves the end point there.
    ///
    /// # Errors
    /// If lengths differ, or the value or the gradient at the start is not finite.
    pub fn minimize<O: Differentiable>(
        &self,
        objective: &O,
        bounds: Bounds<'_, O::Real>,
        x: &mut [O::Real],
    ) -> Result<LbfgsbReport, SharpnessError> {
        self.minimize_observed(objective, bounds, x, &mut unobserved)
    }

    /// [`minimize`](Self::minimize) with an observer, called once an iteration.
    ///
    /// # Errors
    /// As [`minimize`](Self::minimize).
    pub fn minimize_observed<O: Differentiable>(
        &self,
        objective: &O,
        bounds: Bounds<'_, O::Real>,
        x: &mut [O::Real],
        observer: Observer<'_>,
    ) -> Result<LbfgsbReport, SharpnessError> {
        let n = objective.dimension();
        error::same_length("x", x.len(), n)?;
        error::same_length("the bounds", bounds.len(), n)?;
        let (constrained, boxed) = bounds.kind();
        let scratch = &mut objective.scratch();
        let mut history = History::new(n, self.pairs);
        // At once: growing, it would hold its old and its new place for a moment.
        let mut corners = Vec::with_capacity(n);
        let [mut g, mut before, mut z, mut x_before] = [(); 4].map(|()| zeros::<O::Real>(n));

        update(x, |i, x| bounds.clamp(i, x));
        let mut value =
            error::finite("the loss", objective.value_and_gradient(x, &mut g, scratch))?;
        let (mut evaluations, mut iterations) = (1, 0);
        let mut projected = projected_gradient(bounds, x, &g);
        error::finite("the projected gradient at the start", projected)?;
        let status = 'ended: {
            if projected <= self.gradient_tolerance {
                break 'ended Status::ProjectedGradient;
            }
            loop {
                // 1 and 2. (Without bounds the Cauchy point adds nothing: the model starts from x.)
                let point = &mut before;
                let c = if constrained || history.columns() == 0 {
                    cauchy::cauchy_point(&history, bounds, x, &g, &mut corners, point)
                } else {
                    point.copy_from_slice(x);
                    [0.0; MOST_COLUMNS]
                };
                if !subspace::subspace_minimum(&mut history, bounds, x, &g, &c, point, &mut z) {
                    history.reset();
                    continue;
                }

                // 3.
                x_before.copy_from_slice(x);
                before.copy_from_slice(&g);
                let direction = |i: usize| z[i].as_f64() - x_before[i].as_f64();
                let slope = sum(n, |range| range.map(|i| direction(i) * before[i].as_f64()).sum());
                let length = sum(n, |range| range.map(|i| direction(i).powi(2)).sum()).sqrt();
                let largest = if !constrained {
                    1e10
                } else if iterations == 0 {
                    1.0
                } else {
                    let room = |i: usize| {
                        let d = direction(i);
                        let bound = bounds.toward(i, O::Real::from_f64(d)).as_f64();
                        if d == 0.0 { f64::INFINITY } else { (bound - x_before[i].as_f64()) / d }
                    };
                    let piece =
                        |range: std::ops::Range<usize>| range.map(room).fold(1e10, f64::min);
                    reduce(0..n, &piece, &f64::min).max(1.0)
                };
                let mut step =
                    if iterations == 0 && !boxed { largest.min(1.0 / length) } else { 1.0 };
                let start = Point { step: 0.0, value, slope };
                let mut search = LineSearch::new(start, step, largest);
                let mut accepted = None;
                let trials = if slope < 0.0 { MOST_TRIALS } else { 0 };
                for _trial in 0..trials {
                    let t = O::Real::from_f64(step);
                    update(x, |i, _| {
                        if step == 1.0 {
                            z[i]
                        } else {
                            bounds.clamp(i, x_before[i] + t * (z[i] - x_before[i]))
                        }
                    });
                    let trial = objective.value_and_gradient(x, &mut g, scratch);
                    evaluations += 1;
                    let along = sum(n, |range| range.map(|i| direction(i) * g[i].as_f64()).sum());
                    if !(trial.is_finite() && along.is_finite()) {
                        search = LineSearch::new(start, 0.1 * step, 0.5 * step);
                        step *= 0.1;
                        continue;
                    }
                    match search.advance(Point { step, value: trial, slope: along }) {
                        Next::Accept => {
                            accepted = (trial <= value).then_some((trial, along));
                            break;
                        }
                        Next::Try(next) => step = next,
                    }
                }
                let Some((lower, along)) = accepted else {
                    // Back to the last point; with an empty model there is nothing left to try.
                    x.copy_from_slice(&x_before);
                    g.copy_from_slice(&before);
                    if history.columns() == 0 {
                        break 'ended Status::NoDescent;
                    }
                    if evaluations >= self.evaluations {
                        break 'ended Status::Evaluations;
                    }
                    history.reset();
                    continue;
                };
                let fall = value - lower;
                let scale = value.abs().max(lower.abs()).max(1.0);
                value = lower;
                iterations += 1;
                projected = projected_gradient(bounds, x, &g);
                let progress = Progress { evaluations, value, uncertainty: projected };
                if progress.stops(observer) {
                    break 'ended Status::Stopped;
                } else if projected <= self.gradient_tolerance {
                    break 'ended Status::ProjectedGradient;
                } else if fall <= self.value_tolerance * scale {
                    break 'ended Status::ValueFall;
                } else if iterations >= self.iterations {
                    break 'ended Status::Iterations;
                } else if evaluations >= self.evaluations {
                    break 'ended Status::Evaluations;
                }

                // 4. (s'y from the slopes, as they were measured along the line.)
                let sy = (along - slope) * step;
                if sy > f64::EPSILON * -slope * step {
                    update(&mut before, |i, before| g[i] - before);
                    let (x, before, x_before) = (&*x, &before, &x_before);
                    history.push(|i| x[i] - x_before[i], |i| before[i], sy, dot(before, before));
                }
            }
        };
        let count = |is: &(dyn Fn(usize) -> bool + Sync)| {
            sum(n, |range| range.filter(|&i| bounds.leaves_room(i) && is(i)).count() as f64)
        };
        let (at_bound, free) = (count(&|i| bounds.meets(i, x[i])), count(&|_| true));
        Ok(LbfgsbReport {
            value,
            projected_gradient: projected,
            share_at_bound: if free > 0.0 { at_bound / free } else { 0.0 },
            iterations,
            evaluations,
            status,
        })
    }
}

/// max_i |P(x - g) - x|_i: zero exactly where the KKT conditions hold, NaN if a slope is.
///
/// Each is the smaller of |g_i| and the room on the way, in f64: x - g would round away a slope below
/// the distance from x to the next number of its precision.
fn projected_gradient<R: Real>(bounds: Bounds<'_, R>, x: &[R], g: &[R]) -> f64 {
    largest(x.len(), |i| {
        let (slope, room) = (g[i].as_f64(), bounds.toward(i, -g[i]).as_f64() - x[i].as_f64());
        if slope.abs() > room.abs() { room } else { slope }
    })
}

#[cfg(test)]
mod tests;
