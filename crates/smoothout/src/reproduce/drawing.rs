//! What a study draws through trained networks: loss and accuracy on lines, in planes, under noise.
//!
//! Along a line or in a plane between several networks batch norm takes the statistics of each batch
//! of 250, since running statistics belong to one network; along a random direction and under noise
//! they are the network's own, frozen. Directions and noise are drawn by seed 0: the same for each
//! network.

use smoothout_nn::Network;
use smoothout_sharpness::{Axis, Chart, ExpectedLoss, Grid, Objective, SharpnessError};
use smoothout_tensor::{Geometry, Perturbation, Selection};

use super::results::{Series, SeriesOf};
use super::study::{Picture, PictureKind};
use crate::data::{DataSet, Split};
use crate::evaluation::EVALUATION_BATCH;
use crate::measure::{BatchNormPolicy, ExampleSet, MeasureError, NetworkObjective};
use crate::training::ModelState;

/// Examples of one statistic of batch norm between networks.
pub(super) const STATISTICS_BATCH: usize = 250;

/// What is evaluated: the networks of a picture's arms, in order, and the data.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its weights, one for each arm of the picture.
    pub models: &'a [ModelState],
    /// The training examples.
    pub train: &'a DataSet,
    /// The test examples.
    pub test: &'a DataSet,
}

/// The series or the grid of a picture.
///
/// # Errors
/// If there are fewer examples than asked for, two networks are the same, or a loss is not finite.
pub fn drawn(
    scene: &Scene<'_>,
    picture: &Picture,
) -> Result<(Vec<Series>, Option<Grid>), MeasureError> {
    let draw = |set| ExampleSet::<f32>::draw(set, Some(picture.examples), 0);
    let sets = [(Split::Train, draw(scene.train)?.0), (Split::Test, draw(scene.test)?.0)];
    let between = BatchNormPolicy::Batch { size: STATISTICS_BATCH.min(picture.examples) };
    let network = scene.network;
    let mut series = Vec::new();
    match &picture.kind {
        PictureKind::Line { from, axis, .. } => {
            let chart = Chart::line(&scene.models[0].parameters, &scene.models[1].parameters)?;
            for (split, set) in &sets {
                let objective = scene.objective(set, 0, between)?;
                series.extend(along(&objective, &chart, *axis, from, *split)?);
            }
        }
        PictureKind::RandomLine { arms, axis } => {
            for (place, arm) in arms.iter().enumerate() {
                let w = &scene.models[place].parameters;
                let chart =
                    Chart::filter_normalized(network.parameters(), w, &Selection::all(), 1, 0)?;
                for (split, set) in &sets {
                    let objective = scene.objective(set, place, BatchNormPolicy::Frozen)?;
                    series.extend(along(&objective, &chart, *axis, arm, *split)?);
                }
            }
        }
        PictureKind::Plane { axis, .. } => {
            let [a, b, c] = [0, 1, 2].map(|place| &scene.models[place].parameters[..]);
            let mut grid = Grid::new("loss", &[*axis, *axis])?;
            grid.fill(&scene.objective(&sets[0].1, 0, between)?, &Chart::through(a, b, c)?)?;
            return Ok((series, Some(grid)));
        }
        PictureKind::Noise { arms, geometry, radii, samples } => {
            let noise = Noise { network, geometry: *geometry, radii, samples: *samples };
            for (place, arm) in arms.iter().enumerate() {
                for (split, set) in &sets {
                    let w = &scene.models[place].parameters;
                    let objective = scene.objective(set, place, BatchNormPolicy::Frozen)?;
                    series.push(noise.series(&objective, w, (arm, *split, SeriesOf::Loss))?);
                    let error = objective.error_rate();
                    series.push(noise.series(&error, w, (arm, *split, SeriesOf::Accuracy))?);
                }
            }
        }
    }
    Ok((series, None))
}

impl<'a> Scene<'a> {
    fn objective(
        &'a self,
        set: &'a ExampleSet<f32>,
        place: usize,
        policy: BatchNormPolicy,
    ) -> Result<NetworkObjective<'a, f32>, MeasureError> {
        let buffers = &self.models[place].buffers;
        NetworkObjective::new(self.network, set, buffers, policy, EVALUATION_BATCH)
    }
}

/// Loss and accuracy along a line.
fn along(
    objective: &NetworkObjective<'_, f32>,
    chart: &Chart<f32>,
    axis: Axis,
    arm: &str,
    split: Split,
) -> Result<[Series; 2], MeasureError> {
    let series = |of: SeriesOf, values: &[f64]| Series {
        arm: arm.to_owned(),
        split,
        of,
        x: (0..axis.count).map(|i| axis.at(i)).collect(),
        y: values.iter().map(|&value| of.shown(value)).collect(),
        standard_error: Vec::new(),
    };
    let mut loss = Grid::new("loss", &[axis])?;
    loss.fill(objective, chart)?;
    let mut error = Grid::new("error", &[axis])?;
    error.fill(&objective.clone().error_rate(), chart)?;
    Ok([series(SeriesOf::Loss, loss.values()), series(SeriesOf::Accuracy, error.values())])
}

/// Perturbations of growing radius.
struct Noise<'a> {
    network: &'a Network,
    geometry: Geometry,
    radii: &'a [f64],
    samples: usize,
}

impl Noise<'_> {
    /// The mean of an objective at each radius.
    fn series(
        &self,
        objective: &impl Objective<Real = f32>,
        w: &[f32],
        (arm, split, of): (&str, Split, SeriesOf),
    ) -> Result<Series, MeasureError> {
        let (mut y, mut standard_error) = (Vec::new(), Vec::new());
        for &radius in self.radii {
            let settings = ExpectedLoss::new(
                Perturbation::new(self.geometry, radius).map_err(SharpnessError::from)?,
            );
            let report =
                settings.draws(self.samples)?.measure(objective, self.network.parameters(), w)?;
            y.push(of.shown(report.expected.value));
            standard_error.push(match of {
                SeriesOf::Loss => report.expected.standard_error,
                SeriesOf::Accuracy => 100.0 * report.expected.standard_error,
            });
        }
        let x = self.radii.to_vec();
        Ok(Series { arm: arm.to_owned(), split, of, x, y, standard_error })
    }
}

impl SeriesOf {
    /// The value in its unit: an error rate as an accuracy in percent.
    fn shown(self, value: f64) -> f64 {
        match self {
            Self::Loss => value,
            Self::Accuracy => 100.0 * (1.0 - value),
        }
    }
}
