//! A study's arms with their runs, sorted and counted.

use std::collections::BTreeSet;

use super::StudyResults;
use crate::experiment::{ExperimentSpec, Method};
use crate::reproduce::results::{PictureResult, RunResult};
use crate::reproduce::statistics::{PairedDifference, Summary};
use crate::reproduce::study::{Arm, Profile, Quantity, Study};

/// A study as a report reads it: in the order of its arms and seeds.
#[derive(Debug)]
pub(super) struct StudyView<'a> {
    pub(super) study: &'a Study,
    pub(super) arms: Vec<ArmView<'a>>,
    /// In the order in which the study asks for them.
    pub(super) pictures: Vec<&'a PictureResult>,
    pub(super) wanted: usize,
    /// Runs of arms that the study does not have.
    pub(super) strangers: Vec<&'a RunResult>,
}

/// An arm with its runs.
#[derive(Debug)]
pub(super) struct ArmView<'a> {
    pub(super) arm: &'a Arm,
    /// Its settings with every default, but for the seed and the folder of the data.
    pub(super) spec: ExperimentSpec,
    /// By seed.
    pub(super) runs: Vec<&'a RunResult>,
    /// How many are asked for.
    pub(super) wanted: usize,
}

/// The values of one quantity over an arm's runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sample {
    /// (seed, value), the finite ones.
    pub(super) values: Vec<(u64, f64)>,
    /// Runs without a finite value.
    pub(super) lost: usize,
}

impl Sample {
    pub(super) fn summary(&self) -> Option<Summary> {
        let values: Vec<f64> = self.values.iter().map(|(_, value)| *value).collect();
        Summary::of(&values)
    }

    /// What of it these seeds have.
    pub(super) fn among(&self, seeds: &BTreeSet<u64>) -> Self {
        let values = self.values.iter().filter(|(seed, _)| seeds.contains(seed)).copied();
        Self { values: values.collect(), lost: self.lost }
    }

    /// The difference from `baseline` over the seeds that both have.
    pub(super) fn minus(&self, baseline: &Self) -> Option<PairedDifference> {
        let partner = |seed: u64| baseline.values.iter().find(|other| other.0 == seed);
        let pairs: Vec<(f64, f64)> = self
            .values
            .iter()
            .filter_map(|&(seed, value)| Some((value, partner(seed)?.1)))
            .collect();
        PairedDifference::of(&pairs)
    }
}

impl<'a> StudyView<'a> {
    pub(super) fn new(results: &'a StudyResults, profile: Profile) -> Self {
        let study = &results.study;
        let each = results.wanted / study.arms.len().max(1);
        let arm = |arm: &'a Arm| {
            let mut runs: Vec<&RunResult> =
                results.runs.iter().filter(|run| run.arm == arm.name).collect();
            runs.sort_by_key(|run| run.seed());
            let spec = match runs.first() {
                Some(run) => run.spec.clone(),
                None => {
                    let given = study.spec(profile, arm, 1);
                    given.clone().resolve().map_or(given, |experiment| experiment.spec)
                }
            };
            let spec = ExperimentSpec { seed: None, data_dir: None, ..spec };
            ArmView { arm, spec, runs, wanted: each }
        };
        let known = |name: &str| study.arms.iter().any(|arm| arm.name == name);
        let mut strangers: Vec<&RunResult> =
            results.runs.iter().filter(|run| !known(&run.arm)).collect();
        strangers.sort_by_key(|run| (run.arm.as_str(), run.seed()));
        let asked = |picture: &&PictureResult| {
            study.pictures.iter().position(|asked| asked.name == picture.picture.name)
        };
        let mut pictures: Vec<&PictureResult> = results.pictures.iter().collect();
        pictures.sort_by_key(|picture| {
            (asked(picture).unwrap_or(usize::MAX), picture.picture.name.as_str())
        });
        let arms = study.arms.iter().map(arm).collect();
        Self { study, arms, pictures, wanted: results.wanted, strangers }
    }

    pub(super) fn arm(&self, name: &str) -> Option<&ArmView<'a>> {
        self.arms.iter().find(|view| view.arm.name == name)
    }

    /// The label of an arm, or its name where the study has none such.
    pub(super) fn label<'b>(&'b self, name: &'b str) -> &'b str {
        self.arm(name).map_or(name, |view| view.arm.label.as_str())
    }

    /// Finished runs of the study's arms.
    pub(super) fn finished(&self) -> usize {
        self.arms.iter().map(|arm| arm.runs.len()).sum()
    }

    /// Whether the examples evaluated after each epoch were held out of the training set.
    pub(super) fn held_out(&self) -> bool {
        self.arms.iter().any(|arm| arm.spec.holdout.is_some())
    }

    /// The sweeps of the radius: arms that differ from each other in it alone, at least two.
    pub(super) fn sweeps(&self) -> Vec<Sweep<'_, 'a>> {
        let mut sweeps: Vec<Sweep<'_, 'a>> = Vec::new();
        for arm in self.arms.iter().filter(|arm| arm.is_smoothed()) {
            let key = ExperimentSpec { radius: None, ..arm.spec.clone() };
            match sweeps.iter_mut().find(|sweep| sweep.settings == key) {
                Some(sweep) => sweep.arms.push(arm),
                None => {
                    sweeps.push(Sweep { settings: key, arms: vec![arm], plain: self.plain_of(arm) })
                }
            }
        }
        sweeps.retain(|sweep| sweep.arms.len() > 1);
        for sweep in &mut sweeps {
            sweep.arms.sort_by(|a, b| a.radius().total_cmp(&b.radius()));
        }
        sweeps
    }

    /// The plain arm with the same recipe.
    pub(super) fn plain_of(&self, arm: &ArmView<'_>) -> Option<&ArmView<'a>> {
        let same = |other: &&ArmView<'_>| other.is_plain() && other.recipe() == arm.recipe();
        self.arms.iter().find(same)
    }
}

/// Arms that differ in the radius alone.
#[derive(Debug)]
pub(super) struct Sweep<'v, 'a> {
    /// What they share.
    pub(super) settings: ExperimentSpec,
    /// By radius.
    pub(super) arms: Vec<&'v ArmView<'a>>,
    /// The plain arm with the same recipe.
    pub(super) plain: Option<&'v ArmView<'a>>,
}

impl ArmView<'_> {
    pub(super) fn sample(&self, quantity: Quantity) -> Sample {
        let values: Vec<(u64, Option<f64>)> =
            self.runs.iter().map(|run| (run.seed(), run.quantity(quantity))).collect();
        let finite: Vec<(u64, f64)> = values
            .iter()
            .filter_map(|(seed, value)| Some((*seed, value.filter(|v| v.is_finite())?)))
            .collect();
        Sample { lost: values.len() - finite.len(), values: finite }
    }

    /// SmoothOut or AdaSmoothOut, in any variant.
    pub(super) fn is_smoothed(&self) -> bool {
        self.method().smooths()
    }

    pub(super) fn is_plain(&self) -> bool {
        self.method() == Method::Plain
    }

    fn method(&self) -> Method {
        self.spec.method.unwrap_or(Method::Plain)
    }

    pub(super) fn batch_size(&self) -> usize {
        self.spec.batch_size.unwrap_or_default()
    }

    pub(super) fn radius(&self) -> f64 {
        self.spec.radius.unwrap_or_default()
    }

    /// The settings that a smoothed arm shares with its plain one.
    pub(super) fn recipe(&self) -> ExperimentSpec {
        let spec = &self.spec;
        ExperimentSpec { method: Some(Method::Plain), ..spec.clone() }.without_foreign_settings()
    }

    /// The settings that a large-batch arm shares with its small-batch one.
    pub(super) fn recipe_but_for_the_batch(&self) -> ExperimentSpec {
        ExperimentSpec { batch_size: None, ghost_batch_size: None, ..self.recipe() }
    }

    /// Whether a seed has a run of both.
    pub(super) fn shares_a_seed(&self, other: &ArmView<'_>) -> bool {
        self.runs.iter().any(|run| other.runs.iter().any(|its| its.seed() == run.seed()))
    }

    /// The seeds that are asked for and have no run.
    pub(super) fn missing_seeds(&self) -> Vec<u64> {
        let has = |seed: &u64| self.runs.iter().any(|run| run.seed() == *seed);
        (1..=self.wanted as u64).filter(|seed| !has(seed)).collect()
    }
}

impl Sweep<'_, '_> {
    /// The seeds with a value of every radius that has any.
    pub(super) fn common_seeds(&self, quantity: Quantity) -> BTreeSet<u64> {
        let seeds = |arm: &&ArmView<'_>| -> BTreeSet<u64> {
            arm.sample(quantity).values.iter().map(|(seed, _)| *seed).collect()
        };
        let tried = self.arms.iter().map(seeds).filter(|seeds| !seeds.is_empty());
        tried.reduce(|common, seeds| &common & &seeds).unwrap_or_default()
    }

    /// "B = 4096, smoothout".
    pub(super) fn name(&self) -> String {
        let method = self.settings.method.unwrap_or(Method::Plain).as_str();
        format!("B = {}, {method}", self.settings.batch_size.unwrap_or_default())
    }
}
