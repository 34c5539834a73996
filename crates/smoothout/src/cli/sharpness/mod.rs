//! `smoothout sharpness`: how flat a saved network's minimum is.

mod metric;
mod options;
mod watch;

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use smoothout_nn::Network;
use smoothout_sharpness::{ExpectedLoss, SharpnessError, check_gradient, check_value};
use smoothout_tensor::kernels::kernels_in_use;
use smoothout_tensor::{Geometry, Perturbation, Real};

use super::Compute;
use super::subject::{BatchNorm, Precision, Subject, converted};
use crate::checkpoint::load_model;
use crate::data::DataSet;
use crate::measure::{
    Finding, Invariant, MeasureError, Measurement, NetworkAudit, NetworkObjective, Rescaling,
    Subset,
};
use crate::training::ModelState;

use metric::Metric;
use options::{Options, Quantity};
use watch::watch;

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

impl SharpnessCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        self.options.check(self.metric)?;
        let (network, set) = self.subject.load()?;
        let model = load_model(&self.weights, &network)?;
        self.compute.run(|| match self.subject.precision.unwrap_or(self.metric.precision()) {
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
            self.subject.batch_size(),
        )?;
        if !self.no_guards {
            match objective.clone().differentiable() {
                Ok(objective) => check_gradient(&objective, &w)?,
                Err(_) => check_value(&objective, &w)?,
            };
        }
        let invariant = self.invariant(&objective, network, &w)?;
        let frame = Frame { data, start, invariant };
        let layout = network.parameters();
        let (options, seed, watch) = (&self.options, self.seed, &mut watch());
        match self.metric {
            Metric::ExpectedLoss => {
                let settings = options.expected_loss()?.seed(seed);
                let report = settings.measure_observed(&objective, layout, &w, watch)?;
                self.print::<R, _>(frame, report)
            }
            Metric::NoiseTolerance => {
                let settings = options.tolerance()?.seed(seed);
                let report = match options.quantity() {
                    Quantity::Loss => settings.measure_observed(&objective, layout, &w, watch)?,
                    Quantity::Error => {
                        settings.measure_observed(&objective.error_rate(), layout, &w, watch)?
                    }
                };
                self.print::<R, _>(frame, report)
            }
            Metric::Keskar => {
                let on = format!("{data}, {}", objective.policy());
                let settings = options.keskar(w.len())?.seed(seed).measured_on(&on);
                let objective = objective.differentiable()?;
                let report = settings.measure_observed(&objective, layout, &w, watch)?;
                self.print::<R, _>(frame, report)
            }
            Metric::WorstCase => {
                let settings = options.worst_case()?.seed(seed);
                let objective = objective.differentiable()?;
                let report = settings.measure_observed(&objective, layout, &w, watch)?;
                self.print::<R, _>(frame, report)
            }
            Metric::MSharpness => {
                let parts = objective.split(options.m())?.into_iter();
                let parts = parts.map(NetworkObjective::differentiable);
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                let settings = options.worst_case()?.seed(seed);
                let report = settings.measure_batches_observed(parts, layout, &w, watch)?;
                self.print::<R, _>(frame, report)
            }
            Metric::Audit => {
                let settings = options.audit()?.seed(seed);
                let rescaling = match options.factors()? {
                    Some(factors) => Rescaling::of(factors),
                    None => Rescaling::find(&objective, layout, &w, options.factor())?,
                };
                let rescaled = rescaling.apply(layout, &w)?;
                let objective = objective.differentiable()?;
                let audit = settings.measure_observed(&objective, layout, &w, &rescaled, watch)?;
                self.print::<R, _>(frame, NetworkAudit { rescaling, audit })
            }
            Metric::Eigenvalues | Metric::Trace | Metric::Spectrum => {
                let hessian = objective.differentiable()?;
                match self.metric {
                    Metric::Eigenvalues => {
                        let settings = options.eigenvalues()?.seed(seed);
                        let (report, _) = settings.measure_vectors(&hessian, layout, &w, watch)?;
                        self.print::<R, _>(frame, report)
                    }
                    Metric::Trace => {
                        let settings = options.trace()?.seed(seed);
                        let report = settings.measure_observed(&hessian, layout, &w, watch)?;
                        self.print::<R, _>(frame, report)
                    }
                    _ => {
                        let settings = options.spectrum()?.seed(seed);
                        let report = settings.measure_observed(&hessian, layout, &w, watch)?;
                        self.print::<R, _>(frame, report)
                    }
                }
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
        if self.metric.is_invariant(&self.options) {
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
        frame: Frame,
        report: T,
    ) -> anyhow::Result<()>
    where
        Finding: for<'a> From<&'a T>,
    {
        let measurement = Measurement {
            metric: self.metric.name(),
            finding: Finding::from(&report),
            model: self.subject.model.clone(),
            weights: self.weights.display().to_string(),
            data: frame.data,
            batch_norm: self.subject.policy(BatchNorm::Frozen),
            precision: R::NAME,
            invariant: frame.invariant,
            threads: rayon::current_num_threads(),
            kernels: kernels_in_use(),
            version: env!("CARGO_PKG_VERSION"),
            seconds: frame.start.elapsed().as_secs_f64(),
            report,
        };
        if self.json {
            say!("{}", serde_json::to_string(&measurement)?);
        } else {
            say!("{measurement}");
        }
        Ok(())
    }
}

/// What stands around a metric's own report.
struct Frame {
    data: Subset,
    start: Instant,
    invariant: Option<Invariant>,
}

/// Whether an error of a measurement is the user's; nothing if it is none.
pub(super) fn is_bad_input(cause: &(dyn std::error::Error + 'static)) -> Option<bool> {
    if let Some(error) = cause.downcast_ref::<MeasureError>() {
        return Some(error.is_bad_input());
    }
    let error = cause.downcast_ref::<SharpnessError>()?;
    Some(MeasureError::from(error.clone()).is_bad_input())
}
