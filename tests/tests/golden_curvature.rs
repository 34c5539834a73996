//! Gradient, Hessian and Keskar sharpness of a small MLP and a small CNN (batch norm by the batch's
//! statistics), in f64, against PyTorch autograd's whole Hessian and SciPy's search
//! (`golden/curvature.py`).
//!
//! Products of the Hessian are exact in both, up to rounding.

use smoothout::measure::{BatchNormPolicy, DifferentiableObjective, ExampleSet, NetworkObjective};
use smoothout_nn::{Conv2d, Network, NetworkBuilder, Sequential, Window};
use smoothout_sharpness::{
    Differentiable, Effort, Eigenvalues, Keskar, Objective, Start, Trace, TraceEstimator,
    TwiceDifferentiable,
};
use smoothout_tests::{Vectors, assert_close};

fn mlp() -> Network {
    let mut b = NetworkBuilder::new("mlp", [4, 4, 1]);
    let images = b.images();
    let logits = Sequential::new(&mut b, "layers", images)
        .linear(8, true)
        .relu()
        .linear(6, true)
        .relu()
        .linear(3, true)
        .end();
    b.finish(logits).unwrap()
}

fn cnn() -> Network {
    let conv = |filters| Conv2d::new(filters, Window::square(3).padding(1));
    let mut b = NetworkBuilder::new("cnn", [6, 6, 2]);
    let images = b.images();
    let logits = Sequential::new(&mut b, "layers", images)
        .conv2d(conv(3))
        .batch_norm()
        .relu()
        .max_pool(Window::square(2).stride(2))
        .conv2d(conv(4))
        .batch_norm()
        .relu()
        .linear(3, true)
        .end();
    b.finish(logits).unwrap()
}

/// A network, what PyTorch says about it, and its examples.
struct Golden {
    vectors: Vectors,
    network: Network,
    examples: ExampleSet<f64>,
    w: Vec<f64>,
}

impl Golden {
    fn new(name: &str, network: Network) -> Self {
        let vectors = Vectors::open(&format!("curvature-{name}"));
        let images = vectors.get("images");
        let [_, height, width, channels] = images.extents();
        let labels = vectors.get("labels").to_usize();
        let examples = ExampleSet::new([height, width, channels], images.values, labels).unwrap();
        let blocks = vectors.settings()["blocks"].clone();
        let blocks: Vec<Vec<usize>> = serde_json::from_value(blocks).unwrap();
        let ours = network.parameters().blocks().iter().map(|block| block.shape().to_vec());
        assert_eq!(ours.collect::<Vec<_>>(), blocks, "{name}: the blocks");
        let w = vectors.get("w").values;
        Self { vectors, network, examples, w }
    }

    fn both() -> [Self; 2] {
        [Self::new("mlp", mlp()), Self::new("cnn", cnn())]
    }

    /// The loss under the statistics of all examples together.
    fn measure<T>(&self, with: impl FnOnce(DifferentiableObjective<'_, f64>) -> T) -> T {
        let buffers = self.network.initial_buffers::<f64>();
        let size = self.examples.len();
        let policy = BatchNormPolicy::Batch { size };
        let objective =
            NetworkObjective::new(&self.network, &self.examples, &buffers, policy, size).unwrap();
        with(objective.differentiable().unwrap())
    }

    fn get(&self, name: &str) -> Vec<f64> {
        self.vectors.get(name).values
    }
}

#[test]
fn losses_gradients_and_hessian_products_are_pytorchs() {
    for golden in Golden::both() {
        golden.measure(|objective| {
            let (w, n) = (&golden.w, golden.w.len());
            let mut gradient = vec![0.0; n];
            let loss = objective.value_and_gradient(w, &mut gradient, &mut objective.scratch());
            assert_close("loss", &[loss], &golden.get("loss"), 1e-14, 0.0);
            assert_close("gradient", &gradient, &golden.get("gradient"), 1e-12, 0.0);
            let (vectors, products) = (golden.get("vectors"), golden.get("products"));
            let mut product = vec![0.0; n];
            for (v, expected) in vectors.chunks(n).zip(products.chunks(n)) {
                objective.hessian_vector_product(w, v, &mut product, &mut objective.scratch());
                assert_close("product", &product, expected, 1e-12, 0.0);
            }
        });
    }
}

/// The ten largest and the ten smallest eigenvalues, each within its residual; the trace by
/// Hutchinson within 4.5 of its standard errors, and by Hutch++ with a sketch as wide as the space exactly.
#[test]
fn eigenvalues_and_traces_are_pytorchs() {
    for golden in Golden::both() {
        golden.measure(|hessian| {
            let (w, layout) = (&golden.w, golden.network.parameters());
            let exact = golden.get("eigenvalues");
            let settings = Eigenvalues::new(10, 10).unwrap().tolerance(1e-6).unwrap();
            let found = settings.measure(&hessian, layout, w).unwrap();
            let largest = exact.iter().rev().zip(&found.largest);
            for (expected, ritz) in largest.chain(exact.iter().zip(&found.smallest)) {
                let off = (ritz.value - expected).abs();
                assert!(off <= ritz.residual + 1e-12 && off < 1e-5, "{expected}: {ritz:?}");
            }
            let trace: f64 = exact.iter().sum();
            let hutchinson = Trace::new().probes(400).unwrap();
            let found = hutchinson.measure(&hessian, layout, w).unwrap();
            let (off, error) = ((found.trace.value - trace).abs(), found.trace.standard_error);
            assert!(off < 4.5 * error && error < 0.05 * trace.max(10.0), "{trace}: {found}");
            let whole = TraceEstimator::HutchPlusPlus { sketch: w.len() };
            let found = Trace::new().probes(2).unwrap().estimator(whole);
            let found = found.measure(&hessian, layout, w).unwrap();
            assert!((found.trace.value / trace - 1.0).abs() < 1e-5, "{trace}: {found}");
            let blocks = hutchinson.measure_blocks(&hessian, layout, w).unwrap();
            let expected = golden.get("block_traces");
            assert_eq!(blocks.len(), expected.len());
            for ((name, found), expected) in blocks.iter().zip(expected) {
                let off = (found.trace.value - expected).abs();
                assert!(
                    off <= 4.5 * found.trace.standard_error + 1e-6,
                    "{name} {expected}: {found}"
                );
            }
        });
    }
}

/// At Keskar's eps the searches reach the highest loss that SciPy from 32 starts and an exhaustive
/// search of single coordinates found. At ten times that, ReLUs switch inside the box and starts end
/// in maxima of their own (SciPy's too): what is found is a lower bound, and more starts raise it.
#[test]
fn keskar_sharpness_is_scipys_maximum() {
    for golden in Golden::both() {
        golden.measure(|objective| {
            let loss = golden.get("loss")[0];
            let epsilons = golden.vectors.settings()["epsilons"].clone();
            let epsilons: Vec<f64> = serde_json::from_value(epsilons).unwrap();
            for (epsilon, maximum) in epsilons.into_iter().zip(golden.get("keskar_maxima")) {
                let expected = 100.0 * (maximum - loss) / (1.0 + loss);
                let share = |settings: Keskar| -> f64 {
                    let layout = golden.network.parameters();
                    let found = settings.measure(&objective, layout, &golden.w).unwrap();
                    println!("eps {epsilon}, SciPy {expected}: {found}");
                    found.sharpness / expected
                };
                let ten = Keskar::new(epsilon).unwrap();
                let converged = ten.clone().effort(Effort::Converged);
                let mut starts = vec![Start::Centre, Start::GradientVertex];
                starts.resize(32, Start::Random);
                let many = converged.clone().starts(&starts).unwrap();
                let (ten, converged, many) = (share(ten), share(converged), share(many));
                assert!(ten <= converged * (1.0 + 1e-9) && converged <= many * (1.0 + 1e-9));
                if epsilon <= 1e-3 {
                    assert!((ten - 1.0).abs() < 1e-6 && (many - 1.0).abs() < 1e-6, "{ten} {many}");
                } else {
                    assert!(ten > 0.9 && many > 0.95 && many < 1.0 + 1e-6, "{ten} {many}");
                }
            }
        });
    }
}
