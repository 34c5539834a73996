//! From a specification to a checked experiment: the defaults, and what goes with what.

use smoothout_optim::{AscentScope, RegimeStep};
use smoothout_tensor::Distribution;

use super::checked::Experiment;
use super::choices::{AdaptType, Method, Optimizer, RegimeSpec, ScheduleName};
use super::error::ExperimentError;
use super::foreign::applies;
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
        let schedule =
            method.setting("radius_schedule", self.radius_schedule, ScheduleName::Constant)?;
        let anneal = (
            schedule == Some(ScheduleName::Anneal),
            "it is a setting of the radius schedule anneal",
        );
        let tanh =
            (schedule == Some(ScheduleName::Tanh), "it is a setting of the radius schedule tanh");
        // Izmailov et al. 2018, arXiv:1803.05407: 75 % of the training before, and for a learning
        // rate of 0.1 half of it from then on.
        let swa_start = epochs - epochs / 4;
        let largest = regime.0.iter().map(|step| step.learning_rate).fold(0.0, f64::max);
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
            // Written down only where it is on: experiments older than the setting stay the same.
            restart_optimizer: method
                .setting("restart_optimizer", self.restart_optimizer, false)?
                .filter(|restart| *restart),
            weight_decay: Some(self.weight_decay.unwrap_or(published.weight_decay)),
            clip_norm: Some(self.clip_norm.unwrap_or(5.0)),
            method: Some(method),
            radius: match self.radius {
                None if method.reads("radius") => {
                    let advice = "give the radius of the perturbation, 0.1 say for adasmoothout";
                    return Err(missing("radius", advice));
                }
                given => method.setting("radius", given, 0.0)?,
            },
            adapt_type: method.setting("adapt_type", self.adapt_type, AdaptType::Filter)?,
            distribution: method.setting(
                "distribution",
                self.distribution,
                Distribution::Uniform,
            )?,
            radius_schedule: schedule,
            anneal_index: applies(anneal, "anneal_index", self.anneal_index, 0.55)?,
            tanh_scale: applies(tanh, "tanh_scale", self.tanh_scale, 10.0)?,
            denoise: method.setting("denoise", self.denoise, true)?,
            perturb_norm: method.setting(
                "perturb_norm",
                self.perturb_norm,
                method == Method::LpfSgd,
            )?,
            copies: method.setting("copies", self.copies, 1)?,
            // As above.
            shared_perturbation: method
                .setting("shared_perturbation", self.shared_perturbation, false)?
                .filter(|shared| *shared),
            rho: method.setting(
                "rho",
                self.rho,
                if method == Method::Asam { 0.5 } else { 0.05 },
            )?,
            eta: method.setting("eta", self.eta, 0.01)?,
            ascent_scope: method.setting("ascent_scope", self.ascent_scope, AscentScope::Batch)?,
            lpf_gamma: method.setting("lpf_gamma", self.lpf_gamma, 0.001)?,
            lpf_alpha: method.setting("lpf_alpha", self.lpf_alpha, 0.0)?,
            langevin_steps: method.setting("langevin_steps", self.langevin_steps, 20)?,
            langevin_rate: method.setting("langevin_rate", self.langevin_rate, 0.1)?,
            langevin_noise: method.setting("langevin_noise", self.langevin_noise, 1e-4)?,
            entropy_gamma: method.setting("entropy_gamma", self.entropy_gamma, 1e-4)?,
            entropy_scoping: method.setting("entropy_scoping", self.entropy_scoping, 1e-3)?,
            swa_start: method.setting("swa_start", self.swa_start, swa_start)?,
            swa_cycle: method.setting("swa_cycle", self.swa_cycle, 1)?,
            swa_learning_rate: method.setting(
                "swa_learning_rate",
                self.swa_learning_rate,
                largest / 2.0,
            )?,
            seed: Some(self.seed.unwrap_or(1)),
        };
        Experiment::new(resolved)
    }
}

fn constant(learning_rate: f64) -> RegimeSpec {
    RegimeSpec(vec![RegimeStep { epoch: 0, learning_rate }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> ExperimentSpec {
        serde_json::from_str(json).unwrap()
    }

    /// A resolved experiment resolves to itself, and knows the settings of its method alone: they
    /// stay when foreign ones are left out, and go when another method overrides it.
    #[test]
    fn a_resolved_experiment_resolves_to_itself() {
        let methods = [
            (r#"{ "model": "f1" }"#, &[][..]),
            (r#"{ "model": "f1", "method": "smoothout", "radius": 0.01 }"#, &["radius"]),
            (r#"{ "model": "f1", "method": "adasmoothout", "radius": 0.1 }"#, &["adapt_type"]),
            (r#"{ "model": "f1", "method": "sam" }"#, &["rho", "ascent_scope"]),
            (r#"{ "model": "f1", "method": "asam" }"#, &["rho", "eta", "ascent_scope"]),
            (
                r#"{ "model": "f1", "method": "lpf-sgd" }"#,
                &["lpf_gamma", "lpf_alpha", "perturb_norm"],
            ),
            (
                r#"{ "model": "f1", "method": "entropy-sgd" }"#,
                &[
                    "langevin_steps",
                    "langevin_rate",
                    "langevin_noise",
                    "entropy_gamma",
                    "entropy_scoping",
                ],
            ),
            (
                r#"{ "model": "f1", "method": "swa" }"#,
                &["swa_start", "swa_cycle", "swa_learning_rate"],
            ),
        ];
        let plain = spec(methods[0].0).resolve().unwrap();
        for (json, settings) in methods {
            let resolved = spec(json).resolve().unwrap();
            let fields = serde_json::to_value(resolved.spec()).unwrap();
            for name in settings {
                assert!(fields.get(name).is_some(), "{name} in {fields}");
            }
            assert_eq!(spec(&fields.to_string()).resolve().unwrap().spec(), resolved.spec());
            assert_eq!(&resolved.spec().clone().without_foreign_settings(), resolved.spec());
            let to_plain = ExperimentSpec { method: Some(Method::Plain), ..Default::default() };
            let overridden = resolved.spec().overridden_by(&to_plain);
            assert_eq!(overridden.resolve().unwrap().spec(), plain.spec(), "{json}");
        }
    }

    /// F1's 50 epochs: SWA begins after the 38th with half of the learning rate 0.1, whatever the
    /// regime says of the rest; scaling and regime adaptation act on both.
    #[test]
    fn swa_replaces_the_rest_of_the_regime() {
        let swa = spec(r#"{ "model": "f1", "method": "swa" }"#).resolve().unwrap();
        let rates = [0, 10, 20, 30, 37, 38, 49].map(|epoch| swa.regime().learning_rate(epoch));
        assert_eq!(rates, [0.1, 0.01, 1e-3, 1e-4, 1e-4, 0.05, 0.05]);
        let large = spec(
            r#"{ "model": "f1", "method": "swa", "epochs": 5, "batch_size": 512, "swa_start": 2,
                 "swa_cycle": 3, "swa_learning_rate": 0.02, "regime_adaptation": true }"#,
        );
        let large = large.resolve().unwrap();
        let rates = [7, 8, 19].map(|epoch| large.regime().learning_rate(epoch));
        assert_eq!(rates, [0.2, 0.04, 0.04]);
        let mut swa = large.swa().unwrap();
        let observed = (1..=20).filter(|&epoch| swa.observe(epoch, &[1.0]));
        assert_eq!(observed.collect::<Vec<_>>(), [8, 20]);
    }

    #[test]
    fn sam_and_asam_ask_twice() {
        let gradients = |json| spec(json).resolve().unwrap().gradients();
        assert_eq!(gradients(r#"{ "model": "f1" }"#), 1);
        assert_eq!(gradients(r#"{ "model": "f1", "method": "asam" }"#), 2);
        let copies = r#"{ "model": "f1", "method": "smoothout", "radius": 0.1, "copies": 3 }"#;
        assert_eq!(gradients(copies), 3);
    }
}
