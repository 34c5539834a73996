//! What can be wrong with a model's description or with the data given to it.

use smoothout_tensor::TensorError;
use thiserror::Error;

/// An invalid network or call: what was found, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum NnError {
    /// A name that no model has.
    #[error(
        "there is no model named {found:?}; the known names are {known}, and resnetN for any N = 6 n + 2 up to 1202"
    )]
    UnknownModel {
        /// The name that was given.
        found: String,
        /// The known names, separated by commas.
        known: String,
    },
    /// A label that is not a class of the network.
    #[error(
        "example {example} has the label {label}, but the network has {classes} classes (0 to {}): check the labels or build the network with more classes",
        .classes - 1
    )]
    Label {
        /// The example's place in the batch, counted from 0.
        example: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// Images of another shape than the network's input.
    #[error(
        "the images are {found:?}, but the network takes {expected:?} (height, width, channels), channels last"
    )]
    ImageShape {
        /// Height, width and channels that were given.
        found: [usize; 3],
        /// Height, width and channels of the network's input.
        expected: [usize; 3],
    },
    /// A batch without images.
    #[error("the batch is empty: give at least one image")]
    EmptyBatch,
    /// A slice of the wrong length.
    #[error("{what} has {found} elements, expected {expected}")]
    Length {
        /// What the slice holds.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length it should have.
        expected: usize,
    },
    /// Batch statistics over a single value.
    #[error(
        "the batch norm {layer:?} sees one value per channel, which has no variance: use a batch of at least 2 images, or running statistics"
    )]
    OneValuePerChannel {
        /// The layer's name.
        layer: String,
    },
    /// A layer whose extents do not fit its input.
    #[error(
        "the layer {layer:?} does not fit its input of {input:?} (height, width, channels): {reason}"
    )]
    Geometry {
        /// The layer's name.
        layer: String,
        /// The shape of its input.
        input: [usize; 3],
        /// What is wrong.
        reason: String,
    },
    /// A layer whose output goes nowhere.
    #[error("nothing uses the output of {layer:?}: connect it, or leave the layer out")]
    Unused {
        /// The layer's name.
        layer: String,
    },
    /// A depth that the family of models does not have.
    #[error("{family} has no depth {found}: {expected}")]
    Depth {
        /// The family of models.
        family: &'static str,
        /// The depth that was given.
        found: usize,
        /// Which depths there are.
        expected: &'static str,
    },
    /// A number of classes that no named network has.
    #[error("the number of classes is {found}: it must be 1 to {most}")]
    Classes {
        /// The number that was given.
        found: usize,
        /// The largest that is built.
        most: usize,
    },
    /// A parameter block that is empty or named twice.
    #[error(transparent)]
    Layout(#[from] TensorError),
}
