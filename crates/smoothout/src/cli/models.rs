//! `smoothout models`.

use clap::Args;
use serde::Serialize;
use smoothout_nn::Network;

use crate::regimes::published_regime;

/// List the networks.
#[derive(Debug, Args)]
pub(super) struct ModelsCommand {
    /// Number of classes
    #[arg(long, default_value_t = 10)]
    classes: usize,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    input: [usize; 3],
    parameters: usize,
    multiply_adds: usize,
    epochs: usize,
    regime: String,
    weight_decay: f64,
}

impl ModelsCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let row = |name: &&'static str| -> anyhow::Result<Row> {
            let network = Network::by_name(name, self.classes)?;
            let regime = published_regime(name);
            let steps = regime.steps.iter().map(|s| format!("{}:{}", s.epoch, s.learning_rate));
            Ok(Row {
                name,
                input: network.input_shape(),
                parameters: network.parameters().len(),
                multiply_adds: network.multiply_adds(),
                epochs: regime.epochs,
                regime: steps.collect::<Vec<_>>().join(","),
                weight_decay: regime.weight_decay,
            })
        };
        let rows: Vec<Row> =
            smoothout_nn::models::NAMES.iter().map(row).collect::<Result<_, _>>()?;
        if self.json {
            say!("{}", serde_json::to_string_pretty(&rows)?);
            return Ok(());
        }
        say!("name       input (H, W, C)  parameters  multiply-adds  epochs  weight decay  regime");
        for row in rows {
            say!(
                "{:<9}  {:<15}  {:>10}  {:>13}  {:>6}  {:>12}  {}",
                row.name,
                format!("{:?}", row.input),
                row.parameters,
                row.multiply_adds,
                row.epochs,
                row.weight_decay,
                row.regime
            );
        }
        say!("Every resnetN with N = 6 n + 2 is CIFAR's, but for resnet50 and resnet152.");
        Ok(())
    }
}
