//! A chain of layers named by its counter, as PyTorch's `nn.Sequential` names them.

use crate::Window;
use crate::builder::{Conv2d, NetworkBuilder, Value};

/// Adds layers one after the other: `PREFIX.0`, `PREFIX.1`, ...; layers without parameters count.
///
/// ```
/// use smoothout_nn::{NetworkBuilder, Sequential};
///
/// let mut b = NetworkBuilder::new("two layers", [28, 28, 1]);
/// let images = b.images();
/// let logits = Sequential::new(&mut b, "layers", images)
///     .linear(100, false).batch_norm().relu()
///     .linear(10, true)
///     .end();
/// let names: Vec<_> = b.finish(logits)?.parameters().blocks().iter()
///     .map(|block| block.name().to_owned()).collect();
/// assert_eq!(names[0], "layers.0.weight");
/// assert_eq!(names[4], "layers.3.bias");
/// # Ok::<(), smoothout_nn::NnError>(())
/// ```
#[derive(Debug)]
pub struct Sequential<'b> {
    builder: &'b mut NetworkBuilder,
    prefix: String,
    index: usize,
    value: Value,
}

impl<'b> Sequential<'b> {
    /// A chain that starts at `value`.
    pub fn new(builder: &'b mut NetworkBuilder, prefix: &str, value: Value) -> Self {
        Self { builder, prefix: prefix.to_owned(), index: 0, value }
    }

    /// The output of the last layer.
    pub fn end(self) -> Value {
        self.value
    }

    /// See [`NetworkBuilder::linear`].
    #[must_use]
    pub fn linear(self, outputs: usize, bias: bool) -> Self {
        self.layer(|builder, x, name| builder.linear(x, name, outputs, bias))
    }

    /// See [`NetworkBuilder::conv2d`].
    #[must_use]
    pub fn conv2d(self, conv: Conv2d) -> Self {
        self.layer(|builder, x, name| builder.conv2d(x, name, conv))
    }

    /// See [`NetworkBuilder::batch_norm`].
    #[must_use]
    pub fn batch_norm(self) -> Self {
        self.layer(NetworkBuilder::batch_norm)
    }

    /// See [`NetworkBuilder::relu`].
    #[must_use]
    pub fn relu(self) -> Self {
        self.layer(|builder, x, _| builder.relu(x))
    }

    /// See [`NetworkBuilder::dropout`].
    #[must_use]
    pub fn dropout(self, p: f64) -> Self {
        self.layer(|builder, x, _| builder.dropout(x, p))
    }

    /// See [`NetworkBuilder::max_pool`].
    #[must_use]
    pub fn max_pool(self, window: Window) -> Self {
        self.layer(|builder, x, _| builder.max_pool(x, window))
    }

    fn layer(mut self, add: impl FnOnce(&mut NetworkBuilder, Value, &str) -> Value) -> Self {
        let name = format!("{}.{}", self.prefix, self.index);
        self.value = add(self.builder, self.value, &name);
        self.index += 1;
        self
    }
}
