//! The search of the maximum: L-BFGS-B on -f from every start.

use smoothout_tensor::{Purpose, Real, StreamKey, fill_uniform};

use super::{Effort, Keskar, KeskarReport, KeskarSearch, Start};
use crate::vector::update;
use crate::{
    Bounds, Differentiable, Ending, Lbfgsb, Objective, Observer, Progress, SharpnessError, Status,
};

impl Keskar {
    /// Minimises -f in the box from every start.
    pub(super) fn search<O: Differentiable>(
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
        // The last iteration's pair is never used: nine are enough for ten iterations. The variables
        // are of the size of eps, and so is what counts as a small step.
        let minimizer = Lbfgsb::default()
            .pairs((iterations.max(2) - 1).min(10))?
            .iterations(iterations)
            .gradient_tolerance(1e-6 * self.epsilon)?
            .value_tolerance(1e-12)?;
        let phi = |maximum: f64| 100.0 * (maximum - loss) / (1.0 + loss);
        let (mut maximum, mut evaluations, mut ending) = (loss, 0, Ending::Done);
        let mut searches = Vec::with_capacity(self.starts.len());
        let mut x = centre.to_vec();
        for (index, &start) in self.starts.iter().enumerate() {
            self.place(negated, start, index, (lower, upper), centre, &mut x);
            let (done, best) = (evaluations, maximum);
            let report = minimizer.minimize_observed(negated, bounds, &mut x, &mut |progress| {
                observer(Progress {
                    evaluations: done + progress.evaluations,
                    value: best.max(-progress.value),
                    ..progress
                })
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
            if report.status == Status::Stopped {
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
    pub(super) fn place<O: Differentiable>(
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
pub(super) struct Negated<O>(pub(super) O);

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
