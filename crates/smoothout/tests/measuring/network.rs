//! Networks as objectives: closed forms, batch-norm policies, the same bits on any number of
//! threads.

use smoothout::measure::{BatchNormPolicy, ExampleSet, MeasureError, NetworkObjective};
use smoothout_nn::{Mode, Network, NetworkBuilder, Sequential, Workspace, models};
use smoothout_sharpness::{
    Ball, Differentiable, Eigenvalues, ExpectedLoss, FiniteDifferenceHvp, Keskar, Objective,
    WorstCase, check_gradient,
};
use smoothout_tensor::{Geometry, Perturbation, Purpose, Real, StreamKey, fill_gaussian};

/// 2 pixels, one linear layer without bias, 2 classes.
fn linear() -> Network {
    let mut b = NetworkBuilder::new("linear", [1, 2, 1]);
    let images = b.images();
    let logits = Sequential::new(&mut b, "layers", images).linear(2, false).end();
    b.finish(logits).unwrap()
}

/// Seven examples of a narrow F1 whose gamma, beta and running statistics are not the initial ones.
struct Narrow<R> {
    network: Network,
    examples: ExampleSet<R>,
    w: Vec<R>,
    buffers: Vec<R>,
}

impl<R: Real> Narrow<R> {
    fn new() -> Self {
        let network = models::f1(6, 10).unwrap();
        let mut images = vec![R::zero(); 7 * 784];
        fill_gaussian(StreamKey::new(1, Purpose::Data), &mut images);
        let labels = (0..7).map(|i| i * 3 % 10).collect();
        let mut w = network.initial_parameters::<R>(3);
        let mut shift = vec![R::zero(); w.len()];
        fill_gaussian(StreamKey::new(2, Purpose::Data), &mut shift);
        w.iter_mut().zip(&shift).for_each(|(w, s)| *w += R::from_f64(0.1) * *s);
        let mut buffers = network.initial_buffers::<R>();
        let mut workspace = Workspace::new(&network, 7);
        let examples = ExampleSet::new([28, 28, 1], images.clone(), labels).unwrap();
        let batch = ndarray::ArrayView4::from_shape((7, 28, 28, 1), &images).unwrap();
        network.logits(&w, Mode::batch(), batch, &mut workspace).unwrap();
        network.update_buffers(&mut buffers, workspace.batch_statistics());
        Self { network, examples, w, buffers }
    }

    fn objective(&self, policy: BatchNormPolicy, batch_size: usize) -> NetworkObjective<'_, R> {
        let Self { network, examples, buffers, .. } = self;
        NetworkObjective::new(network, examples, buffers, policy, batch_size).unwrap()
    }

    fn value(&self, policy: BatchNormPolicy, batch_size: usize, w: &[R]) -> f64 {
        let objective = self.objective(policy, batch_size);
        objective.value(w, &mut objective.scratch())
    }
}

/// Softmax regression: with margin t the loss is ln(1 + e^-t), its gradient -x / (1 + e^t).
#[test]
fn a_linear_network_has_its_closed_form() {
    let network = linear();
    let examples = ExampleSet::new([1, 2, 1], vec![1.0, 0.0, 0.0, 2.0], vec![0, 1]).unwrap();
    let objective =
        NetworkObjective::new(&network, &examples, &[], BatchNormPolicy::Frozen, 1).unwrap();
    // Logits of the first image (1, 0) and of the second (0, -3).
    let w = [1.0_f64, 0.0, 0.0, -1.5];
    let expected = ((1.0 + (-1.0_f64).exp()).ln() + (1.0 + 3.0_f64.exp()).ln()) / 2.0;
    let scratch = &mut objective.scratch();
    assert!((objective.value(&w, scratch) - expected).abs() < 1e-15);
    let mut gradient = [0.0; 4];
    let differentiable = objective.clone().differentiable().unwrap();
    let beside = differentiable.value_and_gradient(&w, &mut gradient, scratch);
    assert!((beside - expected).abs() < 1e-15);
    let (p, q) = (1.0 / (1.0 + 1.0_f64.exp()), 1.0 / (1.0 + (-3.0_f64).exp()));
    // The mean of -p x_1 for the right class of the first, q x_2 for the wrong one of the second.
    for (found, truth) in gradient.iter().zip([-p / 2.0, q, p / 2.0, -q]) {
        assert!((found - truth).abs() < 1e-15, "{gradient:?}");
    }
    // The second example is wrong.
    let error_rate = objective.error_rate();
    assert_eq!(error_rate.value(&w, &mut error_rate.scratch()), 0.5);
}

#[test]
fn an_uneven_last_batch_equals_one_big_batch() {
    let narrow = Narrow::<f64>::new();
    let of = |batch_size| {
        let objective = narrow.objective(BatchNormPolicy::Frozen, batch_size);
        let objective = objective.differentiable().unwrap();
        let mut gradient = vec![0.0; narrow.w.len()];
        let scratch = &mut objective.scratch();
        let loss = objective.value_and_gradient(&narrow.w, &mut gradient, scratch);
        assert_eq!(loss, objective.value(&narrow.w, scratch));
        let hessian = FiniteDifferenceHvp::new(objective);
        let eigen = Eigenvalues::new(1, 0).unwrap().tolerance(1e-4).unwrap().steps(20).unwrap();
        let layout = narrow.network.parameters();
        let eigen = eigen.measure(&hessian, layout, &narrow.w).unwrap().largest[0].value;
        (loss, gradient, eigen)
    };
    let (loss, gradient, eigen) = of(7);
    for batch_size in [1, 3] {
        let (other, other_gradient, other_eigen) = of(batch_size);
        assert!((other - loss).abs() < 1e-13 * loss);
        assert!(gradient.iter().zip(&other_gradient).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!((other_eigen / eigen - 1.0).abs() < 1e-5, "{other_eigen} {eigen}");
    }
}

#[test]
fn each_policy_takes_its_own_statistics() {
    let narrow = Narrow::<f64>::new();
    let Narrow { network, w, buffers, .. } = &narrow;
    let mut images = vec![0.0; 7 * 784];
    fill_gaussian(StreamKey::new(1, Purpose::Data), &mut images);
    let images = ndarray::ArrayView4::from_shape((7, 28, 28, 1), &images).unwrap();
    let labels: Vec<usize> = (0..7).map(|i| i * 3 % 10).collect();
    let mut workspace = Workspace::new(network, 7);
    let mut loss = |mode, from: usize, to: usize| {
        let part = images.slice(ndarray::s![from..to, .., .., ..]);
        network.loss(w, mode, part, &labels[from..to], &mut workspace).unwrap().loss
    };

    let frozen = loss(Mode::evaluate(buffers), 0, 7);
    assert_eq!(narrow.value(BatchNormPolicy::Frozen, 7, w), frozen);
    // Batches of 4 and 3, weighted by their examples.
    let batch = (4.0 * loss(Mode::batch(), 0, 4) + 3.0 * loss(Mode::batch(), 4, 7)) / 7.0;
    assert!((narrow.value(BatchNormPolicy::Batch { size: 4 }, 1, w) - batch).abs() < 1e-14);
    assert!((batch - frozen).abs() > 1e-3);
    // Recalibrated on one batch: that batch's statistics, with the unbiased variance.
    loss(Mode::batch(), 0, 5);
    let statistics = workspace.batch_statistics().to_vec();
    let mut workspace = Workspace::new(network, 7);
    let expected =
        network.loss(w, Mode::evaluate(&statistics), images, &labels, &mut workspace).unwrap().loss;
    let recalibrated = BatchNormPolicy::Recalibrated { examples: 5, size: 5 };
    assert!((narrow.value(recalibrated, 7, w) - expected).abs() < 1e-13);
    assert!((expected - frozen).abs() > 1e-3 && (expected - batch).abs() > 1e-6);

    let refused = narrow.objective(recalibrated, 7).differentiable().unwrap_err();
    assert!(matches!(refused, MeasureError::NoGradient));
    for policy in [BatchNormPolicy::Frozen, BatchNormPolicy::Batch { size: 4 }] {
        let objective = narrow.objective(policy, 3).differentiable().unwrap();
        check_gradient(&objective, w).unwrap();
    }
}

/// A linear layer before batch norm may be scaled, and nothing changes, if the statistics follow.
#[test]
fn statistics_that_follow_forgive_a_scaled_layer() {
    let narrow = Narrow::<f64>::new();
    let mut scaled = narrow.w.clone();
    for name in ["layers.0.weight", "layers.0.bias"] {
        let range = narrow.network.parameters().block(name).unwrap().range();
        scaled[range].iter_mut().for_each(|w| *w *= 10.0);
    }
    let moved =
        |policy| (narrow.value(policy, 7, &scaled) - narrow.value(policy, 7, &narrow.w)).abs();
    assert!(moved(BatchNormPolicy::Batch { size: 7 }) < 1e-3);
    assert!(moved(BatchNormPolicy::Recalibrated { examples: 7, size: 7 }) < 1e-3);
    assert!(moved(BatchNormPolicy::Frozen) > 1e-2);
}

#[test]
fn sizes_and_labels_are_checked_when_the_objective_is_made() {
    let narrow = Narrow::<f32>::new();
    let Narrow { network, examples, buffers, .. } = &narrow;
    let make = |policy, batch_size| {
        NetworkObjective::new(network, examples, buffers, policy, batch_size).map(|_| ())
    };
    let message = |result: Result<(), MeasureError>| result.unwrap_err().to_string();
    assert!(message(make(BatchNormPolicy::Frozen, 0)).contains("the batch size is 0"));
    // 7 = 3 + 3 + 1: the last batch has no variance.
    let lone = message(make(BatchNormPolicy::Batch { size: 3 }, 1));
    assert!(lone.contains("one value per channel"), "{lone}");
    let many = BatchNormPolicy::Recalibrated { examples: 8, size: 4 };
    assert!(message(make(many, 4)).contains("is 8: it must be 1 to 7"));
    let short = NetworkObjective::new(network, examples, &buffers[1..], BatchNormPolicy::Frozen, 7);
    assert!(short.unwrap_err().to_string().contains("the buffer vector has"));
    let wrong = ExampleSet::new([28, 28, 1], vec![0.0_f32; 784], vec![10]).unwrap();
    let wrong = NetworkObjective::new(network, &wrong, buffers, BatchNormPolicy::Frozen, 7);
    assert!(wrong.unwrap_err().to_string().contains("label 10"));
    assert!(ExampleSet::new([28, 28, 1], vec![0.0_f32; 783], vec![1]).is_err());
}

/// Expected loss (evaluations in parallel), Keskar (one after the other) and m-sharpness on 1, 2 and
/// 7 threads; and nothing that was measured has changed w or the running statistics.
#[test]
fn the_same_bits_on_any_number_of_threads_and_nothing_changes() {
    let narrow = Narrow::<f32>::new();
    let (w, buffers) = (narrow.w.clone(), narrow.buffers.clone());
    let layout = narrow.network.parameters();
    let before = narrow.value(BatchNormPolicy::Frozen, 3, &w);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let recalibrated = BatchNormPolicy::Recalibrated { examples: 6, size: 3 };
            let box_of = Perturbation::new(Geometry::Filter, 0.2).unwrap();
            let expected = ExpectedLoss::new(box_of).draws(20).unwrap();
            let expected =
                expected.measure(&narrow.objective(recalibrated, 2), layout, &w).unwrap();
            let frozen = narrow.objective(BatchNormPolicy::Frozen, 4);
            let parts = frozen.split(3).unwrap();
            assert_eq!(parts.len(), 2, "7 = 3 + 3 and a remainder that is left out");
            let parts = parts.into_iter();
            let parts = parts.map(|part| part.differentiable().unwrap());
            let ball = WorstCase::new(Ball::L2, 0.05).unwrap().steps(3, 2).unwrap();
            let m_sharpness = ball.measure_batches(parts, layout, &w).unwrap();
            let keskar = Keskar::new(1e-3).unwrap();
            let keskar = keskar.measure(&frozen.differentiable().unwrap(), layout, &w).unwrap();
            assert!(keskar.sharpness > 0.0);
            (expected, m_sharpness, keskar)
        })
    };
    let expected = on(1);
    assert_eq!(expected, on(2));
    assert_eq!(expected, on(7));
    assert_eq!((w, buffers), (narrow.w.clone(), narrow.buffers.clone()));
    assert_eq!(before, narrow.value(BatchNormPolicy::Frozen, 3, &narrow.w));
}
