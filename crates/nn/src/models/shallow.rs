//! C1 and C3: the shallow convolutional net on CIFAR.

use crate::{Conv2d, Network, NetworkBuilder, NnError, Sequential, Window};

/// Two 5 x 5 convolutions of `width` filters, each with max pool, batch norm and ReLU, then linear
/// layers of 6 and 3 times `width` with batch norm, ReLU and dropout, and the classifier. C1 (10
/// classes) and C3 (100) have the width 64; no layer before the classifier has a bias.
///
/// # Source
/// Keskar et al. 2017, arXiv:1609.04836, appendix B.2; layers as in the authors' code
/// (`cifar10_shallow`).
///
/// # Errors
/// If `width` or `classes` is 0.
///
/// ```
/// let network = smoothout_nn::models::shallow(64, 100)?;
/// assert_eq!(network.parameters().len(), 1_405_860);
/// assert_eq!(network.multiply_adds(), 29_252_352);
/// # Ok::<(), smoothout_nn::NnError>(())
/// ```
pub fn shallow(width: usize, classes: usize) -> Result<Network, NnError> {
    let mut b = NetworkBuilder::new("shallow", [32, 32, 3]);
    let images = b.images();
    let conv = Conv2d::new(width, Window::square(5).padding(2));
    let pool = Window::square(3).stride(2);
    let features = Sequential::new(&mut b, "features", images)
        .conv2d(conv)
        .max_pool(pool)
        .batch_norm()
        .relu()
        .conv2d(conv)
        .max_pool(pool)
        .batch_norm()
        .relu()
        .end();
    let logits = Sequential::new(&mut b, "classifier", features)
        .linear(6 * width, false)
        .batch_norm()
        .relu()
        .dropout(0.5)
        .linear(3 * width, false)
        .batch_norm()
        .relu()
        .dropout(0.5)
        .linear(classes, true)
        .end();
    b.finish(logits)
}
