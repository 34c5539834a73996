//! The unchecked specification: every setting of a training run, each of which may be left out.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use smoothout_optim::{AscentScope, LearningRateScaling, LoneExample};
use smoothout_tensor::Distribution;

use super::choices::{AdaptType, Method, Optimizer, RegimeSpec, ScheduleName, named, parse_regime};
use super::error::ExperimentError;
use crate::data::DataSetName;
use crate::text::{finite, parse_object, read_text, utf8_path};

/// Everything that decides a training run, unchecked; what is left out takes the default that
/// `--help` names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, default)]
pub struct ExperimentSpec {
    /// The network: see `smoothout models`
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Number of classes [default: the data set's]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// mnist, cifar10, cifar100 or folder [default: mnist]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DataSetName>,
    /// Folder of the data set's files [default: looked for, see `smoothout data list`]
    #[arg(long, value_parser = utf8_path())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Train on the first N examples only (of a folder N chosen at random, always the same)
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// Test on the first N examples only (of a folder N chosen at random, always the same)
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<usize>,
    /// Test on a held-out share of the training set (say 0.1) and leave the test set alone
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout: Option<f64>,
    /// Pad, crop and mirror the training images (MNIST: by 2, as the authors) [default: true for CIFAR and folders]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<bool>,
    /// Number of epochs, before regime adaptation [default: the model's, see `smoothout models`]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// B, examples in a batch [default: 128]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// G, examples in a ghost batch; divides B [default: 128, or B if smaller]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ghost_batch_size: Option<usize>,
    /// M, batches accumulated in one parameter update [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_multiplier: Option<usize>,
    /// A ghost batch of one example: join (its neighbour) or drop [default: join]
    #[arg(long, value_parser = named::<LoneExample>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lone_example: Option<LoneExample>,
    /// sgd, adam or adamw [default: sgd]
    #[arg(long, value_parser = named::<Optimizer>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<Optimizer>,
    /// A constant learning rate (instead of a regime), before its scaling with M B/G, M the batch multiplier [default for Adam: 0.001]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Learning rates by epoch, as 0:0.1,10:0.01 [default: the model's, see `smoothout models`; constant for Adam]
    #[arg(long, value_parser = parse_regime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regime: Option<RegimeSpec>,
    /// Move the epochs of the model's regime in proportion to --epochs [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shorten_regime: Option<bool>,
    /// none, sqrt or linear in M B/G, M the batch multiplier [default: sqrt]
    #[arg(long, value_parser = named::<LearningRateScaling>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate_scaling: Option<LearningRateScaling>,
    /// Multiply all epochs by M B/G, rounded up, M the batch multiplier [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regime_adaptation: Option<bool>,
    /// SGD's momentum [default: 0.9]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// SGD with Nesterov's look-ahead [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Start momentum or Adam's moments anew in each epoch, as the authors' script does [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_optimizer: Option<bool>,
    /// Weight decay, of Adam too [default: the model's]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Largest norm of the gradient, 0 for no clipping [default: 5]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// plain, smoothout, adasmoothout, sam, asam, lpf-sgd, entropy-sgd or swa [default: plain]
    #[arg(long, value_parser = named::<Method>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// a, the radius of smoothout's and adasmoothout's perturbation, which need it
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius: Option<f64>,
    /// weight or filter, for adasmoothout [default: filter]
    #[arg(long, value_parser = named::<AdaptType>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapt_type: Option<AdaptType>,
    /// uniform or gaussian [default: uniform]
    #[arg(long, value_parser = named::<Distribution>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// constant, anneal or tanh [default: constant]
    #[arg(long, value_parser = named::<ScheduleName>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius_schedule: Option<ScheduleName>,
    /// The anneal schedule's power [default: 0.55]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anneal_index: Option<f64>,
    /// The tanh schedule's steepness [default: 10]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tanh_scale: Option<f64>,
    /// Update the clean weights, not the perturbed ones [default: true]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denoise: Option<bool>,
    /// Perturb batch norm's gamma and beta too [default: false; lpf-sgd: true]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perturb_norm: Option<bool>,
    /// n, perturbed copies of each ghost batch [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<usize>,
    /// One perturbation for all ghost batches of an update [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_perturbation: Option<bool>,
    /// How far sam and asam go up; asam's is a share of the weights [default: sam 0.05, asam 0.5]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rho: Option<f64>,
    /// What asam adds to each weight's size [default: 0.01]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// Whose gradient leads sam and asam up: batch or ghost_batch [default: batch]
    #[arg(long, value_parser = named::<AscentScope>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ascent_scope: Option<AscentScope>,
    /// lpf-sgd's first standard deviation, in norms of the filter; its chunks are ghost batches [default: 0.001]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lpf_gamma: Option<f64>,
    /// lpf-sgd's standard deviation grows to (1 + alpha) gamma over the training [default: 0]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lpf_alpha: Option<f64>,
    /// entropy-sgd's L, batches and Langevin steps in a parameter update [default: 20]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub langevin_steps: Option<u64>,
    /// The step size of entropy-sgd's Langevin steps [default: 0.1]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub langevin_rate: Option<f64>,
    /// The size of the Langevin steps' noise [default: 0.0001]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub langevin_noise: Option<f64>,
    /// entropy-sgd's first scope gamma [default: 0.0001]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entropy_gamma: Option<f64>,
    /// entropy-sgd's scope grows by the factor 1 + this with each parameter update [default: 0.001]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entropy_scoping: Option<f64>,
    /// swa averages from the end of this epoch on, before regime adaptation [default: 3/4 of the epochs, rounded up]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swa_start: Option<usize>,
    /// swa averages every so many epochs [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swa_cycle: Option<usize>,
    /// swa's constant learning rate after swa_start, before its scaling with M B/G [default: half of the regime's largest]
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swa_learning_rate: Option<f64>,
    /// Seed of weights, data order, augmentation, dropout and perturbations [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl ExperimentSpec {
    /// Reads a JSON file.
    ///
    /// # Errors
    /// If it cannot be read, or has an unknown field or a value of the wrong type.
    pub fn read(path: &Path) -> Result<Self, ExperimentError> {
        let text = read_text(path)
            .map_err(|source| ExperimentError::Read { path: path.to_owned(), source })?;
        parse_object(&text)
            .map_err(|problem| ExperimentError::Json { path: path.to_owned(), problem })
    }

    /// The same with every field that `flags` has taken from there. A flag also removes what it
    /// replaces: a learning rate the regime, a method the settings of another method (lengths too
    /// that both have, since they are not to be compared), a radius schedule and an optimiser those of
    /// another one.
    ///
    /// # Panics
    /// If a number is infinite or NaN, or the folder of the data has a name that is no text.
    #[must_use]
    pub fn overridden_by(&self, flags: &Self) -> Self {
        let mut base = self.clone();
        if flags.learning_rate.is_some() || flags.regime.is_some() || flags.shorten_regime.is_some()
        {
            base.learning_rate = None;
            base.regime = None;
            base.shorten_regime = None;
        }
        if flags.method.is_some() {
            if base.method.is_some() && base.method != flags.method {
                base.radius = None;
                base.rho = None;
                base.perturb_norm = None;
            }
            base = Self { method: flags.method, ..base }.without_foreign_settings();
        }
        if flags.radius_schedule.is_some_and(|schedule| Some(schedule) != base.radius_schedule) {
            base.anneal_index = None;
            base.tanh_scale = None;
        }
        if flags.optimizer.is_some_and(|optimizer| optimizer != Optimizer::Sgd) {
            base.momentum = None;
            base.nesterov = None;
        }
        let mut merged = base.fields();
        merged.extend(flags.fields());
        Self::from_fields(merged)
    }

    /// The same without the settings of other methods, for comparing methods under one set of
    /// options.
    ///
    /// # Panics
    /// If a number is infinite or NaN, or the folder of the data has a name that is no text.
    #[must_use]
    pub fn without_foreign_settings(self) -> Self {
        let method = self.method.unwrap_or(Method::Plain);
        let mut fields = self.fields();
        fields.retain(|name, _| method.reads(name));
        Self::from_fields(fields)
    }

    /// What is given, by name.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let fields = match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            other => unreachable!("a specification is a JSON object, not {other:?}"),
        };
        // JSON has no such number, and would take the setting for one that is not given.
        let odd = fields.iter().find(|(_, value)| value.is_null());
        assert!(odd.is_none(), "{} is infinite or NaN", odd.map_or("", |(name, _)| name));
        fields
    }

    fn from_fields(fields: Map<String, Value>) -> Self {
        serde_json::from_value(Value::Object(fields))
            .expect("fields of specifications make a specification")
    }
}
