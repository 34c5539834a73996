//! How long parameter updates take, on one batch of random images.

use std::time::Instant;

use ndarray::Array4;
use smoothout_nn::{LayerTime, Mode, Network};
use smoothout_optim::{Optimizer, StepError};
use smoothout_tensor::{Purpose, StreamKey, fill_gaussian};

use crate::experiment::Experiment;
use crate::oracle::{BatchOracle, GhostScratch, Tally};
use crate::training::TrainError;

/// How often to run what is timed.
#[derive(Debug, Clone, Copy)]
pub struct StepTimer {
    /// Rounds that are not timed.
    pub warm_up: usize,
    /// Rounds that are.
    pub steps: usize,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Milliseconds of each round.
    pub ms: Vec<f64>,
    /// What the rounds' layers took together, as far as they ran one after the other: of ghost batches side by
    /// side, the mean of those in flight.
    pub layers: Vec<LayerTime>,
}

impl StepTimer {
    /// The time of each update (ghost batches, backward passes, optimiser) on a batch of
    /// `batch_size` images.
    ///
    /// # Errors
    /// If the loss or gradient is infinite or NaN.
    pub fn updates(
        self,
        experiment: &Experiment,
        network: &Network,
        batch_size: usize,
    ) -> Result<Timing, TrainError> {
        let (images, labels) = random_batch(experiment, network, batch_size);
        let mut w = network.initial_parameters(experiment.seed);
        let mut buffers = network.initial_buffers();
        let mut tally = Tally::default();
        let mut optimizer =
            experiment.optimizer(network, (self.warm_up + self.steps).max(1) as u64)?;
        let in_flight = (batch_size / experiment.ghosts.size()).min(rayon::current_num_threads());
        let capacity = experiment.ghosts.capacity();
        let mut scratch: Vec<_> =
            (0..in_flight.max(1)).map(|_| GhostScratch::new(network, capacity)).collect();
        self.times(network, &mut scratch, |round, scratch| {
            let key = StreamKey::new(experiment.seed, Purpose::Dropout).step(round as u64);
            let mut oracle = BatchOracle::new(
                network,
                images.view(),
                &labels,
                experiment.ghosts,
                key,
                &mut buffers,
                &mut tally,
            );
            let failed = |source: StepError<_>| TrainError::Step { epoch: 1, first: None, source };
            optimizer.step(&mut w, &mut oracle, scratch, 1e-3).map_err(failed)?;
            Ok(())
        })
    }

    /// The time of each forward pass in evaluation, on the experiment's batch size.
    ///
    /// # Errors
    /// If the network cannot be evaluated.
    pub fn forward(self, experiment: &Experiment, network: &Network) -> Result<Timing, TrainError> {
        let (images, labels) = random_batch(experiment, network, experiment.batch_size);
        let w = network.initial_parameters(experiment.seed);
        let buffers = network.initial_buffers();
        let mut scratch = [GhostScratch::new(network, experiment.batch_size)];
        self.times(network, &mut scratch, |_, scratch| {
            let (mode, workspace) = (Mode::evaluate(&buffers), &mut scratch[0].workspace);
            network.loss(&w, mode, images.view(), &labels, workspace)?;
            Ok(())
        })
    }

    fn times(
        self,
        network: &Network,
        scratch: &mut [GhostScratch],
        mut round: impl FnMut(usize, &mut [GhostScratch]) -> Result<(), TrainError>,
    ) -> Result<Timing, TrainError> {
        for number in 0..self.warm_up {
            round(number, scratch)?;
        }
        scratch.iter_mut().for_each(|scratch| scratch.workspace.time_layers(network));
        let mut ms = Vec::with_capacity(self.steps);
        for number in 0..self.steps {
            let start = Instant::now();
            round(self.warm_up + number, scratch)?;
            ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let layers = scratch.iter().map(|scratch| scratch.workspace.layer_times(network));
        Ok(Timing { ms, layers: mean(layers) })
    }
}

/// The mean time of each layer.
fn mean(runs: impl ExactSizeIterator<Item = Vec<LayerTime>>) -> Vec<LayerTime> {
    let count = runs.len() as u32;
    let add = |mut sum: Vec<LayerTime>, run: Vec<LayerTime>| {
        for (sum, layer) in sum.iter_mut().zip(run) {
            sum.forward += layer.forward;
            sum.backward += layer.backward;
        }
        sum
    };
    let mut layers = runs.reduce(add).unwrap_or_default();
    for layer in &mut layers {
        layer.forward /= count;
        layer.backward /= count;
    }
    layers
}

fn random_batch(
    experiment: &Experiment,
    network: &Network,
    batch_size: usize,
) -> (Array4<f32>, Vec<usize>) {
    let [height, width, channels] = network.input_shape();
    let mut images = Array4::zeros((batch_size, height, width, channels));
    let pixels = images.as_slice_mut().expect("a new array is contiguous");
    fill_gaussian(StreamKey::new(experiment.seed, Purpose::Data), pixels);
    (images, (0..batch_size).map(|i| i % network.classes()).collect())
}
