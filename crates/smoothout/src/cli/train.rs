//! `smoothout train`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::Compute;
use super::progress::Progress;
use crate::experiment::{Experiment, ExperimentSpec, Method};
use crate::run::RunFolder;
use crate::training::{EpochRecord, Training, TrainingData};

/// Train a network. An option given twice counts as it was given last.
#[derive(Debug, Args)]
pub(super) struct TrainCommand {
    #[command(flatten)]
    spec: ExperimentSpec,
    /// JSON file of these options, which those on the command line override
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run folder [default: runs/MODEL-DATASET-METHOD-bBATCH-sSEED]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in the run folder
    #[arg(long)]
    resume: bool,
    /// Stop after this many more epochs; --resume goes on later
    #[arg(long, value_name = "N")]
    stop_after: Option<usize>,
    #[command(flatten)]
    compute: Compute,
}

impl TrainCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut spec = self.spec;
        if let Some(config) = &self.config {
            spec = ExperimentSpec::read(config)?.overridden_by(&spec);
        }
        let out = match &self.out {
            Some(out) => out.clone(),
            None => default_folder(&spec.resolve()?),
        };
        let compute = if self.resume { self.compute.resuming(&out)? } else { self.compute };
        compute.run(move || {
            let (mut run, mut training) = open(&out, &spec, self.resume)?;
            train(&mut run, &mut training, self.stop_after)?;
            summarize(&run);
            Ok(())
        })
    }
}

/// `runs/MODEL-DATASET-METHOD-bBATCH-sSEED`.
fn default_folder(experiment: &Experiment) -> PathBuf {
    let method = experiment.spec.method.unwrap_or(Method::Plain).as_str();
    PathBuf::from("runs").join(format!(
        "{}-{}-{method}-b{}-s{}",
        experiment.model, experiment.dataset, experiment.batch_size, experiment.seed
    ))
}

/// A run and its training: a new one, or the one in the folder. Nothing is written before the data
/// are read and fit the network.
pub(super) fn open(
    out: &Path,
    spec: &ExperimentSpec,
    resume: bool,
) -> anyhow::Result<(RunFolder, Training)> {
    let load = |experiment: Experiment| -> anyhow::Result<Training> {
        let data = TrainingData::load(&experiment)?;
        Ok(Training::new(experiment, data)?)
    };
    let (mut run, mut training) = if resume {
        let (run, experiment) = RunFolder::resume(out, spec)?;
        (run, load(experiment)?)
    } else {
        RunFolder::check_free(out)?;
        let training = load(spec.resolve()?)?;
        (RunFolder::create(out, spec, training.experiment())?, training)
    };
    run.attach(&mut training)?;
    if let [.., before, now] = run.stretches()
        && now.first_epoch == training.epochs() + 1
        && (&before.version, &before.kernels) != (&now.version, &now.kernels)
    {
        eprintln!(
            "note: {} was computed by version {} ({}) and goes on by {} ({}): its bits may differ \
             from those of a run that never stopped",
            out.display(),
            before.version,
            before.kernels,
            now.version,
            now.kernels
        );
    }
    Ok((run, training))
}

/// Trains to the end, or for `stop_after` epochs, keeping every epoch in the run folder.
pub(super) fn train(
    run: &mut RunFolder,
    training: &mut Training,
    stop_after: Option<usize>,
) -> anyhow::Result<()> {
    let epochs = training.experiment().epochs;
    let last = stop_after.map_or(epochs, |more| epochs.min(training.epochs() + more));
    let progress = Progress::new(epochs, training.steps_per_epoch());
    while training.epochs() < last {
        let epoch = training.epochs() + 1;
        let record =
            training.epoch(|step, tally| progress.step(epoch, step, tally)).with_context(|| {
                match epoch {
                    1 => format!("{} has no finished epoch", run.path().display()),
                    _ => format!(
                        "{} keeps the state after epoch {}",
                        run.path().display(),
                        epoch - 1
                    ),
                }
            })?;
        progress.epoch(&record);
        run.keep(training, record)?;
    }
    Ok(())
}

/// What came out, on standard output.
fn summarize(run: &RunFolder) {
    let Some((last, best)) = last_and_best(run.records()) else { return };
    println!(
        "test top-1: last epoch ({}) {:.2} %, best epoch ({}) {:.2} %; kept in {}",
        last.epoch,
        last.test_top1,
        best.epoch,
        best.test_top1,
        run.path().display()
    );
}

/// The last epoch and the first of the best ones.
pub(super) fn last_and_best(records: &[EpochRecord]) -> Option<(&EpochRecord, &EpochRecord)> {
    let best = records.iter().rev().max_by(|a, b| a.test_top1.total_cmp(&b.test_top1))?;
    records.last().map(|last| (last, best))
}
