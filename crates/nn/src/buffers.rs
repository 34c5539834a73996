//! The buffer vector's layout: running statistics of batch norm, named as in PyTorch.

use std::ops::Range;

use smoothout_tensor::{Real, all_finite};

/// One named piece of the buffer vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferBlock {
    name: String,
    range: Range<usize>,
    variance: bool,
}

impl BufferBlock {
    /// The block's name, as PyTorch's `state_dict` has it (`bn1.running_mean`).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the block lies in the buffer vector.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The number of elements: the channels of the layer.
    #[expect(clippy::len_without_is_empty, reason = "a batch norm has at least one channel")]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// True for a `running_var`, false for a `running_mean`.
    pub fn is_variance(&self) -> bool {
        self.variance
    }
}

/// The running means and variances of a network, one after the other without gaps.
///
/// PyTorch's `num_batches_tracked` is not here: it is not used when the momentum is a number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BufferLayout {
    blocks: Vec<BufferBlock>,
}

impl BufferLayout {
    /// Adds the mean and the variance of one layer; returns where the mean lies (the variance
    /// follows).
    pub(crate) fn push(&mut self, layer: &str, channels: usize) -> Range<usize> {
        let start = self.len();
        for (k, suffix) in ["running_mean", "running_var"].into_iter().enumerate() {
            let from = start + k * channels;
            self.blocks.push(BufferBlock {
                name: format!("{layer}.{suffix}"),
                range: from..from + channels,
                variance: k == 1,
            });
        }
        start..start + channels
    }

    /// The blocks, in the order of the vector.
    pub fn blocks(&self) -> &[BufferBlock] {
        &self.blocks
    }

    /// The block of that name.
    pub fn block(&self, name: &str) -> Option<&BufferBlock> {
        self.blocks.iter().find(|block| block.name == name)
    }

    /// The name of the first block of `buffers` that holds an infinite number or NaN.
    ///
    /// # Panics
    /// If `buffers` is shorter than the layout.
    pub fn first_non_finite<R: Real>(&self, buffers: &[R]) -> Option<&str> {
        self.blocks.iter().find(|block| !all_finite(&buffers[block.range()])).map(BufferBlock::name)
    }

    /// The length of the buffer vector.
    pub fn len(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.range.end)
    }

    /// True for a network without batch norm.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}
