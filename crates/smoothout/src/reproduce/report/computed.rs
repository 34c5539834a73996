//! On what the results were computed, and how long it took.

use std::collections::BTreeMap;

use super::arms::StudyView;
use super::quantity::duration;
use super::table::Table;
use crate::reproduce::results::RunResult;

/// Where and how long.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Computed {
    pub(super) table: Table,
    /// Seconds of training.
    pub(super) training: f64,
    /// Seconds of measuring.
    pub(super) measuring: f64,
}

/// (processor, threads, kernels, version).
type Machine<'a> = (&'a str, usize, &'a str, &'a str);

impl Computed {
    pub(super) fn of(views: &[StudyView<'_>]) -> Self {
        let runs = || views.iter().flat_map(|view| view.arms.iter().flat_map(|arm| &arm.runs));
        // Sums in one order, whichever machine comes first.
        let mut machines: BTreeMap<Option<Machine<'_>>, (usize, f64)> = BTreeMap::new();
        for run in runs() {
            for record in &run.records {
                let sums = machines.entry(machine(run, record.epoch)).or_default();
                sums.0 += 1;
                sums.1 += record.seconds;
            }
        }
        let columns = ["processor", "threads", "kernels", "version", "epochs", "training time"];
        let mut table = Table::new("What was trained on what", columns);
        for (machine, (epochs, seconds)) in &machines {
            let [cpu, threads, kernels, version] = match machine {
                Some((cpu, threads, kernels, version)) => [
                    (*cpu).to_owned(),
                    threads.to_string(),
                    (*kernels).to_owned(),
                    (*version).to_owned(),
                ],
                None => ["not recorded".to_owned(), "–".into(), "–".into(), "–".into()],
            };
            table.row([cpu, threads, kernels, version, epochs.to_string(), duration(*seconds)]);
        }
        table.notes.push(
            "Times are wall-clock seconds summed over runs; runs side by side on one machine slow \
             each other down."
                .to_owned(),
        );
        let measured = runs().flat_map(|run| &run.measured);
        Self {
            table,
            training: machines.values().map(|(_, seconds)| seconds).sum(),
            measuring: measured.map(|measured| measured.seconds).sum(),
        }
    }

    /// One sentence.
    pub(super) fn time(&self) -> String {
        format!(
            "Training took {} in all, measuring {}; the pictures are not counted.",
            duration(self.training),
            duration(self.measuring)
        )
    }
}

/// The machine that computed an epoch: that of the last stretch that began by then.
fn machine(run: &RunResult, epoch: usize) -> Option<Machine<'_>> {
    let stretch = run.stretches.iter().rev().find(|stretch| stretch.first_epoch <= epoch)?;
    Some((&stretch.cpu, stretch.threads, &stretch.kernels, &stretch.version))
}
