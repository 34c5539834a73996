//! `smoothout reproduce`: the paper's tables and figures from one command.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use smoothout_nn::Network;

use super::train::{Outcome, Stopped, open, train};
use super::{BadInput, Compute};
use crate::checkpoint::load_model;
use crate::data::{DataSet, DataSetName, Split};
use crate::experiment::ExperimentSpec;
use crate::reproduce::built_in;
use crate::reproduce::drawing::{Scene, drawn};
use crate::reproduce::estimate::{Estimate, spoken};
use crate::reproduce::measuring::measured;
use crate::reproduce::plan::{Job, Plan, PlanError, Request, Shard};
use crate::reproduce::report::{ReportAbout, StudyResults, write_report};
use crate::reproduce::results::{PictureResult, RunResult};
use crate::reproduce::store::Store;
use crate::reproduce::study::{Picture, Profile, Study};
use crate::run::read_records;
use crate::stop;

/// Train the paper's networks plain, with SmoothOut and with AdaSmoothOut, measure how flat they
/// are, and write tables and figures beside published numbers.
///
/// Started again with the same --out, it goes on where it stopped.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ReproduceCommand {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    choice: Choice,
    /// List the studies and end
    #[arg(long)]
    list: bool,
    /// Print a study as JSON and end
    #[arg(long, value_name = "STUDY")]
    show: Option<String>,
    /// Only part I of N of the trainings: one machine's share, which `reproduce merge` joins
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Folder of runs, results and report [default: runs/reproduce-PROFILE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Join the results of several folders, and write the report
    Merge(MergeCommand),
}

/// What is reproduced.
#[derive(Debug, Clone, Args)]
struct Choice {
    /// quick: minutes, MNIST alone. short: hours, shortened regimes. full: the paper's epochs and
    /// five seeds
    #[arg(long, value_enum, default_value_t = Profile::Quick)]
    profile: Profile,
    /// Only these studies
    #[arg(long, value_name = "STUDY", value_delimiter = ',')]
    only: Vec<String>,
    /// So many seeds [default: the profile's]
    #[arg(long)]
    seeds: Option<u64>,
    /// Studies of one's own, JSON files as --show prints them, instead of those built in
    #[arg(long, value_name = "FILE")]
    study: Vec<PathBuf>,
}

impl Choice {
    fn plan(&self, shard: Option<Shard>) -> anyhow::Result<Plan> {
        let request = Request { only: self.only.clone(), seeds: self.seeds, shard };
        Ok(Plan::new(self.studies()?, self.profile, &request)?)
    }

    /// The command that makes the same again.
    fn command(&self) -> String {
        let mut words = vec![format!("smoothout reproduce --profile {}", self.profile.as_str())];
        words.extend(self.only.iter().map(|name| format!("--only {name}")));
        words.extend(self.seeds.map(|seeds| format!("--seeds {seeds}")));
        words.extend(self.study.iter().map(|file| format!("--study {}", file.display())));
        words.join(" ")
    }

    fn studies(&self) -> anyhow::Result<Vec<Study>> {
        if self.study.is_empty() {
            return Ok(built_in::studies());
        }
        self.study.iter().map(|file| Ok(Study::read(file)?)).collect()
    }
}

/// Join the results of several folders.
#[derive(Debug, Args)]
struct MergeCommand {
    /// Folders that `reproduce --shard` filled, or that hold results
    #[arg(required = true)]
    from: Vec<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// Folder of the whole
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl ReproduceCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if let Some(Other::Merge(merge)) = self.other {
            return merge.run();
        }
        if self.list {
            list(&self.choice.studies()?);
            return Ok(());
        }
        if let Some(name) = &self.show {
            let studies = self.choice.studies()?;
            let study = studies.iter().find(|study| study.name == *name);
            let study = study.ok_or_else(|| PlanError::unknown(name, &studies))?;
            println!("{}", serde_json::to_string_pretty(study)?);
            return Ok(());
        }
        let plan = self.choice.plan(self.shard)?;
        let out = self.out.clone().unwrap_or_else(|| {
            PathBuf::from("runs").join(format!("reproduce-{}", plan.profile.as_str()))
        });
        let store = Store::open(&out, plan.profile)?;
        announce(&plan, &store, self.compute)?;
        for job in plan.shard() {
            self.job(&plan, &store, job)?;
        }
        for (place, study) in plan.studies.iter().enumerate() {
            for picture in &study.pictures {
                self.picture(&plan, &store, place, picture)?;
            }
        }
        report(&plan, &store, &self.choice)
    }

    /// Trains and measures what is not trained and measured yet.
    fn job(&self, plan: &Plan, store: &Store, job: &Job) -> anyhow::Result<()> {
        let study = &plan.studies[job.study];
        let name = format!("{} {} seed {}", study.name, job.arm, job.seed());
        let folder = store.run_folder(study, &job.arm, job.seed());
        let mut result = match store.run(study, job)? {
            Some(result) => result,
            None => {
                eprintln!("{name}");
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
                store.keep_run(study, &result)?;
                result
            }
        };
        let before = result.measured.clone();
        result.measured.retain(|measured| study.measures.contains(&measured.measure));
        let known = |result: &RunResult, measure| {
            result.measured.iter().any(|measured| measured.measure == measure)
        };
        let missing: Vec<_> =
            study.measures.iter().copied().filter(|measure| !known(&result, *measure)).collect();
        let weights = folder.join("last.safetensors");
        if !missing.is_empty() && !weights.exists() {
            eprintln!("{name}: not measured, since {} is not here", weights.display());
        } else if !missing.is_empty() {
            self.compute.run(|| {
                let network = network(&job.experiment.spec)?;
                let model = load_model(&weights, &network)?;
                let train = data(&job.spec, Split::Train)?;
                for measure in missing {
                    check_signals()?;
                    let found = measured(&network, &model, &train, measure);
                    eprintln!("{name}: {}", found.spoken());
                    result.measured.push(found);
                    store.keep_run(study, &result)?;
                }
                Ok(())
            })?;
        }
        let place = |of| study.measures.iter().position(|measure| *measure == of);
        result.measured.sort_by_key(|measured| place(measured.measure));
        if result.measured != before {
            store.keep_run(study, &result)?;
        }
        Ok(())
    }

    /// Draws a picture that is not drawn yet, if the networks that it needs are here.
    fn picture(
        &self,
        plan: &Plan,
        store: &Store,
        place: usize,
        picture: &Picture,
    ) -> anyhow::Result<()> {
        let study = &plan.studies[place];
        let Some(jobs) = first_seed(plan, place, picture) else { return Ok(()) };
        let specs: Vec<_> = jobs.iter().map(|job| job.resolved()).collect();
        if store.picture(study, picture, &specs)?.is_some() {
            return Ok(());
        }
        for job in &jobs {
            if store.run(study, job)?.is_none() {
                return Ok(());
            }
        }
        let weights = jobs
            .iter()
            .map(|job| store.run_folder(study, &job.arm, job.seed()).join("last.safetensors"));
        let weights: Vec<_> = weights.collect();
        if let Some(missing) = weights.iter().find(|weights| !weights.exists()) {
            eprintln!(
                "{} {}: not drawn, since {} is not here",
                study.name,
                picture.name,
                missing.display()
            );
            return Ok(());
        }
        check_signals()?;
        eprintln!("{} {}", study.name, picture.name);
        let (series, grid) = self.compute.run(|| {
            let network = network(&jobs[0].experiment.spec)?;
            let models = weights.iter().map(|weights| load_model(weights, &network));
            let models = models.collect::<Result<Vec<_>, _>>()?;
            let (train, test) =
                (data(&jobs[0].spec, Split::Train)?, data(&jobs[0].spec, Split::Test)?);
            let scene = Scene { network: &network, models: &models, train: &train, test: &test };
            drawn(&scene, picture).with_context(|| format!("{} of {}", picture.name, study.name))
        })?;
        let (study_name, picture) = (study.name.clone(), picture.clone());
        let result = PictureResult { study: study_name, picture, specs, series, grid };
        Ok(store.keep_picture(study, &result)?)
    }
}

impl MergeCommand {
    fn run(self) -> anyhow::Result<()> {
        let (first, profile) = Store::existing(&self.from[0])?;
        let choice = Choice { profile, ..self.choice.clone() };
        let plan = choice.plan(None)?;
        let store = Store::open(&self.out, profile)?;
        for folder in &self.from {
            let (other, found) = Store::existing(folder)?;
            if found != profile {
                return Err(BadInput(format!(
                    "{} holds the profile {} and {} the profile {}: merge folders of one profile",
                    folder.display(),
                    found.as_str(),
                    first.path().display(),
                    profile.as_str()
                ))
                .into());
            }
            let taken = store.merge(&plan, &other)?;
            println!("{}: {taken} runs", folder.display());
        }
        report(&plan, &store, &choice)
    }
}

/// The jobs of a picture's arms with the first seed; none if the plan lacks one.
fn first_seed<'a>(plan: &'a Plan, place: usize, picture: &Picture) -> Option<Vec<&'a Job>> {
    let arms = picture.kind.arms();
    arms.iter().map(|arm| plan.of(place).find(|job| job.arm == **arm && job.seed() == 1)).collect()
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
        return Ok(folder.join("training.safetensors").exists());
    }
    let mut aside = (1..).map(|k| folder.with_extension(format!("before-{k}")));
    let aside = aside.find(|aside| !aside.exists()).expect("a free name");
    eprintln!(
        "the experiment has changed: {} is put aside as {}",
        folder.display(),
        aside.display()
    );
    fs::rename(folder, &aside)
        .with_context(|| format!("{} cannot be renamed", folder.display()))?;
    Ok(false)
}

fn network(spec: &ExperimentSpec) -> anyhow::Result<Network> {
    let model = spec.model.as_deref().unwrap_or_default();
    Ok(Network::by_name(model, spec.classes.unwrap_or(10))?)
}

fn data(spec: &ExperimentSpec, split: Split) -> anyhow::Result<DataSet> {
    let name = spec.dataset.unwrap_or(DataSetName::Mnist);
    Ok(DataSet::load(name, spec.data_dir.as_deref(), split)?)
}

fn list(studies: &[Study]) {
    for study in studies {
        let profiles: Vec<_> = study
            .profiles
            .iter()
            .map(|(profile, scale)| {
                format!("{} {} runs", profile.as_str(), study.arms.len() as u64 * scale.seeds)
            })
            .collect();
        println!("{:<28}{} ({})", study.name, study.title, profiles.join(", "));
    }
}

/// Says before the start how much there is to do, and that the data are there.
fn announce(plan: &Plan, store: &Store, compute: Compute) -> anyhow::Result<()> {
    let (mut runs, mut seconds) = (0, 0.0);
    let mut estimate = Estimate::default();
    let mut open = Vec::new();
    for job in plan.shard() {
        let study = &plan.studies[job.study];
        if store.run(study, job)?.is_none() {
            let records = store.run_folder(study, &job.arm, job.seed()).join("epochs.jsonl");
            open.push((job, read_records(&records).map_or(0, |records| records.len())));
        }
    }
    let mut looked: Vec<(DataSetName, Option<PathBuf>)> = Vec::new();
    for (job, _) in &open {
        let place = (job.experiment.dataset, job.spec.data_dir.clone());
        if !looked.contains(&place) {
            data(&job.spec, Split::Test)?;
            looked.push(place);
        }
    }
    compute.run(|| {
        for (job, finished) in open {
            seconds += estimate.seconds(&job.experiment, finished)?;
            runs += 1;
        }
        Ok(())
    })?;
    eprintln!(
        "profile {}: {} of {} trainings to do, about {} on this machine, measurements apart",
        plan.profile.as_str(),
        runs,
        plan.shard().count(),
        spoken(seconds)
    );
    Ok(())
}

/// Writes the report from all results that are there, and says where it is.
fn report(plan: &Plan, store: &Store, choice: &Choice) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for (place, study) in plan.studies.iter().enumerate() {
        let (mut runs, mut pictures) = (Vec::new(), Vec::new());
        for job in plan.of(place) {
            runs.extend(store.run(study, job)?);
        }
        for picture in &study.pictures {
            if let Some(jobs) = first_seed(plan, place, picture) {
                let specs: Vec<_> = jobs.iter().map(|job| job.resolved()).collect();
                pictures.extend(store.picture(study, picture, &specs)?);
            }
        }
        let wanted = plan.of(place).count();
        all.push(StudyResults { study: study.clone(), runs, pictures, wanted });
    }
    let about = ReportAbout {
        profile: plan.profile,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: choice.command(),
    };
    write_report(store.path(), &about, &all)?;
    let (runs, wanted) = (all.iter().map(|study| study.runs.len()).sum::<usize>(), plan.jobs.len());
    println!("{runs} of {wanted} runs: {}", store.path().join("report.html").display());
    Ok(())
}
