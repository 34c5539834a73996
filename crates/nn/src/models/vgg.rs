//! C2 and C4: Keskar's VGG-like net on CIFAR.

use crate::{Conv2d, Network, NetworkBuilder, NnError, Sequential, Window};

/// The stages: filters in units of the width, and the dropout behind each convolution (0 for none).
const STAGES: [(usize, &[f64]); 5] = [
    (1, &[0.3, 0.0]),
    (2, &[0.4, 0.0]),
    (4, &[0.4, 0.4, 0.0]),
    (8, &[0.4, 0.4, 0.0]),
    (8, &[0.4, 0.4, 0.0]),
];

/// Thirteen 3 x 3 convolutions (with bias) in five stages, each with batch norm and ReLU and most
/// with dropout, a max pool behind each stage, a hidden linear layer of 8 times `width`. C2 (10
/// classes) and C4 (100) have the width 64.
///
/// # Source
/// Keskar et al. 2017, arXiv:1609.04836, appendix B.3.
///
/// # Errors
/// If `width` or `classes` is 0.
///
/// ```
/// let network = smoothout_nn::models::vgg(64, 10)?;
/// assert_eq!(network.parameters().block("classifier.5.weight").unwrap().shape(), [10, 512]);
/// # Ok::<(), smoothout_nn::NnError>(())
/// ```
pub fn vgg(width: usize, classes: usize) -> Result<Network, NnError> {
    let mut b = NetworkBuilder::new("vgg", [32, 32, 3]);
    let images = b.images();
    let mut features = Sequential::new(&mut b, "features", images);
    for (units, dropouts) in STAGES {
        let conv = Conv2d::new(units * width, Window::square(3).padding(1)).bias();
        for &p in dropouts {
            features = features.conv2d(conv).batch_norm().relu();
            if p > 0.0 {
                features = features.dropout(p);
            }
        }
        features = features.max_pool(Window::square(2).stride(2));
    }
    let features = features.end();
    let logits = Sequential::new(&mut b, "classifier", features)
        .dropout(0.5)
        .linear(8 * width, true)
        .batch_norm()
        .relu()
        .dropout(0.5)
        .linear(classes, true)
        .end();
    b.finish(logits)
}
