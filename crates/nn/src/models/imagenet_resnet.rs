//! Residual networks on ImageNet, named as torchvision's.

use super::blocks::{ResidualBlock, basic_block, bottleneck};
use crate::builder::{Activation, Conv2d, NetworkBuilder};
use crate::{Network, NnError, Window};

/// A 7 x 7 convolution of stride 2, 3 x 3 max pool of stride 2, four stages of blocks (basic for
/// depths 18 and 34, bottleneck for 50, 101, 152), average pool over all pixels, linear.
///
/// # Source
/// He et al., arXiv:1512.03385, table 1; names and order of torchvision.
///
/// ```
/// use smoothout_nn::models::ImagenetResnet;
/// assert_eq!(ImagenetResnet::new(18, 1000).build()?.parameters().len(), 11_689_512);
/// assert_eq!(ImagenetResnet::new(50, 1000).build()?.parameters().len(), 25_557_032);
/// # Ok::<(), smoothout_nn::NnError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImagenetResnet {
    /// 18, 34, 50, 101 or 152.
    pub depth: usize,
    /// Filters of the first stage.
    pub width: usize,
    /// Height and width of the images.
    pub image: usize,
    /// Classes.
    pub classes: usize,
    /// The rectifiers.
    pub activation: Activation,
}

impl ImagenetResnet {
    /// The plain network: width 64, images of 224 x 224, ReLU.
    pub fn new(depth: usize, classes: usize) -> Self {
        Self { depth, width: 64, image: 224, classes, activation: Activation::Relu }
    }

    /// Builds it.
    ///
    /// # Errors
    /// If the depth is none of the five, or an extent is 0.
    pub fn build(self) -> Result<Network, NnError> {
        let Self { depth, width, image, classes, activation } = self;
        let (blocks, deep) = match depth {
            18 => ([2, 2, 2, 2], false),
            34 => ([3, 4, 6, 3], false),
            50 => ([3, 4, 6, 3], true),
            101 => ([3, 4, 23, 3], true),
            152 => ([3, 8, 36, 3], true),
            found => {
                let (family, expected) = ("the ImageNet ResNet", "use 18, 34, 50, 101 or 152");
                return Err(NnError::Depth { family, found, expected });
            }
        };
        let mut b = NetworkBuilder::new(&format!("resnet{depth}"), [image, image, 3]);
        let stem = Conv2d::new(width, Window::square(7).stride(2).padding(3)).he_fan_out();
        let x = b.conv2d(b.images(), "conv1", stem);
        let x = b.batch_norm(x, "bn1");
        let x = b.activation(x, activation);
        let mut x = b.max_pool(x, Window::square(3).stride(2).padding(1));
        for (stage, blocks) in blocks.into_iter().enumerate() {
            for i in 0..blocks {
                let stride = if stage > 0 && i == 0 { 2 } else { 1 };
                let block = ResidualBlock { filters: width << stage, stride, activation };
                let name = format!("layer{}.{i}", stage + 1);
                let add = if deep { bottleneck } else { basic_block };
                x = add(&mut b, x, &name, block);
            }
        }
        let x = b.global_average_pool(x);
        let logits = b.linear(x, "fc", classes, true);
        b.finish(logits)
    }
}
