//! C1 and C3: the shallow convolutional net on CIFAR.

use crate::{Conv2d, Network, NetworkBuilder, NnError, Sequential, Window};

/// Two 5 x 5 convolutions, each with max pool, batch norm and ReLU, two hidden linear layers with
/// batch norm, ReLU and dropout 0.5, and the classifier. No layer before the classifier has a bias.
///
/// # Source
/// Keskar et al. 2017, arXiv:1609.04836, appendix B.2; layers as in the authors' code
/// (`cifar10_shallow`).
///
/// ```
/// use smoothout_nn::models::Shallow;
/// let network = Shallow { width: 6, hidden: [24, 12], classes: 10 }.build()?;
/// assert_eq!(network.parameters().block("classifier.4.weight").unwrap().shape(), [12, 24]);
/// # Ok::<(), smoothout_nn::NnError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shallow {
    /// Filters of each convolution: 64 for C1 and C3.
    pub width: usize,
    /// Outputs of the hidden linear layers: 384 and 192 for C1 and C3.
    pub hidden: [usize; 2],
    /// Classes: 10 for C1, 100 for C3.
    pub classes: usize,
}

impl Shallow {
    /// Builds it.
    ///
    /// # Errors
    /// If an extent is 0.
    pub fn build(self) -> Result<Network, NnError> {
        let Self { width, hidden, classes } = self;
        let mut b = NetworkBuilder::new("shallow", [32, 32, 3]);
        let images = b.images();
        let mut features = Sequential::new(&mut b, "features", images);
        for _ in 0..2 {
            let conv = Conv2d::new(width, Window::square(5).padding(2));
            let pool = Window::square(3).stride(2);
            features = features.conv2d(conv).max_pool(pool).batch_norm().relu();
        }
        let features = features.end();
        let mut classifier = Sequential::new(&mut b, "classifier", features);
        for outputs in hidden {
            classifier = classifier.linear(outputs, false).batch_norm().relu().dropout(0.5);
        }
        let logits = classifier.linear(classes, true).end();
        b.finish(logits)
    }
}

/// A [`Shallow`] with hidden layers of 6 and 3 times `width`, the proportions of C1 and C3.
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
    Shallow { width, hidden: [6 * width, 3 * width], classes }.build()
}
