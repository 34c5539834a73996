//! Initial weights, each block from a stream of its own.
//!
//! # Source
//! PyTorch's `reset_parameters` (`kaiming_uniform` with a = sqrt 5); He et al.,
//! arXiv:1502.01852, equation 10 in its fan-out form, as in the authors' ResNets.

use ndarray::Array1;
use ndarray_rand::RandomExt;
use ndarray_rand::rand_distr::{Normal, Uniform};
use smoothout_tensor::{Purpose, Real, StreamKey};

use crate::Network;

/// The law of one block of parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Initialization {
    /// Every element the same.
    Constant(f64),
    /// U(-bound, bound), bound = 1 / sqrt(fan_in).
    Uniform { bound: f64 },
    /// N(0, deviation^2), deviation = sqrt(2 / fan_out).
    Normal { deviation: f64 },
}

/// PyTorch's default for a weight and its bias: both are U(+-1 / sqrt(fan_in)).
pub(crate) fn pytorch(fan_in: usize) -> Initialization {
    Initialization::Uniform { bound: 1.0 / (fan_in as f64).sqrt() }
}

/// He's normal law with the fan-out `KH KW O`.
pub(crate) fn he_fan_out(kernel: [usize; 2], outputs: usize) -> Initialization {
    Initialization::Normal { deviation: (2.0 / (kernel[0] * kernel[1] * outputs) as f64).sqrt() }
}

impl Network {
    /// Fresh weights. One seed, one vector: f32 and f64 get the same numbers, rounded.
    ///
    /// Linear layers and plain convolutions start as in PyTorch, uniform within 1 / sqrt(fan-in),
    /// convolutions of the ResNets normal with variance 2 / (KH KW O); gamma is 1, beta 0.
    pub fn initial_parameters<R: Real>(&self, seed: u64) -> Vec<R> {
        let mut w = Vec::with_capacity(self.parameters.len());
        let blocks = self.parameters.blocks().iter().zip(&self.initializations);
        for (index, (block, law)) in blocks.enumerate() {
            let key = StreamKey::new(seed, Purpose::Initialization).block(index as u64);
            let generator = &mut key.generator();
            let values: Array1<f64> = match *law {
                Initialization::Constant(value) => Array1::from_elem(block.len(), value),
                Initialization::Uniform { bound } => {
                    let law = Uniform::new(-bound, bound).expect("a finite bound above 0");
                    Array1::random_using(block.len(), law, generator)
                }
                Initialization::Normal { deviation } => {
                    let law = Normal::new(0.0, deviation).expect("a finite deviation");
                    Array1::random_using(block.len(), law, generator)
                }
            };
            w.extend(values.iter().map(|&value| R::from_f64(value)));
        }
        w
    }
}
