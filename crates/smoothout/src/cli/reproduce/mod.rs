//! `smoothout reproduce`: the paper's tables and figures from one command.

mod runner;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use smoothout_tensor::kernels::Precision;

use super::{BadInput, TrainingCompute};
use crate::data::{DataSetName, Split, data_folder};
use crate::reproduce::built_in;
use crate::reproduce::estimate::{Estimate, spoken};
use crate::reproduce::plan::{Plan, PlanError, Request, Shard};
use crate::reproduce::report::{ReportAbout, StudyResults, write_report};
use crate::reproduce::store::{Networks, Store};
use crate::reproduce::study::{Profile, Study};
use crate::run::{Stretch, read_records};
use crate::text::utf8_path;

use runner::{Runner, data};

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
    compute: TrainingCompute,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Join the results of several folders, and write the report
    Merge(MergeCommand),
}

/// What is reproduced.
#[derive(Debug, Clone, Args)]
struct Choice {
    /// quick: minutes, MNIST alone. short: hours a study on two cores, shortened regimes. full: the
    /// paper's epochs, mostly five seeds; days a study on CIFAR, see --shard [default: quick]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Only these studies
    #[arg(long, value_name = "STUDY", value_delimiter = ',')]
    only: Vec<String>,
    /// So many seeds [default: the profile's]
    #[arg(long)]
    seeds: Option<u64>,
    /// Folder of the data sets, or of a folder for each [default: looked for, see `smoothout data list`]
    #[arg(long, value_name = "DIR", value_parser = utf8_path())]
    data_dir: Option<PathBuf>,
    /// Studies of one's own, JSON files as --show prints them, instead of those built in
    #[arg(long, value_name = "FILE")]
    study: Vec<PathBuf>,
}

impl Choice {
    fn plan(&self, shard: Option<Shard>) -> anyhow::Result<Plan> {
        let request = Request { only: self.only.clone(), seeds: self.seeds, shard };
        let mut plan = Plan::new(self.studies()?, self.profile(), &request)?;
        for job in &mut plan.jobs {
            // MNIST need not lie there: it is built in.
            let name = job.experiment.dataset();
            let asked =
                |dir: &&PathBuf| name != DataSetName::Mnist || data_folder(name, Some(dir)).is_ok();
            job.spec.data_dir = self.data_dir.as_ref().filter(asked).cloned();
        }
        Ok(plan)
    }

    fn profile(&self) -> Profile {
        self.profile.unwrap_or(Profile::Quick)
    }

    /// The command that makes the same again, with a precision if it is not the default.
    fn command(&self, precision: &str) -> String {
        let mut words = vec![format!("smoothout reproduce --profile {}", self.profile().as_str())];
        words.extend(self.only.iter().map(|name| format!("--only {name}")));
        words.extend(self.seeds.map(|seeds| format!("--seeds {seeds}")));
        words.extend((!precision.is_empty()).then(|| format!("--precision {precision}")));
        words.extend(self.study.iter().map(|file| format!("--study {}", file.display())));
        words.join(" ")
    }

    /// The names of the built-in studies that are no part of the plan.
    fn left_out(&self, plan: &Plan) -> Vec<String> {
        if !self.study.is_empty() {
            return Vec::new();
        }
        let names = built_in::studies().into_iter().map(|study| study.name);
        names.filter(|name| plan.studies.iter().all(|study| study.name != *name)).collect()
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
#[command(mut_arg("profile", |arg| arg.help("quick, short or full [default: that of the folders]").hide_possible_values(true)))]
struct MergeCommand {
    /// Folders that `reproduce --shard` filled, or that hold results
    #[arg(required = true)]
    from: Vec<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// Take the small result files alone, not the networks from which to measure and draw more
    #[arg(long)]
    results_only: bool,
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
            list(&self.choice.studies()?)?;
            return Ok(());
        }
        if let Some(name) = &self.show {
            let studies = self.choice.studies()?;
            let study = studies.iter().find(|study| study.name == *name);
            let study = study.ok_or_else(|| PlanError::unknown(name, &studies))?;
            say!("{}", serde_json::to_string_pretty(study)?);
            return Ok(());
        }
        let plan = self.choice.plan(self.shard)?;
        let out = self.out.clone().unwrap_or_else(|| {
            PathBuf::from("runs").join(format!("reproduce-{}", plan.profile.as_str()))
        });
        let store = Store::open(&out, plan.profile)?;
        announce(&plan, &store, self.compute)?;
        store.claim(plan.profile)?;
        let failed = Runner { plan: &plan, store: &store, compute: self.compute }.run()?;
        report(&plan, &store, &self.choice)?;
        if failed.is_empty() { Ok(()) } else { Err(Failed(failed).into()) }
    }
}

/// Trainings that could not be made; the others were.
#[derive(Debug, thiserror::Error)]
#[error("{} of the trainings failed: {}", .0.len(), .0.join("; "))]
struct Failed(Vec<String>);

impl MergeCommand {
    fn run(self) -> anyhow::Result<()> {
        let folders = self.from.iter().map(|folder| Store::existing(folder));
        let folders = folders.collect::<Result<Vec<_>, _>>()?;
        let profile = self.choice.profile.unwrap_or(folders[0].1);
        if let Some((other, found)) = folders.iter().find(|(_, found)| *found != profile) {
            return Err(BadInput(format!(
                "{} holds the profile {} and not {}: merge folders of one profile",
                other.path().display(),
                found.as_str(),
                profile.as_str()
            ))
            .into());
        }
        let choice = Choice { profile: Some(profile), ..self.choice.clone() };
        let plan = choice.plan(None)?;
        // A report of nothing would take the place of one that is there.
        let mut any = false;
        for (other, _) in &folders {
            any |= other.has_runs(&plan)?;
        }
        if !any {
            let advice = "none of the folders has a finished run of these studies: give --study with the files \
                          they were made from, if they are of one's own";
            return Err(BadInput(advice.to_owned()).into());
        }
        let store = Store::open(&self.out, profile)?;
        store.claim(profile)?;
        for (other, _) in &folders {
            let networks = if self.results_only { Networks::Left } else { Networks::Taken };
            let taken = store.merge(&plan, other, networks)?;
            say!("{}: {taken} runs", other.path().display());
        }
        report(&plan, &store, &choice)
    }
}

fn list(studies: &[Study]) -> anyhow::Result<()> {
    for study in studies {
        let profiles: Vec<_> = study
            .profiles
            .iter()
            .map(|(profile, scale)| {
                format!("{} {} runs", profile.as_str(), study.arms.len() as u64 * scale.seeds)
            })
            .collect();
        say!("{:<28}{} ({})", study.name, study.title, profiles.join(", "));
    }
    Ok(())
}

/// Says before the start how much there is to do, and that the data are there.
fn announce(plan: &Plan, store: &Store, compute: TrainingCompute) -> anyhow::Result<()> {
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
    note!(
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
            pictures.extend(store.found_picture(plan, place, picture)?);
        }
        let wanted = plan.of(place).count();
        all.push(StudyResults { study: study.clone(), runs, pictures, wanted });
    }
    // All runs have it, or the table of what was computed tells them apart.
    let runs = all.iter().flat_map(|study| &study.runs);
    let mut precisions = runs.filter_map(|run| run.stretches.last()).map(Stretch::precision);
    let precision = precisions.next().unwrap_or_default();
    let is_default =
        precision == Precision::F32.name() || precisions.any(|other| other != precision);
    let precision = if is_default { "" } else { precision };
    let about = ReportAbout {
        profile: plan.profile,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: choice.command(precision),
        left_out: choice.left_out(plan),
    };
    write_report(store.path(), &about, &all)?;
    let (runs, wanted) = (all.iter().map(|study| study.runs.len()).sum::<usize>(), plan.jobs.len());
    say!("{runs} of {wanted} runs: {}", store.path().join("report.html").display());
    Ok(())
}
