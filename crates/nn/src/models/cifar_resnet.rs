//! Residual networks on CIFAR: depth 6 n + 2, plain or wide.

use super::blocks::{ResidualBlock, basic_block};
use crate::builder::{Activation, Conv2d, NetworkBuilder};
use crate::{Network, NnError, Window};

/// A 3 x 3 convolution, three stages of n = (depth - 2) / 6 basic blocks with `width`, 2 `width` and
/// 4 `width` filters, average pool over all pixels, linear. The first block of stages 2 and 3 has
/// stride 2 and a 1 x 1 convolution as its shortcut.
///
/// Depth 16 and width 64 is the authors' WRN-16-4: their wide net is this one with wider stages,
/// not Zagoruyko and Komodakis's pre-activation one. (Its depth is 6 n + 4, and n is rounded down.)
///
/// # Source
/// He et al., arXiv:1512.03385, section 4.2; `resnet.py` and `wide_resnet.py` of the authors' code.
///
/// ```
/// use smoothout_nn::models::CifarResnet;
/// let network = CifarResnet::new(44, 100).build()?;
/// assert_eq!(network.parameters().len(), 667_188);
/// assert_eq!(network.multiply_adds(), 97_442_048);
/// # Ok::<(), smoothout_nn::NnError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CifarResnet {
    /// 6 n + 2, or 16 for the wide one.
    pub depth: usize,
    /// Filters of the first stage.
    pub width: usize,
    /// Classes.
    pub classes: usize,
    /// The rectifiers.
    pub activation: Activation,
}

impl CifarResnet {
    /// The plain network: width 16, ReLU.
    pub fn new(depth: usize, classes: usize) -> Self {
        Self { depth, width: 16, classes, activation: Activation::Relu }
    }

    /// Builds it.
    ///
    /// # Errors
    /// If the depth is neither 6 n + 2 nor 6 n + 4 with n at least 1, or an extent is 0.
    pub fn build(self) -> Result<Network, NnError> {
        let Self { depth, width, classes, activation } = self;
        if depth < 8 || !matches!(depth % 6, 2 | 4) {
            let expected = "CIFAR ResNets have depth 6 n + 2 (8, 14, 20, ...), wide ones 6 n + 4";
            return Err(NnError::Depth { family: "the CIFAR ResNet", found: depth, expected });
        }
        let mut b = NetworkBuilder::new(&format!("resnet{depth}"), [32, 32, 3]);
        let stem = Conv2d::new(width, Window::square(3).padding(1)).he_fan_out();
        let x = b.conv2d(b.images(), "conv1", stem);
        let x = b.batch_norm(x, "bn1");
        let mut x = b.activation(x, activation);
        for stage in 0..3 {
            for i in 0..(depth - 2) / 6 {
                let stride = if stage > 0 && i == 0 { 2 } else { 1 };
                let block = ResidualBlock { filters: width << stage, stride, activation };
                x = basic_block(&mut b, x, &format!("layer{}.{i}", stage + 1), block);
            }
        }
        let x = b.average_pool(x, Window::square(8).stride(8));
        let logits = b.linear(x, "fc", classes, true);
        b.finish(logits)
    }
}

/// A plain [`CifarResnet`] of that depth and width.
///
/// # Errors
/// As [`CifarResnet::build`].
pub fn cifar_resnet(depth: usize, width: usize, classes: usize) -> Result<Network, NnError> {
    CifarResnet { width, ..CifarResnet::new(depth, classes) }.build()
}
