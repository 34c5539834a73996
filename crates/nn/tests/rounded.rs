//! Gradients from factors rounded to `bf16` are near those of whole ones, in a process of its own: the precision is
//! chosen for all of it.

use ndarray::Array4;
use smoothout_nn::{Mode, Network, Workspace};
use smoothout_tensor::kernels::{InstructionSet, Precision, kernels_in_use};
use smoothout_tensor::{Purpose, StreamKey, fill_uniform};

/// The loss and its gradient at the initial weights, for 12 random images.
fn loss_and_gradient(network: &Network) -> (f64, Vec<f32>) {
    let batch = 12;
    let [height, width, channels] = network.input_shape();
    let mut images = Array4::zeros((batch, height, width, channels));
    fill_uniform(StreamKey::new(1, Purpose::Data), images.as_slice_mut().unwrap());
    let labels: Vec<usize> = (0..batch).map(|n| (n * 3 + 1) % network.classes()).collect();
    let w: Vec<f32> = network.initial_parameters(3);
    let mut gradient = vec![f32::NAN; w.len()];
    let mut workspace = Workspace::new(network, batch);
    let found = network
        .loss_and_gradient(&w, Mode::batch(), images.view(), &labels, &mut gradient, &mut workspace)
        .unwrap();
    (found.loss, gradient)
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// Errors are those of factors of eight bits, and of the ReLUs that fall on the other side for it: of two in a
/// thousand units, the norm of the gradient's error is a twentieth of its own, layer upon layer.
#[test]
fn gradients_are_near() {
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        set.select();
        if !Precision::Bf16.is_available() {
            eprintln!("skipped: no bf16 with {}", set.name());
            continue;
        }
        for name in ["f1", "c1", "c3", "resnet8"] {
            let network = Network::by_name(name, 10).unwrap();
            Precision::F32.select();
            let (loss, gradient) = loss_and_gradient(&network);
            Precision::Bf16.select();
            assert!(kernels_in_use().ends_with(" bf16"));
            let (rounded_loss, rounded) = loss_and_gradient(&network);
            assert_ne!(rounded, gradient, "{name} with {}", set.name());
            assert!((rounded_loss - loss).abs() < 0.01 * loss, "{name}: {rounded_loss}, {loss}");
            for block in network.parameters().blocks() {
                let (full, rounded) = (&gradient[block.range()], &rounded[block.range()]);
                let error = norm(full.iter().zip(rounded).map(|(full, rounded)| full - rounded));
                let norm = norm(full.iter().copied());
                println!("{name} with {}, {}: {error:.2e} of {norm:.2e}", set.name(), block.name());
                // That of a bias before a norm is 0 in both.
                assert!(error <= 0.3 * norm, "{name} with {}, {}", set.name(), block.name());
            }
        }
    }
}
