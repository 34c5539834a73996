//! Where the time of an evaluation goes, layer by layer.
//!
//! A [`Workspace`] that was asked to has a watch. Whenever a step of the forward or backward pass is
//! done, the time since the last one is that of the step's node. The work of batch norms, ReLUs and
//! sums that a neighbour's pass does is in that neighbour's time.

use std::fmt;
use std::time::{Duration, Instant};

use smoothout_tensor::Real;

use crate::graph::{Node, Op};
use crate::{Network, Window, Workspace};

/// What a layer's time is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Forward,
    Backward,
}

/// A watch that is off until [`start`](Self::start).
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch {
    /// Of each node, and of each [`Pass`].
    times: Vec<[Duration; 2]>,
    last: Option<Instant>,
}

impl Watch {
    fn start(&mut self, nodes: usize) {
        self.times.clear();
        self.times.resize(nodes, [Duration::ZERO; 2]);
    }

    /// A pass begins, of a network of so many nodes; what was done since the last lap is nobody's. Another
    /// network than that of [`start`](Self::start) is not timed.
    pub(crate) fn begin(&mut self, nodes: usize) {
        self.last = (self.times.len() == nodes).then(Instant::now);
    }

    /// What was done since the last call is this pass of a node.
    pub(crate) fn lap(&mut self, node: usize, pass: Pass) {
        if let Some(last) = &mut self.last {
            let now = Instant::now();
            self.times[node][pass as usize] += now - *last;
            *last = now;
        }
    }
}

/// What a layer is and how long it took, as [`Workspace::layer_times`] reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerTime {
    /// As in the names of its parameters.
    pub name: String,
    /// What it computes, in words: "conv 3x3, 16 to 32, stride 2".
    pub kind: String,
    /// Height, width and channels of its output.
    pub output: [usize; 3],
    /// Of one image, as [`Network::training_multiply_adds`] counts them, or after forward passes alone as
    /// [`Network::multiply_adds`] does.
    pub multiply_adds: usize,
    /// The forward pass.
    pub forward: Duration,
    /// The gradients of its input and of its parameters.
    pub backward: Duration,
}

impl LayerTime {
    /// All of its time.
    pub fn total(&self) -> Duration {
        self.forward + self.backward
    }
}

impl<R: Real> Workspace<R> {
    /// From now on evaluations of this network with this workspace add up the time of each layer, from zero. It
    /// costs two looks at the clock a layer.
    ///
    /// ```
    /// use ndarray::Array4;
    /// use smoothout_nn::{Mode, Network, Workspace};
    ///
    /// let network = Network::by_name("c1", 10)?;
    /// let w: Vec<f32> = network.initial_parameters(1);
    /// let images = Array4::zeros((4, 32, 32, 3));
    /// let mut workspace = Workspace::new(&network, 4);
    /// workspace.time_layers(&network);
    /// network.loss(&w, Mode::batch(), images.view(), &[3, 1, 4, 1], &mut workspace)?;
    /// let layers = workspace.layer_times(&network);
    /// assert_eq!(layers[0].kind, "conv 5x5, 3 to 64");
    /// assert!(!layers[0].forward.is_zero() && layers[0].backward.is_zero());
    /// # Ok::<(), smoothout_nn::NnError>(())
    /// ```
    pub fn time_layers(&mut self, network: &Network) {
        self.watch.start(network.nodes.len());
    }

    /// The layers and their times, in the order of the forward pass; zero for those whose work is done by
    /// others. Empty without [`time_layers`](Self::time_layers).
    pub fn layer_times(&self, network: &Network) -> Vec<LayerTime> {
        let layers = network.nodes.iter().zip(&self.watch.times);
        layers
            .map(|(node, &[forward, backward])| {
                let passes = if backward.is_zero() { 1 } else { node.training_passes() };
                LayerTime {
                    name: node.name.clone(),
                    kind: Kind { node, channels: network.shape_of(node.input)[2] }.to_string(),
                    output: node.shape,
                    multiply_adds: passes * network.node_multiply_adds(node),
                    forward,
                    backward,
                }
            })
            .collect()
    }
}

/// A node that reads so many channels, in words.
struct Kind<'a> {
    node: &'a Node,
    channels: usize,
}

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, channels } = self;
        let outputs = node.shape[2];
        match &node.op {
            Op::Linear { layer, .. } => write!(f, "linear, {} to {outputs}", layer.inputs),
            Op::Conv2d { window, .. } => {
                write!(f, "conv {}, {channels} to {outputs}", extents(window.kernel))?;
                stride(window, [1, 1], f)
            }
            Op::BatchNorm { .. } => write!(f, "batch norm"),
            Op::Relu => write!(f, "ReLU"),
            Op::NoisyRelu { .. } => write!(f, "noisy ReLU"),
            Op::Dropout { p } => write!(f, "dropout {p}"),
            Op::MaxPool { window } => {
                write!(f, "max pool {}", extents(window.kernel))?;
                stride(window, window.kernel, f)
            }
            Op::AveragePool { window } => {
                write!(f, "average pool {}", extents(window.kernel))?;
                stride(window, window.kernel, f)
            }
            Op::Flatten => write!(f, "flatten"),
            Op::Add { .. } => write!(f, "sum"),
        }
    }
}

/// The stride of a window, unless it is the usual one.
fn stride(window: &Window, usual: [usize; 2], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match window.stride {
        stride if stride == usual => Ok(()),
        [rows, columns] if rows == columns => write!(f, ", stride {rows}"),
        stride => write!(f, ", stride {}", extents(stride)),
    }
}

fn extents([height, width]: [usize; 2]) -> String {
    format!("{height}x{width}")
}
