//! `smoothout train`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::progress::Progress;
use super::{BadInput, TrainingCompute};
use crate::experiment::{Experiment, ExperimentSpec, Method};
use crate::run::{KEEP_EVERY, RunFolder};
use crate::stop::{self, Signal};
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
    /// Keep the state within an epoch every so many seconds; 0 keeps it after each update
    #[arg(long, value_name = "SECONDS", default_value_t = KEEP_EVERY.as_secs())]
    keep_every: u64,
    #[command(flatten)]
    compute: TrainingCompute,
}

impl TrainCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if self.resume && self.out.is_none() {
            let advice = "--resume goes on with the run in a folder: name it with --out";
            return Err(BadInput(advice.to_owned()).into());
        }
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
            run.keep_every(Duration::from_secs(self.keep_every));
            let outcome = train(&mut run, &mut training, self.stop_after)?;
            summarize(&run)?;
            outcome.go_on_by(&format!("smoothout train --resume --out {}", out.display()))
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
    let (batch, examples) = (training.experiment().batch_size(), training.data().train.len());
    if batch > examples {
        note!(
            "note: a batch of {batch} is asked for, and there are {examples} examples: all of them make \
             a batch, and the learning rate stays that of {batch}"
        );
    }
    // From here on there is something to keep.
    stop::watch().context("SIGINT and SIGTERM cannot be handled")?;
    run.attach(&mut training)?;
    if let [.., before, now] = run.stretches()
        && now.start() == (training.epochs() + 1, training.unfinished().batches)
        && (&before.version, &before.kernels) != (&now.version, &now.kernels)
    {
        note!(
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

/// How a training ended.
#[derive(Debug)]
#[must_use]
pub(super) enum Outcome {
    /// All epochs that were asked for are done.
    Finished,
    /// A signal stopped it.
    Stopped(Stopped),
}

impl Outcome {
    /// An error that names the command by which to go on, unless the training has finished.
    pub(super) fn go_on_by(self, command: &str) -> anyhow::Result<()> {
        match self {
            Self::Finished => Ok(()),
            Self::Stopped(stopped) => Err(stopped).context(format!("go on by: {command}")),
        }
    }
}

/// The program ends because a signal asked it to.
#[derive(Debug, thiserror::Error)]
#[error("stopped by {signal}; {kept}")]
pub(super) struct Stopped {
    /// The signal.
    pub(super) signal: Signal,
    /// What is kept, in words.
    pub(super) kept: String,
}

/// Trains to the end, or for `stop_after` epochs, or until a signal comes, keeping every epoch and
/// now and then the state within one in the run folder.
pub(super) fn train(
    run: &mut RunFolder,
    training: &mut Training,
    stop_after: Option<usize>,
) -> anyhow::Result<Outcome> {
    let stop = stop::watch()?;
    let epochs = training.experiment().epochs;
    let last = stop_after.map_or(epochs, |more| epochs.min(training.epochs().saturating_add(more)));
    let progress = Progress::new(epochs, training.steps_per_epoch());
    while training.epochs() < last {
        if let Some(signal) = stop.signal() {
            return Ok(Outcome::Stopped(Stopped { signal, kept: run.kept() }));
        }
        progress.begin(training.epochs() + 1);
        let record = training
            .epoch_until(|step, tally| {
                progress.step(step, tally);
                if stop.signal().is_some() || run.is_due() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .with_context(|| run.kept())?;
        match record {
            Some(record) => {
                run.keep(training, record.clone()).with_context(|| run.kept())?;
                progress.epoch(&record);
            }
            None => run.keep_state(training).with_context(|| run.kept())?,
        }
    }
    Ok(Outcome::Finished)
}

/// What came out, on standard output.
fn summarize(run: &RunFolder) -> anyhow::Result<()> {
    let Some((last, best)) = last_and_best(run.records()) else { return Ok(()) };
    say!(
        "test top-1: last epoch ({}) {:.2} %, best epoch ({}) {:.2} %; kept in {}",
        last.epoch,
        last.test_top1,
        best.epoch,
        best.test_top1,
        run.path().display()
    );
    Ok(())
}

/// The last epoch and the first of the best ones.
pub(super) fn last_and_best(records: &[EpochRecord]) -> Option<(&EpochRecord, &EpochRecord)> {
    let best = records.iter().rev().max_by(|a, b| a.test_top1.total_cmp(&b.test_top1))?;
    records.last().map(|last| (last, best))
}
