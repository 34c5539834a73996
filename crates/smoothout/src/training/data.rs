//! The examples that a training sees, and whether a network can take them.

use std::sync::Arc;

use smoothout_nn::Network;

use super::TrainError;
use crate::data::{DataError, DataSet, Split};
use crate::experiment::Experiment;

/// The training and test examples of an experiment.
#[derive(Debug, Clone)]
pub struct TrainingData {
    /// To train on.
    pub train: Arc<DataSet>,
    /// To evaluate on after each epoch.
    pub test: Arc<DataSet>,
}

impl TrainingData {
    /// Reads the experiment's data set; with a held-out share, the test examples come from the
    /// training split.
    ///
    /// # Errors
    /// As [`DataSet::load`].
    pub fn load(experiment: &Experiment) -> Result<Self, DataError> {
        let spec = &experiment.spec;
        let load = |split| DataSet::load(experiment.dataset, spec.data_dir.as_deref(), split);
        let all = load(Split::Train)?;
        let (train, test) = match spec.holdout {
            Some(share) => all.split_holdout(share, 0)?,
            None => (all, load(Split::Test)?),
        };
        let limited = |set: DataSet, limit: Option<usize>| match limit {
            Some(limit) => Arc::new(set.first(limit)),
            None => Arc::new(set),
        };
        Ok(Self { train: limited(train, spec.train_limit), test: limited(test, spec.test_limit) })
    }
}

/// There are images, they have the network's shape, and it has a logit for each class.
pub(crate) fn check_fit(network: &Network, set: &DataSet) -> Result<(), TrainError> {
    let (expected, found) = (network.input_shape(), [set.height, set.width, set.channels]);
    let dataset = set.name.to_string();
    if set.is_empty() {
        return Err(TrainError::EmptySplit { dataset, split: set.split });
    }
    if expected != found {
        let model = network.name().to_owned();
        return Err(TrainError::Shape { model, expected, dataset, found });
    }
    if network.classes() < set.classes {
        let (found, expected) = (network.classes(), set.classes);
        return Err(TrainError::Classes { dataset, found, expected });
    }
    Ok(())
}
