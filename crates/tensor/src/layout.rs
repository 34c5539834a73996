//! The parameter vector's layout: which slice of w in R^m is which weight.
//!
//! All parameters of a network are one contiguous vector w. A [`ParameterLayout`] cuts it into
//! named [`Block`]s in PyTorch's order and naming, each block row-major in PyTorch's shape, so that
//! a checkpoint maps one to one. A *filter* is a slice along the output axis (the first one): it is
//! contiguous, `shape[1..]` elements long. Every element of a one-dimensional block (biases, batch
//! norm's gamma and beta) is a filter of its own, as in the authors' code.

use std::ops::Range;

use ndarray::{ArrayViewD, ArrayViewMutD, IxDyn};

use crate::{Real, TensorError, all_finite};

/// What a block of parameters is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum BlockKind {
    /// The weight of a linear or convolutional layer.
    Weight,
    /// The bias of a linear or convolutional layer.
    Bias,
    /// Batch norm's scale gamma.
    NormScale,
    /// Batch norm's shift beta.
    NormShift,
}

/// One named piece of the parameter vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    name: String,
    shape: Vec<usize>,
    kind: BlockKind,
    range: Range<usize>,
}

impl Block {
    /// The block's name, as PyTorch's `state_dict` has it (`layer1.0.conv1.weight`).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The block's shape, in PyTorch's order: (out, in) for a linear weight, (out, in, height,
    /// width) for a convolution.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// What the block is for.
    pub fn kind(&self) -> BlockKind {
        self.kind
    }

    /// Where the block lies in the parameter vector.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The number of elements, never 0.
    #[expect(clippy::len_without_is_empty, reason = "a layout refuses empty blocks")]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// The number of elements of one filter: a slice along the output axis, or one element of a
    /// one-dimensional block.
    pub fn filter_len(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// The number of filters.
    pub fn filters(&self) -> usize {
        self.len() / self.filter_len()
    }
}

/// The named blocks of a parameter vector, one after the other without gaps.
///
/// ```
/// use smoothout_tensor::{BlockKind, ParameterLayout};
///
/// let mut layout = ParameterLayout::new();
/// layout.push("fc.weight", &[10, 64], BlockKind::Weight)?;
/// layout.push("fc.bias", &[10], BlockKind::Bias)?;
/// assert_eq!(layout.len(), 650);
/// assert_eq!(layout.block("fc.bias").unwrap().range(), 640..650);
/// assert_eq!(layout.blocks()[0].filter_len(), 64);
/// # Ok::<(), smoothout_tensor::TensorError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterLayout {
    blocks: Vec<Block>,
}

impl ParameterLayout {
    /// A layout without blocks.
    pub fn new() -> Self {
        Self::default()
    }

    /// A layout of one block `w` of `len` weights, for functions of a plain vector. Each element
    /// is a filter of its own.
    ///
    /// # Panics
    /// If `len` is 0.
    pub fn flat(len: usize) -> Self {
        let mut layout = Self::new();
        layout
            .push("w", &[len], BlockKind::Weight)
            .expect("a flat layout needs at least one element");
        layout
    }

    /// Adds a block behind the last one and returns where it lies.
    ///
    /// # Errors
    /// If the name stands already, or the shape holds no element or more than can be counted.
    pub fn push(
        &mut self,
        name: &str,
        shape: &[usize],
        kind: BlockKind,
    ) -> Result<Range<usize>, TensorError> {
        if self.block(name).is_some() {
            return Err(TensorError::DuplicateBlock { name: name.to_owned() });
        }
        if shape.contains(&0) {
            return Err(TensorError::EmptyBlock { name: name.to_owned(), shape: shape.to_vec() });
        }
        let elements = shape.iter().try_fold(1_usize, |all, &extent| all.checked_mul(extent));
        let Some(end) = elements.and_then(|elements| self.len().checked_add(elements)) else {
            let (name, shape) = (name.to_owned(), shape.to_vec());
            return Err(TensorError::TooManyElements { name, shape });
        };
        let range = self.len()..end;
        self.blocks.push(Block {
            name: name.to_owned(),
            shape: shape.to_vec(),
            kind,
            range: range.clone(),
        });
        Ok(range)
    }

    /// The blocks, in the order of the vector.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The block of that name.
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| block.name == name)
    }

    /// The name of the first block of `w` that holds an infinite number or NaN.
    ///
    /// # Panics
    /// If `w` is shorter than the layout.
    pub fn first_non_finite<R: Real>(&self, w: &[R]) -> Option<&str> {
        if all_finite(w) {
            return None;
        }
        self.blocks.iter().find(|block| !all_finite(&w[block.range()])).map(Block::name)
    }

    /// m, the length of the parameter vector.
    pub fn len(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.range.end)
    }

    /// True for a layout without blocks.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// One block of the vector `w`, as an array of the block's shape.
    ///
    /// # Panics
    /// If `w` is shorter than the layout.
    pub fn view<'w, R>(&self, block: &Block, w: &'w [R]) -> ArrayViewD<'w, R> {
        ArrayViewD::from_shape(IxDyn(&block.shape), &w[block.range()])
            .expect("a block's shape fits its range")
    }

    /// One block of the vector `w`, as a mutable array of the block's shape.
    ///
    /// # Panics
    /// If `w` is shorter than the layout.
    pub fn view_mut<'w, R>(&self, block: &Block, w: &'w mut [R]) -> ArrayViewMutD<'w, R> {
        ArrayViewMutD::from_shape(IxDyn(&block.shape), &mut w[block.range()])
            .expect("a block's shape fits its range")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_lie_one_after_the_other() {
        let mut layout = ParameterLayout::new();
        assert_eq!(layout.push("conv", &[4, 3, 5, 5], BlockKind::Weight).unwrap(), 0..300);
        assert_eq!(layout.push("bias", &[4], BlockKind::Bias).unwrap(), 300..304);
        assert_eq!(layout.len(), 304);
        let conv = layout.block("conv").unwrap();
        assert_eq!((conv.filters(), conv.filter_len()), (4, 75));
        let bias = layout.block("bias").unwrap();
        assert_eq!((bias.filters(), bias.filter_len()), (4, 1));
        let w: Vec<usize> = (0..304).collect();
        assert_eq!(layout.view(conv, &w)[[1, 2, 3, 4]], 75 + 50 + 15 + 4);
    }

    #[test]
    fn names_are_unique_and_blocks_hold_elements() {
        let mut layout = ParameterLayout::flat(3);
        assert!(matches!(
            layout.push("w", &[1], BlockKind::Bias),
            Err(TensorError::DuplicateBlock { .. })
        ));
        assert!(matches!(
            layout.push("v", &[2, 0], BlockKind::Bias),
            Err(TensorError::EmptyBlock { .. })
        ));
        for shape in [&[usize::MAX, 2][..], &[usize::MAX - 2]] {
            let pushed = layout.push("v", shape, BlockKind::Bias);
            assert!(matches!(pushed, Err(TensorError::TooManyElements { .. })), "{pushed:?}");
        }
        assert_eq!(layout.len(), 3);
    }
}
