//! What the measuring commands are pointed at: a network, examples, batch norm, precision.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use smoothout_nn::Network;
use smoothout_tensor::Real;

use crate::data::{DataSet, DataSetName, Split};
use crate::evaluation::EVALUATION_BATCH;
use crate::measure::{BatchNormPolicy, ExampleSet, MeasureError, Subset};
use crate::training::check_fit;

/// The network, its data, and how it is evaluated.
#[derive(Debug, Args)]
pub(super) struct Subject {
    /// The network: see `smoothout models`
    #[arg(long)]
    pub(super) model: String,
    /// Number of classes [default: the data set's]
    #[arg(long)]
    classes: Option<usize>,
    /// mnist, cifar10, cifar100 or folder
    #[arg(long, default_value = "mnist")]
    dataset: DataSetName,
    /// Folder of the data set's files [default: looked for, see `smoothout data list`]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// train or test
    #[arg(long, default_value = "train")]
    split: Split,
    /// Measure on so many examples, chosen by the subset's seed
    #[arg(long, default_value_t = 1000, value_name = "N")]
    examples: usize,
    /// Seed that chooses the examples
    #[arg(long, default_value_t = 0)]
    subset_seed: u64,
    /// Statistics of batch norm: the checkpoint's, each batch's, or computed anew at each point
    /// [default: frozen; batch where there are several checkpoints]
    #[arg(long, value_enum)]
    pub(super) batch_norm: Option<BatchNorm>,
    /// Examples evaluated at once; with batch and recalibrated also those of one statistic
    /// [default: 64; of a statistic 250]
    #[arg(long)]
    batch_size: Option<usize>,
    /// Precision of weights and images; f64 is several times slower
    /// [default: f32; f64 for eigenvalues, trace and spectrum]
    #[arg(long, value_enum)]
    pub(super) precision: Option<Precision>,
}

/// Examples of one statistic of batch norm, unless told otherwise.
const STATISTICS_BATCH: usize = 250;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BatchNorm {
    Frozen,
    Batch,
    Recalibrated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Precision {
    F32,
    F64,
}

impl Subject {
    /// The network and the split.
    pub(super) fn load(&self) -> anyhow::Result<(Network, DataSet)> {
        let set = DataSet::load(self.dataset, self.data_dir.as_deref(), self.split)?;
        let network = Network::by_name(&self.model, self.classes.unwrap_or(set.classes))?;
        check_fit(&network, &set)?;
        Ok((network, set))
    }

    /// The subset of the split.
    pub(super) fn examples<R: Real>(
        &self,
        set: &DataSet,
    ) -> Result<(ExampleSet<R>, Subset), MeasureError> {
        ExampleSet::draw(set, Some(self.examples), self.subset_seed)
    }

    /// Examples that are evaluated at once.
    pub(super) fn batch_size(&self) -> usize {
        self.batch_size.unwrap_or(EVALUATION_BATCH)
    }

    /// The policy, `default` if none was chosen.
    pub(super) fn policy(&self, default: BatchNorm) -> BatchNormPolicy {
        let size = self.batch_size.unwrap_or(STATISTICS_BATCH);
        match self.batch_norm.unwrap_or(default) {
            BatchNorm::Frozen => BatchNormPolicy::Frozen,
            BatchNorm::Batch => BatchNormPolicy::Batch { size },
            BatchNorm::Recalibrated => {
                BatchNormPolicy::Recalibrated { examples: self.examples, size }
            }
        }
    }
}

/// The numbers in another precision.
pub(super) fn converted<R: Real>(values: &[f32]) -> Vec<R> {
    values.iter().map(|&value| R::from_f64(f64::from(value))).collect()
}
