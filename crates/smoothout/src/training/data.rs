//! The examples that a training sees, and whether a network can take them.

use std::sync::Arc;

use smoothout_nn::Network;

use super::TrainError;
use crate::data::{DataError, DataSet, Images, Split};
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

/// There are images, they have the network's shape, and it has a logit for each class. A folder's
/// test split that numbers its classes itself has as many as the network: of fewer, none can be said
/// to have the number that it was trained with.
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
    if let Images::Files { class_folder, .. } = &set.images
        && !class_folder.ends_with("train")
        && network.classes() != set.classes
    {
        let (folder, found, expected) = (class_folder.clone(), set.classes, network.classes());
        return Err(DataError::Unnumbered { folder, found, expected }.into());
    }
    if network.classes() < set.classes {
        let (found, expected) = (network.classes(), set.classes);
        return Err(TrainError::Classes { dataset, found, expected });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::DataSetName;

    /// Trained on a, b and c: in a folder of a and c alone, c would be class 1. Empty folders in
    /// `train` give it its number back.
    #[test]
    fn a_test_split_without_train_has_the_networks_classes() {
        let dir = tempfile::tempdir().unwrap();
        for class in ["a", "c"] {
            let folder = dir.path().join("val").join(class);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("1.png"), "not decoded").unwrap();
        }
        let fit = |classes| {
            let set = DataSet::load(DataSetName::Folder, Some(dir.path()), Split::Test).unwrap();
            let network = Network::by_name("resnet18", classes).unwrap();
            check_fit(&network, &set).map(|()| set.labels)
        };
        assert_eq!(fit(2).unwrap(), [0, 1]);
        let error = fit(3).unwrap_err();
        assert!(error.is_bad_input() && error.to_string().contains("into train/"), "{error}");
        for class in ["a", "b", "c"] {
            fs::create_dir_all(dir.path().join("train").join(class)).unwrap();
        }
        assert_eq!(fit(3).unwrap(), [0, 2]);
    }
}
