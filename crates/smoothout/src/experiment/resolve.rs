//! From a specification to a checked experiment: the defaults, and what goes with what.

use serde::Serialize;
use smoothout_optim::RegimeStep;
use smoothout_tensor::Distribution;

use super::checked::Experiment;
use super::choices::{AdaptType, Method, Optimizer, RegimeSpec, ScheduleName};
use super::error::ExperimentError;
use super::spec::ExperimentSpec;
use crate::data::{Augmentation, DataSetName};
use crate::regimes::published_regime;

impl ExperimentSpec {
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
                return Err(ExperimentError::field("learning_rate", rate, advice));
            }
            (Some(regime), None, _) if !shorten => regime.clone(),
            (None, Some(rate), _) if !shorten => constant(rate),
            (None, None, Optimizer::Sgd) if shorten => published.shortened(epochs),
            (None, None, Optimizer::Sgd) => RegimeSpec(published.steps.clone()),
            (None, None, Optimizer::Adam | Optimizer::AdamW) if !shorten => constant(1e-3),
            _ => {
                let advice = "only a published regime of SGD can be shortened";
                return Err(ExperimentError::field("shorten_regime", true, advice));
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
                (false, Some(radius)) => {
                    return Err(ExperimentError::field("radius", radius, perturbed.1));
                }
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
            // Written down only where it is on: experiments older than the setting stay the same.
            shared_perturbation: applies(
                perturbed,
                "shared_perturbation",
                self.shared_perturbation,
                false,
            )?
            .filter(|shared| *shared),
            seed: Some(self.seed.unwrap_or(1)),
        };
        Experiment::new(resolved)
    }
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
            Err(ExperimentError::field(
                name,
                value.as_str().map_or(value.to_string(), str::to_owned),
                advice,
            ))
        }
        given => Ok(condition.then(|| given.unwrap_or(default))),
    }
}

fn constant(learning_rate: f64) -> RegimeSpec {
    RegimeSpec(vec![RegimeStep { epoch: 0, learning_rate }])
}
