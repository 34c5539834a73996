//! The perturbations of `golden/perturbations.py`: drawn alike in Python and in Rust.
//!
//! u for parameter i of copy k in step t is SplitMix64's hash of (t, k, i), an odd multiple of
//! 2^-24 in (-1, 1). theta comes from u and w by the paper's formulas, written down here once more
//! and without the crates' own code, so that a wrong formula there has something to differ from.

use smoothout_optim::PerturbationSource;
use smoothout_tensor::{BlockKind, Geometry, ParameterLayout, Real};

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn uniform(step: u64, copy: u64, i: usize) -> f64 {
    let start = mix(1000 * step + copy);
    let bits = mix(start.wrapping_add((i as u64 + 1).wrapping_mul(GAMMA)));
    (2 * (bits >> 40) as i64 + 1 - (1 << 24)) as f64 / (1 << 24) as f64
}

/// theta for radius 1, from u and the weights of one block, whose filters have `filter_len`
/// elements each.
///
/// # Panics
/// For a geometry without golden vectors.
pub fn direction(geometry: Geometry, filter_len: usize, u: &[f64], w: &[f64]) -> Vec<f64> {
    let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    match geometry {
        Geometry::Absolute => u.to_vec(),
        Geometry::Elementwise => u.iter().zip(w).map(|(u, w)| u * w.abs()).collect(),
        Geometry::Filter => {
            let filters = u.chunks(filter_len).zip(w.chunks(filter_len));
            filters.flat_map(|(u, w)| u.iter().map(move |x| x * norm(w) / norm(u))).collect()
        }
        other => panic!("no golden vectors for {other:?}"),
    }
}

/// Perturbs weights and biases, not batch norm, as the golden trajectories do.
#[derive(Debug, Clone)]
pub struct HashedPerturbation {
    /// The parameters' blocks.
    pub layout: ParameterLayout,
    /// What the radius is measured against.
    pub geometry: Geometry,
    /// a.
    pub radius: f64,
}

impl<R: Real> PerturbationSource<R> for HashedPerturbation {
    fn perturb(&self, c: f64, step: u64, copy: u64, w: &[R], out: &mut [R]) {
        out.copy_from_slice(w);
        for block in self.layout.blocks() {
            if matches!(block.kind(), BlockKind::NormScale | BlockKind::NormShift) {
                continue;
            }
            let u: Vec<f64> = block.range().map(|i| uniform(step, copy, i)).collect();
            let clean: Vec<f64> = w[block.range()].iter().map(|w| w.as_f64()).collect();
            let theta = direction(self.geometry, block.filter_len(), &u, &clean);
            for (out, theta) in out[block.range()].iter_mut().zip(theta) {
                *out += R::from_f64(self.radius * c * theta);
            }
        }
    }
}
