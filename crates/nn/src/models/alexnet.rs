//! AlexNet ("one weird trick") with batch norm.

use crate::{Conv2d, Network, NetworkBuilder, NnError, Sequential, Window};

/// Five convolutions of 1, 3, 6, 4 and 4 times `width` filters without bias, two hidden linear
/// layers of 64 times `width` without bias, dropout 0.5; the width is 64. Batch norm stands before
/// the first ReLU and behind the others of the convolutions, as the authors have it.
///
/// # Source
/// Krizhevsky, arXiv:1404.5997; `alexnet.py` of the authors' code (AlexNetOWT_BN).
///
/// # Errors
/// If `width` or `classes` is 0.
///
/// ```
/// let network = smoothout_nn::models::alexnet(64, 1000)?;
/// assert_eq!(network.parameters().block("classifier.0.weight").unwrap().shape(), [4096, 9216]);
/// # Ok::<(), smoothout_nn::NnError>(())
/// ```
pub fn alexnet(width: usize, classes: usize) -> Result<Network, NnError> {
    let mut b = NetworkBuilder::new("alexnet", [224, 224, 3]);
    let images = b.images();
    let pool = Window::square(3).stride(2);
    let conv = |units: usize, kernel: usize| {
        Conv2d::new(units * width, Window::square(kernel).padding(kernel / 2))
    };
    let features = Sequential::new(&mut b, "features", images)
        .conv2d(Conv2d::new(width, Window::square(11).stride(4).padding(2)))
        .max_pool(pool)
        .batch_norm()
        .relu()
        .conv2d(conv(3, 5))
        .max_pool(pool)
        .relu()
        .batch_norm()
        .conv2d(conv(6, 3))
        .relu()
        .batch_norm()
        .conv2d(conv(4, 3))
        .relu()
        .batch_norm()
        .conv2d(conv(4, 3))
        .max_pool(pool)
        .relu()
        .batch_norm()
        .end();
    let logits = Sequential::new(&mut b, "classifier", features)
        .linear(64 * width, false)
        .batch_norm()
        .relu()
        .dropout(0.5)
        .linear(64 * width, false)
        .batch_norm()
        .relu()
        .dropout(0.5)
        .linear(classes, true)
        .end();
    b.finish(logits)
}
