//! Safetensors files: models and training states.

use std::sync::LazyLock;

use smoothout::checkpoint::{load_model, load_training, save_model, save_training};
use smoothout_nn::{Conv2d, Network, NetworkBuilder, Window};

use super::{in_file, refused};

/// A network with every kind of block and few weights: a convolution, batch norm, a linear layer.
pub(super) static NETWORK: LazyLock<Network> = LazyLock::new(|| {
    let mut b = NetworkBuilder::new("tiny", [2, 2, 1]);
    let x = b.conv2d(b.images(), "conv", Conv2d::new(2, Window::square(1)));
    let x = b.batch_norm(x, "bn");
    let x = b.global_average_pool(x);
    let logits = b.linear(x, "fc", 2, true);
    b.finish(logits).expect("a network")
});

/// A model, as `eval` and `sharpness` read it. Written and read again it is the same, bit for bit.
pub fn model(bytes: &[u8]) -> bool {
    let network = &*NETWORK;
    in_file(bytes, |path| match load_model(path, network) {
        Err(error) => refused(&error),
        Ok(model) => {
            assert_eq!(model.parameters.len(), network.parameters().len());
            assert_eq!(model.buffers.len(), network.buffers().len());
            save_model(path, network, &model).expect("a file to write to");
            let again = load_model(path, network).expect("what was read");
            assert_eq!(again.batches_tracked, model.batches_tracked);
            assert_eq!(bits(&again.parameters), bits(&model.parameters));
            assert_eq!(bits(&again.buffers), bits(&model.buffers));
            true
        }
    })
}

/// The state of a training, as `--resume` reads it. The counts leave room to go on counting.
pub fn training(bytes: &[u8]) -> bool {
    let network = &*NETWORK;
    in_file(bytes, |path| match load_training(path, network) {
        Err(error) => refused(&error),
        Ok(mut state) => {
            assert!(state.epochs < usize::MAX / 2 && state.unfinished.batches < usize::MAX / 2);
            assert!(state.steps.max(state.model.batches_tracked) < u64::MAX / 2);
            let lengths = [0, network.parameters().len()];
            assert!(state.memory.iter().all(|(_, vector)| lengths.contains(&vector.len())));
            save_training(path, network, &state).expect("a file to write to");
            let mut again = load_training(path, network).expect("what was read");
            for state in [&mut state, &mut again] {
                state.memory.sort_by(|a, b| a.0.cmp(&b.0));
            }
            assert_eq!(format!("{again:?}"), format!("{state:?}"), "NaN is a number here");
            true
        }
    })
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
