//! Pictures of the loss: values on a line or in a plane through weight space.
//!
//! A [`Chart`] says where the points are, a [`Grid`] holds the values and can be interrupted, saved
//! and resumed; with the feature `serde` it is JSON, always CSV and NPY, with the feature `plot` SVG.

mod chart;
mod grid;
#[cfg(feature = "plot")]
mod plot;
mod write;

pub use chart::Chart;
pub use grid::{Axis, Grid};
#[cfg(feature = "plot")]
pub use plot::{
    ColourScale, LineStyle, Picture, PlotError, contour, plot_lines, plot_plane, viridis,
};
#[cfg(feature = "serde")]
pub use write::numbers;
