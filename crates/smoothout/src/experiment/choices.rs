//! What an experiment can choose from, and how the choices are written.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smoothout_optim::RegimeStep;

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

/// A value by its name in JSON, for options of the command line.
pub(super) fn named<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::from(name)).map_err(|error| error.to_string())
}

/// Reads `0:0.1,10:0.01`.
pub(super) fn parse_regime(text: &str) -> Result<RegimeSpec, String> {
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
