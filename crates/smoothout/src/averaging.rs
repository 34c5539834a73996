//! SWA in a training: the average of its weights, and the batch norm statistics that belong to it.
//!
//! The average has no running statistics: no forward pass was ever made with it. So each time it has
//! changed, one pass over the training examples computes them anew, with batch norm and random
//! layers as in training: the first epoch's order and augmentation, cut into ghost batches. Mean
//! and unbiased variance of the ghost batches are averaged, each weighted by its examples. A network
//! without batch norm needs no pass.
//!
//! # Source
//! Izmailov et al. 2018, arXiv:1803.05407, section 3.2; `bn_update` in the authors' `utils.py`, and
//! PyTorch's `torch.optim.swa_utils.update_bn`.

use ndarray::{Axis, Slice};
use smoothout_nn::{Mode, Network, Workspace};
use smoothout_optim::Swa;
use smoothout_tensor::{Purpose, StreamKey};

use crate::data::Loader;
use crate::experiment::Experiment;
use crate::training::{ModelState, TrainError, TrainingData};

/// The average of a training's weights and the model that it makes.
#[derive(Debug)]
pub(crate) struct Averaging {
    swa: Swa<f32>,
    /// The average with its own statistics, once there is one.
    model: Option<ModelState>,
}

impl Averaging {
    pub(crate) fn new(swa: Swa<f32>) -> Self {
        Self { swa, model: None }
    }

    /// The averaged model, once there is one.
    pub(crate) fn model(&self) -> Option<&ModelState> {
        self.model.as_ref()
    }

    /// The average alone, once there is one.
    pub(crate) fn average(&self) -> Option<&[f32]> {
        self.swa.average()
    }

    /// How many weights were averaged.
    pub(crate) fn count(&self) -> u64 {
        self.swa.models()
    }

    /// Takes in the weights after `epochs` epochs if their turn has come; the model is then to be
    /// refreshed.
    pub(crate) fn observe(&mut self, epochs: usize, w: &[f32]) -> bool {
        self.swa.observe(epochs as u64, w)
    }

    /// Goes on with the average of `count` weights, at least one; the model is then to be refreshed.
    pub(crate) fn restore(&mut self, count: u64, average: Vec<f32>) {
        self.swa.restore(count, average).expect("an average of weights");
    }

    /// Makes the model of the present average.
    pub(crate) fn refresh(
        &mut self,
        experiment: &Experiment,
        network: &Network,
        data: &TrainingData,
        workspace: &mut Workspace<f32>,
    ) -> Result<(), TrainError> {
        self.model = match self.swa.average() {
            None => None,
            Some(w) => Some(with_statistics(w, experiment, network, data, workspace)?),
        };
        Ok(())
    }
}

/// The weights w with the batch norm statistics of the training examples.
fn with_statistics(
    w: &[f32],
    experiment: &Experiment,
    network: &Network,
    data: &TrainingData,
    workspace: &mut Workspace<f32>,
) -> Result<ModelState, TrainError> {
    let mut sums = vec![0.0_f64; network.buffers().len()];
    let (mut examples, mut batches_tracked) = (0, 0);
    if !sums.is_empty() {
        let Experiment { batch_size, seed, augmentation, .. } = *experiment;
        let loader = Loader::train(&data.train, batch_size, 0, seed, augmentation)?;
        for (step, batch) in loader.enumerate() {
            let batch = batch?;
            let key = StreamKey::new(seed, Purpose::Dropout).step(step as u64);
            for (ghost, range) in experiment.ghosts.split(batch.len()).enumerate() {
                let mode = Mode::train(key.copy(ghost as u64));
                let images = batch.images();
                let images = images.slice_axis(Axis(0), Slice::from(range.clone()));
                network.loss(w, mode, images, &batch.labels()[range.clone()], workspace)?;
                let weight = range.len() as f64;
                for (sum, &value) in sums.iter_mut().zip(workspace.batch_statistics()) {
                    *sum += weight * f64::from(value);
                }
                examples += range.len();
                batches_tracked += 1;
            }
        }
    }
    let buffers = sums.iter().map(|sum| (sum / examples as f64) as f32).collect();
    Ok(ModelState { parameters: w.to_vec(), buffers, batches_tracked })
}

#[cfg(test)]
mod tests {
    use smoothout_optim::RegimeStep;

    use super::*;
    use crate::data::DataSetName;
    use crate::experiment::{ExperimentSpec, Method, RegimeSpec};
    use crate::training::Training;

    /// 4 epochs of F1 on 200 images, in batches of 64 in ghost batches of 32: the last has 8.
    fn training(spec: ExperimentSpec) -> Training {
        let experiment = ExperimentSpec {
            model: Some("f1".to_owned()),
            dataset: Some(DataSetName::Mnist),
            train_limit: Some(200),
            test_limit: Some(100),
            epochs: Some(4),
            batch_size: Some(64),
            ghost_batch_size: Some(32),
            ..spec
        };
        let experiment = experiment.resolve().unwrap();
        let data = TrainingData::load(&experiment).unwrap();
        Training::new(experiment, data).unwrap()
    }

    /// SWA trains as plain training with its learning rates, and its model is the mean of the
    /// weights after epochs 2 and 4.
    #[test]
    fn the_model_is_the_mean_of_plain_trainings_weights() {
        let mut swa = training(ExperimentSpec {
            method: Some(Method::Swa),
            swa_start: Some(2),
            swa_cycle: Some(2),
            ..ExperimentSpec::default()
        });
        let step = |(epoch, learning_rate)| RegimeStep { epoch, learning_rate };
        let regime = RegimeSpec([(0, 0.1), (2, 0.05)].map(step).into());
        let mut plain =
            training(ExperimentSpec { regime: Some(regime), ..ExperimentSpec::default() });
        let mut seen = Vec::new();
        for epoch in 1..=4 {
            let [averaged, trained] =
                [&mut swa, &mut plain].map(|run| run.epoch(|_, _| {}).unwrap());
            assert_eq!(averaged.train_loss, trained.train_loss);
            assert_eq!(averaged.averaged, epoch / 2);
            assert_eq!(swa.state().model, plain.state().model);
            assert_eq!(averaged.test_loss == trained.test_loss, epoch == 1);
            if epoch % 2 == 0 {
                seen.push(plain.model().parameters.clone());
            }
        }
        for ((&found, a), b) in swa.model().parameters.iter().zip(&seen[0]).zip(&seen[1]) {
            assert!((found - (a + b) / 2.0).abs() <= 1e-6 * (1.0 + found.abs()));
        }
    }

    /// The first batch norm sees linear functions of the images, W x + b, whatever the other
    /// layers do: the mean of its statistics is W mean(x) + b, though the last ghost batch is
    /// small. Weights that never changed have not the running statistics of a training.
    #[test]
    fn statistics_are_those_of_the_training_examples() {
        let training =
            training(ExperimentSpec { method: Some(Method::Swa), ..ExperimentSpec::default() });
        let (experiment, network, data) =
            (training.experiment(), training.network(), training.data());
        let w = &training.model().parameters;
        let mut workspace = Workspace::new(network, 33);
        let model = with_statistics(w, experiment, network, data, &mut workspace).unwrap();
        assert_eq!((&model.parameters, model.batches_tracked), (w, 7));

        let mut mean = vec![0.0_f64; 784];
        for batch in Loader::evaluate(&data.train, 200).unwrap() {
            for image in batch.unwrap().pixels().chunks(784) {
                mean.iter_mut().zip(image).for_each(|(mean, x)| *mean += f64::from(*x) / 200.0);
            }
        }
        let blocks = network.parameters().blocks();
        let (weight, bias) = (&w[blocks[0].range()], &w[blocks[1].range()]);
        let found = &model.buffers[network.buffers().blocks()[0].range()];
        assert_eq!(found.len(), 512);
        for ((row, bias), found) in weight.chunks(784).zip(bias).zip(found) {
            let dot = row.iter().zip(&mean).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
            assert!((f64::from(*found) - dot - f64::from(*bias)).abs() < 1e-5);
        }
    }
}
