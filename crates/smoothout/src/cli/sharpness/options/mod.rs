//! The settings of the metrics as options; what a metric does not read is refused.

mod settings;

use super::Metric;
use crate::cli::BadInput;
use crate::measure::Select;
use clap::{Args, ValueEnum};

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
    /// [default: 1000 draws, 100 in an audit, 10,000 a radius for noise-tolerance; 100 probes of a trace, 10 of a spectrum]
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
}
