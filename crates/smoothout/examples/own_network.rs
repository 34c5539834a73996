//! A network of one's own, trained by SmoothOut in ghost batches, and how flat its minimum is.
//!
//! ```text
//! cargo run --release -p smoothout --example own_network
//! ```

use ndarray::{Array4, ArrayView4, Axis, Slice};
use smoothout_nn::{Conv2d, Mode, Network, NetworkBuilder, NnError, Sequential, Window, Workspace};
use smoothout_optim::{
    GhostBatches, GhostCopy, GradientOracle, LoneExample, SeededPerturbation, Sgd, SmoothOut,
    Smoothing,
};
use smoothout_sharpness::{ExpectedLoss, FnObjective};
use smoothout_tensor::{Geometry, Perturbation, Selection};

const EXAMPLES: usize = 256;

/// Convolution, batch norm, ReLU, mean over the image, linear: grey images of 8 x 8, two classes.
fn network() -> Result<Network, NnError> {
    let mut builder = NetworkBuilder::new("own", [8, 8, 1]);
    let x = builder.images();
    let x = Sequential::new(&mut builder, "features", x)
        .conv2d(Conv2d::new(8, Window::square(3).padding(1)))
        .batch_norm()
        .relu()
        .end();
    let x = builder.global_average_pool(x);
    let logits = Sequential::new(&mut builder, "classifier", x).linear(2, true).end();
    builder.finish(logits)
}

/// Stripes across (class 0) or upright (class 1), shifted and a little uneven.
fn stripes() -> (Array4<f32>, Vec<usize>) {
    let labels: Vec<usize> = (0..EXAMPLES).map(|n| n % 2).collect();
    let images = Array4::from_shape_fn((EXAMPLES, 8, 8, 1), |(n, y, x, _)| {
        let along = if labels[n] == 0 { y } else { x } as f32;
        let uneven = ((n * 31 + y * 17 + x * 7) as f32 * 0.37).sin();
        (along * 1.6 + n as f32).sin() + 0.5 * uneven
    });
    (images, labels)
}

/// What a step asks: the loss of each ghost batch and its gradient, at the weights it gives.
struct Batch<'a> {
    network: &'a Network,
    images: ArrayView4<'a, f32>,
    labels: &'a [usize],
    ghosts: GhostBatches,
    /// Running statistics of batch norm.
    buffers: &'a mut [f32],
}

impl GradientOracle<f32> for Batch<'_> {
    type Scratch = Workspace<f32>;
    type Error = NnError;

    fn ghosts(&self) -> usize {
        self.ghosts.count(self.labels.len())
    }

    fn share(&self, ghost: usize) -> f64 {
        self.ghosts.share(ghost, self.labels.len())
    }

    fn gradient(
        &self,
        at: GhostCopy,
        w: &[f32],
        gradient: &mut [f32],
        workspace: &mut Workspace<f32>,
    ) -> Result<f64, NnError> {
        let range = self.ghosts.range(at.ghost, self.labels.len());
        let images = self.images.slice_axis(Axis(0), Slice::from(range.clone()));
        let labels = &self.labels[range];
        // There is no dropout here; with it: Mode::train(key of this step).
        let mode = Mode::batch();
        self.network.loss_and_gradient(w, mode, images, labels, gradient, workspace).map(|l| l.loss)
    }

    fn accept(&mut self, _at: GhostCopy, workspace: &mut Workspace<f32>) {
        self.network.update_buffers(self.buffers, workspace.batch_statistics());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let network = network()?;
    let (images, labels) = stripes();
    let mut w: Vec<f32> = network.initial_parameters(1);
    let mut buffers = network.initial_buffers();

    let theta = Perturbation::new(Geometry::Absolute, 0.02)?.selection(Selection::without_norm());
    let source = SeededPerturbation::new(network.parameters().clone(), theta.clone(), 1);
    let mut optimizer = SmoothOut::new(Sgd::new().momentum(0.9)?).smoothing(Smoothing::new(source));
    let ghosts = GhostBatches::new(EXAMPLES, 64, LoneExample::Join)?;
    // Ghost batches run side by side, one a workspace.
    let mut workspaces = [(); 2].map(|()| Workspace::new(&network, ghosts.capacity()));
    for step in 1..=60 {
        let (images, labels, buffers) = (images.view(), &labels[..], &mut buffers[..]);
        let mut batch = Batch { network: &network, images, labels, ghosts, buffers };
        let report = optimizer.step(&mut w, &mut batch, &mut workspaces, 0.05)?;
        if step % 20 == 0 {
            println!("step {step}: loss {:.4}", report.loss);
        }
    }

    let mut workspace = Workspace::new(&network, EXAMPLES);
    let mode = Mode::evaluate(&buffers);
    let found = network.loss(&w, mode, images.view(), &labels, &mut workspace)?;
    println!("{} of {} right, loss {:.4}", found.top1, found.examples, found.loss);

    // The rise of that loss under perturbations like those of the training.
    let loss = |w: &[f32]| {
        let mut workspace = Workspace::new(&network, EXAMPLES);
        let found = network.loss(w, mode, images.view(), &labels, &mut workspace);
        found.map_or(f64::NAN, |found| found.loss)
    };
    let objective = FnObjective::new(w.len(), loss);
    println!("{}", ExpectedLoss::new(theta).measure(&objective, network.parameters(), &w)?);
    Ok(())
}
