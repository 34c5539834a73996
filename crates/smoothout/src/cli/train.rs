//! `smoothout train`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Threads;
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
    threads: Threads,
}

impl TrainCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut spec = self.spec;
        if let Some(config) = &self.config {
            spec = ExperimentSpec::read(config)?.overridden_by(&spec);
        }
        let (mut run, experiment) = match (self.resume, self.out) {
            (true, Some(out)) => RunFolder::resume(&out, &spec)?,
            (resume, out) => {
                let experiment = spec.resolve()?;
                let out = out.unwrap_or_else(|| default_folder(&experiment));
                if resume {
                    RunFolder::resume(&out, &spec)?
                } else {
                    (RunFolder::create(&out, &experiment)?, experiment)
                }
            }
        };
        self.threads.run(move || {
            let records = train(&mut run, experiment, self.stop_after)?;
            summarize(&run, &records);
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

/// Trains to the end, or for `stop_after` epochs, keeping every epoch in the run folder.
pub(super) fn train(
    run: &mut RunFolder,
    experiment: Experiment,
    stop_after: Option<usize>,
) -> anyhow::Result<Vec<EpochRecord>> {
    let data = TrainingData::load(&experiment)?;
    let examples = [data.train.len(), data.test.len()];
    let epochs = experiment.epochs;
    let mut training = Training::new(experiment, data)?;
    run.attach(&mut training, examples)?;
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
        run.keep(&training, record)?;
    }
    Ok(run.records().to_vec())
}

/// What came out, on standard output.
fn summarize(run: &RunFolder, records: &[EpochRecord]) {
    let Some(last) = records.last() else { return };
    let better = |a: &&EpochRecord, b: &&EpochRecord| {
        a.test_top1.total_cmp(&b.test_top1).then(b.epoch.cmp(&a.epoch))
    };
    let best = records.iter().max_by(better).unwrap_or(last);
    println!(
        "test top-1: last epoch ({}) {:.2} %, best epoch ({}) {:.2} %; kept in {}",
        last.epoch,
        last.test_top1,
        best.epoch,
        best.test_top1,
        run.path().display()
    );
}
