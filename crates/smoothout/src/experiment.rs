//! Experiments as data: an unchecked [`ExperimentSpec`], as it stands in a JSON file or on the
//! command line, and the checked [`Experiment`] that runs.
//!
//! Every field of the specification may be left out; [`ExperimentSpec::resolve`] fills in the
//! paper's values, and the resolved specification is what a run folder keeps. Unknown fields are
//! errors.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smoothout_nn::{Network, NnError};
use smoothout_optim::{
    Adam, Adaptation, BaseUpdate, Clip, GhostBatches, LearningRateScaling, LoneExample, OptimError,
    RadiusSchedule, Regime, RegimeStep, SeededPerturbation, Sgd, SmoothOut, Smoothing, WeightDecay,
};
use smoothout_tensor::{Distribution, Geometry, Perturbation, Selection, TensorError};
use thiserror::Error;

use crate::data::{Augmentation, DataSetName};
use crate::regimes::published_regime;

/// The rule that moves the clean weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    #[serde(rename = "adamw")]
    AdamW,
}

/// Where the gradients are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// At the weights.
    Plain,
    /// At weights perturbed in a box of fixed size.
    SmoothOut,
    /// At weights perturbed in proportion to their filters (or to themselves).
    AdaSmoothOut,
}

impl Method {
    /// The name as it is written in commands and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::SmoothOut => "smoothout",
            Self::AdaSmoothOut => "adasmoothout",
        }
    }
}

/// What AdaSmoothOut measures the radius against: the authors' `--adapt-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdaptType {
    /// Each weight's own size.
    Weight,
    /// Each filter's norm.
    Filter,
}

/// The course of the radius, by its name in the authors' script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleName {
    /// Always the same.
    Constant,
    /// Falling as sqrt(1 / (1 + t)^anneal_index).
    Anneal,
    /// Rising as (tanh(tanh_scale (t/T - 1/2)) + 1) / 2.
    Tanh,
}

/// Learning rates by epoch, on the command line `0:0.1,10:0.01`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegimeSpec(pub Vec<RegimeStep>);

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
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Train on the first N examples only
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// Test on the first N examples only
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<usize>,
    /// Test on a held-out share of the training set (say 0.1) and leave the test set alone
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout: Option<f64>,
    /// Pad, crop and mirror the training images (MNIST: by 2, as the authors) [default: true for CIFAR and folders]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<bool>,
    /// Number of epochs, before regime adaptation [default: the model's published number]
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
    /// Batches accumulated in one parameter update [default: 1]
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
    /// A constant learning rate (instead of a regime), before its scaling with B/G [default for Adam: 0.001]
    #[arg(long, allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Learning rates by epoch, as 0:0.1,10:0.01 [default: the model's published regime]
    #[arg(long, value_parser = parse_regime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regime: Option<RegimeSpec>,
    /// Move the published regime's epochs in proportion to --epochs [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shorten_regime: Option<bool>,
    /// none, sqrt or linear in B/G [default: sqrt]
    #[arg(long, value_parser = named::<LearningRateScaling>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate_scaling: Option<LearningRateScaling>,
    /// Multiply all epochs by B/G, rounded up [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regime_adaptation: Option<bool>,
    /// SGD's momentum [default: 0.9]
    #[arg(long, allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// SGD with Nesterov's look-ahead [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Weight decay, of Adam too [default: the model's published value]
    #[arg(long, allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Largest norm of the gradient, 0 for no clipping [default: 5]
    #[arg(long, allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// plain, smoothout or adasmoothout [default: plain]
    #[arg(long, value_parser = named::<Method>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// a, the radius of the perturbation; needed unless the method is plain
    #[arg(long, allow_hyphen_values = true)]
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
    #[arg(long, allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anneal_index: Option<f64>,
    /// The tanh schedule's steepness [default: 10]
    #[arg(long, allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tanh_scale: Option<f64>,
    /// Take each perturbation away again [default: true]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denoise: Option<bool>,
    /// Perturb batch norm's gamma and beta too [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perturb_norm: Option<bool>,
    /// n, perturbed copies of each ghost batch [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<usize>,
    /// Seed of weights, data order, augmentation, dropout and perturbations [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// An experiment that cannot run: which field, what was found, what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// A field that must be given is missing.
    #[error("{field} is missing: {advice}")]
    Missing {
        /// The field.
        field: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A field out of its range, or at odds with another.
    #[error("{field} is {found}: {advice}")]
    Field {
        /// The field.
        field: &'static str,
        /// What was given.
        found: String,
        /// What was expected.
        advice: String,
    },
    /// JSON that is not an experiment.
    #[error("{path} is not an experiment: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        source: serde_json::Error,
    },
    /// A file that cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A setting of the optimiser.
    #[error(transparent)]
    Optim(#[from] OptimError),
    /// A setting of the perturbation.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// An unknown network.
    #[error(transparent)]
    Network(#[from] NnError),
}

impl ExperimentSpec {
    /// Reads a JSON file.
    ///
    /// # Errors
    /// If it cannot be read, or has an unknown field or a value of the wrong type.
    pub fn read(path: &std::path::Path) -> Result<Self, ExperimentError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ExperimentError::Read { path: path.to_owned(), source })?;
        serde_json::from_str(&text)
            .map_err(|source| ExperimentError::Json { path: path.to_owned(), source })
    }

    /// The same with every field that `flags` has taken from there. A flag also removes what it
    /// replaces: a learning rate the regime, a method the settings of another method, an optimiser
    /// those of another optimiser.
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
            base = Self { method: flags.method, ..base }.without_foreign_settings();
        }
        if flags.optimizer.is_some_and(|optimizer| optimizer != Optimizer::Sgd) {
            base.momentum = None;
            base.nesterov = None;
        }
        let fields = |spec: &Self| match serde_json::to_value(spec) {
            Ok(serde_json::Value::Object(fields)) => fields,
            other => unreachable!("a specification is a JSON object, not {other:?}"),
        };
        let mut merged = fields(&base);
        merged.extend(fields(flags));
        serde_json::from_value(serde_json::Value::Object(merged))
            .expect("fields of two specifications make a specification")
    }

    /// The same without the settings of other methods, for comparing methods under one set of
    /// options.
    #[must_use]
    pub fn without_foreign_settings(mut self) -> Self {
        let method = self.method.unwrap_or(Method::Plain);
        if method != Method::AdaSmoothOut {
            self.adapt_type = None;
        }
        if method == Method::Plain {
            self.radius = None;
            self.distribution = None;
            self.radius_schedule = None;
            self.anneal_index = None;
            self.tanh_scale = None;
            self.denoise = None;
            self.perturb_norm = None;
            self.copies = None;
        }
        self
    }

    /// Fills in the defaults and checks every field.
    ///
    /// # Errors
    /// Names the field that is missing, out of range or at odds with another.
    pub fn resolve(&self) -> Result<Experiment, ExperimentError> {
        let missing = |field, advice| ExperimentError::Missing { field, advice };
        let model = self
            .model
            .clone()
            .ok_or(missing("model", "choose one of those that `smoothout models` lists"))?;
        let published = published_regime(&model);
        let optimizer = self.optimizer.unwrap_or(Optimizer::Sgd);
        let batch_size = self.batch_size.unwrap_or(128);
        let method = self.method.unwrap_or(Method::Plain);
        let dataset = self.dataset.unwrap_or(DataSetName::Mnist);
        let epochs = self.epochs.unwrap_or(published.epochs);
        let shorten = self.shorten_regime.unwrap_or(false);
        let regime = match (&self.regime, self.learning_rate, optimizer) {
            (Some(_), Some(rate), _) => {
                let advice = "give a learning rate or a regime, not both";
                return Err(field("learning_rate", rate, advice));
            }
            (Some(regime), None, _) if !shorten => regime.clone(),
            (None, Some(rate), _) if !shorten => constant(rate),
            (None, None, Optimizer::Sgd) if shorten => published.shortened(epochs),
            (None, None, Optimizer::Sgd) => RegimeSpec(published.steps.clone()),
            (None, None, Optimizer::Adam | Optimizer::AdamW) if !shorten => constant(1e-3),
            _ => {
                let advice = "only a published regime of SGD can be shortened";
                return Err(field("shorten_regime", true, advice));
            }
        };
        let sgd = (optimizer == Optimizer::Sgd, "it is a setting of the optimizer sgd");
        let perturbed = (
            method != Method::Plain,
            "plain training has no perturbation; choose the method smoothout or adasmoothout",
        );
        let schedule =
            applies(perturbed, "radius_schedule", self.radius_schedule, ScheduleName::Constant)?;
        let anneal = (
            schedule == Some(ScheduleName::Anneal),
            "it is a setting of the radius schedule anneal",
        );
        let tanh =
            (schedule == Some(ScheduleName::Tanh), "it is a setting of the radius schedule tanh");
        let adapts = (
            method == Method::AdaSmoothOut,
            "it is a setting of the method adasmoothout; smoothout does not adapt",
        );
        let resolved = Self {
            model: Some(model),
            classes: self.classes.or(match dataset {
                DataSetName::Mnist | DataSetName::Cifar10 => Some(10),
                DataSetName::Cifar100 => Some(100),
                DataSetName::Folder => None,
            }),
            dataset: Some(dataset),
            data_dir: self.data_dir.clone(),
            train_limit: self.train_limit,
            test_limit: self.test_limit,
            holdout: self.holdout,
            augment: Some(self.augment.unwrap_or(Augmentation::of(dataset) != Augmentation::None)),
            epochs: Some(epochs),
            batch_size: Some(batch_size),
            ghost_batch_size: Some(self.ghost_batch_size.unwrap_or(batch_size.min(128))),
            batch_multiplier: Some(self.batch_multiplier.unwrap_or(1)),
            lone_example: Some(self.lone_example.unwrap_or_default()),
            optimizer: Some(optimizer),
            learning_rate: None,
            regime: Some(regime),
            shorten_regime: None,
            learning_rate_scaling: Some(self.learning_rate_scaling.unwrap_or_default()),
            regime_adaptation: Some(self.regime_adaptation.unwrap_or(false)),
            momentum: applies(sgd, "momentum", self.momentum, 0.9)?,
            nesterov: applies(sgd, "nesterov", self.nesterov, false)?,
            weight_decay: Some(self.weight_decay.unwrap_or(published.weight_decay)),
            clip_norm: Some(self.clip_norm.unwrap_or(5.0)),
            method: Some(method),
            radius: match (perturbed.0, self.radius) {
                (true, None) => {
                    let advice = "give the radius of the perturbation, 0.1 say for adasmoothout";
                    return Err(missing("radius", advice));
                }
                (true, radius) => radius,
                (false, None) => None,
                (false, Some(radius)) => return Err(field("radius", radius, perturbed.1)),
            },
            adapt_type: applies(adapts, "adapt_type", self.adapt_type, AdaptType::Filter)?,
            distribution: applies(
                perturbed,
                "distribution",
                self.distribution,
                Distribution::Uniform,
            )?,
            radius_schedule: schedule,
            anneal_index: applies(anneal, "anneal_index", self.anneal_index, 0.55)?,
            tanh_scale: applies(tanh, "tanh_scale", self.tanh_scale, 10.0)?,
            denoise: applies(perturbed, "denoise", self.denoise, true)?,
            perturb_norm: applies(perturbed, "perturb_norm", self.perturb_norm, false)?,
            copies: applies(perturbed, "copies", self.copies, 1)?,
            seed: Some(self.seed.unwrap_or(1)),
        };
        Experiment::new(resolved)
    }
}

fn field(field: &'static str, found: impl ToString, advice: &str) -> ExperimentError {
    ExperimentError::Field { field, found: found.to_string(), advice: advice.to_owned() }
}

/// A setting that has a meaning only where `condition` holds: its value or default there, an error
/// if it is given elsewhere, so that no option is silently ignored.
fn applies<T: Serialize>(
    (condition, advice): (bool, &str),
    name: &'static str,
    given: Option<T>,
    default: T,
) -> Result<Option<T>, ExperimentError> {
    match given {
        Some(value) if !condition => {
            let value = serde_json::to_value(value).expect("a setting is JSON");
            Err(field(name, value.as_str().map_or(value.to_string(), str::to_owned), advice))
        }
        given => Ok(condition.then(|| given.unwrap_or(default))),
    }
}

fn constant(learning_rate: f64) -> RegimeSpec {
    RegimeSpec(vec![RegimeStep { epoch: 0, learning_rate }])
}

/// A value by its name in JSON, for options of the command line.
fn named<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::from(name)).map_err(|error| error.to_string())
}

fn parse_regime(text: &str) -> Result<RegimeSpec, String> {
    let step = |part: &str| {
        let (epoch, rate) = part.split_once(':')?;
        let (epoch, learning_rate) = (epoch.trim().parse().ok()?, rate.trim().parse().ok()?);
        Some(RegimeStep { epoch, learning_rate })
    };
    let steps: Option<Vec<_>> = text.split(',').map(step).collect();
    steps.map(RegimeSpec).ok_or_else(|| {
        format!("{text:?} is not a list of EPOCH:LEARNING_RATE, such as 0:0.1,10:0.01")
    })
}

/// A checked experiment.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The resolved specification: every field that has a meaning here.
    pub spec: ExperimentSpec,
    /// The network's name.
    pub model: String,
    /// The data set.
    pub dataset: DataSetName,
    /// What happens to training images.
    pub augmentation: Augmentation,
    /// The number of epochs, regime adaptation included.
    pub epochs: usize,
    /// Examples in one parameter update: B times the batch multiplier.
    pub batch_size: usize,
    /// The cut into ghost batches.
    pub ghosts: GhostBatches,
    /// Learning rates, scaling and adaptation included.
    pub regime: Regime,
    /// The perturbation, unless training is plain.
    pub perturbation: Option<Perturbation>,
    /// The course of its radius.
    pub radius_schedule: RadiusSchedule,
    /// n, the copies of each ghost batch.
    pub copies: usize,
    /// The seed.
    pub seed: u64,
    denoise: bool,
    update: BaseUpdate<f32>,
    clip: Option<Clip>,
}

/// The largest count that an experiment may ask for: beyond any that could run.
const MANY: usize = 1 << 32;

impl Experiment {
    fn new(spec: ExperimentSpec) -> Result<Self, ExperimentError> {
        const FILLED: &str = "the defaults are filled in";
        let counts = [
            ("batch_size", spec.batch_size),
            ("ghost_batch_size", spec.ghost_batch_size),
            ("batch_multiplier", spec.batch_multiplier),
            ("epochs", spec.epochs),
            ("copies", spec.copies),
            ("train_limit", spec.train_limit),
            ("test_limit", spec.test_limit),
            ("classes", spec.classes),
        ];
        for (name, value) in counts {
            if value.is_some_and(|value| !(1..=MANY).contains(&value)) {
                let advice = "it must be at least 1, and not more than 2^32";
                return Err(field(name, value.unwrap_or_default(), advice));
            }
        }
        if let Some(share) = spec.holdout.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            return Err(field("holdout", share, "it must lie between 0 and 1"));
        }
        let model = spec.model.clone().expect(FILLED);
        Network::by_name(&model, spec.classes.unwrap_or(10))?;

        let (batch, ghost) = spec.batch_size.zip(spec.ghost_batch_size).expect(FILLED);
        let ghosts = GhostBatches::new(batch, ghost, spec.lone_example.expect(FILLED))?;
        let multiplier = spec.batch_multiplier.expect(FILLED);
        let batch_size = batch.checked_mul(multiplier).ok_or_else(|| {
            field(
                "batch_multiplier",
                multiplier,
                "it makes a batch of more examples than there are",
            )
        })?;
        let adaptation = if spec.regime_adaptation == Some(true) {
            Adaptation::Epochs
        } else {
            Adaptation::None
        };
        let factor = adaptation.factor(batch_size, ghost);
        let epochs = spec.epochs.expect(FILLED).checked_mul(factor).ok_or_else(|| {
            field(
                "regime_adaptation",
                true,
                "it makes a training of more epochs than can be counted",
            )
        })?;
        let scaling = spec.learning_rate_scaling.expect(FILLED).factor(batch_size, ghost);
        let regime = Regime::from_steps(spec.regime.clone().expect(FILLED).0)?;
        let dataset = spec.dataset.expect(FILLED);
        let decay = spec.weight_decay.expect(FILLED);
        let adam =
            |kind| Ok::<_, OptimError>(BaseUpdate::Adam(Adam::new().weight_decay(decay, kind)?));
        Ok(Self {
            model,
            dataset,
            augmentation: match (spec.augment.expect(FILLED), dataset) {
                (false, _) => Augmentation::None,
                // The authors' augmentation of MNIST.
                (true, DataSetName::Mnist) => Augmentation::PadCropFlip { padding: 2, fill: 0 },
                (true, _) => Augmentation::of(dataset),
            },
            epochs,
            batch_size,
            ghosts,
            regime: regime.scaled(scaling).stretched(factor),
            perturbation: perturbation(&spec)?,
            radius_schedule: match (spec.anneal_index, spec.tanh_scale) {
                (Some(index), _) => RadiusSchedule::Anneal { index }.check()?,
                (_, Some(scale)) => RadiusSchedule::Tanh { scale }.check()?,
                (None, None) => RadiusSchedule::Constant,
            },
            copies: spec.copies.unwrap_or(1),
            seed: spec.seed.expect(FILLED),
            denoise: spec.denoise.unwrap_or(true),
            update: match spec.optimizer.expect(FILLED) {
                Optimizer::Sgd => BaseUpdate::Sgd(
                    Sgd::new()
                        .momentum(spec.momentum.expect(FILLED))?
                        .nesterov(spec.nesterov.expect(FILLED))
                        .weight_decay(decay)?,
                ),
                Optimizer::Adam => adam(WeightDecay::Coupled)?,
                Optimizer::AdamW => adam(WeightDecay::Decoupled)?,
            },
            clip: match spec.clip_norm.expect(FILLED) {
                0.0 => None,
                norm => Some(Clip::new(norm)?),
            },
            spec,
        })
    }

    /// The optimiser for `network`, which takes `total_steps` parameter updates.
    ///
    /// # Errors
    /// None for a checked experiment.
    pub fn optimizer(
        &self,
        network: &Network,
        total_steps: u64,
    ) -> Result<SmoothOut<f32, BaseUpdate<f32>>, ExperimentError> {
        let mut optimizer = SmoothOut::new(self.update.clone());
        if let Some(clip) = self.clip {
            optimizer = optimizer.clip(clip);
        }
        if let Some(perturbation) = &self.perturbation {
            let layout = network.parameters().clone();
            let source = SeededPerturbation::new(layout, perturbation.clone(), self.seed);
            optimizer = optimizer.smoothing(
                Smoothing::new(source)
                    .schedule(self.radius_schedule, total_steps)?
                    .copies(self.copies)?
                    .denoise(self.denoise),
            );
        }
        Ok(optimizer)
    }
}

/// The perturbation that the method asks for.
fn perturbation(spec: &ExperimentSpec) -> Result<Option<Perturbation>, ExperimentError> {
    let (Some(radius), Some(distribution)) = (spec.radius, spec.distribution) else {
        return Ok(None);
    };
    let geometry = match spec.adapt_type {
        None => Geometry::Absolute,
        Some(AdaptType::Weight) => Geometry::Elementwise,
        Some(AdaptType::Filter) => Geometry::Filter,
    };
    let selection = match spec.perturb_norm {
        Some(true) => Selection::all(),
        _ => Selection::without_norm(),
    };
    let perturbation = Perturbation::new(geometry, radius)?;
    Ok(Some(perturbation.distribution(distribution).selection(selection)))
}
