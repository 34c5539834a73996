//! The settings of the metrics as options, and the checked settings that they become.

use clap::{Args, ValueEnum};
use smoothout_sharpness::{
    Audit, Ball, Effort, Eigenvalues, ExpectedLoss, Keskar, NoiseTolerance, Sampling, Scaling,
    SharpnessError, Space, Spectrum, Start, Trace, TraceEstimator, WorstCase,
};
use smoothout_tensor::{Distribution, Geometry, Perturbation, Selection};

use super::Metric;
use crate::cli::BadInput;

/// Settings of the metrics; one that its metric does not take is an error.
#[derive(Debug, Args)]
pub(super) struct Options {
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
    /// [default: 1000 draws, 100 in an audit, 100 probes of a trace, 10 of a spectrum]
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
    /// The audit multiplies what goes into each ReLU by this [default: 0.125]
    #[arg(long, allow_negative_numbers = true, conflicts_with = "scale")]
    factor: Option<f64>,
    /// Blocks and factors of the audit, in place of those that it finds: "fc1.weight=0.1"
    #[arg(long, value_name = "BLOCK=FACTOR", num_args = 1..)]
    scale: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Quantity {
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

impl Options {
    /// Refuses what the metric does not read, and what it reads but cannot be, before any work.
    pub(super) fn check(&self, metric: Metric) -> anyhow::Result<()> {
        self.refuse_unread(metric)?;
        match metric {
            Metric::ExpectedLoss => drop(self.expected_loss()?),
            Metric::Keskar => drop(self.keskar(0)?),
            Metric::WorstCase | Metric::MSharpness => drop(self.worst_case()?),
            Metric::Eigenvalues => drop(self.eigenvalues()?),
            Metric::Trace => drop(self.trace()?),
            Metric::Spectrum => drop(self.spectrum()?),
            Metric::NoiseTolerance => drop(self.tolerance()?),
            Metric::Audit => {
                self.audit()?;
                self.factors()?;
            }
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
            ("factor", self.factor.is_some()),
            ("scale", !self.scale.is_empty()),
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

    /// Whether the perturbation scales with the weights.
    pub(super) fn is_relative(&self) -> bool {
        !matches!(self.geometry, None | Some(Shape::Absolute))
    }

    /// What may rise.
    pub(super) fn quantity(&self) -> Quantity {
        self.of.unwrap_or(Quantity::Loss)
    }

    /// Examples in a batch of m-sharpness.
    pub(super) fn m(&self) -> usize {
        self.m.unwrap_or(128)
    }

    /// What the audit multiplies by.
    pub(super) fn factor(&self) -> f64 {
        self.factor.unwrap_or(0.125)
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

    pub(super) fn tolerance(&self) -> Result<NoiseTolerance, SharpnessError> {
        let mut settings = NoiseTolerance::new(self.perturbation()?, self.rise.unwrap_or(0.1))?;
        if let Some(samples) = self.samples {
            settings = settings.draws(samples)?;
        }
        Ok(settings)
    }

    pub(super) fn expected_loss(&self) -> Result<ExpectedLoss, SharpnessError> {
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

    /// For a network of so many parameters. The directions of a subspace are kept if they take no
    /// more than half a gigabyte in f32, and else drawn anew for each evaluation: the same numbers.
    pub(super) fn keskar(&self, parameters: usize) -> Result<Keskar, SharpnessError> {
        const MOST_STORED: usize = 1 << 27;
        let mut settings = Keskar::new(self.epsilon.unwrap_or(1e-3))?.selection(self.selection());
        if let Some(dimension) = self.subspace {
            settings = settings.space(if dimension.saturating_mul(parameters) <= MOST_STORED {
                Space::Subspace { dimension }
            } else {
                Space::ImplicitSubspace { dimension }
            })?;
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

    pub(super) fn worst_case(&self) -> anyhow::Result<WorstCase> {
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

    pub(super) fn eigenvalues(&self) -> Result<Eigenvalues, SharpnessError> {
        let counts = (self.largest.unwrap_or(1), self.smallest.unwrap_or(1));
        Eigenvalues::new(counts.0, counts.1)?
            .selection(self.selection())
            .tolerance(self.tolerance.unwrap_or(1e-6))
            .steps(self.steps.unwrap_or(200))
    }

    pub(super) fn trace(&self) -> Result<Trace, SharpnessError> {
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

    pub(super) fn spectrum(&self) -> Result<Spectrum, SharpnessError> {
        let settings = Spectrum::new(self.samples.unwrap_or(10), self.steps.unwrap_or(60))?;
        Ok(settings.selection(self.selection()))
    }
    pub(super) fn audit(&self) -> Result<Audit, SharpnessError> {
        let (radius, epsilon) = (self.radius.unwrap_or(0.01), self.epsilon.unwrap_or(1e-3));
        let settings = Audit::new(radius, epsilon)?.selection(self.selection());
        settings.draws(self.samples.unwrap_or(100))
    }

    /// The blocks and factors that were named, if any; and the factor is a factor.
    pub(super) fn factors(&self) -> Result<Option<Vec<(String, f64)>>, BadInput> {
        let sound = |factor: f64| factor > 0.0 && factor.is_finite();
        if !sound(self.factor()) {
            let found = self.factor();
            return Err(BadInput(format!("factor is {found}: it must be positive and finite")));
        }
        let parse = |text: &String| {
            let parts = text.rsplit_once('=');
            let parsed = parts.and_then(|(name, factor)| Some((name, factor.parse().ok()?)));
            match parsed.filter(|&(_, factor)| sound(factor)) {
                Some((name, factor)) => Ok((name.to_owned(), factor)),
                None => Err(BadInput(format!(
                    "scale is {text:?}: give a block and a positive factor, fc1.weight=0.1"
                ))),
            }
        };
        let factors = self.scale.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok((!factors.is_empty()).then_some(factors))
    }
}
