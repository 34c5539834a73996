//! Watching a long measurement, and stopping it.

use std::ops::ControlFlow;

use crate::{Estimate, SharpnessError};

/// How far a measurement is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Evaluations of the objective so far (values, gradients or Hessian products).
    pub evaluations: usize,
    /// The best answer so far: estimate, largest loss, eigenvalue.
    pub value: f64,
    /// How far it may be off: a standard error or a residual; NaN where there is none yet.
    pub uncertainty: f64,
}

/// Called now and then with the [`Progress`]; `Break` ends the measurement, whose report then holds
/// what was known.
pub type Observer<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// How a measurement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Ending {
    /// The wish (standard error, residual, tolerance) was met, or the fixed budget used.
    Done,
    /// The budget was used before the wish was met.
    Budget,
    /// The observer stopped it.
    Stopped,
}

impl Ending {
    /// How a report ends its line: nothing is said of `Done`.
    pub(crate) fn remark(self) -> &'static str {
        match self {
            Self::Done => "",
            Self::Budget => "; the budget was used before the goal was met",
            Self::Stopped => "; stopped before the end",
        }
    }
}

impl Progress {
    /// The progress of a mean.
    pub(crate) fn of(estimate: &Estimate, evaluations: usize) -> Self {
        let (value, uncertainty) = (estimate.value, estimate.standard_error);
        Self { evaluations, value, uncertainty }
    }

    /// Shows this to the observer; true if it wants to stop.
    pub(crate) fn stops(self, observer: Observer<'_>) -> bool {
        observer(self) == ControlFlow::Break(())
    }
}

/// Takes steps 0, 1, ... until there are `count` or the observer, who sees each one's progress, wants
/// to stop.
pub(crate) fn watched(
    count: usize,
    observer: Observer<'_>,
    mut step: impl FnMut(usize) -> Result<Progress, SharpnessError>,
) -> Result<Ending, SharpnessError> {
    for k in 0..count {
        if step(k)?.stops(observer) && k + 1 < count {
            return Ok(Ending::Stopped);
        }
    }
    Ok(Ending::Done)
}

/// An observer that lets everything pass.
pub(crate) fn unobserved(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stopped before its last step it is stopped; after it, it is done all the same.
    #[test]
    fn a_measurement_that_ends_is_not_stopped() {
        for (at, ending, steps) in [(0, Ending::Stopped, 1), (1, Ending::Stopped, 2)]
            .into_iter()
            .chain([(2, Ending::Done, 3), (9, Ending::Done, 3)])
        {
            let mut seen = Vec::new();
            let mut observer = |progress: Progress| {
                seen.push(progress.evaluations);
                if progress.evaluations == at {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let step = |evaluations| Ok(Progress { evaluations, value: 0.0, uncertainty: 0.0 });
            assert_eq!(watched(3, &mut observer, step).unwrap(), ending, "{at}");
            assert_eq!(seen, (0..steps).collect::<Vec<_>>());
        }
    }
}
