//! What can be wrong with a layout, a perturbation or the slices given with them.

use thiserror::Error;

/// An invalid layout, perturbation or selection: what was found, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum TensorError {
    /// A radius that is negative, infinite or NaN.
    #[error(
        "the perturbation radius is {found}: it must be finite and not negative (0 turns the perturbation off)"
    )]
    Radius {
        /// The radius that was given.
        found: f64,
    },
    /// Two blocks of a layout with the same name.
    #[error(
        "the parameter block {name:?} is named twice: give each block of a layout its own name"
    )]
    DuplicateBlock {
        /// The name that stands twice.
        name: String,
    },
    /// A block without elements.
    #[error(
        "the parameter block {name:?} has the shape {shape:?}, which holds no element: every extent must be at least 1"
    )]
    EmptyBlock {
        /// The block's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A block with which a layout would have more elements than can be counted.
    #[error(
        "the parameter block {name:?} has the shape {shape:?}: with it the layout has more elements than can be counted"
    )]
    TooManyElements {
        /// The block's name.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A selection that picks none of the layout's blocks.
    #[error("the selection {selection} picks none of the blocks; the layout has {names}")]
    NothingSelected {
        /// The selection, as a person would write it.
        selection: String,
        /// The layout's block names, shortened.
        names: String,
    },
}
