//! The static graph of a network: a list of operations, each reading values that came before.
//!
//! Value 0 is the batch of images; node i writes value i + 1. This is a description only: an
//! executor walks it.

use std::ops::Range;

use smoothout_tensor::kernels::Conv2dShape;

use crate::Window;
use crate::layers::linear::Linear;

/// Height, width and channels of a value; a linear layer's output is (1, 1, features).
pub(crate) type Shape = [usize; 3];

/// Elements of one image's value.
pub(crate) fn elements(shape: Shape) -> usize {
    shape.iter().product()
}

/// One operation. Ranges point into the parameter vector or the buffer vector; an empty bias range
/// stands for no bias.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    Linear {
        layer: Linear,
        weight: Range<usize>,
        bias: Range<usize>,
    },
    Conv2d {
        window: Window,
        weight: Range<usize>,
        bias: Range<usize>,
    },
    BatchNorm {
        gamma: Range<usize>,
        beta: Range<usize>,
        mean: Range<usize>,
        variance: Range<usize>,
    },
    Relu,
    NoisyRelu {
        noise: f64,
    },
    Dropout {
        p: f64,
    },
    MaxPool {
        window: Window,
    },
    AveragePool {
        window: Window,
    },
    Flatten,
    /// The sum of the node's input and a second value.
    Add {
        other: usize,
    },
}

impl Op {
    /// True if the output is computed element by element in the place of the first input.
    pub(crate) fn is_in_place(&self) -> bool {
        matches!(
            self,
            Self::Relu | Self::NoisyRelu { .. } | Self::Dropout { .. } | Self::Add { .. }
        )
    }

    /// True if the gradient of the input is computed in the place of the output's.
    pub(crate) fn has_in_place_gradient(&self) -> bool {
        self.is_in_place() || matches!(self, Self::BatchNorm { .. })
    }

    /// True if `self` may overwrite the output of `producer`, given what backward passes read.
    ///
    /// The two ReLUs read the signs of their outputs. Scaling by a dropout mask keeps these, and
    /// where the mask is 0 so is the gradient; a sum does not keep them. What dropout gives may be the
    /// buffer of a ReLU.
    pub(crate) fn may_overwrite(&self, producer: &Self) -> bool {
        let signs_are_read =
            matches!(producer, Self::Relu | Self::NoisyRelu { .. } | Self::Dropout { .. });
        self.is_in_place() && !(signs_are_read && matches!(self, Self::Add { .. }))
    }
}

/// One operation with its place in the graph.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) op: Op,
    /// The value that it reads (first).
    pub(crate) input: usize,
    pub(crate) shape: Shape,
}

impl Node {
    /// The values that it reads.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = usize> {
        let other = match self.op {
            Op::Add { other } => Some(other),
            _ => None,
        };
        std::iter::once(self.input).chain(other)
    }

    /// As many passes as a step takes over its weights: forward, and the gradients of the weights and of the
    /// input, unless these are the images.
    pub(crate) fn training_passes(&self) -> usize {
        if self.input == 0 { 2 } else { 3 }
    }
}

/// The kernel's description of a convolution over a batch.
pub(crate) fn conv_shape(
    window: &Window,
    batch: usize,
    input: Shape,
    outputs: usize,
) -> Conv2dShape {
    Conv2dShape {
        batch,
        image: [input[0], input[1]],
        in_channels: input[2],
        out_channels: outputs,
        kernel: window.kernel,
        stride: window.stride,
        padding: window.padding,
    }
}
