//! `smoothout landscape`: the loss on a line or in a plane through saved networks.

mod about;

use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, ValueEnum};
use smoothout_nn::Network;
use smoothout_sharpness::{
    Axis, Chart, Grid, LineStyle, Objective, PlotError, plot_lines, plot_plane,
};
use smoothout_tensor::{Real, Selection};

use super::subject::{BatchNorm, Precision, Subject, converted};
use super::{BadInput, Compute};
use crate::checkpoint::{load_model, write_whole};
use crate::data::{DataSet, file_md5};
use crate::measure::NetworkObjective;
use crate::run::io_error;
use crate::text::utf8_path;
use crate::training::ModelState;

use about::{About, Kind};

/// Loss and error on a line or in a plane through weight space, written as JSON, CSV, NPY and SVG.
///
/// Run again with the same options, it goes on where it was interrupted.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("kind").required(true)))]
pub(super) struct LandscapeCommand {
    /// From A (coordinate 0) to B (coordinate 1)
    #[arg(long, num_args = 2, value_names = ["A", "B"], group = "kind", value_parser = utf8_path())]
    line: Option<Vec<PathBuf>>,
    /// Through A along a random filter-normalised direction
    #[arg(long, value_name = "A", group = "kind", value_parser = utf8_path())]
    random_line: Option<PathBuf>,
    /// Through A along two random filter-normalised directions
    #[arg(long, value_name = "A", group = "kind", value_parser = utf8_path())]
    random_plane: Option<PathBuf>,
    /// Through A at (0, 0), B at (1, 0) and C at (0, 1)
    #[arg(long, num_args = 3, value_names = ["A", "B", "C"], group = "kind", value_parser = utf8_path())]
    plane: Option<Vec<PathBuf>>,
    /// The plane of the first two principal components of these checkpoints, in order
    #[arg(long, num_args = 3.., value_name = "FILE", group = "kind", value_parser = utf8_path())]
    trajectory: Option<Vec<PathBuf>>,
    /// Folder for grids and pictures
    #[arg(long)]
    out: PathBuf,
    /// Lowest coordinate of each axis [default: -1 on a line, -0.3 at random, -0.5 in a plane; of a trajectory its extent and a fifth around]
    #[arg(long, allow_negative_numbers = true)]
    from: Option<f64>,
    /// Highest coordinate of each axis [default: 2 on a line, 0.3 at random, 1.5 in a plane; likewise]
    #[arg(long, allow_negative_numbers = true)]
    to: Option<f64>,
    /// Points along each axis [default: 31 on a line, 21 in a plane]
    #[arg(long)]
    points: Option<usize>,
    /// What is evaluated
    #[arg(long, value_enum, default_value_t = Quantity::Both)]
    quantity: Quantity,
    /// Random directions leave out batch norm's gamma and beta
    #[arg(long)]
    without_norm: bool,
    /// Seed of the random directions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Quantity {
    Loss,
    Error,
    Both,
}

impl LandscapeCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (kind, files) = self.kind();
        if self.subject.batch_norm == Some(BatchNorm::Frozen) && files.len() > 1 {
            let message = "batch_norm is frozen: running statistics belong to one checkpoint, and \
                           there are several; take batch or recalibrated";
            return Err(BadInput(message.to_owned()).into());
        }
        let (network, set) = self.subject.load()?;
        // Before they are read: a file that is replaced meanwhile is another one to whoever goes on.
        let md5 = files.iter().map(|file| file_md5(file)).collect::<Result<Vec<_>, _>>()?;
        let models = files.iter().map(|file| load_model(file, &network));
        let models = models.collect::<Result<Vec<_>, _>>()?;
        self.compute.run(|| match self.subject.precision.unwrap_or(Precision::F32) {
            Precision::F32 => self.draw::<f32>(kind, (&files, &md5), &network, &models, &set),
            Precision::F64 => self.draw::<f64>(kind, (&files, &md5), &network, &models, &set),
        })
    }

    fn kind(&self) -> (Kind, Vec<PathBuf>) {
        let one = |file: &PathBuf| vec![file.clone()];
        let kinds = [
            (Kind::Line, self.line.clone()),
            (Kind::RandomLine, self.random_line.as_ref().map(one)),
            (Kind::RandomPlane, self.random_plane.as_ref().map(one)),
            (Kind::Plane, self.plane.clone()),
            (Kind::Trajectory, self.trajectory.clone()),
        ];
        let given = kinds.into_iter().find_map(|(kind, files)| Some((kind, files?)));
        given.expect("clap requires one of the kinds")
    }

    fn draw<R: Real>(
        &self,
        kind: Kind,
        (files, md5): (&[PathBuf], &[String]),
        network: &Network,
        models: &[ModelState],
        set: &DataSet,
    ) -> anyhow::Result<()> {
        let ruined = |model: &ModelState| model.parameters.iter().any(|w| !w.is_finite());
        if let Some((file, _)) = files.iter().zip(models).find(|(_, model)| ruined(model)) {
            let file = file.display();
            let advice = format!(
                "{file} holds a weight that is NaN or infinite: there is nothing to draw around it"
            );
            return Err(BadInput(advice).into());
        }
        let w: Vec<Vec<R>> = models.iter().map(|model| converted(&model.parameters)).collect();
        let layout = network.parameters();
        let selection =
            if self.without_norm { Selection::without_norm() } else { Selection::all() };
        let random = |count| Chart::filter_normalized(layout, &w[0], &selection, count, self.seed);
        let (chart, shares) = match kind {
            Kind::Line => (Chart::line(&w[0], &w[1])?, None),
            Kind::Plane => (Chart::through(&w[0], &w[1], &w[2])?, None),
            Kind::RandomLine => (random(1)?, None),
            Kind::RandomPlane => (random(2)?, None),
            Kind::Trajectory => {
                let (chart, shares) = Chart::principal(&w)?;
                (chart, Some(shares))
            }
        };
        let places = w.iter().map(|w| chart.project(w)).collect::<Result<Vec<_>, _>>()?;
        let axes = self.axes(kind, &places)?;
        let policy =
            self.subject.policy(if files.len() > 1 { BatchNorm::Batch } else { BatchNorm::Frozen });
        let (examples, data) = self.subject.examples::<R>(set)?;
        let about = About {
            kind,
            files: files.to_vec(),
            md5: md5.to_vec(),
            model: network.name().to_owned(),
            data,
            data_md5: set.md5(),
            batch_norm: policy,
            precision: R::NAME.to_owned(),
            selection,
            seed: self.seed,
            axes: axes.clone(),
            places,
            shares,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.claim(&about)?;
        let buffers: Vec<R> = converted(&models[0].buffers);
        let objective =
            NetworkObjective::new(network, &examples, &buffers, policy, self.subject.batch_size())?;
        let mut grids = Vec::new();
        if self.quantity != Quantity::Error {
            grids.push(self.fill("loss", &axes, &objective, &chart)?);
        }
        if self.quantity != Quantity::Loss {
            grids.push(self.fill("error", &axes, &objective.error_rate(), &chart)?);
        }
        self.draw_pictures(&about, &grids)
    }

    fn axes(&self, kind: Kind, places: &[Vec<f64>]) -> Result<Vec<Axis>, BadInput> {
        let dimensions = kind.dimensions();
        let (mut from, mut to) = match kind {
            Kind::Line => (-1.0, 2.0),
            Kind::RandomLine | Kind::RandomPlane => (-0.3, 0.3),
            Kind::Plane | Kind::Trajectory => (-0.5, 1.5),
        };
        let count = self.points.unwrap_or(if dimensions == 2 { 21 } else { 31 });
        let axis = |k: usize| {
            if kind == Kind::Trajectory {
                // The whole path, and a fifth of its extent around it.
                let along = || places.iter().map(|place| place[k]);
                from = along().fold(f64::INFINITY, f64::min);
                to = along().fold(f64::NEG_INFINITY, f64::max);
                let margin = 0.2 * (to - from);
                (from, to) = (from - margin, to + margin);
            }
            Axis { from: self.from.unwrap_or(from), to: self.to.unwrap_or(to), count }
        };
        let axes: Vec<Axis> = (0..dimensions).map(axis).collect();
        let sound = |axis: &Axis| axis.from < axis.to && axis.count >= 2;
        match axes.iter().find(|&axis| !sound(axis)) {
            Some(Axis { from, to, count }) => Err(BadInput(format!(
                "the axis has {count} points from {from} to {to}: give at least 2, and from below to"
            ))),
            None => Ok(axes),
        }
    }

    /// Takes the folder, or goes on in it if it holds the same landscape.
    fn claim(&self, about: &About) -> anyhow::Result<()> {
        fs::create_dir_all(&self.out).map_err(io_error("created", &self.out))?;
        let path = self.out.join("about.json");
        let text = serde_json::to_string_pretty(about)?;
        match fs::read_to_string(&path) {
            Ok(found) if found == text => Ok(()),
            Ok(_) => Err(BadInput(format!(
                "{} holds another landscape: go on with the options, the files it was started with and the data, or \
                 choose another --out",
                self.out.display()
            ))
            .into()),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(io_error("read", &path)(error).into())
            }
            Err(_) => {
                let grids = ["loss.json", "error.json"].map(|grid| self.out.join(grid));
                if let Some(grid) = grids.iter().find(|grid| grid.exists()) {
                    return Err(BadInput(format!(
                        "{} is there and about.json is not, which says of what it is: choose another \
                         --out, or remove it",
                        grid.display()
                    ))
                    .into());
                }
                Ok(write_whole(&path, text.as_bytes())?)
            }
        }
    }

    /// Evaluates what the folder does not hold yet, and saves after every 64 points.
    fn fill<O: Objective>(
        &self,
        quantity: &str,
        axes: &[Axis],
        objective: &O,
        chart: &Chart<O::Real>,
    ) -> anyhow::Result<Grid> {
        let mut grid = Grid::new(quantity, axes)?;
        let path = self.out.join(format!("{quantity}.json"));
        if let Ok(saved) = fs::read(&path) {
            let saved = Grid::read_json(saved.as_slice()).map_err(|error| {
                BadInput(format!("{} is no grid: {error}; remove it", path.display()))
            })?;
            grid = grid.resume(saved)?;
        }
        let mut failure = Ok(());
        grid.fill_observed(objective, chart, &mut |grid| {
            note!("{} of {} points of the {quantity}", grid.values().len(), grid.len());
            failure = save(&path, |out| grid.write_json(out));
            if failure.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        failure?;
        save(&path, |out| grid.write_json(out))?;
        save(&self.out.join(format!("{quantity}.csv")), |out| grid.write_csv(out))?;
        save(&self.out.join(format!("{quantity}.npy")), |out| grid.write_npy(out))?;
        Ok(grid)
    }

    fn draw_pictures(&self, about: &About, grids: &[Grid]) -> anyhow::Result<()> {
        let picture = about.picture();
        let draw = |name: &str, picture: Result<String, PlotError>| -> anyhow::Result<()> {
            let path = self.out.join(name);
            match picture {
                Ok(svg) => {
                    write_whole(&path, svg.as_bytes())?;
                    say!("{}", path.display());
                }
                // The numbers stand in the folder; only the picture is missing.
                Err(error) => note!("{}: {error}", path.display()),
            }
            Ok(())
        };
        if grids[0].axes().len() == 2 {
            return grids.iter().try_for_each(|grid| {
                draw(&format!("{}.svg", grid.quantity()), plot_plane(&picture, grid, 10))
            });
        }
        let styles = [LineStyle::Left, LineStyle::Right];
        let lines: Vec<_> = grids.iter().zip(styles).collect();
        let name = match grids {
            [grid] => format!("{}.svg", grid.quantity()),
            _ => "line.svg".to_owned(),
        };
        draw(&name, plot_lines(&picture, &lines))
    }
}

/// Writes a file whole.
fn save(
    path: &Path,
    write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut content = Vec::new();
    write(&mut content)?;
    Ok(write_whole(path, &content)?)
}
