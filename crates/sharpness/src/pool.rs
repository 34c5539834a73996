//! Buffers for evaluations in parallel: one slot per thread, made once and used again.
//!
//! Work is given out so that results do not depend on the number of threads: values are written
//! where their index says, vectors are added in the order of their index.

use rayon::prelude::*;

use smoothout_tensor::Real;

use crate::vector::for_each_chunk;
use crate::{Objective, SharpnessError};

/// What one thread evaluates with.
pub(crate) struct Slot<O: Objective> {
    /// The objective's own buffers.
    pub(crate) scratch: O::Scratch,
    /// The point to evaluate at.
    pub(crate) point: Vec<O::Real>,
    /// One more vector, for those who asked for it: a second gradient, a probe.
    pub(crate) second: Vec<O::Real>,
}

/// One [`Slot`] per thread of the current Rayon pool.
pub(crate) struct Pool<'o, O: Objective> {
    objective: &'o O,
    slots: Vec<Slot<O>>,
    outputs: Vec<Vec<O::Real>>,
    values: Vec<f64>,
}

impl<'o, O: Objective> Pool<'o, O> {
    /// Slots with room for points only.
    pub(crate) fn of_points(objective: &'o O) -> Self {
        Self::new(objective, 0)
    }

    /// Slots with room for points and vectors.
    pub(crate) fn of_vectors(objective: &'o O) -> Self {
        Self::new(objective, objective.dimension())
    }

    fn new(objective: &'o O, vectors: usize) -> Self {
        let threads = rayon::current_num_threads();
        let zeros = |len| vec![O::Real::default(); len];
        let slot = |_| Slot {
            scratch: objective.scratch(),
            point: zeros(objective.dimension()),
            second: zeros(vectors),
        };
        Self {
            objective,
            slots: (0..threads).map(slot).collect(),
            outputs: vec![zeros(vectors); threads],
            values: vec![0.0; threads],
        }
    }

    /// `out[i] = evaluate(first + i)`, in parallel.
    pub(crate) fn values(
        &mut self,
        first: usize,
        out: &mut [f64],
        evaluate: &(dyn Fn(&O, usize, &mut Slot<O>) -> f64 + Sync),
    ) {
        let objective = self.objective;
        let share = out.len().div_ceil(self.slots.len()).max(1);
        self.slots.par_iter_mut().zip(out.par_chunks_mut(share)).enumerate().for_each(
            |(thread, (slot, out))| {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = evaluate(objective, first + thread * share + i, slot);
                }
            },
        );
    }

    /// Evaluates `first..first + count` in waves of one per thread. `evaluate` writes a vector and
    /// returns a value; `sum` gets the vectors added in order, `each` every (value, vector) in order.
    pub(crate) fn vectors(
        &mut self,
        first: usize,
        count: usize,
        sum: &mut [f64],
        evaluate: impl Fn(&O, usize, &mut Slot<O>, &mut [O::Real]) -> f64 + Sync,
        mut each: impl FnMut(f64, &[O::Real]) -> Result<(), SharpnessError>,
    ) -> Result<(), SharpnessError> {
        let objective = self.objective;
        for start in (first..first + count).step_by(self.slots.len()) {
            let wave = self.slots.len().min(first + count - start);
            let (outputs, values) = (&mut self.outputs[..wave], &mut self.values[..wave]);
            self.slots
                .par_iter_mut()
                .zip(outputs.par_iter_mut().zip(values.par_iter_mut()))
                .enumerate()
                .for_each(|(i, (slot, (output, value)))| {
                    *value = evaluate(objective, start + i, slot, output);
                });
            for (output, &value) in outputs.iter().zip(&*values) {
                each(value, output)?;
            }
            let outputs = &*outputs;
            for_each_chunk(sum, &|start, sum| {
                for output in outputs {
                    sum.iter_mut().zip(&output[start..]).for_each(|(s, v)| *s += v.as_f64());
                }
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FnObjective;
    use crate::vector::CHUNK;

    /// Numbers stand where their index says, vectors of several chunks are met and added in order,
    /// on any number of threads.
    #[test]
    fn work_is_given_out_in_order() {
        let n = 2 * CHUNK + 3;
        let f = FnObjective::new(n, |_: &[f64]| 0.0);
        for threads in [1, 2, 7] {
            let workers = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            workers.install(|| {
                let (mut pool, mut values) = (Pool::of_vectors(&f), [0.0; 10]);
                pool.values(3, &mut values, &|_, j, _| j as f64);
                let expected: Vec<f64> = (3..13).map(f64::from).collect();
                assert_eq!(values[..], expected);
                let (mut sum, mut order) = (vec![0.0; n], Vec::new());
                let multiples = |_: &_, j: usize, _: &mut _, out: &mut [f64]| {
                    out.iter_mut().enumerate().for_each(|(i, out)| *out = (i * j) as f64);
                    j as f64
                };
                let each = |value, out: &[f64]| {
                    assert_eq!(out[2], 2.0 * value);
                    order.push(value);
                    Ok(())
                };
                pool.vectors(3, 10, &mut sum, multiples, each).unwrap();
                assert_eq!(order, expected);
                assert!(sum.iter().enumerate().all(|(i, &sum)| sum == 75.0 * i as f64));
            });
        }
    }
}
