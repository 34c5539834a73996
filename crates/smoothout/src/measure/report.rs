//! What a measurement of a network leaves behind: the number, how sure it is, and everything that
//! is needed to get it again.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};
use smoothout_sharpness::{
    AuditReport, AuditRow, EigenReport, Estimate, ExpectedLossReport, KeskarReport, MSharpness,
    SpectrumReport, ToleranceReport, TraceReport, WorstCaseReport,
};

use super::{BatchNormPolicy, NetworkAudit, Subset};

/// How sure a number is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// The standard deviation of the estimate.
    StandardError(f64),
    /// What is known about an optimum that was searched for.
    Certificate(Value),
}

/// The number of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What the estimate is of.
    pub quantity: &'static str,
    /// The number.
    pub estimate: f64,
    /// How sure it is.
    #[serde(flatten)]
    pub certainty: Certainty,
    /// Evaluations: values, gradients or Hessian-vector products, as the metric counts them.
    pub evaluations: usize,
    /// The seed of whatever was random.
    pub seed: u64,
}

impl Finding {
    /// A mean with its error.
    pub fn estimated(
        quantity: &'static str,
        estimate: Estimate,
        evaluations: usize,
        seed: u64,
    ) -> Self {
        let certainty = Certainty::StandardError(estimate.standard_error);
        Self { quantity, estimate: estimate.value, certainty, evaluations, seed }
    }
}

impl From<&ExpectedLossReport> for Finding {
    fn from(report: &ExpectedLossReport) -> Self {
        let quantity = "rise of the expected loss";
        Self::estimated(quantity, report.rise, report.evaluations, report.seed)
    }
}

impl From<&KeskarReport> for Finding {
    fn from(report: &KeskarReport) -> Self {
        let certificate = report.best().map_or(Value::Null, |best| {
            json!({
                "status": best.status,
                "projected_gradient": best.projected_gradient,
                "share_at_bound": best.share_at_bound,
                "start": best.start,
            })
        });
        Self {
            quantity: "Keskar sharpness in percent",
            estimate: report.sharpness,
            certainty: Certainty::Certificate(certificate),
            evaluations: report.evaluations,
            seed: report.seed,
        }
    }
}

impl From<&WorstCaseReport> for Finding {
    fn from(report: &WorstCaseReport) -> Self {
        Self {
            quantity: "rise of the loss in the ball",
            estimate: report.rise,
            certainty: Certainty::Certificate(json!({ "misalignment": report.misalignment })),
            evaluations: report.evaluations,
            seed: report.seed,
        }
    }
}

impl From<&MSharpness> for Finding {
    fn from(report: &MSharpness) -> Self {
        let evaluations = report.batches.iter().map(|batch| batch.evaluations).sum();
        let seed = report.batches.first().map_or(0, |batch| batch.seed);
        Self::estimated("mean rise of a batch's loss in the ball", report.rise, evaluations, seed)
    }
}

impl From<&EigenReport> for Finding {
    fn from(report: &EigenReport) -> Self {
        let (quantity, ritz) = match (report.largest.first(), report.smallest.first()) {
            (Some(ritz), _) => ("largest eigenvalue of the Hessian", Some(ritz)),
            (None, ritz) => ("smallest eigenvalue of the Hessian", ritz),
        };
        Self {
            quantity,
            estimate: ritz.map_or(f64::NAN, |ritz| ritz.value),
            certainty: Certainty::Certificate(
                json!({ "residual": ritz.map(|ritz| ritz.residual), "ending": report.ending }),
            ),
            evaluations: report.evaluations,
            seed: report.seed,
        }
    }
}

impl From<&TraceReport> for Finding {
    fn from(report: &TraceReport) -> Self {
        Self::estimated("trace of the Hessian", report.trace, report.evaluations, report.seed)
    }
}

impl From<&SpectrumReport> for Finding {
    fn from(report: &SpectrumReport) -> Self {
        let mean = report.mean_of(|value| value);
        Self::estimated("mean eigenvalue of the Hessian", mean, report.evaluations, report.seed)
    }
}

impl From<&ToleranceReport> for Finding {
    fn from(report: &ToleranceReport) -> Self {
        Self {
            quantity: "radius at which the mean has risen as asked",
            estimate: if report.is_bracketed() { report.radius } else { f64::NAN },
            certainty: Certainty::Certificate(
                json!({ "low": report.low, "high": report.high, "ending": report.ending }),
            ),
            evaluations: report.evaluations,
            seed: report.seed,
        }
    }
}

impl From<&NetworkAudit> for Finding {
    fn from(report: &NetworkAudit) -> Self {
        let AuditReport { rows, evaluations, seed, .. } = &report.audit;
        let (moved, others): (Vec<&AuditRow>, Vec<_>) = rows.iter().partition(|row| row.moved());
        let names = |rows: &[&AuditRow]| rows.iter().map(|row| row.measure).collect::<Vec<_>>();
        Self {
            quantity: "largest factor by which a measure moved",
            estimate: report.audit.largest_move(),
            certainty: Certainty::Certificate(
                json!({ "moved": names(&moved), "not_moved": names(&others) }),
            ),
            evaluations: *evaluations,
            seed: *seed,
        }
    }
}

/// A companion that no rescaling of the network's layers can move: the rise of the expected loss in
/// the filter geometry.
///
/// Absolute boxes and balls change when weights are rescaled so that the network computes the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Invariant {
    /// What it is.
    pub quantity: &'static str,
    /// a, as a share of each filter's norm.
    pub radius: f64,
    /// The rise.
    pub rise: Estimate,
    /// Evaluations of the loss.
    pub evaluations: usize,
}

/// A number about a network, whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement<T> {
    /// The metric's name in the program.
    pub metric: &'static str,
    /// The number.
    #[serde(flatten)]
    pub finding: Finding,
    /// The network.
    pub model: String,
    /// The file its weights came from.
    pub weights: String,
    /// The examples.
    pub data: Subset,
    /// Where batch norm took its statistics from.
    pub batch_norm: BatchNormPolicy,
    /// f32 or f64.
    pub precision: &'static str,
    /// Beside metrics that are not invariant themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invariant: Option<Invariant>,
    /// Threads; the numbers do not depend on them.
    pub threads: usize,
    /// Instruction set and algorithms of the kernels.
    pub kernels: String,
    /// The program's version.
    pub version: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// The metric's own report.
    pub report: T,
}

impl<T: fmt::Display> fmt::Display for Measurement<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.report)?;
        writeln!(f, "{} on {}, {}, {}", self.model, self.data, self.batch_norm, self.precision)?;
        if let Some(invariant) = &self.invariant {
            writeln!(
                f,
                "beside it, unmoved by rescaled layers: {} {} at radius {}",
                invariant.quantity, invariant.rise, invariant.radius
            )?;
        }
        write!(f, "{:.1} s on {} threads, {}", self.seconds, self.threads, self.kernels)
    }
}
