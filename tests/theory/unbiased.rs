//! Stochastic SmoothOut is unbiased: with Theta independent of the batch B and a loss that is a
//! mean over examples, E_{B,Theta}[ grad C_B(w + Theta) ] = grad Cbar(w).
//!
//! The test function is a mean of waves, C_i(w) = 1 - cos(k_i.w - y_i), whose expected gradient is
//! known: k_i sin(k_i.w - y_i) prod_j sinc(k_ij a). The gradients are those that the optimiser
//! uses, read off its step. At most 12 x 5 comparisons.
//!
//! Batch norm with batch statistics is not a mean over examples, and the mean over all batches is
//! another gradient: all batches are enumerated, so nothing is left to chance.

use std::convert::Infallible;

use proptest::prelude::*;
use smoothout_optim::{GhostCopy, GradientOracle, SeededPerturbation, Sgd, SmoothOut, Smoothing};
use smoothout_sharpness::{Differentiable, Objective};
use smoothout_tensor::{
    Geometry, ParameterLayout, Perturbation, PerturbationKey, Purpose, StreamKey, fill_uniform,
};

use crate::cases::{dot, for_each_case, largest, numbers};
use crate::confidence::half_width;
use crate::network::{Hidden, NetworkLoss, images, two_layers};

/// The mean over examples of 1 - cos(k_i.w - y_i); a ghost batch is a random pair of examples.
struct Waves {
    examples: Vec<(Vec<f64>, f64)>,
    ghosts: usize,
    seed: u64,
    step: u64,
}

impl Waves {
    fn new(m: usize, seed: u64) -> Self {
        let example = |i| (numbers(seed, i, m).iter().map(|k| 3.0 * k).collect(), i as f64);
        Self { examples: (0..6).map(example).collect(), ghosts: 2, seed, step: 0 }
    }

    /// grad Cbar in closed form.
    fn expected(&self, w: &[f64], a: f64) -> Vec<f64> {
        let mut gradient = vec![0.0; w.len()];
        for (k, y) in &self.examples {
            let damping: f64 = k.iter().map(|k| (k * a).sin() / (k * a)).product();
            let slope = (dot(k, w) - y).sin() * damping / self.examples.len() as f64;
            gradient.iter_mut().zip(k).for_each(|(g, k)| *g += slope * k);
        }
        gradient
    }
}

impl GradientOracle<f64> for Waves {
    type Scratch = ();
    type Error = Infallible;

    fn ghosts(&self) -> usize {
        self.ghosts
    }

    fn gradient(
        &self,
        at: GhostCopy,
        w: &[f64],
        gradient: &mut [f64],
        (): &mut (),
    ) -> Result<f64, Infallible> {
        gradient.fill(0.0);
        let mut chosen = [0.0; 2];
        let key = StreamKey::new(self.seed, Purpose::Shuffle).step(self.step);
        fill_uniform(key.copy(at.ghost as u64), &mut chosen);
        let mut loss = 0.0;
        for chosen in chosen {
            let (k, y) = &self.examples[((chosen + 1.0) * 3.0) as usize % 6];
            let phase = dot(k, w) - y;
            loss += (1.0 - phase.cos()) / 2.0;
            gradient.iter_mut().zip(k).for_each(|(g, k)| *g += k * phase.sin() / 2.0);
        }
        Ok(loss)
    }
}

#[test]
fn the_mean_stochastic_gradient_is_the_gradient_of_the_expected_loss() {
    let cases = (1..=5_usize, 0.1..1.5_f64, 1..=3_usize, any::<u64>());
    for_each_case(12, cases, |(m, a, copies, seed)| {
        let (mut oracle, w, steps) = (Waves::new(m, seed), numbers(seed, 99, m), 20_000);
        let box_ = Perturbation::new(Geometry::Absolute, a).unwrap();
        let source = SeededPerturbation::new(ParameterLayout::flat(m), box_, seed);
        let smoothing = Smoothing::new(source).copies(copies).unwrap();
        let mut optimizer = SmoothOut::new(Sgd::new()).smoothing(smoothing);
        let mut sum = vec![0.0; m];
        for step in 0..steps {
            oracle.step = step;
            let mut moved = w.clone();
            optimizer.step(&mut moved, &mut oracle, &mut [(); 2], 1.0).unwrap();
            sum.iter_mut().zip(&moved).zip(&w).for_each(|((sum, moved), w)| *sum += w - moved);
        }
        for (sum, expected) in sum.iter().zip(oracle.expected(&w, a)) {
            let found = sum / steps as f64;
            let bound = half_width(3.0, steps as usize);
            prop_assert!((found - expected).abs() <= bound, "{found} instead of {expected}");
        }
        Ok(())
    });
}

/// The mean of grad C_B over all 15 pairs of six examples, and grad C, at one perturbed point.
fn all_batches(f: &NetworkLoss, w: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (mut mean, mut full) = (vec![0.0; w.len()], vec![0.0; w.len()]);
    f.value_and_gradient(w, &mut full, &mut f.scratch());
    let mut gradient = vec![0.0; w.len()];
    for i in 0..6 {
        for j in i + 1..6 {
            let batch = f.batch(&[i, j]);
            batch.value_and_gradient(w, &mut gradient, &mut batch.scratch());
            mean.iter_mut().zip(&gradient).for_each(|(mean, g)| *mean += g / 15.0);
        }
    }
    (mean, full)
}

#[test]
fn batch_statistics_break_it_and_frozen_ones_do_not() {
    for_each_case(10, (0.01..0.5_f64, any::<u64>()), |(a, seed)| {
        let mut f = NetworkLoss {
            network: two_layers(3, 4, 2, Hidden::Relu),
            images: images(seed, 6, 3),
            labels: vec![0, 1, 0, 1, 1, 0],
            buffers: None,
        };
        let box_ = Perturbation::new(Geometry::Absolute, a).unwrap();
        let perturbed = |f: &NetworkLoss, copy: u64| {
            let w = numbers(seed, 5, f.dimension());
            let mut out = w.clone();
            let key = PerturbationKey::new(seed).copy(copy);
            box_.apply(f.network.parameters(), key, &w, &mut out);
            out
        };
        let difference = |f: &NetworkLoss| {
            let (mut bias, mut size) = (vec![0.0; f.dimension()], 0.0_f64);
            for copy in 0..32 {
                let (mean, full) = all_batches(f, &perturbed(f, copy));
                bias.iter_mut().zip(&mean).zip(&full).for_each(|((b, x), y)| *b += (x - y) / 32.0);
                size = size.max(largest(&full));
            }
            largest(&bias) / size
        };
        let plain = difference(&f);
        prop_assert!(plain <= 1e-13, "without batch norm: {plain:e}");

        f.network = two_layers(3, 4, 2, Hidden::BatchNormRelu);
        let batch = difference(&f);
        prop_assert!(batch >= 1e-3, "with batch statistics: {batch:e}");

        f.buffers = Some(f.network.initial_buffers());
        let frozen = difference(&f);
        prop_assert!(frozen <= 1e-13, "with frozen statistics: {frozen:e}");
        Ok(())
    });
}
