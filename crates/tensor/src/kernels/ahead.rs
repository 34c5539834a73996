//! Asking for values before they are read.
//!
//! Passes that compute little wait for memory, which has little to do while a kernel multiplies. So a kernel
//! that knows what this thread reads next asks for it on its way, a few cache lines at a time: more at
//! once would only queue.

use super::simd::{LANES, prefetch_far};

/// The most slices.
const SLICES: usize = 6;

/// What will be read next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ahead<'a> {
    /// What has not been asked for yet.
    slices: [&'a [f32]; SLICES],
    /// Values of each to ask for at a time.
    each: [usize; SLICES],
}

impl<'a> Ahead<'a> {
    /// These slices, each only once.
    ///
    /// # Panics
    /// If there are more than six.
    pub(super) fn new(slices: &[&'a [f32]]) -> Self {
        let mut ahead = Self::default();
        for (k, slice) in slices.iter().enumerate() {
            if !slices[..k].iter().any(|other| std::ptr::eq(*other, *slice)) {
                ahead.slices[k] = slice;
            }
        }
        ahead
    }

    /// All of it within so many steps.
    pub(super) fn within(self, steps: usize) -> Self {
        let each = |slice: &[f32]| slice.len().div_ceil(steps.max(1)).next_multiple_of(LANES);
        Self { each: self.slices.map(each), ..self }
    }

    /// Asks for some of it.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        for (slice, each) in self.slices.iter_mut().zip(self.each) {
            let (now, later) = slice.split_at(each.min(slice.len()));
            prefetch_far(now);
            *slice = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_asked_for_within_the_steps_and_nothing_twice() {
        let values = [0.0; 100];
        let (some, rest) = values.split_at(30);
        let mut ahead = Ahead::new(&[some, &[], rest, some]).within(3);
        assert_eq!(ahead.each, [16, 0, 32, 0, 0, 0]);
        for left in [[14, 38], [0, 6], [0, 0], [0, 0]] {
            ahead.step();
            assert_eq!([ahead.slices[0].len(), ahead.slices[2].len()], left);
        }
        assert!(ahead.slices.iter().all(|slice| slice.is_empty()));
    }
}
