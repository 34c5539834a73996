//! F1: five hidden layers on MNIST.

use crate::{Network, NetworkBuilder, NnError, Sequential};

/// 784 - `width` x 5 - `classes`; each hidden layer is linear (with bias), batch norm, ReLU. F1 has
/// the width 512.
///
/// # Source
/// Keskar et al. 2017, arXiv:1609.04836, appendix B.1; layers as in the authors' code.
///
/// # Errors
/// If `width` or `classes` is 0.
///
/// ```
/// let network = smoothout_nn::models::f1(512, 10)?;
/// assert_eq!(network.parameters().len(), 1_462_794);
/// assert_eq!(network.multiply_adds(), 1_455_104);
/// # Ok::<(), smoothout_nn::NnError>(())
/// ```
pub fn f1(width: usize, classes: usize) -> Result<Network, NnError> {
    let mut b = NetworkBuilder::new("f1", [28, 28, 1]);
    let images = b.images();
    let mut layers = Sequential::new(&mut b, "layers", images);
    for _ in 0..5 {
        layers = layers.linear(width, true).batch_norm().relu();
    }
    let logits = layers.linear(classes, true).end();
    b.finish(logits)
}
