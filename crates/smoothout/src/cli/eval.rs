//! `smoothout eval`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use smoothout_nn::{Network, Workspace};

use super::{BadInput, Compute};
use crate::checkpoint::load_model;
use crate::data::{DataSet, DataSetName, Split};
use crate::evaluation::{EVALUATION_BATCH, evaluate};

/// Evaluate a saved network.
#[derive(Debug, Args)]
pub(super) struct EvalCommand {
    /// The network: see `smoothout models`
    #[arg(long)]
    model: String,
    /// Number of classes [default: the data set's]
    #[arg(long)]
    classes: Option<usize>,
    /// safetensors file with PyTorch's names
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// mnist, cifar10, cifar100 or folder
    #[arg(long, default_value = "mnist")]
    dataset: DataSetName,
    /// Folder of the data set's files [default: looked for, see `smoothout data list`]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// train or test
    #[arg(long, default_value = "test")]
    split: Split,
    /// Evaluate on the first N examples only (of a folder N chosen at random, always the same)
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Examples evaluated at once; memory and speed depend on it, the result does not
    #[arg(long, default_value_t = EVALUATION_BATCH)]
    batch_size: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Debug, Serialize)]
struct Evaluation {
    model: String,
    dataset: DataSetName,
    split: Split,
    loss: f64,
    top1: f64,
    top5: f64,
    examples: usize,
}

impl EvalCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        for (name, value) in [("limit", self.limit), ("batch-size", Some(self.batch_size))] {
            if value == Some(0) {
                return Err(BadInput(format!("{name} is 0: it must be at least 1")).into());
            }
        }
        let mut set = DataSet::load(self.dataset, self.data_dir.as_deref(), self.split)?;
        let network = Network::by_name(&self.model, self.classes.unwrap_or(set.classes))?;
        let model = load_model(&self.weights, &network)?;
        if let Some(limit) = self.limit {
            set = set.first(limit);
        }
        let set = Arc::new(set);
        let tally = self.compute.run(|| {
            let mut workspace = Workspace::new(&network, self.batch_size.min(set.len()));
            Ok(evaluate(&network, &model, &set, self.batch_size, &mut workspace)?)
        })?;
        if !tally.loss().is_finite() {
            let weights = self.weights.display();
            anyhow::bail!("the loss of {weights} is {}: its weights have diverged", tally.loss());
        }
        let evaluation = Evaluation {
            model: self.model,
            dataset: self.dataset,
            split: self.split,
            loss: tally.loss(),
            top1: tally.top1(),
            top5: tally.top5(),
            examples: tally.examples(),
        };
        if self.json {
            say!("{}", serde_json::to_string(&evaluation)?);
        } else {
            say!(
                "loss {:.4}, top-1 {:.2} %, top-5 {:.2} % of {} examples",
                evaluation.loss,
                evaluation.top1,
                evaluation.top5,
                evaluation.examples
            );
        }
        Ok(())
    }
}
