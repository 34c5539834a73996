//! The numbers that a study measures of a trained network.
//!
//! All on the training split, with the frozen batch norm of the network's last epoch and seed 0 for
//! whatever is drawn, so that two networks are measured by the same draws.

use std::time::Instant;

use smoothout_nn::Network;
use smoothout_sharpness::{Eigenvalues, ExpectedLoss, Keskar, SharpnessError, Space};
use smoothout_tensor::{Geometry, Perturbation, Real};

use super::results::Measured;
use super::study::Measure;
use crate::data::DataSet;
use crate::evaluation::EVALUATION_BATCH;
use crate::measure::{
    BatchNormPolicy, Certainty, ExampleSet, Finding, MeasureError, NetworkObjective,
};
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
    let found = match measure {
        Measure::ExpectedLoss { geometry, radius, examples } => {
            expected_loss(network, model, train, (geometry, radius), examples)
        }
        Measure::Keskar { epsilon, subspace, examples } => {
            keskar(network, model, train, (epsilon, subspace), examples)
        }
        Measure::LargestEigenvalue { examples } => {
            largest_eigenvalue(network, model, train, examples)
        }
    };
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

fn expected_loss(
    network: &Network,
    model: &ModelState,
    train: &DataSet,
    (geometry, radius): (Geometry, f64),
    examples: usize,
) -> Result<Finding, MeasureError> {
    let (examples, _) = ExampleSet::draw(train, Some(examples), 0)?;
    let objective = objective(network, &examples, &model.buffers)?;
    let report =
        ExpectedLoss::new(Perturbation::new(geometry, radius).map_err(SharpnessError::from)?)
            .draws(PAIRS)?
            .measure(&objective, network.parameters(), &model.parameters)?;
    Ok(Finding::from(&report))
}

fn keskar(
    network: &Network,
    model: &ModelState,
    train: &DataSet,
    (epsilon, subspace): (f64, Option<usize>),
    examples: usize,
) -> Result<Finding, MeasureError> {
    let (examples, data) = ExampleSet::draw(train, Some(examples), 0)?;
    let objective = objective(network, &examples, &model.buffers)?;
    let mut settings = Keskar::new(epsilon)?.measured_on(&data.to_string());
    if let Some(dimension) = subspace {
        settings = settings.space(Space::random(dimension, model.parameters.len()))?;
    }
    let objective = objective.differentiable()?;
    let report = settings.measure(&objective, network.parameters(), &model.parameters)?;
    Ok(Finding::from(&report))
}

fn largest_eigenvalue(
    network: &Network,
    model: &ModelState,
    train: &DataSet,
    examples: usize,
) -> Result<Finding, MeasureError> {
    let (examples, _) = ExampleSet::draw(train, Some(examples), 0)?;
    let hessian = objective(network, &examples, &model.buffers)?.differentiable()?;
    let settings = Eigenvalues::new(1, 0)?.tolerance(TOLERANCE);
    Ok(Finding::from(&settings.measure(&hessian, network.parameters(), &model.parameters)?))
}

fn objective<'a, R: Real>(
    network: &'a Network,
    examples: &'a ExampleSet<R>,
    buffers: &'a [R],
) -> Result<NetworkObjective<'a, R>, MeasureError> {
    NetworkObjective::new(network, examples, buffers, BatchNormPolicy::Frozen, EVALUATION_BATCH)
}
