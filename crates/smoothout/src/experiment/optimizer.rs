//! The optimiser of an experiment's method.

use smoothout_nn::Network;
use smoothout_optim::{
    Asam, BaseUpdate, Descent, EntropySgd, GradientOracle, LpfSgd, OptimError, Optimizer, Sam,
    SeededPerturbation, SmoothOut, Smoothing, StepError, StepReport,
};
use smoothout_tensor::Selection;

use super::checked::{Experiment, FILLED};
use super::choices::Method;
use super::error::ExperimentError;

/// The optimiser of any method, for programs that choose at run time.
///
/// [`Swa`](smoothout_optim::Swa) steps like plain training: its average is no part of a step, see
/// [`Experiment::swa`].
#[derive(Debug)]
pub enum MethodOptimizer {
    /// Plain training, SmoothOut and AdaSmoothOut.
    SmoothOut(SmoothOut<f32, BaseUpdate<f32>>),
    /// SAM.
    Sam(Sam<f32, BaseUpdate<f32>>),
    /// ASAM.
    Asam(Asam<f32, BaseUpdate<f32>>),
    /// LPF-SGD.
    LpfSgd(LpfSgd<f32, BaseUpdate<f32>>),
    /// Entropy-SGD.
    EntropySgd(EntropySgd<f32, BaseUpdate<f32>>),
}

/// The same of whatever the method is.
macro_rules! whichever {
    ($optimizer:expr, $bound:ident => $value:expr) => {
        match $optimizer {
            MethodOptimizer::SmoothOut($bound) => $value,
            MethodOptimizer::Sam($bound) => $value,
            MethodOptimizer::Asam($bound) => $value,
            MethodOptimizer::LpfSgd($bound) => $value,
            MethodOptimizer::EntropySgd($bound) => $value,
        }
    };
}

impl Optimizer<f32> for MethodOptimizer {
    type Rule = BaseUpdate<f32>;

    fn descent(&self) -> &Descent<BaseUpdate<f32>> {
        whichever!(self, optimizer => Optimizer::descent(optimizer))
    }

    fn descent_mut(&mut self) -> &mut Descent<BaseUpdate<f32>> {
        whichever!(self, optimizer => Optimizer::descent_mut(optimizer))
    }

    fn step<O: GradientOracle<f32>>(
        &mut self,
        w: &mut [f32],
        oracle: &mut O,
        scratch: &mut [O::Scratch],
        learning_rate: f64,
    ) -> Result<StepReport, StepError<O::Error>> {
        whichever!(self, optimizer => optimizer.step(w, oracle, scratch, learning_rate))
    }

    fn steps(&self) -> u64 {
        whichever!(self, optimizer => Optimizer::steps(optimizer))
    }

    fn memory(&self) -> Vec<(&'static str, &[f32])> {
        whichever!(self, optimizer => Optimizer::memory(optimizer))
    }

    fn restore(
        &mut self,
        steps: u64,
        memory: impl FnMut(&str) -> Option<Vec<f32>>,
    ) -> Result<(), &'static str> {
        whichever!(self, optimizer => Optimizer::restore(optimizer, steps, memory))
    }
}

impl Experiment {
    /// The optimiser for `network`, which takes `total_steps` steps, a batch each.
    ///
    /// # Errors
    /// None for a checked experiment.
    pub fn optimizer(
        &self,
        network: &Network,
        total_steps: u64,
    ) -> Result<MethodOptimizer, ExperimentError> {
        let (spec, layout) = (&self.spec, || network.parameters().clone());
        let mut descent = Descent::new(self.update.clone());
        if let Some(clip) = self.clip {
            descent = descent.clip(clip);
        }
        Ok(match self.method() {
            Method::Plain | Method::Swa => MethodOptimizer::SmoothOut(SmoothOut::from(descent)),
            Method::SmoothOut | Method::AdaSmoothOut => {
                let perturbation = self.perturbation.clone().expect(FILLED);
                let source = SeededPerturbation::new(layout(), perturbation, self.seed)
                    .shared(spec.shared_perturbation == Some(true));
                let smoothing = Smoothing::new(source)
                    .schedule(self.radius_schedule, total_steps)?
                    .copies(self.copies)?
                    .denoise(spec.denoise.expect(FILLED));
                MethodOptimizer::SmoothOut(SmoothOut::from(descent).smoothing(smoothing))
            }
            Method::Sam => {
                let sam = Sam::new(descent).rho(spec.rho.expect(FILLED))?;
                MethodOptimizer::Sam(sam.scope(spec.ascent_scope.expect(FILLED)))
            }
            Method::Asam => {
                let asam = Asam::new(descent, layout()).rho(spec.rho.expect(FILLED))?;
                let asam = asam.eta(spec.eta.expect(FILLED))?;
                MethodOptimizer::Asam(asam.scope(spec.ascent_scope.expect(FILLED)))
            }
            Method::LpfSgd => {
                let selection = match spec.perturb_norm.expect(FILLED) {
                    true => Selection::all(),
                    false => Selection::without_norm(),
                };
                let lpf = LpfSgd::new(descent, layout(), self.seed)
                    .gamma(spec.lpf_gamma.expect(FILLED))
                    .map_err(field("lpf_gamma"))?
                    .alpha(spec.lpf_alpha.expect(FILLED), total_steps)
                    .map_err(field("lpf_alpha"))?;
                MethodOptimizer::LpfSgd(lpf.selection(selection))
            }
            Method::EntropySgd => MethodOptimizer::EntropySgd(
                EntropySgd::new(descent, self.seed)
                    .langevin_steps(spec.langevin_steps.expect(FILLED))?
                    .langevin_rate(spec.langevin_rate.expect(FILLED))?
                    .noise(spec.langevin_noise.expect(FILLED))
                    .map_err(field("langevin_noise"))?
                    .gamma(spec.entropy_gamma.expect(FILLED), 0.0)
                    .map_err(field("entropy_gamma"))?
                    .gamma(spec.entropy_gamma.expect(FILLED), spec.entropy_scoping.expect(FILLED))
                    .map_err(field("entropy_scoping"))?,
            ),
        })
    }
}

/// An optimiser's complaint under the name that the setting has in an experiment.
fn field(name: &'static str) -> impl Fn(OptimError) -> ExperimentError {
    move |error| match error {
        OptimError::Range { found, expected, .. } => {
            ExperimentError::field(name, found, &format!("it must be {expected}"))
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use crate::checkpoint::{load_training, save_training};
    use crate::experiment::ExperimentSpec;
    use crate::training::{Training, TrainingData};

    /// 3 epochs of F1 by `method`, 4 batches each: 3 of 64 images and one of 8.
    fn training(method: &str) -> Training {
        let json = format!(
            r#"{{ "model": "f1", "train_limit": 200, "test_limit": 50, "epochs": 3,
                  "batch_size": 64, "ghost_batch_size": 32, "method": {method} }}"#
        );
        let spec: ExperimentSpec = serde_json::from_str(&json).unwrap();
        let experiment = spec.resolve().unwrap();
        let data = TrainingData::load(&experiment).unwrap();
        Training::new(experiment, data).unwrap()
    }

    /// Memory that is empty although there were updates is refused, not taken for zeros.
    #[test]
    fn a_state_without_its_memory_is_refused() {
        for method in [
            r#""plain""#,
            r#""sam", "optimizer": "adam""#,
            r#""entropy-sgd", "langevin_steps": 5"#,
            r#""swa", "swa_start": 1"#,
        ] {
            let mut whole = training(method);
            whole.epoch(|_, _| {}).unwrap();
            let state = whole.state();
            let empties =
                (0..state.memory.len()).filter(|&place| !state.memory[place].1.is_empty());
            for place in empties.collect::<Vec<_>>() {
                let mut state = state.clone();
                state.memory[place].1.clear();
                let error = training(method).restore(state.clone()).unwrap_err().to_string();
                assert!(error.contains(&state.memory[place].0), "{method}: {error}");
            }
        }
    }

    /// Epochs that forget: the first ends alike, the second does not; Entropy-SGD's walks run on.
    #[test]
    fn the_optimiser_is_restarted_with_each_epoch() {
        for optimizer in ["sgd", "adam"] {
            let kept = format!(r#""plain", "optimizer": "{optimizer}""#);
            let [mut kept, mut restarted] =
                [kept.clone(), format!(r#"{kept}, "restart_optimizer": true"#)]
                    .map(|m| training(&m));
            for same in [true, false] {
                kept.epoch(|_, _| {}).unwrap();
                restarted.epoch(|_, _| {}).unwrap();
                assert_eq!(kept.model() == restarted.model(), same, "{optimizer}");
            }
        }
        let spec = r#"{ "model": "f1", "method": "entropy-sgd", "restart_optimizer": true }"#;
        let spec: ExperimentSpec = serde_json::from_str(spec).unwrap();
        let error = spec.resolve().unwrap_err().to_string();
        assert!(error.contains("restart_optimizer"), "{error}");
    }

    /// A training that stops after any batch goes on from its checkpoint with the same bits.
    #[test]
    fn every_method_goes_on_within_an_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("training.safetensors");
        for method in [
            r#""plain""#,
            r#""smoothout", "radius": 0.01, "denoise": false"#,
            r#""adasmoothout", "radius": 0.1, "radius_schedule": "tanh""#,
            r#""sam", "optimizer": "adam""#,
            r#""asam""#,
            r#""plain", "restart_optimizer": true, "optimizer": "adam""#,
            r#""lpf-sgd", "lpf_alpha": 14"#,
            r#""entropy-sgd", "langevin_steps": 5"#,
            r#""swa", "swa_start": 1"#,
        ] {
            let mut whole = training(method);
            for _ in 0..3 {
                whole.epoch(|_, _| {}).unwrap();
            }
            // Within the first epoch, before Entropy-SGD's first update, and within the second.
            for stop in [3, 6] {
                let mut first = training(method);
                let mut batches = 0;
                while batches < stop {
                    let one_more = |_: usize, _: &_| {
                        batches += 1;
                        if batches < stop {
                            ControlFlow::Continue(())
                        } else {
                            ControlFlow::Break(())
                        }
                    };
                    first.epoch_until(one_more).unwrap();
                }
                save_training(&path, first.network(), &first.state()).unwrap();
                let mut rest = training(method);
                rest.restore(load_training(&path, rest.network()).unwrap()).unwrap();
                while rest.epochs() < 3 {
                    rest.epoch(|_, _| {}).unwrap();
                }
                let [mut found, mut expected] = [rest.state(), whole.state()];
                for state in [&mut found, &mut expected] {
                    state.memory.sort_by(|a, b| a.0.cmp(&b.0));
                }
                assert!(found == expected, "{method}, stopped after {stop} batches");
                assert!(rest.model() == whole.model(), "{method}, stopped after {stop} batches");
            }
        }
    }
}
