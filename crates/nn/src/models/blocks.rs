//! Residual blocks: `y = relu(F(x) + shortcut(x))`.
//!
//! The shortcut is x itself, or a 1 x 1 convolution with batch norm where the stride is not 1 or
//! the channels change (named `downsample`, as in torchvision).
//!
//! # Source
//! He et al., "Deep residual learning for image recognition", arXiv:1512.03385, figures 2 and 5;
//! the bottleneck's stride is in its 3 x 3 convolution, as in torchvision and the authors' code.

use crate::Window;
use crate::builder::{Activation, Conv2d, NetworkBuilder, Value};

/// The extents of a residual block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResidualBlock {
    /// Filters of its 3 x 3 convolutions.
    pub filters: usize,
    /// Stride of the block.
    pub stride: usize,
    /// Its rectifiers.
    pub activation: Activation,
}

/// Two 3 x 3 convolutions with batch norm; parameters `NAME.conv1.weight`, ...
pub fn basic_block(b: &mut NetworkBuilder, x: Value, name: &str, block: ResidualBlock) -> Value {
    let ResidualBlock { filters, stride, activation } = block;
    let first = Window::square(3).stride(stride).padding(1);
    let y = unit(b, x, name, 1, filters, first);
    let y = b.activation(y, activation);
    let y = unit(b, y, name, 2, filters, Window::square(3).padding(1));
    join(b, x, y, name, filters, block)
}

/// 1 x 1, 3 x 3 and 1 x 1 convolutions with batch norm, the last with four times the filters.
pub fn bottleneck(b: &mut NetworkBuilder, x: Value, name: &str, block: ResidualBlock) -> Value {
    let ResidualBlock { filters, stride, activation } = block;
    let y = unit(b, x, name, 1, filters, Window::square(1));
    let y = b.activation(y, activation);
    let y = unit(b, y, name, 2, filters, Window::square(3).stride(stride).padding(1));
    let y = b.activation(y, activation);
    let y = unit(b, y, name, 3, 4 * filters, Window::square(1));
    join(b, x, y, name, 4 * filters, block)
}

/// A convolution of He's initial law with its batch norm.
fn unit(
    b: &mut NetworkBuilder,
    x: Value,
    name: &str,
    index: usize,
    filters: usize,
    window: Window,
) -> Value {
    let conv = Conv2d::new(filters, window).he_fan_out();
    let y = b.conv2d(x, &format!("{name}.conv{index}"), conv);
    b.batch_norm(y, &format!("{name}.bn{index}"))
}

/// Adds the shortcut.
fn join(
    b: &mut NetworkBuilder,
    x: Value,
    y: Value,
    name: &str,
    outputs: usize,
    block: ResidualBlock,
) -> Value {
    let shortcut = if block.stride != 1 || b.shape(x)[2] != outputs {
        let conv = Conv2d::new(outputs, Window::square(1).stride(block.stride)).he_fan_out();
        let shortcut = b.conv2d(x, &format!("{name}.downsample.0"), conv);
        b.batch_norm(shortcut, &format!("{name}.downsample.1"))
    } else {
        x
    };
    let sum = b.add(y, shortcut);
    b.activation(sum, block.activation)
}
