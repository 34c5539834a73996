//! How long trainings will take on this machine, from a few updates of each network.
//!
//! ```text
//! seconds = examples * epochs * gradients * (seconds per example and gradient)
//!         + test examples * epochs * (a third of that: a forward pass)
//! ```
//! Loading data, measuring and drawing come on top. Measuring took a quarter as long as training
//! where C1 trained for 25 epochs, a seventh where F1 trained for 50.

use std::collections::HashMap;

use smoothout_nn::Network;

use crate::data::DataSetName;
use crate::experiment::Experiment;
use crate::timing::StepTimer;
use crate::training::TrainError;

/// Seconds per example and gradient, by network.
#[derive(Debug, Default)]
pub struct Estimate {
    speeds: HashMap<(String, usize), f64>,
}

/// Updates are timed on one ghost batch a thread, of at most so many images.
const LARGEST_GHOST: usize = 128;

impl Estimate {
    /// Seconds that the epochs of an experiment after the first `finished` will take.
    ///
    /// # Errors
    /// If an update cannot be made.
    pub fn seconds(&mut self, experiment: &Experiment, finished: usize) -> Result<f64, TrainError> {
        let (train, test) = examples(experiment);
        let epochs = experiment.epochs.saturating_sub(finished) as f64;
        let speed = self.speed(experiment)?;
        let gradients = (train * experiment.gradients()) as f64;
        Ok(speed * epochs * (gradients + test as f64 / 3.0))
    }

    fn speed(&mut self, experiment: &Experiment) -> Result<f64, TrainError> {
        let classes = experiment.spec.classes.unwrap_or(10);
        let key = (experiment.model.clone(), classes);
        if let Some(&speed) = self.speeds.get(&key) {
            return Ok(speed);
        }
        let network = Network::by_name(&experiment.model, classes)?;
        let ghost = experiment.ghosts.size().min(LARGEST_GHOST);
        let batch = ghost * rayon::current_num_threads().min(experiment.batch_size / ghost).max(1);
        let timer = StepTimer { warm_up: 1, steps: 3 };
        let mut times = timer.updates(experiment, &network, batch)?.ms;
        times.sort_by(f64::total_cmp);
        let speed = times[times.len() / 2] / 1e3 / (batch * experiment.gradients()) as f64;
        self.speeds.insert(key, speed);
        Ok(speed)
    }
}

/// Training and test examples of an experiment, without reading the data: those of a folder are
/// not known, and count as ImageNet's.
fn examples(experiment: &Experiment) -> (usize, usize) {
    let spec = &experiment.spec;
    let (train, test) = match experiment.dataset {
        DataSetName::Mnist => (60_000, 10_000),
        DataSetName::Cifar10 | DataSetName::Cifar100 => (50_000, 10_000),
        DataSetName::Folder => (1_281_167, 50_000),
    };
    let (train, test) = match spec.holdout {
        Some(share) => {
            let held = (train as f64 * share) as usize;
            (train - held, held)
        }
        None => (train, test),
    };
    (train.min(spec.train_limit.unwrap_or(train)), test.min(spec.test_limit.unwrap_or(test)))
}

/// A length of time for a person: `40 s`, `12 min`, `3.5 h`, `2.1 days`.
pub fn spoken(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 90.0 * 60.0 => format!("{:.0} min", s / 60.0),
        s if s < 36.0 * 3600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spoken_in_fitting_units() {
        let spoken: Vec<_> = [4.2, 600.0, 7200.0, 200_000.0].map(spoken).into();
        assert_eq!(spoken, ["4 s", "10 min", "2.0 h", "2.3 days"]);
    }
}
