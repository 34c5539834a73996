//! The folder of a reproduction: runs that can go on, and the small result files.
//!
//! ```text
//! FOLDER/reproduce.json                       the profile
//! FOLDER/runs/STUDY/ARM/seed-N/               a run folder, as `smoothout train` makes it
//! FOLDER/results/STUDY/ARM/seed-N.json        RunResult
//! FOLDER/results/STUDY/pictures/NAME.json     PictureResult
//! FOLDER/report.html, reproduction.md,
//!        tables.md, figures/                 made anew from the results
//! ```
//! A result counts while the experiment it was made with is the one that is asked for; otherwise the run is
//! made anew, and that run alone. Measures that it lacks are made from the network that was kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::plan::{Job, Plan};
use super::results::{PictureResult, RunResult};
use super::study::{Picture, Profile, Study};
use crate::checkpoint::{CheckpointError, write_whole};
use crate::experiment::ExperimentSpec;
use crate::remedy::remedy;
use crate::text::read_bytes;

/// A folder that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder has another profile.
    #[error(
        "{path} holds the profile {found} and {asked} is asked for: choose another --out, or go \
         on with --profile {found}"
    )]
    Profile {
        /// The folder.
        path: PathBuf,
        /// Its profile.
        found: &'static str,
        /// The other.
        asked: &'static str,
    },
    /// A file that is not what its name says.
    #[error("{path} is not a result: {source}; remove it, and its run is made again")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file system's answer.
    #[error("{path} cannot be {action}: {source}; {}", remedy(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// A result could not be written.
    #[error(transparent)]
    Write(#[from] CheckpointError),
}

impl StoreError {
    /// Whether the user's arguments or files are at fault and not the disk.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Profile { .. } | Self::Json { .. } => true,
            Self::Io { action, .. } => *action == "read",
            Self::Write(error) => error.is_bad_input(),
        }
    }
}

/// What `reproduce.json` says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    profile: Profile,
}

/// Whether a merge takes the trained networks too, where they are kept: what is not measured or
/// drawn yet needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Networks {
    /// With the result files.
    Taken,
    /// The result files alone.
    Left,
}

/// The folder of a reproduction.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// A folder for a profile, which need not be there yet; nothing is written.
    ///
    /// # Errors
    /// If it holds another profile, or cannot be read.
    pub fn open(path: &Path, profile: Profile) -> Result<Self, StoreError> {
        let claim = path.join("reproduce.json");
        match read_json::<Claim>(&claim)? {
            Some(found) if found.profile != profile => Err(StoreError::Profile {
                path: path.to_owned(),
                found: found.profile.as_str(),
                asked: profile.as_str(),
            }),
            _ => Ok(Self { path: path.to_owned() }),
        }
    }

    /// Takes the folder for a profile, and makes it if it is not there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn claim(&self, profile: Profile) -> Result<(), StoreError> {
        write_json(&self.path.join("reproduce.json"), &Claim { profile })
    }

    /// An existing folder and its profile.
    ///
    /// # Errors
    /// If it is none of a reproduction.
    pub fn existing(path: &Path) -> Result<(Self, Profile), StoreError> {
        let claim = path.join("reproduce.json");
        let found = read_json::<Claim>(&claim)?.ok_or_else(|| StoreError::Io {
            action: "read",
            path: claim,
            source: io::Error::from(io::ErrorKind::NotFound),
        })?;
        Ok((Self { path: path.to_owned() }, found.profile))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run folder of a training.
    pub fn run_folder(&self, study: &Study, arm: &str, seed: u64) -> PathBuf {
        self.path.join("runs").join(&study.name).join(arm).join(format!("seed-{seed}"))
    }

    fn run_file(&self, study: &Study, arm: &str, seed: u64) -> PathBuf {
        self.path.join("results").join(&study.name).join(arm).join(format!("seed-{seed}.json"))
    }

    fn picture_file(&self, study: &Study, picture: &Picture) -> PathBuf {
        let name = format!("{}.json", picture.name);
        self.path.join("results").join(&study.name).join("pictures").join(name)
    }

    /// The result of a training, if it is of the experiment that is asked for. Its measures may be
    /// others than the study's.
    ///
    /// # Errors
    /// If there is a file that is no result.
    pub fn run(&self, study: &Study, job: &Job) -> Result<Option<RunResult>, StoreError> {
        let file = self.run_file(study, &job.arm, job.seed());
        let found = read_json::<RunResult>(&file)?.filter(|found| found.spec == job.resolved());
        let epochs = job.experiment.epochs;
        whole(file, found, |found| found.is_whole(epochs), "a record is missing of its epochs")
    }

    /// Keeps the result of a training.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_run(&self, study: &Study, result: &RunResult) -> Result<(), StoreError> {
        write_json(&self.run_file(study, &result.arm, result.seed()), result)
    }

    /// The result of a picture, if it is of what is asked for.
    ///
    /// # Errors
    /// If there is a file that is no result.
    pub fn picture(
        &self,
        study: &Study,
        picture: &Picture,
        specs: &[ExperimentSpec],
    ) -> Result<Option<PictureResult>, StoreError> {
        let file = self.picture_file(study, picture);
        let found = read_json::<PictureResult>(&file)?
            .filter(|found| found.picture == *picture && found.specs == specs);
        whole(file, found, PictureResult::is_whole, "a number is missing of its places")
    }

    /// The result of a picture, of whichever seed it was drawn through.
    ///
    /// # Errors
    /// If there is a file that is no result.
    pub fn found_picture(
        &self,
        plan: &Plan,
        place: usize,
        picture: &Picture,
    ) -> Result<Option<PictureResult>, StoreError> {
        for jobs in plan.of_picture(place, picture) {
            let specs: Vec<_> = jobs.iter().map(|job| job.resolved()).collect();
            if let Some(found) = self.picture(&plan.studies[place], picture, &specs)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Keeps the result of a picture.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_picture(&self, study: &Study, result: &PictureResult) -> Result<(), StoreError> {
        write_json(&self.picture_file(study, &result.picture), result)
    }

    /// Whether it has a result of one of the plan's runs.
    ///
    /// # Errors
    /// If a result cannot be read.
    pub fn has_runs(&self, plan: &Plan) -> Result<bool, StoreError> {
        for job in &plan.jobs {
            if self.run(&plan.studies[job.study], job)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes over the finished runs and pictures of another folder that fit the plan and are not
    /// here yet, or here with fewer numbers measured. Returns how many runs.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn merge(
        &self,
        plan: &Plan,
        other: &Self,
        networks: Networks,
    ) -> Result<usize, StoreError> {
        let mut taken = 0;
        for job in &plan.jobs {
            let study = &plan.studies[job.study];
            let Some(result) = other.run(study, job)? else { continue };
            if self
                .run(study, job)?
                .is_some_and(|here| here.numbers(study) >= result.numbers(study))
            {
                continue;
            }
            let from = other.run_folder(study, &job.arm, job.seed());
            let to = self.run_folder(study, &job.arm, job.seed());
            let files = if networks == Networks::Taken { &RUN_FILES[..] } else { &[] };
            for name in files {
                copy(&from.join(name), &to.join(name))?;
            }
            self.keep_run(study, &result)?;
            taken += 1;
        }
        for (place, study) in plan.studies.iter().enumerate() {
            for picture in &study.pictures {
                if self.found_picture(plan, place, picture)?.is_some() {
                    continue;
                }
                if let Some(result) = other.found_picture(plan, place, picture)? {
                    self.keep_picture(study, &result)?;
                }
            }
        }
        Ok(taken)
    }
}

/// What a finished run needs to be measured and drawn again.
const RUN_FILES: [&str; 6] = [
    "options.json",
    "experiment.json",
    "run.json",
    "epochs.jsonl",
    "last.safetensors",
    "training.safetensors",
];

impl Job {
    /// What a result's experiment must be: all but where the data lie.
    pub fn resolved(&self) -> ExperimentSpec {
        ExperimentSpec { data_dir: None, ..self.experiment.spec.clone() }
    }
}

/// A file's content, nothing if it is not there.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let text = match read_bytes(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed("read", path))?,
    };
    match serde_json::from_slice(&text) {
        Ok(value) => Ok(Some(value)),
        Err(source) => Err(StoreError::Json { path: path.to_owned(), source }),
    }
}

/// A result that lacks nothing.
fn whole<T>(
    path: PathBuf,
    found: Option<T>,
    is_whole: impl FnOnce(&T) -> bool,
    problem: &str,
) -> Result<Option<T>, StoreError> {
    match found {
        Some(found) if !is_whole(&found) => {
            Err(StoreError::Json { path, source: serde::de::Error::custom(problem) })
        }
        found => Ok(found),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed("created", folder))?;
    let mut text = serde_json::to_vec(value).expect("plain fields are JSON");
    text.push(b'\n');
    Ok(write_whole(path, &text)?)
}

/// Copies a file whole, if it is there.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let content = match fs::read(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed("read", from))?,
    };
    let folder = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed("created", folder))?;
    Ok(write_whole(to, &content)?)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}
