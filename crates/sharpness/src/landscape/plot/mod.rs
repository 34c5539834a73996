//! Grids as SVG pictures: lines with two axes ([`plot_lines`]), and a plane as a colour map with
//! contours and a colour bar ([`plot_plane`]).
//!
//! For drawings of one's own, [`contour`], [`ColourScale`] and [`viridis`] give what they are made of.
//!
//! What is NaN or infinite is a hole: the line breaks, the cell stays white, contours go around it.

mod contour;
mod lines;
mod plane;
mod scale;

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend, WHITE};
use thiserror::Error;

pub use contour::contour;
pub use lines::{LineStyle, plot_lines};
pub use plane::plot_plane;
pub use scale::{ColourScale, viridis};

/// Why there is no picture.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlotError {
    /// A grid of another number of axes.
    #[error("the grid has {found} axes: lines need 1 and a plane needs 2")]
    Axes {
        /// How many it has.
        found: usize,
    },
    /// No value that is finite.
    #[error("no value of the grid is finite: there is nothing to draw")]
    Nothing,
    /// What the drawing library said.
    #[error("the picture could not be drawn: {0}")]
    Drawing(String),
}

/// What stands around the values: title, names of the axes, marked points.
///
/// # Examples
/// ```
/// use smoothout_sharpness::{Axis, Chart, FnObjective, Grid, LineStyle, Picture, plot_lines};
///
/// let f = FnObjective::new(1, |w: &[f64]| w[0] * w[0]);
/// let mut grid = Grid::new("loss", &[Axis { from: -1.0, to: 2.0, count: 13 }])?;
/// grid.fill(&f, &Chart::line(&[0.0], &[1.0])?)?;
/// let picture = Picture::new("from A to B").axes(["alpha"]).point("A", &[0.0]).point("B", &[1.0]);
/// let svg = plot_lines(&picture, &[(&grid, LineStyle::Left)]).unwrap();
/// assert!(svg.contains("alpha") && svg.contains("loss"));
/// # Ok::<(), smoothout_sharpness::SharpnessError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Picture {
    title: String,
    axes: [String; 2],
    points: Vec<(String, Vec<f64>)>,
    path: bool,
}

impl Picture {
    /// A picture with a title, unnamed axes and no marked point.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Names the axes of the coordinates: one of a line, two of a plane.
    #[must_use]
    pub fn axes<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.axes.iter_mut().zip(names).for_each(|(axis, name)| name.clone_into(axis));
        self
    }

    /// Marks a point by its coordinates: by a vertical line, in a plane by a dot.
    #[must_use]
    pub fn point(mut self, name: &str, at: &[f64]) -> Self {
        self.points.push((name.to_owned(), at.to_vec()));
        self
    }

    /// Joins the marked points of a plane in their order.
    #[must_use]
    pub fn path(self) -> Self {
        Self { path: true, ..self }
    }
}

const SIZE: (u32, u32) = (720, 480);

/// Runs `draw` on a white page and returns the SVG.
fn page(
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), PlotError>,
) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        draw(&root)?;
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn failed(error: impl std::fmt::Display) -> PlotError {
    PlotError::Drawing(error.to_string())
}

/// Whether a value has a place in a picture: those that are not finite have none, and between those beyond
/// 1e300 distances are not.
fn has_place(value: f64) -> bool {
    value.abs() < 1e300
}

/// The least and the largest of the values that have a place.
fn extent(values: impl Iterator<Item = f64>) -> Result<(f64, f64), PlotError> {
    let placed = values.filter(|&value| has_place(value));
    let (low, high) =
        placed.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high { Err(PlotError::Nothing) } else { Ok((low, high)) }
}

/// A number in four digits at most.
fn short(value: f64) -> String {
    let size = value.abs();
    // A tick at 0 comes as some 1e-17.
    if size > 1e-12 && !(1e-3..1e4).contains(&size) {
        format!("{value:.1e}")
    } else {
        let text = format!("{value:.*}", if size >= 100.0 { 1 } else { 3 });
        let text = text.trim_end_matches('0').trim_end_matches('.');
        if text == "-0" { "0".to_owned() } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests;
