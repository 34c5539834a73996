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

#[cfg(test)]
mod tests {
    use smoothout_tensor::BlockKind;

    use super::*;

    /// Neighbours are one range; what lies before, between and behind the ranges is masked.
    #[test]
    fn ranges_are_those_of_the_selected_blocks() {
        let mut layout = ParameterLayout::new();
        for (name, len, kind) in [
            ("a", 2, BlockKind::NormScale),
            ("b", 1, BlockKind::Weight),
            ("c", 3, BlockKind::Bias),
            ("d", 1, BlockKind::NormScale),
            ("e", 2, BlockKind::Weight),
            ("f", 1, BlockKind::NormScale),
        ] {
            layout.push(name, &[len], kind).unwrap();
        }
        let selection = Selection::of_kinds(&[BlockKind::Weight, BlockKind::Bias]);
        let selected = Selected::new(&selection, &layout).unwrap();
        assert_eq!(selected.ranges().collect::<Vec<_>>(), [2..6, 7..9]);
        assert_eq!(selected.count(), 6);
        let mut vector = [1.0_f64; 10];
        selected.mask(&mut vector);
        assert_eq!(vector, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]);
    }
}
