//! Rescaling a layer of a ReLU network by c and the next by 1/c changes nothing that
//! AdaSmoothOut's perturbations can see, and much for a box.

use smoothout_nn::{Mode, Network, NetworkBuilder, NnError, Sequential, Workspace};
use smoothout_sharpness::{ExpectedLoss, Objective};
use smoothout_tensor::{Geometry, Perturbation, Purpose, StreamKey, fill_gaussian};

use super::Demonstration;
use crate::chart::{AxisScale, AxisSpec, Curve, CurveChart};

/// The mean loss of a network over its examples.
struct Loss {
    network: Network,
    images: ndarray::Array4<f64>,
    labels: Vec<usize>,
}

impl Objective for Loss {
    type Real = f64;
    type Scratch = Workspace<f64>;

    fn dimension(&self) -> usize {
        self.network.parameters().len()
    }

    fn scratch(&self) -> Workspace<f64> {
        Workspace::new(&self.network, self.labels.len())
    }

    fn value(&self, w: &[f64], workspace: &mut Workspace<f64>) -> f64 {
        let images = self.images.view();
        let loss = self.network.loss(w, Mode::batch(), images, &self.labels, workspace);
        loss.expect("the images fit the network").loss
    }
}

/// 10 - 20 - 3 with ReLU and without biases.
fn network() -> Result<Network, NnError> {
    let mut builder = NetworkBuilder::new("two layers", [1, 1, 10]);
    let images = builder.images();
    let chain = Sequential::new(&mut builder, "layers", images);
    let logits = chain.linear(20, false).relu().linear(3, false).end();
    builder.finish(logits)
}

fn gaussian(block: u64, len: usize) -> Vec<f64> {
    let mut out = vec![0.0; len];
    fill_gaussian(StreamKey::new(1, Purpose::Data).block(block), &mut out);
    out
}

pub(super) fn demonstrate() -> anyhow::Result<Demonstration> {
    let f = Loss {
        network: network()?,
        images: ndarray::Array4::from_shape_vec((30, 1, 1, 10), gaussian(0, 300))?,
        labels: (0..30).map(|example| example % 3).collect(),
    };
    let layout = f.network.parameters();
    let w: Vec<f64> = gaussian(1, layout.len()).iter().map(|w| 0.5 * w).collect();
    let first = layout.blocks()[0].range();
    let factors = || (-8..=8).map(|i| 10_f64.powf(f64::from(i) / 8.0));
    let (mut curves, mut spans) = (Vec::new(), Vec::new());
    for (label, geometry) in [
        ("box (SmoothOut)", Geometry::Absolute),
        ("filter (AdaSmoothOut)", Geometry::Filter),
        ("elementwise", Geometry::Elementwise),
    ] {
        let measure = ExpectedLoss::new(Perturbation::new(geometry, 0.2)?).draws(200)?;
        let mut rises = Vec::new();
        for c in factors() {
            let scale = |(i, w): (usize, &f64)| if first.contains(&i) { w * c } else { w / c };
            let other: Vec<f64> = w.iter().enumerate().map(scale).collect();
            rises.push((c, measure.measure(&f, layout, &other)?.rise.value));
        }
        let values = || rises.iter().map(|&(_, rise)| rise);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        spans.push(high / low);
        curves.push(Curve::line(label, rises));
    }
    Ok(Demonstration {
        name: "rescaling",
        statement: "AdaSmoothOut does not see a rescaled layer, SmoothOut does",
        expected: "largest / smallest rise: 1 (filter, elementwise), more (box)".to_owned(),
        measured: format!(
            "1 + {:.0e}, 1 + {:.0e}, {:.1}",
            spans[1] - 1.0,
            spans[2] - 1.0,
            spans[0]
        ),
        holds: spans[0] > 2.0 && spans[1..].iter().all(|span| (span - 1.0).abs() < 1e-9),
        figure: CurveChart::new(
            "Rise of the expected loss of one function, its first layer times c",
            AxisSpec::new("c", AxisScale::Logarithmic),
            AxisSpec::new("Cbar - C", AxisScale::Logarithmic),
            curves,
        ),
    })
}
