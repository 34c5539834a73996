//! What a study measures of a trained network, as it stands in its JSON file:
//!
//! ```json
//! { "metric": "keskar", "epsilon": 0.001, "examples": 1000, "batch_norm": { "policy": "batch", "size": 250 } }
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};
use smoothout_tensor::Geometry;

use crate::measure::{BatchNormPolicy, Select};

/// A number that is measured of a trained network on training examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The number. It takes the fields that are not named below, and refuses unknown ones.
    #[serde(flatten)]
    pub metric: Metric,
    /// So many training examples.
    pub examples: usize,
    /// The statistics of batch norms; frozen ones if nothing is said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub batch_norm: BatchNormPolicy,
    /// The parameters that move; all if nothing is said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub select: Select,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "metric", rename_all = "snake_case", deny_unknown_fields)]
pub enum Metric {
    /// The rise of the mean loss under uniform perturbations.
    ExpectedLoss {
        /// What the radius is measured against.
        geometry: Geometry,
        /// a.
        radius: f64,
    },
    /// Keskar's sharpness, in percent.
    Keskar {
        /// The box's size.
        epsilon: f64,
        /// p, the dimension of a random subspace; the full space without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subspace: Option<usize>,
    },
    /// The largest eigenvalue of the Hessian.
    LargestEigenvalue {},
}

impl Metric {
    /// Of so many examples, with frozen batch norm, all parameters moving.
    pub fn on(self, examples: usize) -> Measure {
        let (batch_norm, select) = (BatchNormPolicy::default(), Select::default());
        Measure { metric: self, examples, batch_norm, select }
    }

    /// Whether it stays the same when whole layers are rescaled without changing the function.
    pub fn is_invariant(self) -> bool {
        matches!(
            self,
            Self::ExpectedLoss {
                geometry: Geometry::Filter | Geometry::Elementwise | Geometry::Layer,
                ..
            }
        )
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExpectedLoss { geometry: Geometry::Absolute, radius } => {
                write!(f, "rise of the expected loss, a = {radius}")
            }
            Self::ExpectedLoss { geometry, radius } => {
                let name = format!("{geometry:?}").to_lowercase();
                write!(f, "rise of the expected loss, {name}, a = {radius}")
            }
            Self::Keskar { epsilon, subspace: None } => {
                write!(f, "Keskar sharpness, full space, eps = {epsilon}")
            }
            Self::Keskar { epsilon, subspace: Some(p) } => {
                write!(f, "Keskar sharpness, p = {p}, eps = {epsilon}")
            }
            Self::LargestEigenvalue {} => f.write_str("largest eigenvalue of the Hessian"),
        }
    }
}

/// The metric, and what is not as usual: which parameters move, where norms take statistics from.
impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.metric.fmt(f)?;
        match self.select {
            Select::All => {}
            Select::WithoutNorm => f.write_str(", without gamma and beta")?,
            Select::Weights => f.write_str(", weights alone")?,
        }
        match self.batch_norm {
            BatchNormPolicy::Frozen => Ok(()),
            policy => write!(f, ", {policy}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> serde_json::Result<Measure> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_measure_reads_back_what_it_writes() {
        let keskar = Metric::Keskar { epsilon: 1e-3, subspace: None };
        let usual = r#"{"metric":"keskar","epsilon":0.001,"examples":1000}"#;
        assert_eq!(serde_json::to_string(&keskar.on(1000)).unwrap(), usual);
        assert_eq!(read(usual).unwrap(), keskar.on(1000));

        let batch_norm = BatchNormPolicy::Batch { size: 250 };
        let all = Measure { batch_norm, select: Select::WithoutNorm, ..keskar.on(1000) };
        assert_eq!(read(&serde_json::to_string(&all).unwrap()).unwrap(), all);
        assert_eq!(
            all.to_string(),
            "Keskar sharpness, full space, eps = 0.001, without gamma and beta, \
             batch norm by batches of 250"
        );
    }

    #[test]
    fn unknown_fields_are_refused() {
        for (text, field) in [
            (r#"{"metric":"keskar","epsilon":0.001,"examples":9,"radius":1}"#, "radius"),
            (r#"{"metric":"largest_eigenvalue","examples":9,"seed":1}"#, "seed"),
            (r#"{"metric":"largest_eigenvalue","examples":9,"select":"gamma"}"#, "gamma"),
            (r#"{"metric":"flatness","examples":9}"#, "flatness"),
            (r#"{"metric":"largest_eigenvalue"}"#, "examples"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
