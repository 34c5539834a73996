//! The checked experiment: the only one that runs.

use smoothout_nn::Network;
use smoothout_optim::{
    Adam, Adaptation, BaseUpdate, Clip, GhostBatches, OptimError, RadiusSchedule, Regime,
    RegimeStep, Sgd, Swa, WeightDecay,
};
use smoothout_tensor::{Geometry, Perturbation, Selection};

use super::choices::{AdaptType, Method, Optimizer};
use super::error::ExperimentError;
use super::spec::ExperimentSpec;
use crate::data::{Augmentation, DataSetName};

/// A checked experiment. It is read, never changed: [`ExperimentSpec::resolve`] makes another.
#[derive(Debug, Clone)]
pub struct Experiment {
    pub(crate) spec: ExperimentSpec,
    pub(crate) model: String,
    pub(crate) dataset: DataSetName,
    pub(crate) augmentation: Augmentation,
    pub(crate) epochs: usize,
    pub(crate) batch_size: usize,
    pub(crate) ghosts: GhostBatches,
    pub(crate) regime: Regime,
    pub(crate) perturbation: Option<Perturbation>,
    pub(crate) radius_schedule: RadiusSchedule,
    pub(crate) copies: usize,
    pub(crate) seed: u64,
    pub(super) update: BaseUpdate<f32>,
    pub(super) clip: Option<Clip>,
    swa: Option<Swa<f32>>,
}

/// The largest count that an experiment may ask for: beyond any that could run.
const MANY: usize = 1 << 32;

/// Why a field of a resolved specification is there.
pub(super) const FILLED: &str = "the defaults are filled in";

impl Experiment {
    pub(super) fn new(spec: ExperimentSpec) -> Result<Self, ExperimentError> {
        let counts = [
            ("batch_size", spec.batch_size),
            ("ghost_batch_size", spec.ghost_batch_size),
            ("batch_multiplier", spec.batch_multiplier),
            ("epochs", spec.epochs),
            ("copies", spec.copies),
            ("train_limit", spec.train_limit),
            ("test_limit", spec.test_limit),
            ("classes", spec.classes),
            ("swa_start", spec.swa_start),
            ("swa_cycle", spec.swa_cycle),
        ];
        for (name, value) in counts {
            if value.is_some_and(|value| !(1..=MANY).contains(&value)) {
                let advice = "it must be at least 1, and not more than 2^32";
                return Err(ExperimentError::field(name, value.unwrap_or_default(), advice));
            }
        }
        if let Some(share) = spec.holdout.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            return Err(ExperimentError::field("holdout", share, "it must lie between 0 and 1"));
        }
        for (name, value) in [("radius", spec.radius), ("weight_decay", spec.weight_decay)] {
            if let Some(value) = value {
                check_single(name, value)?;
            }
        }
        let model = spec.model.clone().expect(FILLED);
        let network = Network::by_name(&model, spec.classes.unwrap_or(10))?;

        let (batch, ghost) = spec.batch_size.zip(spec.ghost_batch_size).expect(FILLED);
        let ghosts = GhostBatches::new(batch, ghost, spec.lone_example.expect(FILLED))?;
        let multiplier = spec.batch_multiplier.expect(FILLED);
        let batch_size = batch.checked_mul(multiplier).ok_or_else(|| {
            ExperimentError::field(
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
            ExperimentError::field(
                "regime_adaptation",
                true,
                "it makes a training of more epochs than can be counted",
            )
        })?;
        let scaling = spec.learning_rate_scaling.expect(FILLED).factor(batch_size, ghost);
        let regime = regime(&spec)?;
        for step in regime.steps() {
            check_single("learning_rate", step.learning_rate)?;
            check_single("the scaled learning_rate", step.learning_rate * scaling)?;
        }
        let dataset = spec.dataset.expect(FILLED);
        let decay = spec.weight_decay.expect(FILLED);
        let adam =
            |kind| Ok::<_, OptimError>(BaseUpdate::Adam(Adam::new().weight_decay(decay, kind)?));
        let experiment = Self {
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
            swa: match spec.swa_start.zip(spec.swa_cycle) {
                None => None,
                Some((start, cycle)) => {
                    let [start, cycle] =
                        [start, cycle].map(|epochs| epochs.saturating_mul(factor) as u64);
                    Some(Swa::new(start)?.cycle(cycle)?)
                }
            },
            spec,
        };
        // The method's own settings are checked where they are used.
        experiment.optimizer(&network, 1)?;
        Ok(experiment)
    }

    /// The resolved specification: every field that has a meaning here.
    pub fn spec(&self) -> &ExperimentSpec {
        &self.spec
    }

    /// The network's name.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The data set.
    pub fn dataset(&self) -> DataSetName {
        self.dataset
    }

    /// What happens to training images.
    pub fn augmentation(&self) -> Augmentation {
        self.augmentation
    }

    /// The number of epochs, regime adaptation included.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// Examples in one parameter update: B times the batch multiplier.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The cut into ghost batches.
    pub fn ghosts(&self) -> GhostBatches {
        self.ghosts
    }

    /// Learning rates; scaling, adaptation and SWA's included.
    pub fn regime(&self) -> &Regime {
        &self.regime
    }

    /// The perturbation of SmoothOut and AdaSmoothOut.
    pub fn perturbation(&self) -> Option<&Perturbation> {
        self.perturbation.as_ref()
    }

    /// The course of its radius.
    pub fn radius_schedule(&self) -> RadiusSchedule {
        self.radius_schedule
    }

    /// n, the copies of each ghost batch.
    pub fn copies(&self) -> usize {
        self.copies
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.spec.method.expect(FILLED)
    }

    /// Gradients of each example in a step: n, or SAM's and ASAM's two.
    pub fn gradients(&self) -> usize {
        if self.method().ascends() { 2 } else { self.copies }
    }

    /// SWA's average, still empty, if that is the method.
    pub fn swa(&self) -> Option<Swa<f32>> {
        self.swa.clone()
    }
}

/// The learning rates before scaling and adaptation: SWA's is constant once its average has begun.
fn regime(spec: &ExperimentSpec) -> Result<Regime, ExperimentError> {
    let mut steps = spec.regime.clone().expect(FILLED).0;
    Regime::from_steps(steps.clone())?;
    if let Some((start, rate)) = spec.swa_start.zip(spec.swa_learning_rate) {
        let epochs = spec.epochs.expect(FILLED);
        if start > epochs {
            let advice = format!("there are {epochs} epochs: nothing would be averaged");
            return Err(ExperimentError::field("swa_start", start, &advice));
        }
        if !(rate >= 0.0 && rate.is_finite()) {
            let advice = "it must be finite and not negative";
            return Err(ExperimentError::field("swa_learning_rate", rate, advice));
        }
        steps.retain(|step| step.epoch < start);
        steps.push(RegimeStep { epoch: start, learning_rate: rate });
    }
    Ok(Regime::from_steps(steps)?)
}

/// That a setting is not infinite, nor 0 without being so, in the precision of training.
fn check_single(name: &'static str, value: f64) -> Result<(), ExperimentError> {
    let single = value as f32;
    if value.is_finite() && (single.is_infinite() || (single == 0.0 && value != 0.0)) {
        let advice = "f32, in which training computes, has no such number: it ends at 3.4e38 and \
                      begins at 1.4e-45";
        return Err(ExperimentError::field(name, format!("{value:e}"), advice));
    }
    Ok(())
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
