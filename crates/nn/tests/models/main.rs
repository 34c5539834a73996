//! Every model: names, gradients, a step that lowers the loss.

mod gradients;

use ndarray::Array4;
use smoothout_nn::models::{self, CifarResnet, ImagenetResnet};
use smoothout_nn::{Conv2d, Mode, Network, NetworkBuilder, NnError, Sequential, Window, Workspace};
use smoothout_tensor::{Purpose, Real, StreamKey};

fn images<R: Real>(network: &Network, batch: usize) -> Array4<R> {
    let [height, width, channels] = network.input_shape();
    let mut counter = 0_u32;
    Array4::from_shape_simple_fn((batch, height, width, channels), || {
        counter += 1;
        R::from_f64((f64::from(counter) * 0.7311).sin() + (f64::from(counter) * 0.0113).cos())
    })
}

fn labels(network: &Network, batch: usize) -> Vec<usize> {
    (0..batch).map(|n| (n * 3 + 1) % network.classes()).collect()
}

/// The network of that name, as deep, with a few filters only and smaller images.
fn narrow(name: &str) -> Network {
    let imagenet = |depth| ImagenetResnet { width: 2, image: 64, ..ImagenetResnet::new(depth, 5) };
    let network = match name {
        "f1" => models::f1(7, 4),
        "c1" => models::shallow(3, 6),
        "c3" => models::shallow(3, 11),
        "c2" => models::vgg(2, 3),
        "c4" => models::vgg(2, 12),
        "wrn-16-4" => CifarResnet { width: 4, ..CifarResnet::new(16, 3) }.build(),
        "alexnet" => models::alexnet(2, 4),
        "resnet18" => imagenet(18).build(),
        "resnet34" => imagenet(34).build(),
        "resnet50" => imagenet(50).build(),
        "resnet101" => imagenet(101).build(),
        "resnet152" => imagenet(152).build(),
        cifar => models::cifar_resnet(cifar["resnet".len()..].parse().unwrap(), 2, 10),
    };
    network.unwrap()
}

/// Initial weights, the last gamma of each residual block at 0.3: with 1, a network of 110 or 152
/// layers bends too sharply for finite differences and for a step of this size.
fn weights<R: Real>(network: &Network) -> Vec<R> {
    let mut w = network.initial_parameters(3);
    let bottlenecks = network.parameters().block("layer1.0.bn3.weight").is_some();
    let last = if bottlenecks { ".bn3.weight" } else { ".bn2.weight" };
    for block in network.parameters().blocks() {
        if block.name().starts_with("layer") && block.name().ends_with(last) {
            w[block.range()].fill(R::from_f64(0.3));
        }
    }
    w
}

#[test]
fn gradient_descent_lowers_the_loss() {
    for network in models::NAMES.map(narrow) {
        let mut w: Vec<f32> = weights(&network);
        let (images, labels) = (images::<f32>(&network, 6), labels(&network, 6));
        let mut workspace = Workspace::new(&network, 6);
        let mut gradient = vec![0.0; w.len()];
        let mut losses = Vec::new();
        for _ in 0..6 {
            let mode = Mode::batch();
            let batch = network
                .loss_and_gradient(&w, mode, images.view(), &labels, &mut gradient, &mut workspace)
                .unwrap();
            losses.push(batch.loss);
            // Aim at 5 % less than this loss, whatever the scale of the gradient (Polyak's rate).
            let square: f64 = gradient.iter().map(|g| f64::from(g * g)).sum();
            let rate = (0.05 * batch.loss / square) as f32;
            w.iter_mut().zip(&gradient).for_each(|(w, g)| *w -= rate * g);
        }
        assert!(losses[5] < 0.97 * losses[0], "{}: {losses:?}", network.name());
    }
}

/// Loss, gradient, logits and statistics have the same bits on 1, 2 and 7 threads.
#[test]
fn threads_do_not_change_a_bit() {
    for network in [models::shallow(8, 5), models::cifar_resnet(8, 8, 5), models::f1(40, 4)] {
        let network = network.unwrap();
        let w: Vec<f32> = network.initial_parameters(1);
        let (images, labels) = (images::<f32>(&network, 19), labels(&network, 19));
        let run = || {
            let mut workspace = Workspace::new(&network, 1);
            let mut gradient = vec![0.0; w.len()];
            let mode = Mode::train(StreamKey::new(2, Purpose::Dropout));
            let batch = network
                .loss_and_gradient(&w, mode, images.view(), &labels, &mut gradient, &mut workspace)
                .unwrap();
            let statistics = workspace.batch_statistics().to_vec();
            let logits = network.logits(&w, mode, images.view(), &mut workspace).unwrap();
            (batch, gradient, statistics, logits.to_owned())
        };
        let results = [1, 2, 7].map(|threads| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
        });
        assert_eq!(results[0], results[1], "{}", network.name());
        assert_eq!(results[0], results[2], "{}", network.name());
    }
}

/// After a first step the workspace holds as many bytes as after ten, and a smaller batch or an
/// evaluation adds nothing.
#[test]
fn a_workspace_does_not_grow_after_the_first_step() {
    let network = models::cifar_resnet(8, 4, 10).unwrap();
    let w: Vec<f32> = network.initial_parameters(1);
    let mut workspace = Workspace::new(&network, 6);
    let mut gradient = vec![0.0; w.len()];
    let mut step = |workspace: &mut Workspace<f32>, batch: usize| {
        let (images, labels) = (images::<f32>(&network, batch), labels(&network, batch));
        let mode = Mode::train(StreamKey::new(2, Purpose::Dropout));
        network
            .loss_and_gradient(&w, mode, images.view(), &labels, &mut gradient, workspace)
            .unwrap()
    };
    let first = step(&mut workspace, 6);
    let bytes = workspace.bytes();
    step(&mut workspace, 2);
    assert_eq!(step(&mut workspace, 6), first, "what lies in the buffers does not matter");
    assert_eq!((workspace.bytes(), workspace.capacity()), (bytes, 6));
    step(&mut workspace, 7);
    assert!(workspace.bytes() > bytes && workspace.capacity() == 7);
    let mut inference = Workspace::new(&network, 6);
    let (images, labels) = (images::<f32>(&network, 6), labels(&network, 6));
    let buffers = network.initial_buffers();
    let mode = Mode::evaluate(&buffers);
    network.loss(&w, mode, images.view(), &labels, &mut inference).unwrap();
    assert!(inference.bytes() * 3 < bytes, "{} {bytes}", inference.bytes());
}

#[test]
fn names_and_counts_are_those_of_pytorch() {
    let keys = |network: &Network| -> Vec<String> {
        network.parameters().blocks().iter().map(|block| block.name().to_owned()).collect()
    };
    let f1 = Network::by_name("f1", 10).unwrap();
    assert_eq!(
        keys(&f1)[..5],
        ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "layers.3.weight",]
    );
    assert_eq!(keys(&f1)[20..], ["layers.15.weight", "layers.15.bias"]);
    let c1 = Network::by_name("c1", 10).unwrap();
    assert_eq!(
        keys(&c1),
        [
            "features.0.weight",
            "features.2.weight",
            "features.2.bias",
            "features.4.weight",
            "features.6.weight",
            "features.6.bias",
            "classifier.0.weight",
            "classifier.1.weight",
            "classifier.1.bias",
            "classifier.4.weight",
            "classifier.5.weight",
            "classifier.5.bias",
            "classifier.8.weight",
            "classifier.8.bias",
        ]
    );
    let resnet = Network::by_name("resnet20", 10).unwrap();
    assert_eq!(
        keys(&resnet)[21..30],
        [
            "layer2.0.conv1.weight",
            "layer2.0.bn1.weight",
            "layer2.0.bn1.bias",
            "layer2.0.conv2.weight",
            "layer2.0.bn2.weight",
            "layer2.0.bn2.bias",
            "layer2.0.downsample.0.weight",
            "layer2.0.downsample.1.weight",
            "layer2.0.downsample.1.bias",
        ]
    );
    let buffer = resnet.buffers().block("layer2.0.downsample.1.running_var").unwrap();
    assert_eq!((buffer.len(), buffer.is_variance()), (32, true));
    for (name, classes, parameters) in [
        ("resnet44", 100, 667_188),
        ("c3", 100, 1_405_860),
        ("f1", 10, 1_462_794),
        ("resnet18", 1000, 11_689_512),
        ("resnet34", 1000, 21_797_672),
        ("resnet50", 1000, 25_557_032),
    ] {
        let network = Network::by_name(name, classes).unwrap();
        assert_eq!((network.parameters().len(), network.name()), (parameters, name));
    }
    for name in models::NAMES {
        assert_eq!(Network::by_name(name, 7).unwrap().classes(), 7);
    }
}

/// The deviation of each block is that of its law, within five standard errors, and both
/// precisions get the same numbers.
#[test]
fn initial_weights_follow_their_laws() {
    let network = Network::by_name("resnet20", 10).unwrap();
    let (wide, narrow) =
        (network.initial_parameters::<f64>(9), network.initial_parameters::<f32>(9));
    assert!(wide.iter().zip(&narrow).all(|(wide, narrow)| *wide as f32 == *narrow));
    for block in network.parameters().blocks() {
        let values = &wide[block.range()];
        let deviation = match (block.name(), block.shape()) {
            (_, [out, _, height, width]) => (2.0 / (out * height * width) as f64).sqrt(),
            ("fc.weight" | "fc.bias", _) => {
                assert!(values.iter().all(|value| value.abs() < 0.125));
                0.125 / 3.0_f64.sqrt()
            }
            (name, _) => {
                let expected = if name.ends_with("weight") { 1.0 } else { 0.0 };
                assert!(values.iter().all(|&value| value == expected), "{name}");
                continue;
            }
        };
        let square = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
        let error = deviation * deviation * (2.0 / values.len() as f64).sqrt();
        assert!((square - deviation * deviation).abs() < 5.0 * error, "{}", block.name());
    }
}

#[test]
fn running_statistics_move_by_a_tenth() {
    let network = models::f1(3, 2).unwrap();
    let mut buffers: Vec<f64> = network.initial_buffers();
    assert_eq!(buffers[..6], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let statistics = vec![2.0; buffers.len()];
    network.update_buffers(&mut buffers, &statistics);
    for (found, expected) in buffers.iter().zip([0.2, 0.2, 0.2, 1.1, 1.1, 1.1]) {
        assert!((found - expected).abs() < 1e-15);
    }
}

#[test]
fn mistakes_are_errors_that_say_so() {
    let error = Network::by_name("resnet9", 10).unwrap_err();
    assert!(error.to_string().contains("wrn-16-4"), "{error}");
    for found in [0, 65_537, usize::MAX] {
        let error = Network::by_name("f1", found).unwrap_err();
        assert_eq!(error, NnError::Classes { found, most: 65_536 });
    }
    let network = models::f1(3, 2).unwrap();
    let w: Vec<f32> = network.initial_parameters(0);
    let mut workspace = Workspace::new(&network, 2);
    let mut loss = |shape: (usize, usize, usize, usize), labels: &[usize], w: &[f32]| {
        let images = Array4::zeros(shape);
        network.loss(w, Mode::batch(), images.view(), labels, &mut workspace)
    };
    let good = (2, 28, 28, 1);
    assert_eq!(loss(good, &[0, 2], &w), Err(NnError::Label { example: 1, label: 2, classes: 2 }));
    let shapes = NnError::ImageShape { found: [1, 28, 28], expected: [28, 28, 1] };
    assert_eq!(loss((2, 1, 28, 28), &[0, 1], &w), Err(shapes));
    assert!(matches!(loss(good, &[0], &w), Err(NnError::Length { found: 1, expected: 2, .. })));
    assert!(matches!(loss(good, &[0, 1], &w[1..]), Err(NnError::Length { .. })));
    assert_eq!(loss((0, 28, 28, 1), &[], &w), Err(NnError::EmptyBatch));
    let single = loss((1, 28, 28, 1), &[0], &w);
    assert_eq!(single, Err(NnError::OneValuePerChannel { layer: "layers.1".to_owned() }));
    assert!(loss(good, &[0, 1], &vec![f32::NAN; w.len()]).unwrap().loss.is_nan());
    assert!(matches!(models::cifar_resnet(9, 16, 10), Err(NnError::Depth { found: 9, .. })));
    assert!(matches!(models::f1(0, 10), Err(NnError::Layout(_))));
    let mut b = NetworkBuilder::new("loose end", [4, 4, 1]);
    let images = b.images();
    let logits = b.linear(images, "fc", 2, true);
    b.linear(images, "other", 2, true);
    assert_eq!(b.finish(logits), Err(NnError::Unused { layer: "other".to_owned() }));
    let mut b = NetworkBuilder::new("no class", [1, 1, 0]);
    let images = b.images();
    let logits = b.relu(images);
    assert!(matches!(b.finish(logits), Err(NnError::Geometry { .. })));
    let mut b = NetworkBuilder::new("too large", [4, 4, 1]);
    let images = b.images();
    let x = b.conv2d(images, "conv", Conv2d::new(2, Window::square(3).padding(usize::MAX)));
    let logits = b.linear(x, "fc", usize::MAX, false);
    assert!(matches!(b.finish(logits), Err(NnError::Geometry { .. })));
    // Padding would make pixels of none.
    let mut b = NetworkBuilder::new("no pixel", [0, 4, 3]);
    let images = b.images();
    let logits = Sequential::new(&mut b, "layers", images)
        .conv2d(Conv2d::new(2, Window::square(3).padding(2)))
        .linear(2, true)
        .end();
    let error = b.finish(logits).unwrap_err().to_string();
    assert!(error.contains("no pixel"), "{error}");
    assert!(matches!(models::f1(1 << 40, 10), Err(NnError::Layout(_))));
}

/// Images that do not lie in standard order give the same loss.
#[test]
fn strided_images_are_copied() {
    let network = models::shallow(3, 4).unwrap();
    let w: Vec<f64> = network.initial_parameters(0);
    let mut workspace = Workspace::new(&network, 4);
    let all = images::<f64>(&network, 8);
    let strided = all.slice(ndarray::s![..;2, .., .., ..]);
    let mut loss =
        |images| network.loss(&w, Mode::batch(), images, &[0, 1, 2, 3], &mut workspace).unwrap();
    assert_eq!(loss(strided), loss(strided.to_owned().view()));
}
