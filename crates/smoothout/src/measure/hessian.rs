//! Products of the Hessian of a [`DifferentiableObjective`] with a vector, exact up to rounding.
//!
//! ```text
//! g(w + v e) = g(w) + H(w) v e,    e^2 = 0
//! ```
//! The gradient in [dual numbers](Dual) has the product as its tangent: one pass forward and one
//! back, in which each product of matrices is taken three times. ReLU and max pool have the
//! derivative of the piece that w lies on, as in PyTorch. Differences of two gradients would step
//! over kinks: of a million units some lie within any step that is long enough for the rounding.
//!
//! # Source
//! Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6, 1994.

use ndarray::ArrayView4;
use smoothout_nn::{Mode, Workspace};
use smoothout_sharpness::TwiceDifferentiable;
use smoothout_tensor::{Dual, Real};

use super::objective::TRIED;
use super::{BatchNormPolicy, DifferentiableObjective, NetworkObjective, NetworkScratch};

/// What a product needs beside a gradient's buffers: the same in dual numbers.
#[derive(Debug)]
pub(super) struct DualScratch<R: Real> {
    workspace: Workspace<Dual<R>>,
    w: Vec<Dual<R>>,
    buffers: Vec<Dual<R>>,
    images: Vec<Dual<R>>,
    gradient: Vec<Dual<R>>,
}

impl<R: Real> DualScratch<R> {
    fn new(objective: &NetworkObjective<'_, R>) -> Self {
        Self {
            workspace: Workspace::new(objective.network, 0),
            w: Vec::new(),
            buffers: objective.buffers.iter().copied().map(Dual::constant).collect(),
            images: Vec::new(),
            gradient: vec![Dual::default(); objective.network.parameters().len()],
        }
    }
}

impl<R: Real> TwiceDifferentiable for DifferentiableObjective<'_, R> {
    fn hessian_vector_product(
        &self,
        w: &[R],
        v: &[R],
        product: &mut [R],
        scratch: &mut NetworkScratch<R>,
    ) {
        let objective = self.inner();
        let dual = scratch.dual.get_or_insert_with(|| Box::new(DualScratch::new(objective)));
        let DualScratch { workspace, w: point, buffers, images, gradient } = &mut **dual;
        let sum = &mut scratch.gradient_sum;
        let mode = match objective.policy() {
            BatchNormPolicy::Batch { .. } => Mode::batch(),
            _ => Mode::evaluate(buffers),
        };
        point.clear();
        point.extend(w.iter().zip(v).map(|(&value, &tangent)| Dual { value, tangent }));
        sum.clear();
        sum.resize(w.len(), 0.0);
        for range in objective.batches() {
            let weight = range.len() as f64;
            let batch = objective.examples.images(range.clone());
            images.clear();
            images.extend(batch.iter().copied().map(Dual::constant));
            let batch = ArrayView4::from_shape(batch.raw_dim(), images).expect("as many values");
            let labels = objective.examples.labels(range);
            objective
                .network
                .loss_and_gradient(point, mode, batch, labels, gradient, workspace)
                .expect(TRIED);
            sum.iter_mut().zip(&*gradient).for_each(|(s, g)| *s += weight * g.tangent.as_f64());
        }
        let examples = objective.count() as f64;
        product.iter_mut().zip(&*sum).for_each(|(p, sum)| *p = R::from_f64(sum / examples));
    }
}
