//! What the tests of SmoothOut's rivals share: a quadratic whose every answer is known, and the
//! check that scratches and threads do not matter.

use std::convert::Infallible;

use smoothout_tensor::Real;

use crate::{GhostCopy, GradientOracle};

/// `C_k(w) = sum_i h_i w_i^2 / 2 + slope_k sum_i w_i` for ghost batch k.
pub(crate) struct Quadratic {
    pub(crate) h: Vec<f64>,
    slopes: Vec<f64>,
    shares: Vec<f64>,
    /// The copies in the order in which they were accepted.
    pub(crate) accepted: Vec<usize>,
}

impl Quadratic {
    /// One ghost batch per slope, of equal sizes.
    pub(crate) fn new(h: Vec<f64>, slopes: Vec<f64>) -> Self {
        let shares = vec![1.0 / slopes.len() as f64; slopes.len()];
        Self { h, slopes, shares, accepted: Vec::new() }
    }

    /// Ghost batches of other sizes.
    pub(crate) fn shares(self, shares: Vec<f64>) -> Self {
        Self { shares, ..self }
    }
}

impl<R: Real> GradientOracle<R> for Quadratic {
    type Scratch = ();
    type Error = Infallible;

    fn ghosts(&self) -> usize {
        self.slopes.len()
    }

    fn share(&self, ghost: usize) -> f64 {
        self.shares[ghost]
    }

    fn gradient(
        &self,
        at: GhostCopy,
        w: &[R],
        gradient: &mut [R],
        (): &mut (),
    ) -> Result<f64, Infallible> {
        let slope = self.slopes[at.ghost];
        let mut loss = 0.0;
        for ((g, w), h) in gradient.iter_mut().zip(w).zip(&self.h) {
            let w = w.as_f64();
            *g = R::from_f64(h * w + slope);
            loss += h * w * w / 2.0 + slope * w;
        }
        Ok(loss)
    }

    fn accept(&mut self, at: GhostCopy, (): &mut ()) {
        self.accepted.push(at.copy);
    }
}

/// Ten steps of what `optimizer` makes give the same bits on 1, 2 and 7 threads with 1, 2, 4 and
/// 100 scratches. The vector is longer than a piece of a pass.
pub(crate) fn same_bits<S>(optimizer: impl Fn() -> S + Sync)
where
    S: FnMut(&mut [f32], &mut Quadratic, &mut [()]) -> f64 + Send,
{
    let m = 40_000;
    let run = |threads, scratches| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut step = optimizer();
        let h = (0..m).map(|i| 1.0 + (i as f64 * 0.3).cos()).collect();
        let mut oracle = Quadratic::new(h, vec![0.1, -0.2, 0.3, 0.0, 0.2])
            .shares(vec![0.25, 0.25, 0.25, 0.2, 0.05]);
        let mut w: Vec<f32> = (0..m).map(|i| (i as f32 * 0.7).sin()).collect();
        let start = w.clone();
        let losses: Vec<f64> = pool.install(|| {
            (0..10).map(|_| step(&mut w, &mut oracle, &mut vec![(); scratches])).collect()
        });
        assert!(w.iter().zip(&start).all(|(w, start)| w != start && w.is_finite()));
        (w, losses, oracle.accepted)
    };
    let expected = run(1, 1);
    for (threads, scratches) in [(2, 2), (7, 4), (2, 100)] {
        assert!(run(threads, scratches) == expected, "{threads} threads, {scratches} scratches");
    }
}
