//! Data and states that a training refuses.

use std::sync::Arc;

use smoothout::data::{DataSet, DataSetName, Images, Split};
use smoothout::experiment::ExperimentSpec;
use smoothout::training::{TrainError, Training, TrainingData};
use smoothout_nn::NnError;
use smoothout_optim::StepError;

fn set(split: Split, labels: &[u16]) -> Arc<DataSet> {
    Arc::new(DataSet {
        name: DataSetName::Mnist,
        split,
        images: Images::Memory(vec![7; labels.len() * 784]),
        labels: labels.to_vec(),
        height: 28,
        width: 28,
        channels: 1,
        classes: 10,
    })
}

fn training(train: &[u16], test: &[u16]) -> Result<Training, TrainError> {
    let spec = ExperimentSpec { model: Some("f1".to_owned()), ..ExperimentSpec::default() };
    let data = TrainingData { train: set(Split::Train, train), test: set(Split::Test, test) };
    Training::new(spec.resolve()?, data)
}

#[test]
fn empty_splits_are_refused_before_training() {
    for (train, test, name) in [(&[][..], &[1, 2][..], "train"), (&[1, 2], &[], "test")] {
        let message = training(train, test).unwrap_err().to_string();
        assert!(message.contains(&format!("the {name} split of mnist has no images")), "{message}");
    }
}

#[test]
fn a_class_beyond_the_models_is_an_error() {
    let error = training(&[1, 10, 2], &[3]).unwrap().epoch(|_, _| {}).unwrap_err();
    let TrainError::Step { source: StepError::Oracle { source, .. }, .. } = error else {
        panic!("{error:?}")
    };
    assert!(matches!(source, NnError::Label { label: 10, classes: 10, .. }), "{source}");
}

/// A state that is further into an epoch than the data allow is of other data.
#[test]
fn a_state_of_other_data_is_refused() {
    let mut training = training(&[1, 2, 3], &[3]).unwrap();
    let mut state = training.state();
    state.unfinished.batches = 2;
    let message = training.restore(state).unwrap_err().to_string();
    assert!(message.contains("2 batches into an epoch, and an epoch has 1"), "{message}");
}
