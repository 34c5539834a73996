//! What a study leaves behind: one small JSON file for each trained run and each picture, from
//! which tables, figures and reports are made without training anything.
//!
//! ```text
//! FOLDER/results/STUDY/ARM/seed-N.json        RunResult
//! FOLDER/results/STUDY/pictures/NAME.json     PictureResult
//! ```

use serde::{Deserialize, Serialize};
use smoothout_sharpness::Grid;

use super::measure::Measure;
use super::study::{Picture, PictureKind, Quantity, Study};
use crate::data::Split;
use crate::experiment::ExperimentSpec;
use crate::run::Stretch;
use crate::training::EpochRecord;

/// A finished training of one arm with one seed, and what was measured of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunResult {
    /// The study.
    pub study: String,
    /// The arm.
    pub arm: String,
    /// The experiment with every default filled in, but for the folder of the data.
    pub spec: ExperimentSpec,
    /// On what each stretch of epochs was computed.
    pub stretches: Vec<Stretch>,
    /// One record an epoch.
    pub records: Vec<EpochRecord>,
    /// In the order of the study's measures.
    pub measured: Vec<Measured>,
}

/// A number that was measured of the last epoch's network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What was measured, and how.
    pub measure: Measure,
    /// The number, unless the measurement failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The standard deviation of the estimate, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// What is known about an optimum that was searched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<serde_json::Value>,
    /// Evaluations of the loss, its gradient or Hessian-vector products.
    pub evaluations: usize,
    /// How long it took.
    pub seconds: f64,
}

impl Measured {
    /// The measure and its number in a line.
    pub fn spoken(&self) -> String {
        let measure = self.measure;
        match (self.value, self.standard_error, &self.failure) {
            (Some(value), Some(error), _) => format!("{measure}: {value:.4e} \u{b1} {error:.1e}"),
            (Some(value), None, _) => format!("{measure}: {value:.4}"),
            (None, _, failure) => {
                format!("{measure}: failed, {}", failure.as_deref().unwrap_or("without a word"))
            }
        }
    }
}

impl RunResult {
    /// Whether it has a record of each of so many epochs, in order.
    pub(super) fn is_whole(&self, epochs: usize) -> bool {
        self.records.len() == epochs
            && self.records.iter().zip(1..).all(|(record, epoch)| record.epoch == epoch)
    }

    /// How many of the study's measures have a number.
    pub(super) fn numbers(&self, study: &Study) -> usize {
        let asked = |found: &&Measured| study.measures.contains(&found.measure);
        self.measured.iter().filter(asked).filter(|found| found.value.is_some()).count()
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.spec.seed.unwrap_or_default()
    }

    /// A number of the run, if it has it.
    pub fn quantity(&self, quantity: Quantity) -> Option<f64> {
        let last = self.records.last()?;
        Some(match quantity {
            Quantity::LastTop1 => last.test_top1,
            Quantity::BestTop1 => {
                self.records.iter().map(|record| record.test_top1).fold(f64::MIN, f64::max)
            }
            Quantity::LastLoss => last.test_loss,
            Quantity::TrainTop1 => last.train_top1,
            Quantity::TrainLoss => last.train_loss,
            Quantity::Measured(measure) => {
                self.measured.iter().find(|measured| measured.measure == measure)?.value?
            }
        })
    }
}

/// What was evaluated for a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureResult {
    /// The study.
    pub study: String,
    /// What was asked for.
    pub picture: Picture,
    /// The experiments whose last networks it goes through, in the order of the picture's arms.
    pub specs: Vec<ExperimentSpec>,
    /// Lines: values over a coordinate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Series>,
    /// A plane: the training loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
}

impl PictureResult {
    /// Whether it has a number at each place: as many values and errors as coordinates, and a whole
    /// grid on the picture's axes.
    pub(super) fn is_whole(&self) -> bool {
        let series = self.series.iter().all(|series| {
            let places = series.x.len();
            series.y.len() == places && [0, places].contains(&series.standard_error.len())
        });
        let grid = match (&self.picture.kind, &self.grid) {
            (PictureKind::Plane { axis, .. }, Some(grid)) => {
                grid.axes() == [*axis, *axis] && grid.is_complete()
            }
            (PictureKind::Plane { .. }, None) => false,
            (_, grid) => grid.is_none(),
        };
        series && grid
    }
}

/// Values over a coordinate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The arm; of a line between two, the one at 0.
    pub arm: String,
    /// The split whose examples were evaluated.
    pub split: Split,
    /// What the values are.
    pub of: SeriesOf,
    /// The coordinates: alpha, or the radius.
    pub x: Vec<f64>,
    /// The values; a loss may be infinite.
    #[serde(with = "smoothout_sharpness::numbers")]
    pub y: Vec<f64>,
    /// Their standard errors, where they are estimates.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "smoothout_sharpness::numbers")]
    pub standard_error: Vec<f64>,
}

/// What a series holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesOf {
    /// Mean cross-entropy.
    Loss,
    /// Share of right answers, in percent.
    Accuracy,
}
