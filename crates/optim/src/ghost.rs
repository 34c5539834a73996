//! Ghost batches: how the examples of one parameter update are cut.
//!
//! A batch of B examples is K = B / G ghost batches of G examples, each with batch-norm statistics
//! and a perturbation of its own. The last, incomplete batch of an epoch is used: it is cut into
//! ghost batches of G and a smaller one, and each gradient counts with its share of the examples.
//! A ghost batch of one example has no variance, so it joins its neighbour, which then has G + 1
//! examples, or is dropped. A batch of one single example has no neighbour and is dropped, unless G is 1.
//!
//! # Source
//! Hoffer et al. 2017, arXiv:1705.08741, algorithm 1 (Ghost Batch Norm).
//!
//! # Differences
//! The authors' script cuts with `chunk`, which makes the ghost batches of the last batch nearly
//! equal, and weights them equally.

use std::ops::Range;

use crate::OptimError;

/// What becomes of a ghost batch of one example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum LoneExample {
    /// It joins the ghost batch before it.
    #[default]
    Join,
    /// It is left out of this update.
    Drop,
}

/// The cut of a batch into ghost batches.
///
/// ```
/// use smoothout_optim::{GhostBatches, LoneExample};
/// let ghosts = GhostBatches::new(256, 128, LoneExample::Join)?;
/// assert_eq!(ghosts.split(256).collect::<Vec<_>>(), [0..128, 128..256]);
/// assert_eq!(ghosts.split(200).collect::<Vec<_>>(), [0..128, 128..200]);
/// assert_eq!(ghosts.split(129).collect::<Vec<_>>(), [0..129]);
/// # Ok::<(), smoothout_optim::OptimError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GhostBatches {
    size: usize,
    lone: LoneExample,
}

impl GhostBatches {
    /// Ghost batches of `ghost` examples in batches of `batch`.
    ///
    /// # Errors
    /// If `ghost` does not divide `batch`.
    pub fn new(batch: usize, ghost: usize, lone: LoneExample) -> Result<Self, OptimError> {
        if batch == 0 || ghost == 0 || !batch.is_multiple_of(ghost) {
            return Err(OptimError::GhostSize { ghost, batch });
        }
        Ok(Self { size: ghost, lone })
    }

    /// G.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The most examples that a ghost batch can have: G, or G + 1 where a lone example may join.
    pub fn capacity(&self) -> usize {
        self.size + usize::from(self.size > 1 && self.lone == LoneExample::Join)
    }

    /// How many ghost batches `examples` examples make.
    pub fn count(&self, examples: usize) -> usize {
        let whole = examples / self.size;
        whole + usize::from(examples % self.size > usize::from(self.has_lone(examples)))
    }

    /// The examples of ghost batch `k` of a batch of `examples`.
    ///
    /// # Panics
    /// If there is no such ghost batch.
    pub fn range(&self, k: usize, examples: usize) -> Range<usize> {
        let count = self.count(examples);
        assert!(k < count, "ghost batch {k} of {count}");
        let end = ((k + 1) * self.size).min(examples);
        let joins = self.has_lone(examples) && k + 1 == count && self.lone == LoneExample::Join;
        k * self.size..end + usize::from(joins)
    }

    /// The ghost batches of `examples` examples, in order.
    pub fn split(&self, examples: usize) -> impl ExactSizeIterator<Item = Range<usize>> + use<> {
        let cut = *self;
        (0..cut.count(examples)).map(move |k| cut.range(k, examples))
    }

    /// How many of `examples` examples are used: all, or all but a lone one that is dropped.
    pub fn used(&self, examples: usize) -> usize {
        self.count(examples).checked_sub(1).map_or(0, |last| self.range(last, examples).end)
    }

    /// The share of ghost batch `k` in the mean over the examples that are used.
    ///
    /// # Panics
    /// As [`range`](Self::range).
    pub fn share(&self, k: usize, examples: usize) -> f64 {
        self.range(k, examples).len() as f64 / self.used(examples) as f64
    }

    /// Ghost batches of one example leave none: the remainder is 0.
    fn has_lone(&self, examples: usize) -> bool {
        examples % self.size == 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ghost_batches_cover_the_batch_in_order(size in 1_usize..40, k in 1_usize..9, examples in 0_usize..400) {
            for lone in [LoneExample::Join, LoneExample::Drop] {
                let ghosts = GhostBatches::new(size * k, size, lone).unwrap();
                let mut end = 0;
                for range in ghosts.split(examples) {
                    prop_assert_eq!(range.start, end);
                    prop_assert!(range.len() <= ghosts.capacity());
                    prop_assert!(range.len() > 1 || size == 1);
                    end = range.end;
                }
                prop_assert_eq!(ghosts.used(examples), end);
                let shares: Vec<f64> =
                    (0..ghosts.count(examples)).map(|k| ghosts.share(k, examples)).collect();
                let sum: f64 = shares.iter().sum();
                prop_assert!(shares.is_empty() || (sum - 1.0).abs() < 1e-12, "{:?}", shares);
                let left_out = examples - end;
                let lone_left = size > 1 && examples % size == 1
                    && (lone == LoneExample::Drop || examples == 1);
                prop_assert_eq!(left_out, usize::from(lone_left));
            }
        }
    }

    #[test]
    #[should_panic(expected = "ghost batch 2 of 2")]
    fn there_is_no_ghost_batch_behind_the_last() {
        GhostBatches::new(8, 4, LoneExample::Join).unwrap().range(2, 8);
    }

    /// G + 1 examples only where a lone one may join another.
    #[test]
    fn the_capacity_is_the_largest_ghost_batch() {
        for (size, lone, capacity) in [
            (4, LoneExample::Join, 5),
            (4, LoneExample::Drop, 4),
            (1, LoneExample::Join, 1),
            (2, LoneExample::Join, 3),
        ] {
            let ghosts = GhostBatches::new(8, size, lone).unwrap();
            assert_eq!((ghosts.size(), ghosts.capacity()), (size, capacity), "{lone:?}");
        }
    }

    #[test]
    fn the_ghost_size_divides_the_batch_size() {
        for (batch, ghost) in [(100, 64), (0, 1), (64, 0), (64, 128)] {
            let error = GhostBatches::new(batch, ghost, LoneExample::Join).unwrap_err();
            assert_eq!(error, OptimError::GhostSize { ghost, batch });
        }
    }
}
