//! Which method reads a setting. One that its method does not read is an error, so that no option
//! is silently ignored, and goes when another method overrides.

use serde::Serialize;

use super::choices::Method;
use super::error::ExperimentError;

/// Whether a method reads a setting, and who does, in words.
struct Readers {
    read_by: fn(Method) -> bool,
    advice: &'static str,
}

/// The readers of a setting, unless every method reads it.
fn readers(setting: &str) -> Option<Readers> {
    let (read_by, advice): (fn(Method) -> bool, _) = match setting {
        "radius"
        | "distribution"
        | "radius_schedule"
        | "anneal_index"
        | "tanh_scale"
        | "denoise"
        | "shared_perturbation" => {
            (Method::smooths, "it is a setting of the methods smoothout and adasmoothout")
        }
        "copies" => (
            Method::smooths,
            "it is a setting of the methods smoothout and adasmoothout (lpf-sgd perturbs each of \
             its M chunks once, and a chunk is a ghost batch: choose M with ghost_batch_size)",
        ),
        "perturb_norm" => (
            |method| method.smooths() || method == Method::LpfSgd,
            "it is a setting of the methods smoothout, adasmoothout and lpf-sgd",
        ),
        "adapt_type" => (
            |method| method == Method::AdaSmoothOut,
            "it is a setting of the method adasmoothout; smoothout does not adapt",
        ),
        "rho" | "ascent_scope" => (Method::ascends, "it is a setting of the methods sam and asam"),
        "eta" => (|method| method == Method::Asam, "it is a setting of the method asam"),
        "lpf_gamma" | "lpf_alpha" => {
            (|method| method == Method::LpfSgd, "it is a setting of the method lpf-sgd")
        }
        "langevin_steps" | "langevin_rate" | "langevin_noise" | "entropy_gamma"
        | "entropy_scoping" => {
            (|method| method == Method::EntropySgd, "it is a setting of the method entropy-sgd")
        }
        "restart_optimizer" => (
            |method| method != Method::EntropySgd,
            "a walk of entropy-sgd may go on over the end of an epoch",
        ),
        "swa_start" | "swa_cycle" | "swa_learning_rate" => {
            (|method| method == Method::Swa, "it is a setting of the method swa")
        }
        _ => return None,
    };
    Some(Readers { read_by, advice })
}

impl Method {
    /// Whether a setting means something to the method.
    pub(crate) fn reads(self, setting: &str) -> bool {
        readers(setting).is_none_or(|readers| (readers.read_by)(self))
    }

    /// What is given for a setting or its default, where the method reads it.
    ///
    /// # Errors
    /// If it is given and not read.
    pub(super) fn setting<T: Serialize>(
        self,
        name: &'static str,
        given: Option<T>,
        default: T,
    ) -> Result<Option<T>, ExperimentError> {
        let advice = readers(name).map_or("", |readers| readers.advice);
        applies((self.reads(name), advice), name, given, default)
    }
}

/// A setting that has a meaning only where `condition` holds: its value or default there, an error
/// with the advice if it is given elsewhere.
pub(super) fn applies<T: Serialize>(
    (condition, advice): (bool, &str),
    name: &'static str,
    given: Option<T>,
    default: T,
) -> Result<Option<T>, ExperimentError> {
    match given {
        Some(value) if !condition => {
            let value = serde_json::to_value(value).expect("a setting is JSON");
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            Err(ExperimentError::field(name, value, advice))
        }
        given => Ok(condition.then(|| given.unwrap_or(default))),
    }
}
