//! The work of a reproduction: trainings, then measures, then pictures, whatever is not there yet.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use smoothout_nn::Network;

use super::super::train::{Outcome, Stopped, open, train};
use super::super::{TrainingCompute, sentence};
use crate::checkpoint::load_model;
use crate::data::{DataSet, DataSetName, Split};
use crate::experiment::ExperimentSpec;
use crate::measure::MeasureError;
use crate::reproduce::drawing::{Scene, drawn};
use crate::reproduce::measuring::measured;
use crate::reproduce::plan::{Job, Plan};
use crate::reproduce::results::{PictureResult, RunResult};
use crate::reproduce::store::Store;
use crate::reproduce::study::{Picture, Study};
use crate::run::{RunError, RunFolder, Stretch};
use crate::stop;
use crate::training::{TrainError, TrainingData};

/// A plan at work in a folder.
pub(super) struct Runner<'a> {
    pub(super) plan: &'a Plan,
    pub(super) store: &'a Store,
    pub(super) compute: TrainingCompute,
}

impl Runner<'_> {
    /// Makes what is not there yet. A training that diverges, or that another process is at, is
    /// left out; returns those that failed, in words.
    pub(super) fn run(&self) -> anyhow::Result<Vec<String>> {
        let mut failed = Vec::new();
        for job in self.plan.shard() {
            let study = &self.plan.studies[job.study];
            let name = format!("{} {} seed {}", study.name, job.arm, job.seed());
            match self.trained(study, job, &name) {
                Ok(result) => self.measure(study, job, result, &name)?,
                Err(error) if is_in_use(&error) => note!("{name}: another process is at it"),
                Err(error) if has_diverged(&error) => {
                    let error = sentence(&error);
                    note!("{name}: {error}");
                    failed.push(format!("{name}: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        for (place, study) in self.plan.studies.iter().enumerate() {
            for picture in &study.pictures {
                match self.draw(place, study, picture) {
                    Err(error) if is_unfit(&error) => note!("not drawn: {}", sentence(&error)),
                    drawn => drawn?,
                }
            }
        }
        Ok(failed)
    }

    /// The result of a training, which is made or gone on with if it is not there.
    fn trained(&self, study: &Study, job: &Job, name: &str) -> anyhow::Result<RunResult> {
        if let Some(result) = self.store.run(study, job)? {
            let asked = self.compute.precision.unwrap_or_default().name();
            let found = result.stretches.last().map(Stretch::precision);
            if let Some(found) = found.filter(|found| *found != asked) {
                note!("note: {name} is kept as it was computed, in {found} and not {asked}");
            }
            return Ok(result);
        }
        note!("{name}");
        let folder = self.store.run_folder(study, &job.arm, job.seed());
        let resume = prepare(&folder, job)?;
        let compute = if resume { self.compute.resuming(&folder)? } else { self.compute };
        let result = compute.run(|| {
            let (mut run, mut training) = open(&folder, &job.spec, resume)?;
            train(&mut run, &mut training, None)?.go_on_by("the same command")?;
            Ok(RunResult {
                study: study.name.clone(),
                arm: job.arm.clone(),
                spec: job.resolved(),
                stretches: run.stretches().to_vec(),
                records: run.records().to_vec(),
                measured: Vec::new(),
            })
        })?;
        self.store.keep_run(study, &result)?;
        Ok(result)
    }

    /// Makes the study's measures that a result lacks, tries those that failed again, and takes out
    /// those it does not ask for.
    fn measure(
        &self,
        study: &Study,
        job: &Job,
        mut result: RunResult,
        name: &str,
    ) -> anyhow::Result<()> {
        let before = result.measured.clone();
        let weights = self.store.run_folder(study, &job.arm, job.seed()).join(LAST);
        let may_try = weights.exists();
        result.measured.retain(|measured| {
            let is_tried_again = measured.failure.is_some() && may_try;
            study.measures.contains(&measured.measure) && !is_tried_again
        });
        let known: Vec<_> = result.measured.iter().map(|measured| measured.measure).collect();
        let missing = || study.measures.iter().filter(|measure| !known.contains(measure));
        if missing().count() > 0 && !may_try {
            note!("{name}: not measured, since {} is not here", weights.display());
        } else if missing().count() > 0 {
            self.compute.all.run(|| {
                let network = network(&job.experiment.spec)?;
                let model = load_model(&weights, &network)?;
                // The examples of the training: without those held out, and no more than its limit.
                let TrainingData { train, .. } = TrainingData::load(&job.experiment)?;
                for &measure in missing() {
                    check_signals()?;
                    let found = measured(&network, &model, &train, measure);
                    note!("{name}: {}", found.spoken());
                    result.measured.push(found);
                    self.store.keep_run(study, &result)?;
                }
                Ok(())
            })?;
        }
        let place = |of| study.measures.iter().position(|measure| *measure == of);
        result.measured.sort_by_key(|measured| place(measured.measure));
        if result.measured != before {
            self.store.keep_run(study, &result)?;
        }
        Ok(())
    }

    /// Draws a picture that is not drawn yet, through the networks of the first seed that are all here.
    fn draw(&self, place: usize, study: &Study, picture: &Picture) -> anyhow::Result<()> {
        if self.store.found_picture(self.plan, place, picture)?.is_some() {
            return Ok(());
        }
        let name = format!("{} {}", study.name, picture.name);
        let mut first_missing = None;
        for jobs in self.plan.of_picture(place, picture) {
            let mut weights = Vec::new();
            for job in &jobs {
                if self.store.run(study, job)?.is_some() {
                    weights.push(self.store.run_folder(study, &job.arm, job.seed()).join(LAST));
                }
            }
            if weights.len() < jobs.len() {
                continue;
            }
            match weights.iter().find(|file| !file.exists()) {
                None => return self.draw_through(&name, study, picture, &jobs, &weights),
                Some(file) => first_missing.get_or_insert(file.clone()),
            };
        }
        if let Some(file) = first_missing {
            note!("{name}: not drawn, since {} is not here", file.display());
        }
        Ok(())
    }

    /// Draws a picture through the networks of these jobs.
    fn draw_through(
        &self,
        name: &str,
        study: &Study,
        picture: &Picture,
        jobs: &[&Job],
        weights: &[PathBuf],
    ) -> anyhow::Result<()> {
        check_signals()?;
        note!("{name}");
        let (series, grid) = self.compute.all.run(|| {
            let network = network(&jobs[0].experiment.spec)?;
            let models = weights.iter().map(|weights| load_model(weights, &network));
            let models = models.collect::<Result<Vec<_>, _>>()?;
            let TrainingData { train, test } = TrainingData::load(&jobs[0].experiment)?;
            let scene = Scene { network: &network, models: &models, train: &train, test: &test };
            drawn(&scene, picture).with_context(|| name.to_owned())
        })?;
        let specs = jobs.iter().map(|job| job.resolved()).collect();
        let (study_name, picture) = (study.name.clone(), picture.clone());
        let result = PictureResult { study: study_name, picture, specs, series, grid };
        Ok(self.store.keep_picture(study, &result)?)
    }
}

/// The model of a run's last epoch.
const LAST: &str = "last.safetensors";

/// Whether the weights of a training were ruined, and not the machine or the input.
fn has_diverged(error: &anyhow::Error) -> bool {
    let train = error.chain().find_map(|cause| cause.downcast_ref::<TrainError>());
    train.is_some_and(TrainError::is_divergence)
}

/// Whether a picture asks for what its experiments do not have: more examples than they train or test on.
fn is_unfit(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<MeasureError>());
    cause.is_some_and(MeasureError::is_bad_input)
}

fn is_in_use(error: &anyhow::Error) -> bool {
    let run = error.chain().find_map(|cause| cause.downcast_ref::<RunError>());
    // It may have begun since this one looked.
    matches!(run, Some(RunError::Locked { .. } | RunError::Exists { .. }))
}

/// Ends between two measurements if a signal has come.
fn check_signals() -> anyhow::Result<()> {
    match stop::watch()?.signal() {
        Some(signal) => {
            let kept = "what is finished is kept".to_owned();
            Outcome::Stopped(Stopped { signal, kept }).go_on_by("the same command")
        }
        None => Ok(()),
    }
}

/// Makes a run folder ready: whether the run in it goes on. A run of another experiment is put
/// aside.
fn prepare(folder: &Path, job: &Job) -> anyhow::Result<bool> {
    let begun = folder.join("experiment.json");
    if !begun.exists() {
        return Ok(false);
    }
    let spec = ExperimentSpec { data_dir: None, ..ExperimentSpec::read(&begun)? };
    if spec == job.resolved() {
        return Ok(RunFolder::is_begun(folder));
    }
    let mut aside = (1..).map(|k| folder.with_extension(format!("before-{k}")));
    let aside = aside.find(|aside| !aside.exists()).expect("there are more names than folders");
    let (from, to) = (folder.display(), aside.display());
    note!("the experiment has changed: {from} is put aside as {to}");
    fs::rename(folder, &aside).with_context(|| format!("{from} cannot be renamed"))?;
    Ok(false)
}

fn network(spec: &ExperimentSpec) -> anyhow::Result<Network> {
    let model = spec.model.as_deref().unwrap_or_default();
    Ok(Network::by_name(model, spec.classes.unwrap_or(10))?)
}

/// A split of an experiment's data.
pub(super) fn data(spec: &ExperimentSpec, split: Split) -> anyhow::Result<DataSet> {
    let name = spec.dataset.unwrap_or(DataSetName::Mnist);
    Ok(DataSet::load(name, spec.data_dir.as_deref(), split)?)
}
