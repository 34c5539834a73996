//! Building a network: each call adds a layer and returns a handle to its output.

use smoothout_tensor::{BlockKind, ParameterLayout};

use crate::fused::plan::FusedPlan;
use crate::graph::{Node, Op, Shape, elements};
use crate::initial::{Initialization, he_fan_out, pytorch};
use crate::layers::linear::Linear;
use crate::plan::Plan;
use crate::{BufferLayout, Network, NnError, Window};

/// The output of a layer while a network is built, for the builder that gave it: to another it means
/// another layer, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value(usize);

/// Which rectifier a model uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Activation {
    /// `max(0, x)`.
    #[default]
    Relu,
    /// `max(0, s x)`, s ~ U(1 - noise, 1 + noise) per element.
    NoisyRelu {
        /// Half the width of the slope's interval.
        noise: f64,
    },
}

/// A convolution: filters, window, bias, initial law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2d {
    filters: usize,
    window: Window,
    bias: bool,
    he: bool,
}

impl Conv2d {
    /// A convolution without bias that starts as PyTorch's do.
    pub fn new(filters: usize, window: Window) -> Self {
        Self { filters, window, bias: false, he: false }
    }

    /// The same with a bias.
    #[must_use]
    pub fn bias(self) -> Self {
        Self { bias: true, ..self }
    }

    /// The same with He's normal law by fan-out: variance 2 / (KH KW O).
    #[must_use]
    pub fn he_fan_out(self) -> Self {
        Self { he: true, ..self }
    }
}

/// Builds a [`Network`] layer by layer.
///
/// Names are PyTorch's module names; parameters come in the order of the calls. Mistakes are kept
/// and reported by [`finish`](Self::finish).
///
/// ```
/// use smoothout_nn::{Conv2d, NetworkBuilder, Window};
///
/// // A residual network in a few lines.
/// let mut b = NetworkBuilder::new("tiny", [8, 8, 3]);
/// let x = b.conv2d(b.images(), "stem", Conv2d::new(16, Window::square(3).padding(1)));
/// let branch = b.batch_norm(x, "norm");
/// let branch = b.relu(branch);
/// let branch = b.conv2d(branch, "conv", Conv2d::new(16, Window::square(3).padding(1)).bias());
/// let x = b.add(branch, x);
/// let x = b.global_average_pool(x);
/// let logits = b.linear(x, "fc", 10, true);
/// let network = b.finish(logits)?;
///
/// assert_eq!(network.parameters().len(), 27 * 16 + 32 + (144 * 16 + 16) + 170);
/// assert_eq!(network.parameters().blocks()[1].name(), "norm.weight");
/// assert_eq!(network.buffers().blocks()[0].name(), "norm.running_mean");
/// # Ok::<(), smoothout_nn::NnError>(())
/// ```
#[derive(Debug, Clone)]
pub struct NetworkBuilder {
    name: String,
    input: Shape,
    nodes: Vec<Node>,
    parameters: ParameterLayout,
    buffers: BufferLayout,
    initializations: Vec<Initialization>,
    error: Option<NnError>,
}

impl NetworkBuilder {
    /// A network of that name for images of (height, width, channels).
    pub fn new(name: &str, input: [usize; 3]) -> Self {
        Self {
            name: name.to_owned(),
            input,
            nodes: Vec::new(),
            parameters: ParameterLayout::new(),
            buffers: BufferLayout::default(),
            initializations: Vec::new(),
            error: None,
        }
    }

    /// The batch of images.
    pub fn images(&self) -> Value {
        Value(0)
    }

    /// Height, width and channels of a value.
    pub fn shape(&self, x: Value) -> [usize; 3] {
        if x.0 == 0 { self.input } else { self.nodes[x.0 - 1].shape }
    }

    /// `y = x W' + b` over all elements of an image; a value with pixels and channels is flattened
    /// first, in PyTorch's order (channels, height, width).
    pub fn linear(&mut self, x: Value, name: &str, outputs: usize, bias: bool) -> Value {
        let [height, width, channels] = self.shape(x);
        // With one pixel or one channel both orders are the same.
        let x = if height * width > 1 && channels > 1 { self.flatten(x) } else { x };
        let inputs = height * width * channels;
        let law = pytorch(inputs);
        let weight = self.parameter(name, "weight", &[outputs, inputs], BlockKind::Weight, law);
        let bias = self.bias(name, outputs, bias, law);
        let layer = Linear { inputs, outputs };
        self.push(x, name, Op::Linear { layer, weight, bias }, [1, 1, outputs])
    }

    /// A two-dimensional convolution.
    pub fn conv2d(&mut self, x: Value, name: &str, conv: Conv2d) -> Value {
        let Conv2d { filters, window, bias, he } = conv;
        let input = self.shape(x);
        let [height, width] = self.output(x, name, &window);
        let kernel = window.kernel;
        let shape = [filters, input[2], kernel[0], kernel[1]];
        let default = pytorch(input[2] * kernel[0] * kernel[1]);
        let law = if he { he_fan_out(kernel, filters) } else { default };
        let weight = self.parameter(name, "weight", &shape, BlockKind::Weight, law);
        let bias = self.bias(name, filters, bias, default);
        self.push(x, name, Op::Conv2d { window, weight, bias }, [height, width, filters])
    }

    /// Batch norm over the channels, after a linear layer or a convolution.
    pub fn batch_norm(&mut self, x: Value, name: &str) -> Value {
        let shape = self.shape(x);
        let channels = shape[2];
        let one = Initialization::Constant(1.0);
        let zero = Initialization::Constant(0.0);
        let gamma = self.parameter(name, "weight", &[channels], BlockKind::NormScale, one);
        let beta = self.parameter(name, "bias", &[channels], BlockKind::NormShift, zero);
        let mean = self.buffers.push(name, channels);
        let variance = mean.end..mean.end + channels;
        self.push(x, name, Op::BatchNorm { gamma, beta, mean, variance }, shape)
    }

    /// `max(0, x)`.
    pub fn relu(&mut self, x: Value) -> Value {
        self.push(x, "relu", Op::Relu, self.shape(x))
    }

    /// A rectifier of the given kind.
    pub fn activation(&mut self, x: Value, activation: Activation) -> Value {
        match activation {
            Activation::Relu => self.relu(x),
            Activation::NoisyRelu { noise } => {
                if !(0.0..1.0).contains(&noise) {
                    self.fail(
                        x,
                        "noisy relu",
                        format!("noise is {noise}, expected 0 <= noise < 1"),
                    );
                }
                self.push(x, "noisy relu", Op::NoisyRelu { noise }, self.shape(x))
            }
        }
    }

    /// Dropout with probability `p` of being dropped.
    pub fn dropout(&mut self, x: Value, p: f64) -> Value {
        if !(0.0..1.0).contains(&p) {
            self.fail(x, "dropout", format!("p is {p}, expected 0 <= p < 1"));
        }
        self.push(x, "dropout", Op::Dropout { p }, self.shape(x))
    }

    /// Max pool. The padding is at most half the kernel, so that each window sees the image.
    pub fn max_pool(&mut self, x: Value, window: Window) -> Value {
        if (0..2).any(|d| 2 * window.padding[d] > window.kernel[d]) {
            self.fail(x, "max pool", format!("{window:?} pads more than half its kernel"));
        }
        let [height, width] = self.output(x, "max pool", &window);
        self.push(x, "max pool", Op::MaxPool { window }, [height, width, self.shape(x)[2]])
    }

    /// Average pool without padding.
    pub fn average_pool(&mut self, x: Value, window: Window) -> Value {
        if window.padding != [0, 0] {
            self.fail(x, "average pool", format!("{window:?} has padding, expected none"));
        }
        let [height, width] = self.output(x, "average pool", &window);
        self.push(x, "average pool", Op::AveragePool { window }, [height, width, self.shape(x)[2]])
    }

    /// The mean over all pixels.
    pub fn global_average_pool(&mut self, x: Value) -> Value {
        let [height, width, _] = self.shape(x);
        let window = Window { kernel: [height, width], stride: [1, 1], padding: [0, 0] };
        self.average_pool(x, window)
    }

    /// The sum of two values of one shape.
    pub fn add(&mut self, x: Value, other: Value) -> Value {
        if self.shape(x) != self.shape(other) {
            self.fail(x, "add", format!("the other value is {:?}", self.shape(other)));
        }
        self.push(x, "add", Op::Add { other: other.0 }, self.shape(x))
    }

    /// (height, width, channels) to (channels, height, width) in a row.
    fn flatten(&mut self, x: Value) -> Value {
        let len = elements(self.shape(x));
        self.push(x, "flatten", Op::Flatten, [1, 1, len])
    }

    /// The network whose logits are `logits`, the output of a linear layer.
    ///
    /// # Errors
    /// The first mistake that was made; or a layer whose output nothing uses.
    pub fn finish(self, logits: Value) -> Result<Network, NnError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.input.contains(&0) {
            let (layer, reason) = ("the images".to_owned(), "they have no pixel".to_owned());
            return Err(NnError::Geometry { layer, input: self.input, reason });
        }
        let shape = if logits.0 == 0 { self.input } else { self.nodes[logits.0 - 1].shape };
        if logits.0 == 0 || shape[0] * shape[1] != 1 || shape[2] == 0 {
            let layer = "logits".to_owned();
            let reason = "logits must be the output of a layer, one pixel large, and have a class";
            let reason = reason.to_owned();
            return Err(NnError::Geometry { layer, input: shape, reason });
        }
        let mut used = vec![false; self.nodes.len() + 1];
        used[logits.0] = true;
        self.nodes.iter().flat_map(Node::inputs).for_each(|value| used[value] = true);
        let unused = (1..used.len()).find(|&value| !used[value] || value > logits.0);
        if let Some(value) = unused {
            return Err(NnError::Unused { layer: self.nodes[value - 1].name.clone() });
        }
        let plan = Plan::new(self.input, &self.nodes);
        let fused = FusedPlan::new(self.input, &self.nodes);
        Ok(Network {
            name: self.name,
            input: self.input,
            nodes: self.nodes,
            parameters: self.parameters,
            buffers: self.buffers,
            initializations: self.initializations,
            plan,
            fused,
        })
    }

    fn push(&mut self, x: Value, name: &str, op: Op, shape: Shape) -> Value {
        self.nodes.push(Node { name: name.to_owned(), op, input: x.0, shape });
        Value(self.nodes.len())
    }

    /// Adds a block `LAYER.SUFFIX` to the parameter vector.
    fn parameter(
        &mut self,
        layer: &str,
        suffix: &str,
        shape: &[usize],
        kind: BlockKind,
        law: Initialization,
    ) -> std::ops::Range<usize> {
        self.initializations.push(law);
        let pushed = self.parameters.push(&format!("{layer}.{suffix}"), shape, kind);
        pushed.unwrap_or_else(|error| {
            self.error.get_or_insert(error.into());
            0..shape.iter().fold(1, |all, &extent| all.saturating_mul(extent))
        })
    }

    /// A bias, or an empty range behind the weight.
    fn bias(
        &mut self,
        layer: &str,
        len: usize,
        wanted: bool,
        law: Initialization,
    ) -> std::ops::Range<usize> {
        if wanted {
            return self.parameter(layer, "bias", &[len], BlockKind::Bias, law);
        }
        self.parameters.len()..self.parameters.len()
    }

    /// The extents of a window's output; a window that does not fit is an error.
    fn output(&mut self, x: Value, name: &str, window: &Window) -> [usize; 2] {
        let [height, width, _] = self.shape(x);
        window.output([height, width]).unwrap_or_else(|| {
            self.fail(x, name, format!("{window:?} does not fit"));
            [1, 1]
        })
    }

    fn fail(&mut self, x: Value, layer: &str, reason: String) {
        let (layer, input) = (layer.to_owned(), self.shape(x));
        self.error.get_or_insert(NnError::Geometry { layer, input, reason });
    }
}
