//! m-sharpness: the worst case of each batch of m examples, averaged.

use std::fmt;

use smoothout_tensor::ParameterLayout;

use super::{WorstCase, WorstCaseReport};
use crate::observer::{unobserved, watched};
use crate::{Differentiable, Ending, Estimate, Observer, Progress, SharpnessError, error};

/// What [`WorstCase::measure_batches`] found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MSharpness {
    /// The mean over the batches of each batch's own rise, and its standard error over the batches.
    pub rise: Estimate,
    /// The same after one step only: what SAM sees.
    pub first_step_rise: Estimate,
    /// One report a batch.
    pub batches: Vec<WorstCaseReport>,
    /// Whether all batches were measured.
    pub ending: Ending,
}

impl fmt::Display for MSharpness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.batches.first() else { return f.write_str("no batch") };
        write!(
            f,
            "m-sharpness: mean rise {} (first step {}) over {} batches, each in its own {} ball of radius {} ({}); seed {}",
            self.rise,
            self.first_step_rise,
            self.batches.len(),
            first.ball,
            first.radius,
            first.scaling,
            first.seed
        )
    }
}

impl WorstCase {
    /// m-sharpness: every batch's own worst case at w, averaged.
    ///
    /// # Errors
    /// As [`measure`](Self::measure), of any batch; and if there is no batch.
    ///
    /// # Source
    /// Foret et al. 2021, section 4.1.
    pub fn measure_batches<O: Differentiable>(
        &self,
        batches: impl IntoIterator<Item = O>,
        layout: &ParameterLayout,
        w: &[O::Real],
    ) -> Result<MSharpness, SharpnessError> {
        self.measure_batches_observed(batches, layout, w, &mut unobserved)
    }

    /// [`measure_batches`](Self::measure_batches) with an observer, called after every batch with the
    /// mean rise so far.
    ///
    /// # Errors
    /// As [`measure_batches`](Self::measure_batches).
    pub fn measure_batches_observed<O: Differentiable>(
        &self,
        batches: impl IntoIterator<Item = O>,
        layout: &ParameterLayout,
        w: &[O::Real],
        observer: Observer<'_>,
    ) -> Result<MSharpness, SharpnessError> {
        let objectives: Vec<O> = batches.into_iter().collect();
        let count = objectives.len();
        error::setting("the number of batches", count as f64, count > 0, "at least 1")?;
        let mut batches: Vec<WorstCaseReport> = Vec::with_capacity(count);
        let mut evaluations = 0;
        let ending = watched(count, observer, |batch| {
            let report = self.measure(&objectives[batch], layout, w)?;
            evaluations += report.evaluations;
            batches.push(report);
            Ok(Progress::of(&over(&batches, |batch| batch.rise), evaluations))
        })?;
        let rise = over(&batches, |batch| batch.rise);
        let first_step_rise = over(&batches, |batch| batch.first_step_rise);
        Ok(MSharpness { rise, first_step_rise, batches, ending })
    }
}

/// Mean and standard error over the batches.
fn over(batches: &[WorstCaseReport], pick: fn(&WorstCaseReport) -> f64) -> Estimate {
    Estimate::of(&batches.iter().map(pick).collect::<Vec<_>>())
}
