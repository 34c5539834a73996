//! Working memory of a network: planned once, grown at first use, then reused.

use ndarray::ArrayView4;
use smoothout_tensor::Real;
use smoothout_tensor::kernels::{Aligned, Scratch};

use crate::Network;
use crate::graph::{Op, elements};
use crate::plan::Slots;
use crate::times::Watch;

/// Values that a batch norm keeps for each channel: mean and 1/std, and what the fused executor adds.
pub(crate) const KEPT: usize = 5;

/// The buffers of one evaluation. Each thread that evaluates needs its own.
///
/// Nothing is allocated by an evaluation once one like it has run with as many images: buffers only
/// grow. Evaluating without gradient needs far less memory, and takes no more than it needs.
#[derive(Debug, Clone)]
pub struct Workspace<R: Real> {
    capacity: usize,
    /// A copy of images that do not lie in standard order.
    images: Vec<R>,
    pub(crate) activations: Vec<Aligned<R>>,
    /// The logits of a batch that is evaluated without gradient.
    pub(crate) logits: Vec<R>,
    pub(crate) gradients: Vec<Aligned<R>>,
    /// What each batch norm keeps, channel by channel.
    pub(crate) kept: Vec<Vec<R>>,
    pub(crate) argmax: Vec<Vec<u32>>,
    pub(crate) batch_statistics: Vec<R>,
    pub(crate) partials: Vec<R::Wide>,
    /// Sums over all rows, channel by channel.
    pub(crate) sums: Vec<f64>,
    /// Of the gradient that was written last.
    pub(crate) gradient_squared_norm: f64,
    pub(crate) scratch: Scratch<R>,
    pub(crate) watch: Watch,
}

impl<R: Real> Workspace<R> {
    /// A workspace for batches of up to `capacity` images. It grows if a larger one comes.
    pub fn new(network: &Network, capacity: usize) -> Self {
        let nodes = network.nodes.len();
        Self {
            capacity,
            images: Vec::new(),
            activations: Vec::new(),
            logits: Vec::new(),
            gradients: Vec::new(),
            kept: vec![Vec::new(); nodes],
            argmax: vec![Vec::new(); nodes],
            batch_statistics: vec![R::zero(); network.buffers.len()],
            partials: Vec::new(),
            sums: Vec::new(),
            gradient_squared_norm: 0.0,
            scratch: Scratch::new(),
            watch: Watch::default(),
        }
    }

    /// The number of images that it has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Mean and unbiased variance of each batch norm in the last call with
    /// [`Statistics::Batch`](crate::Statistics::Batch), laid out as [`Network::buffers`].
    pub fn batch_statistics(&self) -> &[R] {
        &self.batch_statistics
    }

    /// The square of the l2 norm of the gradient that the last call of
    /// [`Network::loss_and_gradient`] has written, summed in f64.
    pub fn gradient_squared_norm(&self) -> f64 {
        self.gradient_squared_norm
    }

    /// Bytes that the buffers hold, without what aligns them and kernel scratch.
    pub fn bytes(&self) -> usize {
        let values = self.activations.iter().chain(&self.gradients).map(|values| values.len());
        let kept = self.kept.iter().map(Vec::len);
        let reals = values.chain(kept).sum::<usize>() + self.images.len() + self.logits.len();
        let positions = self.argmax.iter().map(Vec::len).sum::<usize>();
        (reals + self.batch_statistics.len()) * size_of::<R>()
            + positions * 4
            + self.partials.len() * size_of::<R::Wide>()
            + self.sums.len() * 8
    }

    /// Calls `f` with the images as a slice in standard order, copied only if they are not.
    pub(crate) fn with_images<T>(
        &mut self,
        images: &ArrayView4<'_, R>,
        f: impl FnOnce(&[R], &mut Self) -> T,
    ) -> T {
        if let Some(images) = images.as_slice() {
            return f(images, self);
        }
        let mut copy = std::mem::take(&mut self.images);
        copy.clear();
        copy.extend(images.iter().copied());
        let result = f(&copy, self);
        self.images = copy;
        result
    }

    /// Grows what a pass over `batch` images needs; with gradients, over as many as there is room for.
    pub(crate) fn prepare(
        &mut self,
        network: &Network,
        batch: usize,
        slots: &Slots,
        gradients: &[usize],
    ) {
        self.capacity = self.capacity.max(batch);
        let capacity = if gradients.is_empty() { batch } else { self.capacity };
        grow_aligned(&mut self.activations, slots.lengths.iter().map(|length| length * capacity));
        grow_aligned(&mut self.gradients, gradients.iter().map(|length| length * capacity));
        let nodes = network.nodes.iter();
        grow(
            &mut self.kept,
            nodes.clone().map(|node| match node.op {
                Op::BatchNorm { .. } => KEPT * node.shape[2],
                _ => 0,
            }),
        );
        grow(
            &mut self.argmax,
            nodes.map(|node| match node.op {
                Op::MaxPool { .. } => capacity * elements(node.shape),
                _ => 0,
            }),
        );
        self.batch_statistics.resize(network.buffers.len(), R::zero());
    }
}

/// Makes each buffer at least as long as asked.
fn grow<T: Copy + Default>(
    buffers: &mut Vec<Vec<T>>,
    lengths: impl ExactSizeIterator<Item = usize>,
) {
    if buffers.len() < lengths.len() {
        buffers.resize_with(lengths.len(), Vec::new);
    }
    for (buffer, length) in buffers.iter_mut().zip(lengths) {
        if buffer.len() < length {
            buffer.resize(length, T::default());
        }
    }
}

/// The same for aligned buffers.
fn grow_aligned<T: Copy + Default>(
    buffers: &mut Vec<Aligned<T>>,
    lengths: impl ExactSizeIterator<Item = usize>,
) {
    if buffers.len() < lengths.len() {
        buffers.resize_with(lengths.len(), Aligned::default);
    }
    buffers.iter_mut().zip(lengths).for_each(|(buffer, length)| buffer.grow(length));
}
