//! Which parameters move while a network is measured.

use serde::{Deserialize, Serialize};
use smoothout_tensor::Selection;

/// The parameters that a metric moves, as options and files name them.
///
/// Training leaves gamma and beta of batch norms alone unless told otherwise (the paper's v3);
/// `without-norm` measures in the same directions.
///
/// ```
/// use smoothout::measure::Select;
///
/// assert_eq!(serde_json::to_string(&Select::WithoutNorm)?, r#""without-norm""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Select {
    /// Every parameter.
    #[default]
    All,
    /// Weights and biases, not batch norm's gamma and beta.
    WithoutNorm,
    /// The weights of linear and convolutional layers only.
    Weights,
}

impl From<Select> for Selection {
    fn from(select: Select) -> Self {
        match select {
            Select::All => Self::all(),
            Select::WithoutNorm => Self::without_norm(),
            Select::Weights => Self::weights(),
        }
    }
}
