//! Which trainings a reproduction consists of: studies times arms times seeds, in a fixed order.
//!
//! Seeds come before arms, so that what a study compares stands side by side early: after the first
//! seed of each arm there is a first, unsure answer.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::study::{Arm, Picture, Profile, Study, twice};
use crate::experiment::{Experiment, ExperimentError, ExperimentSpec};

/// What part of a reproduction is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Only these studies; all without any.
    pub only: Vec<String>,
    /// So many seeds instead of the profile's.
    pub seeds: Option<u64>,
    /// Only this part of the trainings.
    pub shard: Option<Shard>,
}

/// Part `index` of `count`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1 to the count.
    index: usize,
    count: usize,
}

impl Shard {
    /// Whether the job at this place of the plan belongs to the part.
    fn has(self, place: usize) -> bool {
        place % self.count == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let shard = parts.and_then(|(index, count)| {
            Some(Self { index: index.parse().ok()?, count: count.parse().ok()? })
        });
        shard
            .filter(|shard| (1..=shard.count).contains(&shard.index))
            .ok_or_else(|| format!("{text:?} is not a part such as 1/4, the first of four"))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// What cannot be planned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A name that is no study's.
    #[error(
        "there is no study {found:?}: choose among {known}, which `reproduce --list` describes"
    )]
    Unknown {
        /// What was asked for.
        found: String,
        /// The studies.
        known: String,
    },
    /// A study that the profile leaves out.
    #[error("the profile {profile} has no study {study}: take the profile {others}")]
    Left {
        /// The study.
        study: String,
        /// The profile.
        profile: &'static str,
        /// The profiles that have it.
        others: String,
    },
    /// Two studies of one name, which would share a folder.
    #[error("two studies have the name {name:?}: give each file a name of its own")]
    Twice {
        /// The name.
        name: String,
    },
    /// No seed.
    #[error("seeds is {found}: it must be 1 to 1000")]
    Seeds {
        /// What was asked for.
        found: u64,
    },
    /// An arm that does not resolve.
    #[error("{arm} of the study {study}: {source}")]
    Arm {
        /// The study.
        study: String,
        /// The arm.
        arm: String,
        /// What is wrong.
        source: ExperimentError,
    },
    /// A study that names an arm it does not have.
    #[error("the study {study} names the arm {found:?}, which it does not have")]
    NoArm {
        /// The study.
        study: String,
        /// The name.
        found: String,
    },
}

impl PlanError {
    /// A name that is none of these studies'.
    pub fn unknown(found: &str, studies: &[Study]) -> Self {
        let known: Vec<_> = studies.iter().map(|study| study.name.as_str()).collect();
        Self::Unknown { found: found.to_owned(), known: known.join(", ") }
    }
}

/// One training.
#[derive(Debug, Clone)]
pub struct Job {
    /// The study's place in the plan.
    pub study: usize,
    /// The arm's name.
    pub arm: String,
    /// The specification, every setting that the study leaves open left open.
    pub spec: ExperimentSpec,
    /// The same resolved.
    pub experiment: Experiment,
}

impl Job {
    /// The seed.
    pub fn seed(&self) -> u64 {
        self.experiment.seed
    }
}

/// The studies of a profile and their trainings.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The profile.
    pub profile: Profile,
    /// The studies, in the order in which they are built in.
    pub studies: Vec<Study>,
    /// All trainings, whatever the shard.
    pub jobs: Vec<Job>,
    shard: Option<Shard>,
}

impl Plan {
    /// The trainings of a profile, as far as they are asked for.
    ///
    /// # Errors
    /// If a study is unknown or left out by the profile, the number of seeds is out of range, or a
    /// study is not sound.
    pub fn new(all: Vec<Study>, profile: Profile, request: &Request) -> Result<Self, PlanError> {
        if let Some(name) = twice(all.iter().map(|study| &study.name)) {
            return Err(PlanError::Twice { name: name.clone() });
        }
        for name in &request.only {
            let Some(study) = all.iter().find(|study| study.name == *name) else {
                return Err(PlanError::unknown(name, &all));
            };
            if !study.profiles.contains_key(&profile) {
                let others: Vec<_> = study.profiles.keys().map(|other| other.as_str()).collect();
                return Err(PlanError::Left {
                    study: name.clone(),
                    profile: profile.as_str(),
                    others: others.join(" or "),
                });
            }
        }
        let asked = |study: &Study| {
            study.profiles.contains_key(&profile)
                && (request.only.is_empty() || request.only.contains(&study.name))
        };
        if !all.iter().any(asked) {
            let study = all.iter().map(|study| study.name.as_str()).collect::<Vec<_>>().join(", ");
            let others = all.iter().flat_map(|study| study.profiles.keys()).max();
            return Err(PlanError::Left {
                study,
                profile: profile.as_str(),
                others: others.map_or("", |other| other.as_str()).to_owned(),
            });
        }
        let studies: Vec<Study> =
            all.into_iter().filter(asked).map(|study| study.at(profile)).collect();
        let mut jobs = Vec::new();
        for (place, study) in studies.iter().enumerate() {
            study.check_names()?;
            let seeds = request.seeds.unwrap_or(study.profiles[&profile].seeds);
            if !(1..=1000).contains(&seeds) {
                return Err(PlanError::Seeds { found: seeds });
            }
            for seed in 1..=seeds {
                for arm in &study.arms {
                    let spec = study.spec(profile, arm, seed);
                    let experiment = spec.resolve().map_err(|source| PlanError::Arm {
                        study: study.name.clone(),
                        arm: arm.name.clone(),
                        source,
                    })?;
                    jobs.push(Job { study: place, arm: arm.name.clone(), spec, experiment });
                }
            }
        }
        Ok(Self { profile, studies, jobs, shard: request.shard })
    }

    /// The trainings of this shard, in order.
    pub fn shard(&self) -> impl Iterator<Item = &Job> {
        let mine = |place| self.shard.is_none_or(|shard| shard.has(place));
        self.jobs.iter().enumerate().filter(move |(place, _)| mine(*place)).map(|(_, job)| job)
    }

    /// The trainings of one study.
    pub fn of(&self, study: usize) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(move |job| job.study == study)
    }

    /// The jobs of a picture's arms in one study, for each seed of which the plan has all.
    pub fn of_picture(&self, study: usize, picture: &Picture) -> impl Iterator<Item = Vec<&Job>> {
        let seeds: BTreeSet<u64> = self.of(study).map(Job::seed).collect();
        let job =
            move |arm: &str, seed| self.of(study).find(|job| job.arm == arm && job.seed() == seed);
        let arms = picture.kind.arms();
        seeds.into_iter().filter_map(move |seed| arms.iter().map(|arm| job(arm, seed)).collect())
    }
}

impl Study {
    /// The settings of an arm: the common ones, changed by the profile, then by the arm.
    pub fn spec(&self, profile: Profile, arm: &Arm, seed: u64) -> ExperimentSpec {
        let seeded = ExperimentSpec { seed: Some(seed), ..ExperimentSpec::default() };
        let scaled = match self.profiles.get(&profile) {
            Some(scale) => self.common.overridden_by(&scale.spec),
            None => self.common.clone(),
        };
        scaled.overridden_by(&arm.spec).overridden_by(&seeded)
    }

    /// The study with what the profile measures and draws.
    fn at(mut self, profile: Profile) -> Self {
        if let Some(scale) = self.profiles.get(&profile) {
            if let Some(measures) = &scale.measures {
                self.measures.clone_from(measures);
            }
            if let Some(drawn) = &scale.pictures {
                self.pictures.retain(|picture| drawn.contains(&picture.name));
            }
        }
        self
    }

    /// Every arm that is named is there.
    fn check_names(&self) -> Result<(), PlanError> {
        let compared = self.comparisons.iter().flat_map(|c| [c.arm.as_str(), c.baseline.as_str()]);
        let drawn = self.pictures.iter().flat_map(|picture| picture.kind.arms());
        let published = self.published.iter().map(|published| published.arm.as_str());
        let known = |name: &str| self.arms.iter().any(|arm| arm.name == name);
        match compared.chain(drawn).chain(published).find(|name| !known(name)) {
            None => Ok(()),
            Some(found) => {
                Err(PlanError::NoArm { study: self.name.clone(), found: found.to_owned() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::built_in::studies;

    const PROFILES: [Profile; 3] = [Profile::Quick, Profile::Short, Profile::Full];

    /// Every experiment of every study resolves, and what a study names is there.
    #[test]
    fn the_built_in_studies_are_sound() {
        for profile in PROFILES {
            let plan = Plan::new(studies(), profile, &Request::default()).unwrap();
            assert!(!plan.jobs.is_empty());
            for study in &plan.studies {
                let drawn = study.profiles[&profile].pictures.iter().flatten();
                let known = |name: &String| study.pictures.iter().any(|p| p.name == *name);
                assert!(drawn.clone().all(known), "{}: {drawn:?}", study.name);
            }
        }
        let names: Vec<_> = studies().into_iter().map(|study| study.name).collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len(), "{names:?}");
    }

    /// Quick needs nothing that is not in the repository.
    #[test]
    fn quick_is_mnist_alone() {
        let plan = Plan::new(studies(), Profile::Quick, &Request::default()).unwrap();
        let mnist = crate::data::DataSetName::Mnist;
        assert!(plan.jobs.iter().all(|job| job.experiment.dataset == mnist));
    }

    #[test]
    fn shards_share_the_jobs_out() {
        let count = |shard: &str| {
            let shard = Some(shard.parse().unwrap());
            let request = Request { shard, ..Request::default() };
            Plan::new(studies(), Profile::Short, &request).unwrap().shard().count()
        };
        let all = count("1/1");
        assert_eq!(count("1/3") + count("2/3") + count("3/3"), all);
        for text in ["0/3", "4/3", "1", "a/b", "1/0"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_planned_is_said() {
        let plan = |only: &[&str], profile, seeds| {
            let only = only.iter().map(ToString::to_string).collect();
            Plan::new(studies(), profile, &Request { only, seeds, shard: None })
        };
        let message = |plan: Result<Plan, PlanError>| plan.unwrap_err().to_string();
        assert!(message(plan(&["f2"], Profile::Full, None)).contains("f1-mnist-sgd"));
        assert!(message(plan(&["f1-mnist-radii"], Profile::Quick, None)).contains("short or full"));
        assert!(message(plan(&[], Profile::Full, Some(0))).contains("1 to 1000"));
        let mut study = studies().remove(0);
        study.comparisons[0].arm = "none".to_owned();
        let error = Plan::new(vec![study], Profile::Quick, &Request::default());
        assert!(message(error).contains("\"none\""));
    }

    /// The profile changes the common settings, the arm changes those.
    #[test]
    fn settings_are_laid_over_each_other() {
        let plan = Plan::new(studies(), Profile::Quick, &Request::default()).unwrap();
        let job = plan.jobs.iter().find(|job| job.arm == "lb-plain" && job.seed() == 2).unwrap();
        assert_eq!(job.spec.epochs, Some(2));
        assert_eq!(job.spec.batch_size, Some(4096));
        assert_eq!(plan.studies[0].measures.len(), 2);
        assert_eq!(plan.studies[0].pictures.len(), 2);
    }
}
