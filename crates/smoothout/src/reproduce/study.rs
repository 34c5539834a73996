//! A study: trainings that answer one question of the paper, as a JSON file built into the program.
//!
//! A study has *arms* (small batch plain, large batch with SmoothOut, ...), each trained once per
//! seed; what is *measured* of each trained network; *comparisons* of two arms, paired by seed;
//! *pictures* through trained networks; and numbers *published* by others to stand beside ours.
//! A [`Profile`] says at what scale it runs.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use smoothout_sharpness::Axis;
use smoothout_tensor::Geometry;
use thiserror::Error;

use super::measure::Measure;
use crate::experiment::ExperimentSpec;
use crate::remedy::remedy;
use crate::text::{parse_object, read_text};

/// How much computing a reproduction takes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Minutes on two cores, MNIST alone, nothing to fetch.
    Quick,
    /// Hours on two cores: shortened regimes that still show the effect.
    Short,
    /// The paper's epochs, mostly five seeds.
    Full,
}

impl Profile {
    /// The name as it is written in commands and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Short => "short",
            Self::Full => "full",
        }
    }
}

/// Trainings that answer one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Its name in commands and folders.
    pub name: String,
    /// One line.
    pub title: String,
    /// What it answers.
    pub question: String,
    /// Where the settings come from, and where they differ.
    pub source: String,
    /// The settings that all arms share.
    pub common: ExperimentSpec,
    /// What is trained, in the order of the tables.
    pub arms: Vec<Arm>,
    /// The scales at which it runs; a profile that is not here leaves the study out.
    pub profiles: BTreeMap<Profile, Scale>,
    /// What is measured of the last epoch's network of each arm and seed.
    #[serde(default)]
    pub measures: Vec<Measure>,
    /// Differences between two arms.
    #[serde(default)]
    pub comparisons: Vec<Comparison>,
    /// What is drawn through trained networks, of the first seed whose networks are all there.
    #[serde(default)]
    pub pictures: Vec<Picture>,
    /// Numbers of others.
    #[serde(default)]
    pub published: Vec<Published>,
}

impl Study {
    /// Reads a study from a file.
    ///
    /// # Errors
    /// If it cannot be read, or has an unknown field or a value of the wrong type.
    pub fn read(path: &Path) -> Result<Self, StudyError> {
        let text =
            read_text(path).map_err(|source| StudyError::Read { path: path.to_owned(), source })?;
        let study: Self = parse_object(&text)
            .map_err(|problem| StudyError::Json { path: path.to_owned(), problem })?;
        let names = study.arms.iter().map(|arm| &arm.name);
        let names = names.chain(study.pictures.iter().map(|picture| &picture.name));
        let odd = names.chain([&study.name]).find(|name| !is_plain(name)).cloned();
        if let Some(name) = odd {
            return Err(StudyError::Name { path: path.to_owned(), name });
        }
        let arms = study.arms.iter().map(|arm| &arm.name);
        let pictures = study.pictures.iter().map(|picture| &picture.name);
        if let Some(name) = twice(arms).or_else(|| twice(pictures)).cloned() {
            return Err(StudyError::Twice { path: path.to_owned(), name });
        }
        let large = study.pictures.iter().find(|picture| !(2..=1001).contains(&picture.points()));
        if let Some(picture) = large {
            let (name, found) = (picture.name.clone(), picture.points());
            return Err(StudyError::Points { path: path.to_owned(), name, found });
        }
        Ok(study)
    }
}

/// A name that is there twice.
pub(super) fn twice<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(*name))
}

/// Names become names of files and folders.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

/// A file that is no study.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudyError {
    /// It cannot be read.
    #[error("{path} cannot be read: {source}; {}", remedy(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It is of another shape.
    #[error(
        "{path} is not a study: {problem}; `smoothout reproduce --show f1-mnist-sgd` prints one"
    )]
    Json {
        /// The file.
        path: PathBuf,
        /// The field, what is wrong with it, and the line.
        problem: String,
    },
    /// A picture of no or of very many points.
    #[error("{path}: the picture {name} has {found} points along an axis: give it 2 to 1001")]
    Points {
        /// The file.
        path: PathBuf,
        /// The picture.
        name: String,
        /// Its points.
        found: usize,
    },
    /// Two arms, or two pictures, of one name.
    #[error(
        "{path} has the name {name:?} twice: arms and pictures are kept in folders and files of \
         their names, so give each one of its own"
    )]
    Twice {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// A name that is no file name.
    #[error(
        "{path} has the name {name:?}: names of studies, arms and pictures become folders, and \
         take letters, digits, dots, dashes and underscores"
    )]
    Name {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
    },
}

/// One way of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name in folders and in the study.
    pub name: String,
    /// Its name in tables and figures.
    pub label: String,
    /// What it changes of the common settings.
    pub spec: ExperimentSpec,
}

/// How large a profile makes a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Seeds 1, 2, ..., so many.
    pub seeds: u64,
    /// What it changes of the common settings, before the arms change theirs.
    #[serde(default)]
    pub spec: ExperimentSpec,
    /// What it measures instead of the study's measures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measures: Option<Vec<Measure>>,
    /// The only pictures that it draws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Vec<String>>,
}

/// The difference `arm - baseline`, paired by seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The arm.
    pub arm: String,
    /// What it is compared with.
    pub baseline: String,
}

/// What is drawn through trained networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Its name in folders.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Examples of each split it is evaluated on.
    pub examples: usize,
    /// What is evaluated where.
    pub kind: PictureKind,
}

/// What is evaluated where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PictureKind {
    /// Loss and error along the line from one arm's network (0) to another's (1).
    Line {
        /// The network at 0.
        from: String,
        /// The network at 1.
        to: String,
        /// The coordinates.
        axis: Axis,
    },
    /// Loss and error along a random filter-normalised direction, the same draws for each arm.
    RandomLine {
        /// The networks at 0.
        arms: Vec<String>,
        /// The coordinates.
        axis: Axis,
    },
    /// The loss in the plane through three networks: at (0, 0), (1, 0) and (0, 1).
    Plane {
        /// The three.
        arms: [String; 3],
        /// The coordinates of both axes.
        axis: Axis,
    },
    /// Mean error under uniform perturbations of growing radius.
    Noise {
        /// The networks.
        arms: Vec<String>,
        /// What the radius is measured against.
        geometry: Geometry,
        /// The radii.
        radii: Vec<f64>,
        /// Pairs of opposite perturbations at each radius.
        samples: usize,
    },
}

impl Picture {
    /// Points along an axis; of noise, radii and one more.
    fn points(&self) -> usize {
        match &self.kind {
            PictureKind::Line { axis, .. }
            | PictureKind::RandomLine { axis, .. }
            | PictureKind::Plane { axis, .. } => axis.count,
            PictureKind::Noise { radii, .. } => radii.len() + 1,
        }
    }
}

impl PictureKind {
    /// The arms whose networks it needs.
    pub fn arms(&self) -> Vec<&str> {
        match self {
            Self::Line { from, to, .. } => vec![from, to],
            Self::RandomLine { arms, .. } | Self::Noise { arms, .. } => {
                arms.iter().map(String::as_str).collect()
            }
            Self::Plane { arms, .. } => arms.iter().map(String::as_str).collect(),
        }
    }
}

/// A number that others published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The arm it is closest to.
    pub arm: String,
    /// What it is.
    pub quantity: Quantity,
    /// The number.
    pub mean: f64,
    /// Its standard deviation, where one was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// Where it stands, and how its setting differs.
    pub source: String,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Top-1 on the evaluation split after the last epoch, in percent.
    LastTop1,
    /// Top-1 of the epoch that was best on the evaluation split, in percent.
    BestTop1,
    /// Loss on the evaluation split after the last epoch.
    LastLoss,
    /// Top-1 over the last epoch's training examples, at the weights of their update, in percent.
    TrainTop1,
    /// Loss over the last epoch's training examples, likewise.
    TrainLoss,
    /// A measure of the last epoch's network.
    #[serde(untagged)]
    Measured(Measure),
}
