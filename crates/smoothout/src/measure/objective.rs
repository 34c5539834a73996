//! The mean cross-entropy of a network over fixed examples, as a function of its weights.
//!
//! ```text
//! C(w) = 1/N sum over the batches b, in order, of N_b loss_b(w)
//! ```
//! Each batch's loss is a mean in f64, and so is their sum. Under a frozen policy the batch size
//! changes memory and speed, and the result by rounding only; under the batch policy the batches
//! are part of the function.

use std::ops::Range;

use smoothout_nn::{BatchLoss, Mode, Network, NnError, Workspace};
use smoothout_sharpness::Objective;
use smoothout_tensor::Real;

use super::hessian::DualScratch;
use super::{BatchNormPolicy, DifferentiableObjective, ErrorRate, ExampleSet, MeasureError};

/// A network on a fixed set of examples: w -> mean cross-entropy.
///
/// Dropout is off, nothing is augmented, and w and the running statistics are only read. See the
/// [module](crate::measure) for an example.
#[derive(Debug, Clone)]
pub struct NetworkObjective<'a, R> {
    pub(super) network: &'a Network,
    pub(super) examples: &'a ExampleSet<R>,
    pub(super) buffers: &'a [R],
    policy: BatchNormPolicy,
    range: Range<usize>,
    batch_size: usize,
}

/// The buffers of one thread of a [`NetworkObjective`].
#[derive(Debug)]
pub struct NetworkScratch<R: Real> {
    pub(super) workspace: Workspace<R>,
    /// The statistics of a recalibrated point, summed in f64, then rounded.
    sums: Vec<f64>,
    statistics: Vec<R>,
    /// A batch's gradient, and their sum in f64; empty until a gradient is asked for.
    pub(super) gradient: Vec<R>,
    pub(super) gradient_sum: Vec<f64>,
    /// The buffers of Hessian-vector products, once there is one.
    pub(super) dual: Option<Box<DualScratch<R>>>,
}

/// Sums over the examples of an evaluation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) loss: f64,
    pub(super) top1: usize,
}

impl<'a, R: Real> NetworkObjective<'a, R> {
    /// All the examples, `batch_size` at once; under the batch policy its own size counts instead.
    /// `buffers` are the running statistics, which the frozen policy reads.
    ///
    /// # Errors
    /// If the examples do not fit the network, a size is 0, there are fewer examples than the
    /// recalibration wants, or a batch is too small for its statistics.
    pub fn new(
        network: &'a Network,
        examples: &'a ExampleSet<R>,
        buffers: &'a [R],
        policy: BatchNormPolicy,
        batch_size: usize,
    ) -> Result<Self, MeasureError> {
        let positive = |setting, found: usize, most: usize| {
            let expected = format!("1 to {most}");
            if (1..=most).contains(&found) {
                Ok(found)
            } else {
                Err(MeasureError::Setting { setting, found, expected })
            }
        };
        let any = usize::MAX;
        let batch_size = match policy {
            BatchNormPolicy::Frozen => positive("the batch size", batch_size, any)?,
            BatchNormPolicy::Batch { size } => {
                positive("the size of a statistic's batch", size, any)?
            }
            BatchNormPolicy::Recalibrated { examples: count, size } => {
                positive("the number of examples to recalibrate on", count, examples.len())?;
                positive("the size of a recalibration's batch", size, any)?;
                positive("the batch size", batch_size, any)?
            }
        };
        let range = 0..examples.len();
        let objective = Self { network, examples, buffers, policy, range, batch_size };
        objective.try_out()?;
        Ok(objective)
    }

    /// Runs the network once on the smallest batches and once on every label, so that no later
    /// evaluation can fail.
    fn try_out(&self) -> Result<(), NnError> {
        let w = vec![R::zero(); self.network.parameters().len()];
        let classes = self.network.classes();
        if let Some(example) =
            self.examples.labels(0..self.examples.len()).iter().position(|&l| l >= classes)
        {
            let label = self.examples.labels(example..example + 1)[0];
            return Err(NnError::Label { example, label, classes });
        }
        let scratch = &mut self.scratch();
        let mut last = |range: Range<usize>, size: usize, mode| {
            let batch = batches(range, size).last().unwrap_or(0..0);
            self.loss(&w, mode, batch, &mut scratch.workspace).map(|_| ())
        };
        match self.policy {
            BatchNormPolicy::Frozen => {
                last(self.range.clone(), self.batch_size, Mode::evaluate(self.buffers))
            }
            BatchNormPolicy::Batch { size } => last(self.range.clone(), size, Mode::batch()),
            BatchNormPolicy::Recalibrated { examples, size } => {
                last(0..examples, size, Mode::batch())
            }
        }
    }

    /// The same with a gradient.
    ///
    /// # Errors
    /// [`MeasureError::NoGradient`] under the recalibrated policy.
    pub fn differentiable(self) -> Result<DifferentiableObjective<'a, R>, MeasureError> {
        match self.policy {
            BatchNormPolicy::Recalibrated { .. } => Err(MeasureError::NoGradient),
            BatchNormPolicy::Frozen | BatchNormPolicy::Batch { .. } => {
                Ok(DifferentiableObjective::of(self))
            }
        }
    }

    /// The share of wrong answers instead of the loss.
    pub fn error_rate(self) -> ErrorRate<'a, R> {
        ErrorRate::of(self)
    }

    /// One objective for every `m` examples, in order, as m-sharpness takes them; a remainder is
    /// left out, so that all weigh the same.
    ///
    /// # Errors
    /// If `m` is 0 or more than there are examples, or too few for batch statistics.
    pub fn split(&self, m: usize) -> Result<Vec<Self>, MeasureError> {
        if m == 0 || m > self.range.len() {
            let expected = format!("1 to {}, the number of examples", self.range.len());
            return Err(MeasureError::Setting { setting: "m", found: m, expected });
        }
        let parts: Vec<Self> = (0..self.range.len() / m)
            .map(|part| {
                let start = self.range.start + part * m;
                Self { range: start..start + m, ..self.clone() }
            })
            .collect();
        parts.iter().try_for_each(Self::try_out)?;
        Ok(parts)
    }

    /// The policy.
    pub fn policy(&self) -> BatchNormPolicy {
        self.policy
    }

    /// The batches of the examples, in order.
    pub(super) fn batches(&self) -> impl Iterator<Item = Range<usize>> + use<R> {
        batches(self.range.clone(), self.batch_size)
    }

    /// N.
    pub(super) fn count(&self) -> usize {
        self.range.len()
    }

    fn loss(
        &self,
        w: &[R],
        mode: Mode<'_, R>,
        range: Range<usize>,
        workspace: &mut Workspace<R>,
    ) -> Result<BatchLoss, NnError> {
        let (images, labels) = (self.examples.images(range.clone()), self.examples.labels(range));
        self.network.loss(w, mode, images, labels, workspace)
    }

    /// Loss and hits over all batches.
    pub(super) fn totals(&self, w: &[R], scratch: &mut NetworkScratch<R>) -> Totals {
        if let BatchNormPolicy::Recalibrated { examples, size } = self.policy {
            self.recalibrate(w, batches(0..examples, size), scratch);
        }
        let NetworkScratch { workspace, statistics, .. } = scratch;
        let mut totals = Totals::default();
        for range in self.batches() {
            let mode = match self.policy {
                BatchNormPolicy::Recalibrated { .. } => Mode::evaluate(statistics),
                _ => self.mode(),
            };
            let batch = self.loss(w, mode, range, workspace).expect(TRIED);
            totals.loss += batch.loss * batch.examples as f64;
            totals.top1 += batch.top1;
        }
        totals
    }

    /// The mode of the two policies that need no recalibration.
    pub(super) fn mode(&self) -> Mode<'a, R> {
        match self.policy {
            BatchNormPolicy::Batch { .. } => Mode::batch(),
            BatchNormPolicy::Frozen | BatchNormPolicy::Recalibrated { .. } => {
                Mode::evaluate(self.buffers)
            }
        }
    }

    /// Writes the mean over the batches of their statistics at w, each weighted by its examples.
    fn recalibrate(
        &self,
        w: &[R],
        batches: impl Iterator<Item = Range<usize>>,
        scratch: &mut NetworkScratch<R>,
    ) {
        let NetworkScratch { workspace, sums, statistics, .. } = scratch;
        sums.fill(0.0);
        let mut examples = 0.0;
        for range in batches {
            let weight = range.len() as f64;
            self.loss(w, Mode::batch(), range, workspace).expect(TRIED);
            let batch = workspace.batch_statistics();
            sums.iter_mut().zip(batch).for_each(|(sum, value)| *sum += weight * value.as_f64());
            examples += weight;
        }
        for (statistic, sum) in statistics.iter_mut().zip(&*sums) {
            *statistic = R::from_f64(sum / examples);
        }
    }
}

/// Why no evaluation can fail.
pub(super) const TRIED: &str =
    "shapes, labels and batch sizes were tried when the objective was made";

/// `range` cut into pieces of `size`; the last may be shorter.
fn batches(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(size).map(move |start| start..end.min(start.saturating_add(size)))
}

impl<R: Real> Objective for NetworkObjective<'_, R> {
    type Real = R;
    type Scratch = NetworkScratch<R>;

    fn dimension(&self) -> usize {
        self.network.parameters().len()
    }

    fn scratch(&self) -> NetworkScratch<R> {
        let buffers = self.network.buffers().len();
        NetworkScratch {
            workspace: Workspace::new(self.network, self.batch_size.min(self.range.len())),
            sums: vec![0.0; buffers],
            statistics: vec![R::zero(); buffers],
            gradient: Vec::new(),
            gradient_sum: Vec::new(),
            dual: None,
        }
    }

    fn value(&self, w: &[R], scratch: &mut NetworkScratch<R>) -> f64 {
        self.totals(w, scratch).loss / self.count() as f64
    }
}
