//! A failed step taken again, slowly, to say where its numbers first stopped being finite.

use smoothout_nn::NonFinite;
use smoothout_optim::{GhostCopy, GradientOracle, StepError};

use crate::oracle::{BatchOracle, GhostScratch};

/// The oracle of the step, which ends it at the first ghost batch whose numbers are not all finite.
#[derive(Debug)]
pub(crate) struct Examination<'a>(pub(crate) BatchOracle<'a>);

/// The first numbers of the step that are infinite or NaN.
#[derive(Debug)]
pub(crate) struct Found {
    at: GhostCopy,
    place: NonFinite,
}

/// What a step found that was taken again: the place and its ghost batch.
pub(crate) fn words<T>(
    again: Result<T, StepError<Option<Found>>>,
    perturbed: bool,
) -> Option<String> {
    let Err(StepError::Oracle { source: Some(Found { at, place }), .. }) = again else {
        return None;
    };
    let ghost = at.ghost;
    Some(match place {
        NonFinite::Parameters(block) if perturbed => {
            format!("the perturbed weights {block} of ghost batch {ghost}")
        }
        place => format!("{place} of ghost batch {ghost}"),
    })
}

impl GradientOracle<f32> for Examination<'_> {
    type Scratch = GhostScratch;
    type Error = Option<Found>;

    fn ghosts(&self) -> usize {
        self.0.ghosts()
    }

    fn share(&self, ghost: usize) -> f64 {
        self.0.share(ghost)
    }

    fn gradient(
        &self,
        at: GhostCopy,
        w: &[f32],
        gradient: &mut [f32],
        scratch: &mut GhostScratch,
    ) -> Result<f64, Option<Found>> {
        let (network, mode, images, labels) = self.0.evaluation(at);
        let workspace = &mut scratch.workspace;
        match network.first_non_finite(w, mode, images, labels, workspace) {
            Ok(Some(place)) => Err(Some(Found { at, place })),
            // What the step does next may depend on the gradient.
            Ok(None) => self.0.gradient(at, w, gradient, scratch).map_err(|_| None),
            Err(_) => Err(None),
        }
    }

    fn squared_norm(&self, scratch: &GhostScratch) -> Option<f64> {
        self.0.squared_norm(scratch)
    }

    fn accept(&mut self, at: GhostCopy, scratch: &mut GhostScratch) {
        self.0.accept(at, scratch);
    }
}
