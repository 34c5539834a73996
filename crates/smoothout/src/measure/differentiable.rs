//! The gradient of a [`NetworkObjective`]: the sum of its batches' gradients, in f64, in order.
//!
//! A type of its own, because not every policy has a gradient: with recalibrated batch norm the
//! statistics depend on the weights, and the gradient that leaves them out belongs to no function.

use smoothout_sharpness::{Differentiable, Objective};
use smoothout_tensor::Real;

use super::objective::TRIED;
use super::{NetworkObjective, NetworkScratch};

/// A [`NetworkObjective`] whose policy has a gradient.
#[derive(Debug, Clone)]
pub struct DifferentiableObjective<'a, R>(NetworkObjective<'a, R>);

impl<'a, R> DifferentiableObjective<'a, R> {
    pub(super) fn of(objective: NetworkObjective<'a, R>) -> Self {
        Self(objective)
    }

    pub(super) fn inner(&self) -> &NetworkObjective<'a, R> {
        &self.0
    }
}

impl<R: Real> Objective for DifferentiableObjective<'_, R> {
    type Real = R;
    type Scratch = NetworkScratch<R>;

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn scratch(&self) -> NetworkScratch<R> {
        self.0.scratch()
    }

    fn value(&self, w: &[R], scratch: &mut NetworkScratch<R>) -> f64 {
        self.0.value(w, scratch)
    }
}

impl<R: Real> Differentiable for DifferentiableObjective<'_, R> {
    fn value_and_gradient(
        &self,
        w: &[R],
        gradient: &mut [R],
        scratch: &mut NetworkScratch<R>,
    ) -> f64 {
        let objective = &self.0;
        let NetworkScratch { workspace, gradient: of_batch, gradient_sum: sum, .. } = scratch;
        of_batch.resize(w.len(), R::zero());
        sum.clear();
        sum.resize(w.len(), 0.0);
        let mut loss = 0.0;
        for range in objective.batches() {
            let weight = range.len() as f64;
            let images = objective.examples.images(range.clone());
            let labels = objective.examples.labels(range);
            let network = objective.network;
            let batch = network
                .loss_and_gradient(w, objective.mode(), images, labels, of_batch, workspace)
                .expect(TRIED);
            loss += batch.loss * weight;
            sum.iter_mut().zip(&*of_batch).for_each(|(sum, g)| *sum += weight * g.as_f64());
        }
        let examples = objective.count() as f64;
        gradient.iter_mut().zip(&*sum).for_each(|(g, sum)| *g = R::from_f64(sum / examples));
        loss / examples
    }
}
