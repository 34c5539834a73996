//! Where batch norm takes its mean and variance from while a network is measured.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The statistics of batch norm at a measured point.
///
/// | policy | mean and variance | C(w) is |
/// |---|---|---|
/// | frozen | the checkpoint's running ones, the same at every point | the loss that `eval` prints, as a function of w alone |
/// | batch | those of each fixed batch of `size` examples | the loss that training sees without dropout and augmentation |
/// | recalibrated | running ones computed anew at every point: the means over batches of the batch mean and the unbiased batch variance | the loss of a network that was put in order after it was moved |
///
/// Frozen statistics belong to the point they were gathered at: away from it, activations drift from
/// them and the loss rises for that alone. Compare networks under one policy.
///
/// # Differences
/// PyTorch's running statistics are an exponential mean with momentum 0.1; the recalibrated ones are
/// the plain mean over the batches (PyTorch's `momentum=None`), which does not depend on their order.
///
/// ```
/// use smoothout::measure::BatchNormPolicy;
///
/// let policy = BatchNormPolicy::Batch { size: 128 };
/// assert_eq!(policy.to_string(), "batch norm by batches of 128");
/// assert_eq!(serde_json::to_string(&policy)?, r#"{"policy":"batch","size":128}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
pub enum BatchNormPolicy {
    /// The running statistics of the checkpoint.
    #[default]
    Frozen,
    /// The statistics of fixed batches.
    Batch {
        /// Examples in a batch; the last one may have fewer and counts by its examples.
        size: usize,
    },
    /// Running statistics computed at each point from the first examples of the set.
    Recalibrated {
        /// How many of them.
        examples: usize,
        /// Examples in a batch.
        size: usize,
    },
}

impl fmt::Display for BatchNormPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frozen => f.write_str("frozen batch norm"),
            Self::Batch { size } => write!(f, "batch norm by batches of {size}"),
            Self::Recalibrated { examples, size } => write!(
                f,
                "batch norm recalibrated at each point on {examples} examples in batches of {size}"
            ),
        }
    }
}
