//! Gradients of a step's copies, in waves of one copy per scratch.
//!
//! A step has K ghost batches and n copies of each. As many copies as there are scratches are in
//! flight together; their gradients are added in the order of the copies,
//! `g = sum_k share_k / n sum_i g_k,i`, so the bits depend neither on the number of scratches nor
//! on that of threads.

use std::ops::Range;

use rayon::prelude::*;
use smoothout_tensor::kernels::Aligned;
use smoothout_tensor::{Real, parallel_squared_norm};

use crate::pass::accumulate;
use crate::{GhostCopy, GradientOracle, StepError};

/// One copy in flight.
#[derive(Debug)]
pub(crate) struct Slot<R> {
    /// Where the gradient is taken, for those who write it; see [`point`](Self::point).
    pub(crate) point: Aligned<R>,
    /// The gradient there.
    pub(crate) gradient: Aligned<R>,
    loss: f64,
    /// The gradient's, if the oracle knows it.
    squared_norm: Option<f64>,
}

impl<R: Real> Slot<R> {
    /// Room for the point, as long as w.
    pub(crate) fn point(&mut self) -> &mut [R] {
        self.point.grow(self.gradient.len());
        &mut self.point
    }
}

/// The copies of a step and the mean of what they found.
#[derive(Debug)]
pub(crate) struct Waves<R> {
    slots: Vec<Slot<R>>,
    /// The mean gradient, when there is more than one copy.
    mean: Vec<R>,
    loss: f64,
    step: u64,
    copies: usize,
    width: usize,
    next: usize,
    total: usize,
}

impl<R> Default for Waves<R> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            mean: Vec::new(),
            loss: 0.0,
            step: 0,
            copies: 1,
            width: 0,
            next: 0,
            total: 0,
        }
    }
}

impl<R: Real> Waves<R> {
    /// Begins with `copies` copies of each of `ghosts` ghost batches of a vector of `len` weights,
    /// of which as many as `scratches` are in flight together.
    ///
    /// # Panics
    /// If there is no scratch or no copy, or `len` changed.
    pub(crate) fn begin(
        &mut self,
        step: u64,
        len: usize,
        [ghosts, copies]: [usize; 2],
        scratches: usize,
    ) {
        let total = ghosts * copies;
        let width = scratches.min(total);
        assert!(width > 0, "a step needs a scratch and a ghost batch");
        while self.slots.len() < width {
            let (mut gradient, point) = (Aligned::default(), Aligned::default());
            gradient.grow(len);
            self.slots.push(Slot { point, gradient, loss: 0.0, squared_norm: None });
        }
        assert_eq!(self.slots[0].gradient.len(), len, "the length of w stays the same");
        self.mean.resize(if total > 1 { len } else { 0 }, R::zero());
        (self.loss, self.step, self.copies) = (0.0, step, copies);
        (self.width, self.next, self.total) = (width, 0, total);
    }

    /// The next copies to be in flight together.
    pub(crate) fn next_wave(&mut self) -> Option<Wave<'_, R>> {
        let copies = self.next..(self.next + self.width).min(self.total);
        self.next = copies.end;
        if copies.is_empty() { None } else { Some(Wave { waves: self, copies }) }
    }

    /// The mean loss and gradient of one copy per ghost batch, all at `w`. With `accept`, the
    /// oracle takes note of them.
    pub(crate) fn mean_gradient_at<O: GradientOracle<R>>(
        &mut self,
        step: u64,
        w: &[R],
        oracle: &mut O,
        scratch: &mut [O::Scratch],
        accept: bool,
    ) -> Result<Mean<'_, R>, StepError<O::Error>> {
        self.begin(step, w.len(), [oracle.ghosts(), 1], scratch.len());
        while let Some(mut wave) = self.next_wave() {
            wave.evaluate(oracle, scratch, &|oracle, at, slot, scratch| {
                oracle.gradient(at, w, &mut slot.gradient, scratch)
            })?;
            if accept {
                wave.accept(oracle, scratch);
            }
            wave.add_up(oracle);
        }
        Ok(self.mean())
    }

    /// The mean loss and gradient of all waves.
    pub(crate) fn mean(&self) -> Mean<'_, R> {
        let (loss, slot) = (self.loss, &self.slots[0]);
        match &self.mean[..] {
            [] => Mean { loss, gradient: &slot.gradient, squared_norm: slot.squared_norm },
            gradient => Mean { loss, gradient, squared_norm: None },
        }
    }
}

/// What all copies found, weighted by their shares.
#[derive(Debug)]
pub(crate) struct Mean<'a, R> {
    pub(crate) loss: f64,
    pub(crate) gradient: &'a [R],
    squared_norm: Option<f64>,
}

impl<R: Real> Mean<'_, R> {
    /// The l2 norm of the gradient.
    pub(crate) fn norm(&self) -> f64 {
        self.squared_norm.unwrap_or_else(|| parallel_squared_norm(self.gradient)).sqrt()
    }
}

/// Computes the gradient of a copy into its slot, and returns the loss.
type Gradient<'a, R, O> = dyn Fn(
        &O,
        GhostCopy,
        &mut Slot<R>,
        &mut <O as GradientOracle<R>>::Scratch,
    ) -> Result<f64, <O as GradientOracle<R>>::Error>
    + Sync
    + 'a;

/// Consecutive copies, one per slot.
#[derive(Debug)]
pub(crate) struct Wave<'a, R> {
    waves: &'a mut Waves<R>,
    copies: Range<usize>,
}

impl<R: Real> Wave<'_, R> {
    /// The copies with their slots, in order.
    pub(crate) fn slots(&mut self) -> impl Iterator<Item = (usize, &mut Slot<R>)> {
        self.copies.clone().zip(&mut self.waves.slots)
    }

    /// Calls `gradient(oracle, copy, slot, scratch)` for all copies in parallel; it leaves the
    /// gradient in the slot and returns the loss.
    ///
    /// # Errors
    /// If a call fails, or a loss is infinite or NaN.
    pub(crate) fn evaluate<O: GradientOracle<R>>(
        &mut self,
        oracle: &O,
        scratch: &mut [O::Scratch],
        gradient: &Gradient<'_, R, O>,
    ) -> Result<(), StepError<O::Error>> {
        let Waves { step, copies, .. } = *self.waves;
        let first = self.copies.start;
        let slots = &mut self.waves.slots[..self.copies.len()];
        slots
            .par_iter_mut()
            .zip(scratch.par_iter_mut())
            .enumerate()
            .map(|(i, (slot, scratch))| {
                slot.loss = gradient(oracle, ghost_copy(first + i, copies), slot, scratch)?;
                slot.squared_norm = oracle.squared_norm(scratch);
                Ok(())
            })
            .reduce(|| Ok(()), Result::and)
            .map_err(|source| StepError::Oracle { step, source })?;
        for (copy, slot) in (first..).zip(slots) {
            if !slot.loss.is_finite() {
                let GhostCopy { ghost, .. } = ghost_copy(copy, copies);
                return Err(StepError::Loss { step, ghost, copy, loss: slot.loss });
            }
        }
        Ok(())
    }

    /// Lets the oracle take note of the evaluations, in order.
    pub(crate) fn accept<O: GradientOracle<R>>(&self, oracle: &mut O, scratch: &mut [O::Scratch]) {
        for (copy, scratch) in self.copies.clone().zip(scratch) {
            oracle.accept(ghost_copy(copy, self.waves.copies), scratch);
        }
    }

    /// Adds the copies' losses and gradients to the means, in order.
    pub(crate) fn add_up<O: GradientOracle<R>>(self, oracle: &O) {
        let Waves { slots, mean, loss, copies, total, .. } = self.waves;
        for (copy, slot) in self.copies.zip(slots) {
            let share = oracle.share(ghost_copy(copy, *copies).ghost) / *copies as f64;
            *loss += share * slot.loss;
            if *total > 1 {
                accumulate(mean, &slot.gradient, share, copy == 0);
            }
        }
    }
}

/// Copy number `copy` of a step with `copies` copies per ghost batch.
fn ghost_copy(copy: usize, copies: usize) -> GhostCopy {
    GhostCopy { ghost: copy / copies, copy }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// A gradient of (3, 4), of which the oracle knows another norm.
    struct Knowing {
        ghosts: usize,
        squared_norm: Option<f64>,
    }

    impl GradientOracle<f64> for Knowing {
        type Scratch = ();
        type Error = Infallible;

        fn ghosts(&self) -> usize {
            self.ghosts
        }

        fn gradient(
            &self,
            _at: GhostCopy,
            _w: &[f64],
            gradient: &mut [f64],
            (): &mut (),
        ) -> Result<f64, Infallible> {
            gradient.copy_from_slice(&[3.0, 4.0]);
            Ok(0.0)
        }

        fn squared_norm(&self, (): &()) -> Option<f64> {
            self.squared_norm
        }
    }

    /// A norm that is known is taken, if it is that of the mean.
    #[test]
    fn known_norms_are_those_of_one_gradient() {
        for (ghosts, squared_norm, expected) in
            [(1, None, 5.0), (1, Some(36.0), 6.0), (2, Some(36.0), 5.0)]
        {
            let mut oracle = Knowing { ghosts, squared_norm };
            let mut waves = Waves::default();
            let mean = waves.mean_gradient_at(0, &[0.0; 2], &mut oracle, &mut [()], true).unwrap();
            assert_eq!(mean.norm(), expected, "{ghosts} ghost batches, {squared_norm:?}");
        }
    }
}
