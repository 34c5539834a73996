//! What an experiment can choose from, and how the choices are written.

use std::fmt;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use smoothout_optim::RegimeStep;

use crate::text::finite;

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

/// Where the gradients are taken, and what becomes of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// At the weights.
    Plain,
    /// At weights perturbed in a box of fixed size.
    SmoothOut,
    /// At weights perturbed in proportion to their filters (or to themselves).
    AdaSmoothOut,
    /// At the worst weights in a ball, to first order: [`smoothout_optim::Sam`].
    Sam,
    /// The same in a ball that stretches with the weights: [`smoothout_optim::Asam`].
    Asam,
    /// At weights with Gaussian noise in proportion to their filters: [`smoothout_optim::LpfSgd`].
    #[serde(rename = "lpf-sgd")]
    LpfSgd,
    /// At weights that wander around the weights: [`smoothout_optim::EntropySgd`].
    #[serde(rename = "entropy-sgd")]
    EntropySgd,
    /// At the weights, whose average over late epochs is the result: [`smoothout_optim::Swa`].
    Swa,
}

impl Method {
    /// The name as it is written in commands and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::SmoothOut => "smoothout",
            Self::AdaSmoothOut => "adasmoothout",
            Self::Sam => "sam",
            Self::Asam => "asam",
            Self::LpfSgd => "lpf-sgd",
            Self::EntropySgd => "entropy-sgd",
            Self::Swa => "swa",
        }
    }

    /// Whether gradients are taken at weights perturbed with a radius.
    pub(crate) fn smooths(self) -> bool {
        matches!(self, Self::SmoothOut | Self::AdaSmoothOut)
    }

    /// Whether a first gradient leads to where the second one is taken.
    pub(crate) fn ascends(self) -> bool {
        matches!(self, Self::Sam | Self::Asam)
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

/// Learning rates by epoch, on the command line `0:0.1,10:0.01`. In JSON it is a list of steps, each an `epoch`
/// and a `learning_rate`; the text of the command line is read as well.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct RegimeSpec(pub Vec<RegimeStep>);

impl<'de> Deserialize<'de> for RegimeSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Steps;
        impl<'de> Visitor<'de> for Steps {
            type Value = RegimeSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of steps, each with epoch and learning_rate, or text such as 0:0.1,10:0.01")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RegimeSpec, E> {
                parse_regime(text).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<RegimeSpec, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(RegimeSpec)
            }
        }
        deserializer.deserialize_any(Steps)
    }
}

/// A value by its name in JSON, for options of the command line.
pub(super) fn named<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::from(name)).map_err(|error| error.to_string())
}

/// Reads `0:0.1,10:0.01`.
pub(super) fn parse_regime(text: &str) -> Result<RegimeSpec, String> {
    let step = |part: &str| {
        let (epoch, rate) = part.split_once(':')?;
        let (epoch, learning_rate) = (epoch.trim().parse().ok()?, finite(rate).ok()?);
        Some(RegimeStep { epoch, learning_rate })
    };
    let steps: Option<Vec<_>> = text.split(',').map(step).collect();
    steps.map(RegimeSpec).ok_or_else(|| {
        format!(
            "{text:?} is not a list of EPOCH:LEARNING_RATE, finite numbers such as 0:0.1,10:0.01"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regime_is_a_list_or_text() {
        let read = |text: &str| serde_json::from_str::<RegimeSpec>(text);
        let list = r#"[{"epoch":0,"learning_rate":0.1},{"epoch":10,"learning_rate":0.01}]"#;
        let regime = read(list).unwrap();
        assert_eq!(read(r#""0:0.1,10:0.01""#).unwrap(), regime);
        assert_eq!(serde_json::to_string(&regime).unwrap(), list);
        for (text, part) in
            [("3", "a list of steps"), (r#""0=1""#, "EPOCH:LEARNING_RATE"), ("[{}]", "epoch")]
        {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
