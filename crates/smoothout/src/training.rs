//! Training: epochs of parameter updates, each followed by an evaluation.
//!
//! Data flows one way: loader, batch, ghost batches, perturbed weights, forward, backward, mean
//! gradient, update, record.

mod data;
mod error;
mod record;
mod state;

use std::ops::ControlFlow;
use std::time::Instant;

use smoothout_nn::Network;
use smoothout_optim::{GradientOracle, Optimizer, StepError};
use smoothout_tensor::{Purpose, StreamKey};

use crate::averaging::Averaging;
use crate::data::{Batch, Loader};
use crate::evaluation::{EVALUATION_BATCH, evaluate};
use crate::examination::{self, Examination};
use crate::experiment::{Experiment, ExperimentError, MethodOptimizer};
use crate::oracle::{BatchOracle, GhostScratch, Tally};

pub use data::TrainingData;
pub(crate) use data::check_fit;
pub use error::TrainError;
pub use record::EpochRecord;
pub(crate) use record::is_zero;
pub use state::{EpochProgress, ModelState, TrainingState};

/// A training run in memory.
#[derive(Debug)]
pub struct Training {
    experiment: Experiment,
    network: Network,
    data: TrainingData,
    optimizer: MethodOptimizer,
    model: ModelState,
    averaging: Option<Averaging>,
    scratch: Vec<GhostScratch>,
    epochs: usize,
    best: Option<(usize, f64)>,
    unfinished: EpochProgress,
}

impl Training {
    /// A network with initial weights. As many ghost batches run at once as the current Rayon pool
    /// has threads.
    ///
    /// # Errors
    /// If the data do not fit the network.
    pub fn new(experiment: Experiment, data: TrainingData) -> Result<Self, TrainError> {
        let classes = experiment.spec.classes.unwrap_or(data.train.classes);
        let network = Network::by_name(&experiment.model, classes)?;
        check_fit(&network, &data.train)?;
        check_fit(&network, &data.test)?;
        if experiment.ghosts.size() == 1 && !network.buffers().is_empty() {
            return Err(TrainError::GhostOfOne { model: experiment.model });
        }
        if experiment.ghosts.split(data.train.len()).len() == 0 {
            return Err(TrainError::LoneExample);
        }
        let steps_per_epoch = data.train.len().div_ceil(experiment.batch_size);
        let steps = (experiment.epochs * steps_per_epoch) as u64;
        if let Some(langevin) = experiment.spec.langevin_steps.filter(|&langevin| langevin > steps)
        {
            let advice = format!(
                "the training has {steps} batches, too few for one parameter update; train longer, \
                 or choose fewer Langevin steps"
            );
            return Err(ExperimentError::field("langevin_steps", langevin, &advice).into());
        }
        let optimizer = experiment.optimizer(&network, steps)?;
        let examples = experiment.batch_size.min(data.train.len());
        let copies = examples.div_ceil(experiment.ghosts.size()).saturating_mul(experiment.copies);
        let capacity = experiment.ghosts.capacity().min(examples);
        let scratch = (0..copies.min(rayon::current_num_threads()))
            .map(|_| GhostScratch::new(&network, capacity))
            .collect();
        let model = ModelState {
            parameters: network.initial_parameters(experiment.seed),
            buffers: network.initial_buffers(),
            batches_tracked: 0,
        };
        let averaging = experiment.swa().map(Averaging::new);
        Ok(Self {
            experiment,
            network,
            data,
            optimizer,
            model,
            averaging,
            scratch,
            epochs: 0,
            best: None,
            unfinished: EpochProgress::default(),
        })
    }

    /// Goes on from a state that [`Training::state`] gave.
    ///
    /// # Errors
    /// If the state is of another optimiser or of other data.
    pub fn restore(&mut self, state: TrainingState) -> Result<(), TrainError> {
        let (found, expected) = (state.unfinished.batches, self.steps_per_epoch());
        if found > expected {
            return Err(TrainError::EpochLength { found, expected });
        }
        let mut memory = state.memory;
        let mut take = |name: &str| {
            let place = memory.iter().position(|(known, _)| known == name)?;
            Some(memory.swap_remove(place).1)
        };
        let lacks = |name| TrainError::Memory { name };
        self.optimizer.restore(state.steps, &mut take).map_err(lacks)?;
        if self.experiment.spec.restart_optimizer == Some(true) {
            self.optimizer.descent_mut().restarted(found as u64);
        }
        if let Some(averaging) = &mut self.averaging
            && state.averaged > 0
        {
            let average = take(AVERAGE).filter(|average| !average.is_empty());
            let average = average.ok_or(lacks(AVERAGE))?;
            averaging.restore(state.averaged, average);
            let workspace = &mut self.scratch[0].workspace;
            averaging.refresh(&self.experiment, &self.network, &self.data, workspace)?;
        }
        self.model = state.model;
        self.epochs = state.epochs;
        self.best = state.best;
        self.unfinished = state.unfinished;
        Ok(())
    }

    /// The state between two parameter updates: what a checkpoint keeps.
    pub fn state(&self) -> TrainingState {
        let average = self.averaging.as_ref().and_then(Averaging::average);
        let average = average.map(|average| (AVERAGE, average));
        let memory = self.optimizer.memory().into_iter().chain(average);
        TrainingState {
            epochs: self.epochs,
            steps: self.optimizer.steps(),
            model: self.model.clone(),
            memory: memory.map(|(name, vector)| (name.to_owned(), vector.to_vec())).collect(),
            averaged: self.averaging.as_ref().map_or(0, Averaging::count),
            best: self.best,
            unfinished: self.unfinished,
        }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The examples.
    pub fn data(&self) -> &TrainingData {
        &self.data
    }

    /// What is evaluated and kept: its parameters and running statistics, or SWA's average with
    /// statistics of its own as soon as there is one.
    pub fn model(&self) -> &ModelState {
        solution(self.averaging.as_ref(), &self.model)
    }

    /// The experiment.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// Finished epochs.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// The best evaluation so far: (epoch from 1, top-1 percent).
    pub fn best(&self) -> Option<(usize, f64)> {
        self.best
    }

    /// How far the epoch after the finished ones has come.
    pub fn unfinished(&self) -> &EpochProgress {
        &self.unfinished
    }

    /// Batches in an epoch: parameter updates, or Entropy-SGD's Langevin steps.
    pub fn steps_per_epoch(&self) -> usize {
        self.data.train.len().div_ceil(self.experiment.batch_size)
    }

    /// The rest of the epoch and its evaluation. `progress` is called after each update with the
    /// number of updates in this epoch so far and the tally of its examples.
    ///
    /// # Errors
    /// If data cannot be read, or the loss or gradient is infinite or NaN.
    pub fn epoch(
        &mut self,
        mut progress: impl FnMut(usize, &Tally),
    ) -> Result<EpochRecord, TrainError> {
        loop {
            let record = self.epoch_until(|step, tally| {
                progress(step, tally);
                ControlFlow::Continue(())
            })?;
            if let Some(record) = record {
                return Ok(record);
            }
        }
    }

    /// As [`epoch`](Self::epoch), but it ends after the update at which `progress` breaks, with
    /// `None`; the next call goes on with the epoch, and so does a training with this one's
    /// [`state`](Self::state).
    ///
    /// # Errors
    /// As [`epoch`](Self::epoch).
    pub fn epoch_until(
        &mut self,
        mut progress: impl FnMut(usize, &Tally) -> ControlFlow<()>,
    ) -> Result<Option<EpochRecord>, TrainError> {
        let start = Instant::now();
        let before = self.unfinished.seconds;
        let loader = Loader::train_from(
            &self.data.train,
            self.experiment.batch_size,
            self.epochs as u64,
            self.experiment.seed,
            self.experiment.augmentation,
            self.unfinished.batches,
        )?;
        for batch in loader {
            self.update(&batch?)?;
            let EpochProgress { batches, tally, .. } = &self.unfinished;
            if progress(*batches, tally).is_break() {
                self.unfinished.seconds = before + start.elapsed().as_secs_f64();
                return Ok(None);
            }
        }
        let record = self.evaluate(before, start)?;
        Ok(Some(record))
    }

    /// One parameter update.
    fn update(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let (seed, step) = (self.experiment.seed, self.optimizer.steps());
        let learning_rate = self.experiment.regime.learning_rate(self.epochs);
        let (network, cut) = (&self.network, self.experiment.ghosts);
        let key = StreamKey::new(seed, Purpose::Dropout).step(step);
        let (images, labels) = (batch.images(), batch.labels());
        let (buffers, tally) = (&mut self.model.buffers, &mut self.unfinished.tally);
        let mut oracle = BatchOracle::new(network, images, labels, cut, key, buffers, tally);
        let ghosts = oracle.ghosts();
        // None in a batch of one lone example.
        if ghosts > 0 {
            let first = self.unfinished.batches == 0;
            if first && self.experiment.spec.restart_optimizer == Some(true) {
                self.optimizer.descent_mut().restart();
            }
            let (w, scratch) = (&mut self.model.parameters, &mut self.scratch);
            let report = self.optimizer.step(w, &mut oracle, scratch, learning_rate);
            let report = report.map_err(|source| {
                let first = match source {
                    StepError::Oracle { .. } => None,
                    _ => {
                        let mut examination = Examination(oracle);
                        let again =
                            self.optimizer.step(w, &mut examination, scratch, learning_rate);
                        examination::words(again, self.experiment.perturbation.is_some())
                    }
                };
                TrainError::Step { epoch: self.epochs + 1, first, source }
            })?;
            self.unfinished.radius_coefficient = report.radius_coefficient;
            self.model.batches_tracked += (ghosts * self.experiment.copies) as u64;
            self.check_finite(step, report.gradient_norm)?;
        }
        self.unfinished.batches += 1;
        Ok(())
    }

    /// That a step has left nothing infinite or NaN.
    fn check_finite(&self, step: u64, gradient_norm: f64) -> Result<(), TrainError> {
        let layout = self.network.parameters();
        let weights = || {
            let block = layout.first_non_finite(&self.model.parameters)?;
            Some(format!("the weights {block}"))
        };
        let statistics = || {
            let block = self.network.buffers().first_non_finite(&self.model.buffers)?;
            Some(format!("the running statistics {block}"))
        };
        // Only a gradient whose square is beyond f32 can make the memory overflow.
        let memory = || {
            let vectors = if gradient_norm > 1e18 { self.optimizer.memory() } else { Vec::new() };
            vectors.into_iter().find_map(|(name, vector)| {
                let block = layout.first_non_finite(vector)?;
                Some(format!("the numbers of the optimiser's {name} for {block}"))
            })
        };
        match weights().or_else(statistics).or_else(memory) {
            Some(what) => Err(TrainError::Overflow { epoch: self.epochs + 1, step, what }),
            None => Ok(()),
        }
    }

    /// Evaluates and ends the epoch, which took `seconds` before `start`.
    fn evaluate(&mut self, seconds: f64, start: Instant) -> Result<EpochRecord, TrainError> {
        let epoch = self.epochs + 1;
        if let Some(averaging) = &mut self.averaging
            && averaging.observe(epoch, &self.model.parameters)
        {
            let workspace = &mut self.scratch[0].workspace;
            averaging.refresh(&self.experiment, &self.network, &self.data, workspace)?;
        }
        let test = evaluate(
            &self.network,
            solution(self.averaging.as_ref(), &self.model),
            &self.data.test,
            EVALUATION_BATCH,
            &mut self.scratch[0].workspace,
        )?;
        if !test.loss().is_finite() {
            let (step, loss) = (self.optimizer.steps(), test.loss());
            return Err(TrainError::Evaluation { epoch, step, loss });
        }
        if self.best.is_none_or(|(_, best)| test.top1() > best) {
            self.best = Some((epoch, test.top1()));
        }
        let radius =
            self.experiment.perturbation.as_ref().map_or(0.0, |perturbation| perturbation.radius());
        let EpochProgress { tally, radius_coefficient, .. } = std::mem::take(&mut self.unfinished);
        self.epochs = epoch;
        Ok(EpochRecord {
            epoch,
            steps: self.optimizer.steps(),
            learning_rate: self.experiment.regime.learning_rate(epoch - 1),
            radius: radius * radius_coefficient,
            train_loss: tally.loss(),
            train_top1: tally.top1(),
            train_top5: tally.top5(),
            test_loss: test.loss(),
            test_top1: test.top1(),
            test_top5: test.top5(),
            seconds: seconds + start.elapsed().as_secs_f64(),
            averaged: self.averaging.as_ref().map_or(0, Averaging::count),
        })
    }
}

/// The name of SWA's average in a checkpoint.
const AVERAGE: &str = "swa_average";

/// SWA's averaged model, or the one that is trained.
fn solution<'a>(averaging: Option<&'a Averaging>, trained: &'a ModelState) -> &'a ModelState {
    averaging.and_then(Averaging::model).unwrap_or(trained)
}
