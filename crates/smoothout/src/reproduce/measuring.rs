//! The numbers that a study measures of a trained network.
//!
//! All on the training split, with seed 0 for whatever is drawn, so that two networks are measured
//! by the same draws.

use std::time::Instant;

use smoothout_nn::Network;
use smoothout_sharpness::{Eigenvalues, ExpectedLoss, Keskar, SharpnessError, Space};
use smoothout_tensor::{Perturbation, Selection};

use super::measure::{Measure, Metric};
use super::results::Measured;
use crate::data::DataSet;
use crate::evaluation::EVALUATION_BATCH;
use crate::measure::{Certainty, ExampleSet, Finding, MeasureError, NetworkObjective};
use crate::training::ModelState;

/// Pairs of perturbations of an expected loss.
const PAIRS: usize = 100;

/// The relative residual at which a largest eigenvalue is found.
const TOLERANCE: f64 = 1e-3;

/// Measures a network; a measurement that cannot be made says why in the result.
pub fn measured(
    network: &Network,
    model: &ModelState,
    train: &DataSet,
    measure: Measure,
) -> Measured {
    let start = Instant::now();
    let found = find(network, model, train, &measure);
    let (mut standard_error, mut certificate) = (None, None);
    let (value, failure, evaluations) = match found {
        Err(error) => (None, Some(error.to_string()), 0),
        Ok(finding) if !finding.estimate.is_finite() => {
            let failure = format!("the {} is {}", finding.quantity, finding.estimate);
            (None, Some(failure), finding.evaluations)
        }
        Ok(finding) => {
            match finding.certainty {
                Certainty::StandardError(error) => standard_error = Some(error),
                Certainty::Certificate(found) => certificate = Some(found),
            }
            (Some(finding.estimate), None, finding.evaluations)
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    Measured { measure, value, failure, standard_error, certificate, evaluations, seconds }
}

fn find(
    network: &Network,
    model: &ModelState,
    train: &DataSet,
    measure: &Measure,
) -> Result<Finding, MeasureError> {
    let (examples, data) = ExampleSet::draw(train, Some(measure.examples), 0)?;
    let (layout, w) = (network.parameters(), &model.parameters);
    let policy = measure.batch_norm;
    let objective =
        NetworkObjective::new(network, &examples, &model.buffers, policy, EVALUATION_BATCH)?;
    let selection = Selection::from(measure.select);
    Ok(match measure.metric {
        Metric::ExpectedLoss { geometry, radius } => {
            let theta = Perturbation::new(geometry, radius).map_err(SharpnessError::from)?;
            let settings = ExpectedLoss::new(theta.selection(selection)).draws(PAIRS)?;
            Finding::from(&settings.measure(&objective, layout, w)?)
        }
        Metric::Keskar { epsilon, subspace } => {
            let mut settings = Keskar::new(epsilon)?.selection(selection);
            settings = settings.measured_on(&data.to_string());
            if let Some(dimension) = subspace {
                settings = settings.space(Space::random(dimension, w.len()))?;
            }
            Finding::from(&settings.measure(&objective.differentiable()?, layout, w)?)
        }
        Metric::LargestEigenvalue {} => {
            let settings = Eigenvalues::new(1, 0)?.tolerance(TOLERANCE)?.selection(selection);
            Finding::from(&settings.measure(&objective.differentiable()?, layout, w)?)
        }
    })
}
