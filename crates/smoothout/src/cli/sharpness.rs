//! `smoothout sharpness`: how flat a saved network's minimum is.

use std::fmt;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;
use smoothout_nn::Network;
use smoothout_sharpness::{
    Ball, Effort, Eigenvalues, ExpectedLoss, Keskar, NoiseTolerance, Progress, Sampling, Scaling,
    SharpnessError, Space, Spectrum, Start, Trace, TraceEstimator, WorstCase, check_gradient,
    check_value,
};
use smoothout_tensor::kernels::kernels_in_use;
use smoothout_tensor::{Distribution, Geometry, Perturbation, Real, Selection};

use super::{BadInput, Compute};
use crate::checkpoint::load_model;
use crate::data::{DataSet, DataSetName, Split};
use crate::evaluation::EVALUATION_BATCH;
use crate::measure::{
    BatchNormPolicy, Curvature, ExampleSet, Finding, Invariant, MeasureError, Measurement,
    NetworkObjective, Subset,
};
use crate::training::{ModelState, check_fit};

/// Measure how flat the loss is around a saved network.
#[derive(Debug, Args)]
pub(super) struct SharpnessCommand {
    /// safetensors file with PyTorch's names
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    #[command(flatten)]
    subject: Subject,
    /// What to measure
    #[arg(long, value_enum)]
    metric: Metric,
    #[command(flatten)]
    options: Options,
    /// Seed of whatever the metric draws at random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Do not check gradient and loss beyond what the metric checks itself
    #[arg(long)]
    no_guards: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
}

/// The network, its data, and how it is evaluated.
#[derive(Debug, Args)]
pub(super) struct Subject {
    /// The network: see `smoothout models`
    #[arg(long)]
    pub(super) model: String,
    /// Number of classes [default: the data set's]
    #[arg(long)]
    classes: Option<usize>,
    /// mnist, cifar10, cifar100 or folder
    #[arg(long, default_value = "mnist")]
    dataset: DataSetName,
    /// Folder of the data set's files [default: looked for, see `smoothout data list`]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// train or test
    #[arg(long, default_value = "train")]
    split: Split,
    /// Measure on so many examples, chosen by the subset's seed
    #[arg(long, default_value_t = 1000, value_name = "N")]
    examples: usize,
    /// Seed that chooses the examples
    #[arg(long, default_value_t = 0)]
    subset_seed: u64,
    /// Statistics of batch norm: the checkpoint's, each batch's, or computed anew at each point
    /// [default: frozen; batch where there are several checkpoints]
    #[arg(long, value_enum)]
    pub(super) batch_norm: Option<BatchNorm>,
    /// Examples evaluated at once; with batch and recalibrated also those of one statistic
    #[arg(long, default_value_t = EVALUATION_BATCH)]
    pub(super) batch_size: usize,
    /// Precision of weights and images; f64 is slow, and exact enough for small curvatures
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(super) precision: Precision,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BatchNorm {
    Frozen,
    Batch,
    Recalibrated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Precision {
    F32,
    F64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Metric {
    /// Rise of the mean loss under random perturbations, with its standard error
    ExpectedLoss,
    /// Highest loss in Keskar's box, by L-BFGS-B from several starts
    Keskar,
    /// Highest loss in a ball, by projected gradient ascent (SAM, ASAM)
    WorstCase,
    /// The same for each batch of m examples, averaged
    MSharpness,
    /// Largest and smallest eigenvalues of the Hessian
    Eigenvalues,
    /// Trace of the Hessian
    Trace,
    /// Spectral density of the Hessian
    Spectrum,
    /// The radius at which the expected loss or error has risen by a chosen amount
    NoiseTolerance,
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Self::ExpectedLoss => "expected-loss",
            Self::Keskar => "keskar",
            Self::WorstCase => "worst-case",
            Self::MSharpness => "m-sharpness",
            Self::Eigenvalues => "eigenvalues",
            Self::Trace => "trace",
            Self::Spectrum => "spectrum",
            Self::NoiseTolerance => "noise-tolerance",
        }
    }

    /// The options that mean something to it.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::ExpectedLoss => {
                &["radius", "geometry", "distribution", "sampling", "samples", "standard-error"]
            }
            Self::Keskar => &["epsilon", "subspace", "iterations", "converged", "starts"],
            Self::WorstCase => &["radius", "geometry", "ball", "steps", "starts"],
            Self::MSharpness => &["radius", "geometry", "ball", "steps", "starts", "m"],
            Self::Eigenvalues => &["largest", "smallest", "steps", "tolerance"],
            Self::Trace => &["samples", "standard-error", "sketch"],
            Self::Spectrum => &["samples", "steps"],
            Self::NoiseTolerance => {
                &["radius", "geometry", "distribution", "samples", "rise", "of"]
            }
        }
    }
}

/// Settings of the metrics; one that its metric does not take is an error.
#[derive(Debug, Args)]
struct Options {
    /// Which parameters move
    #[arg(long, value_enum, default_value_t = Select::All)]
    select: Select,
    /// Of these, only blocks whose name matches: "layer2.*"
    #[arg(long, value_name = "PATTERN")]
    blocks: Option<String>,
    /// Radius of the perturbation or the ball [default: 0.01]
    #[arg(long, allow_negative_numbers = true)]
    radius: Option<f64>,
    /// What the radius is measured against [default: absolute]
    #[arg(long, value_enum)]
    geometry: Option<Shape>,
    /// Law of the perturbation [default: uniform]
    #[arg(long, value_enum)]
    distribution: Option<Law>,
    /// How perturbations are drawn [default: antithetic]
    #[arg(long, value_enum)]
    sampling: Option<Draws>,
    /// Draws (pairs, lattices of 31) or probes; with --standard-error the most
    /// [default: 1000 draws, 100 probes of a trace, 10 of a spectrum]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Go on until the standard error is at most this
    #[arg(long, allow_negative_numbers = true)]
    standard_error: Option<f64>,
    /// Keskar's eps [default: 1e-3]
    #[arg(long, allow_negative_numbers = true)]
    epsilon: Option<f64>,
    /// Search in a random subspace of this dimension [default: the full space]
    #[arg(long, value_name = "P")]
    subspace: Option<usize>,
    /// Iterations of each search [default: 10, Keskar's protocol]
    #[arg(long, conflicts_with = "converged")]
    iterations: Option<usize>,
    /// Search until nothing rises any more
    #[arg(long)]
    converged: bool,
    /// Starts of the search [default: 5 for keskar, 2 for balls]
    #[arg(long)]
    starts: Option<usize>,
    /// Norm of the ball [default: l2]
    #[arg(long, value_enum)]
    ball: Option<Norm>,
    /// Steps of the ascent [default: 20], of Lanczos [default: at most 200; 60 for a spectrum]
    #[arg(long)]
    steps: Option<usize>,
    /// Examples in a batch of m-sharpness [default: 128]
    #[arg(long)]
    m: Option<usize>,
    /// How many of the largest eigenvalues [default: 1]
    #[arg(long)]
    largest: Option<usize>,
    /// How many of the smallest eigenvalues [default: 1]
    #[arg(long)]
    smallest: Option<usize>,
    /// Relative residual of the eigenvalues [default: 1e-6; f32 products rarely reach it]
    #[arg(long, allow_negative_numbers = true)]
    tolerance: Option<f64>,
    /// By how much the loss, or the share of errors, may rise [default: 0.1]
    #[arg(long, allow_negative_numbers = true)]
    rise: Option<f64>,
    /// What may rise [default: loss]
    #[arg(long, value_enum)]
    of: Option<Quantity>,
    /// Hutch++ with a sketch of so many columns [default: plain Hutchinson]
    #[arg(long)]
    sketch: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Quantity {
    Loss,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Select {
    All,
    WithoutNorm,
    Weights,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    Absolute,
    Filter,
    Elementwise,
    Layer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Law {
    Uniform,
    Gaussian,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Draws {
    Plain,
    Antithetic,
    QuasiRandom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Norm {
    L2,
    LInfinity,
}

impl SharpnessCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        self.options.check(self.metric)?;
        let (network, set) = self.subject.load()?;
        let model = load_model(&self.weights, &network)?;
        self.compute.run(|| match self.subject.precision {
            Precision::F32 => self.measure::<f32>(&network, &model, &set),
            Precision::F64 => self.measure::<f64>(&network, &model, &set),
        })
    }

    fn measure<R: Real>(
        &self,
        network: &Network,
        model: &ModelState,
        set: &DataSet,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        let (w, buffers) = (converted::<R>(&model.parameters), converted::<R>(&model.buffers));
        let (examples, data) = self.subject.examples::<R>(set)?;
        let objective = NetworkObjective::new(
            network,
            &examples,
            &buffers,
            self.subject.policy(BatchNorm::Frozen),
            self.subject.batch_size,
        )?;
        if !self.no_guards {
            match objective.clone().differentiable() {
                Ok(objective) => check_gradient(&objective, &w)?,
                Err(_) => check_value(&objective, &w)?,
            };
        }
        let layout = network.parameters();
        let invariant = self.invariant(&objective, network, &w)?;
        let (options, metric) = (&self.options, self.metric);
        let watch = &mut watch();
        let done = |finding, curvature| Done { data, start, finding, curvature, invariant };
        match metric {
            Metric::ExpectedLoss => {
                let settings = options.expected_loss()?.seed(self.seed);
                let report = settings.measure_observed(&objective, layout, &w, watch)?;
                self.print::<R, _>(done(Finding::from(&report), None), report)
            }
            Metric::Keskar => {
                let on = format!("{data}, {}", objective.policy());
                let settings = options.keskar()?.seed(self.seed).measured_on(&on);
                let report =
                    settings.measure_observed(&objective.differentiable()?, layout, &w, watch)?;
                self.print::<R, _>(done(Finding::from(&report), None), report)
            }
            Metric::WorstCase => {
                let settings = options.worst_case()?.seed(self.seed);
                let report =
                    settings.measure_observed(&objective.differentiable()?, layout, &w, watch)?;
                self.print::<R, _>(done(Finding::from(&report), None), report)
            }
            Metric::MSharpness => {
                let parts = objective.split(options.m.unwrap_or(128))?.into_iter();
                let parts = parts.map(NetworkObjective::differentiable);
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                let settings = options.worst_case()?.seed(self.seed);
                let report = settings.measure_batches(parts, layout, &w)?;
                self.print::<R, _>(done(Finding::from(&report), None), report)
            }
            Metric::Eigenvalues => {
                let (hessian, curvature) =
                    Curvature::of(objective.differentiable()?, &w, self.seed)?;
                let settings = options.eigenvalues()?.seed(self.seed);
                let (report, _) = settings.measure_vectors(&hessian, layout, &w, watch)?;
                self.print::<R, _>(done(Finding::from(&report), Some(curvature)), report)
            }
            Metric::Trace => {
                let (hessian, curvature) =
                    Curvature::of(objective.differentiable()?, &w, self.seed)?;
                let settings = options.trace()?.seed(self.seed);
                let report = settings.measure_observed(&hessian, layout, &w, watch)?;
                self.print::<R, _>(done(Finding::from(&report), Some(curvature)), report)
            }
            Metric::Spectrum => {
                let (hessian, curvature) =
                    Curvature::of(objective.differentiable()?, &w, self.seed)?;
                let settings = options.spectrum()?.seed(self.seed);
                let report = settings.measure_observed(&hessian, layout, &w, watch)?;
                self.print::<R, _>(done(Finding::from(&report), Some(curvature)), report)
            }
            Metric::NoiseTolerance => {
                let settings = options.tolerance()?.seed(self.seed);
                let report = match options.of.unwrap_or(Quantity::Loss) {
                    Quantity::Loss => settings.measure_observed(&objective, layout, &w, watch)?,
                    Quantity::Error => {
                        settings.measure_observed(&objective.error_rate(), layout, &w, watch)?
                    }
                };
                self.print::<R, _>(done(Finding::from(&report), None), report)
            }
        }
    }

    /// The companion of metrics that a rescaled layer moves.
    fn invariant<R: Real>(
        &self,
        objective: &NetworkObjective<'_, R>,
        network: &Network,
        w: &[R],
    ) -> Result<Option<Invariant>, SharpnessError> {
        let absolute = matches!(self.options.geometry, None | Some(Shape::Absolute));
        let sampled = [Metric::ExpectedLoss, Metric::NoiseTolerance].contains(&self.metric);
        if sampled && !absolute {
            return Ok(None);
        }
        let radius = 0.1;
        let report = ExpectedLoss::new(Perturbation::new(Geometry::Filter, radius)?)
            .draws(16)?
            .seed(self.seed)
            .measure(objective, network.parameters(), w)?;
        let quantity = "rise of the expected loss in the filter geometry";
        let (rise, evaluations) = (report.rise, report.evaluations);
        Ok(Some(Invariant { quantity, radius, rise, evaluations }))
    }

    fn print<R: Real, T: Serialize + fmt::Display>(
        &self,
        done: Done,
        report: T,
    ) -> anyhow::Result<()> {
        let measurement = Measurement {
            metric: self.metric.name(),
            finding: done.finding,
            model: self.subject.model.clone(),
            weights: self.weights.display().to_string(),
            data: done.data,
            batch_norm: self.subject.policy(BatchNorm::Frozen),
            precision: R::NAME,
            curvature: done.curvature,
            invariant: done.invariant,
            threads: rayon::current_num_threads(),
            kernels: kernels_in_use(),
            version: env!("CARGO_PKG_VERSION"),
            seconds: done.start.elapsed().as_secs_f64(),
            report,
        };
        if self.json {
            println!("{}", serde_json::to_string(&measurement)?);
        } else {
            println!("{measurement}");
        }
        Ok(())
    }
}

/// What a measurement hands to its report.
struct Done {
    data: Subset,
    start: Instant,
    finding: Finding,
    curvature: Option<Curvature>,
    invariant: Option<Invariant>,
}

impl Subject {
    /// The network and the split.
    pub(super) fn load(&self) -> anyhow::Result<(Network, DataSet)> {
        let classes = match self.dataset {
            DataSetName::Cifar100 => 100,
            _ => 10,
        };
        let network = Network::by_name(&self.model, self.classes.unwrap_or(classes))?;
        let set = DataSet::load(self.dataset, self.data_dir.as_deref(), self.split)?;
        check_fit(&network, &set)?;
        Ok((network, set))
    }

    /// The subset of the split.
    pub(super) fn examples<R: Real>(
        &self,
        set: &DataSet,
    ) -> Result<(ExampleSet<R>, Subset), MeasureError> {
        ExampleSet::draw(set, Some(self.examples), self.subset_seed)
    }

    /// The policy, `default` if none was chosen.
    pub(super) fn policy(&self, default: BatchNorm) -> BatchNormPolicy {
        let size = self.batch_size;
        match self.batch_norm.unwrap_or(default) {
            BatchNorm::Frozen => BatchNormPolicy::Frozen,
            BatchNorm::Batch => BatchNormPolicy::Batch { size },
            BatchNorm::Recalibrated => {
                BatchNormPolicy::Recalibrated { examples: self.examples, size }
            }
        }
    }
}

impl Options {
    /// Refuses what the metric does not read, and what it reads but cannot be, before any work.
    fn check(&self, metric: Metric) -> anyhow::Result<()> {
        self.refuse_unread(metric)?;
        match metric {
            Metric::ExpectedLoss => drop(self.expected_loss()?),
            Metric::Keskar => drop(self.keskar()?),
            Metric::WorstCase | Metric::MSharpness => drop(self.worst_case()?),
            Metric::Eigenvalues => drop(self.eigenvalues()?),
            Metric::Trace => drop(self.trace()?),
            Metric::Spectrum => drop(self.spectrum()?),
            Metric::NoiseTolerance => drop(self.tolerance()?),
        }
        Ok(())
    }

    fn refuse_unread(&self, metric: Metric) -> Result<(), BadInput> {
        let given = [
            ("radius", self.radius.is_some()),
            ("geometry", self.geometry.is_some()),
            ("distribution", self.distribution.is_some()),
            ("sampling", self.sampling.is_some()),
            ("samples", self.samples.is_some()),
            ("standard-error", self.standard_error.is_some()),
            ("epsilon", self.epsilon.is_some()),
            ("subspace", self.subspace.is_some()),
            ("iterations", self.iterations.is_some()),
            ("converged", self.converged),
            ("starts", self.starts.is_some()),
            ("ball", self.ball.is_some()),
            ("steps", self.steps.is_some()),
            ("m", self.m.is_some()),
            ("largest", self.largest.is_some()),
            ("smallest", self.smallest.is_some()),
            ("tolerance", self.tolerance.is_some()),
            ("sketch", self.sketch.is_some()),
            ("rise", self.rise.is_some()),
            ("of", self.of.is_some()),
        ];
        let known = metric.options();
        match given.iter().find(|(name, given)| *given && !known.contains(name)) {
            Some((name, _)) => Err(BadInput(format!(
                "{name} has no meaning for {}: it takes {}",
                metric.name(),
                known.join(", ")
            ))),
            None => Ok(()),
        }
    }

    fn selection(&self) -> Selection {
        let selection = match self.select {
            Select::All => Selection::all(),
            Select::WithoutNorm => Selection::without_norm(),
            Select::Weights => Selection::weights(),
        };
        match &self.blocks {
            Some(pattern) => selection.named(pattern),
            None => selection,
        }
    }

    fn perturbation(&self) -> Result<Perturbation, SharpnessError> {
        let geometry = match self.geometry.unwrap_or(Shape::Absolute) {
            Shape::Absolute => Geometry::Absolute,
            Shape::Filter => Geometry::Filter,
            Shape::Elementwise => Geometry::Elementwise,
            Shape::Layer => Geometry::Layer,
        };
        let law = match self.distribution.unwrap_or(Law::Uniform) {
            Law::Uniform => Distribution::Uniform,
            Law::Gaussian => Distribution::Gaussian,
        };
        let perturbation = Perturbation::new(geometry, self.radius.unwrap_or(0.01))?;
        Ok(perturbation.distribution(law).selection(self.selection()))
    }

    fn tolerance(&self) -> Result<NoiseTolerance, SharpnessError> {
        let mut settings = NoiseTolerance::new(self.perturbation()?, self.rise.unwrap_or(0.1))?;
        if let Some(samples) = self.samples {
            settings = settings.draws(samples)?;
        }
        Ok(settings)
    }

    fn expected_loss(&self) -> Result<ExpectedLoss, SharpnessError> {
        let mut settings = ExpectedLoss::new(self.perturbation()?);
        settings = settings.sampling(match self.sampling.unwrap_or(Draws::Antithetic) {
            Draws::Plain => Sampling::Plain,
            Draws::Antithetic => Sampling::Antithetic,
            Draws::QuasiRandom => Sampling::QuasiRandom { points: 31 },
        });
        if let Some(samples) = self.samples {
            settings = settings.draws(samples)?;
        }
        if let Some(error) = self.standard_error {
            settings = settings.until(error)?;
        }
        Ok(settings)
    }

    fn keskar(&self) -> Result<Keskar, SharpnessError> {
        let mut settings = Keskar::new(self.epsilon.unwrap_or(1e-3))?.selection(self.selection());
        if let Some(dimension) = self.subspace {
            settings = settings.space(Space::Subspace { dimension })?;
        }
        if let Some(count) = self.starts {
            let random = std::iter::repeat(Start::Random);
            let starts = [Start::Centre, Start::GradientVertex].into_iter().chain(random);
            settings = settings.starts(&starts.take(count).collect::<Vec<_>>())?;
        }
        let effort = match (self.converged, self.iterations) {
            (true, _) => Effort::Converged,
            (false, iterations) => Effort::Iterations(iterations.unwrap_or(10)),
        };
        Ok(settings.effort(effort))
    }

    fn worst_case(&self) -> anyhow::Result<WorstCase> {
        let ball = match self.ball.unwrap_or(Norm::L2) {
            Norm::L2 => Ball::L2,
            Norm::LInfinity => Ball::LInfinity,
        };
        let scaling = match self.geometry.unwrap_or(Shape::Absolute) {
            Shape::Absolute => Scaling::Plain,
            Shape::Filter => Scaling::Filter,
            Shape::Elementwise => Scaling::Elementwise,
            Shape::Layer => {
                let message = "geometry is layer: a ball takes absolute, filter or elementwise";
                return Err(BadInput(message.to_owned()).into());
            }
        };
        let settings = WorstCase::new(ball, self.radius.unwrap_or(0.01))?
            .scaling(scaling)
            .selection(self.selection())
            .steps(self.steps.unwrap_or(20), self.starts.unwrap_or(2))?;
        Ok(settings)
    }

    fn eigenvalues(&self) -> Result<Eigenvalues, SharpnessError> {
        let counts = (self.largest.unwrap_or(1), self.smallest.unwrap_or(1));
        Eigenvalues::new(counts.0, counts.1)?
            .selection(self.selection())
            .tolerance(self.tolerance.unwrap_or(1e-6))
            .steps(self.steps.unwrap_or(200))
    }

    fn trace(&self) -> Result<Trace, SharpnessError> {
        let mut settings = Trace::new().selection(self.selection());
        if let Some(sketch) = self.sketch {
            settings = settings.estimator(TraceEstimator::HutchPlusPlus { sketch });
        }
        if let Some(samples) = self.samples {
            settings = settings.probes(samples)?;
        }
        if let Some(error) = self.standard_error {
            settings = settings.until(error)?;
        }
        Ok(settings)
    }

    fn spectrum(&self) -> Result<Spectrum, SharpnessError> {
        let settings = Spectrum::new(self.samples.unwrap_or(10), self.steps.unwrap_or(60))?;
        Ok(settings.selection(self.selection()))
    }
}

/// The numbers in another precision.
pub(super) fn converted<R: Real>(values: &[f32]) -> Vec<R> {
    values.iter().map(|&value| R::from_f64(f64::from(value))).collect()
}

/// An observer that says on standard error how far a measurement is: every second on a terminal,
/// every ten elsewhere.
fn watch() -> impl FnMut(Progress) -> ControlFlow<()> {
    let pause = Duration::from_secs(if std::io::stderr().is_terminal() { 1 } else { 10 });
    let mut last = Instant::now();
    move |progress| {
        if last.elapsed() >= pause {
            last = Instant::now();
            eprintln!(
                "{} evaluations: {:.6e} (± {:.1e})",
                progress.evaluations, progress.value, progress.uncertainty
            );
        }
        ControlFlow::Continue(())
    }
}

/// Whether an error of a measurement is the user's; nothing if it is none.
pub(super) fn is_bad_input(cause: &(dyn std::error::Error + 'static)) -> Option<bool> {
    if let Some(error) = cause.downcast_ref::<MeasureError>() {
        return Some(error.is_bad_input());
    }
    let error = cause.downcast_ref::<SharpnessError>()?;
    Some(MeasureError::from(error.clone()).is_bad_input())
}
