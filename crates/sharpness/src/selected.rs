//! The coordinates of the parameter vector that a measurement works on.

use std::ops::Range;

use smoothout_tensor::{ParameterLayout, Real, Selection};

use crate::SharpnessError;

/// The ranges of the selected blocks, in order; neighbours joined.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    ranges: Vec<Range<usize>>,
}

impl Selected {
    pub(crate) fn new(
        selection: &Selection,
        layout: &ParameterLayout,
    ) -> Result<Self, SharpnessError> {
        selection.count(layout)?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for block in layout.blocks().iter().filter(|block| selection.contains(block)) {
            match ranges.last_mut() {
                Some(last) if last.end == block.range().start => last.end = block.range().end,
                _ => ranges.push(block.range()),
            }
        }
        Ok(Self { ranges })
    }

    /// The number of coordinates.
    pub(crate) fn count(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }

    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.ranges.iter().cloned()
    }

    /// Zeroes the coordinates that are not selected.
    pub(crate) fn mask<R: Real>(&self, vector: &mut [R]) {
        let mut from = 0;
        for range in &self.ranges {
            vector[from..range.start].fill(R::zero());
            from = range.end;
        }
        vector[from..].fill(R::zero());
    }
}
