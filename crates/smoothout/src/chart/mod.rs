//! Charts as SVG text: [curves](CurveChart), [bars](BarChart), and [planes](PlaneChart).
//!
//! A chart is 380 units wide, so that its text can be read on a phone; its colours can be told apart
//! without red against green, no curve is told by its colour alone, and they follow the reader's
//! choice of a light or dark page. Values that are not finite are holes.

mod axis;
mod bars;
mod curves;
mod frame;
mod plane;
mod style;

pub use axis::{AxisScale, AxisSpec};
pub use bars::{Bar, BarChart};
pub use curves::{Band, Curve, CurveChart, Dash, Drawn, Ink};
pub use plane::PlaneChart;
pub use style::STYLE;

/// A chart's SVG for a file of its own: the text of [`CurveChart::svg`] and its fellows with the
/// [`STYLE`] that a page states once.
///
/// # Examples
/// ```
/// use smoothout::chart::{CurveChart, standalone};
/// let svg = standalone(&CurveChart::default().svg("empty"));
/// assert!(svg.starts_with("<svg") && svg.contains("<style>") && svg.contains("nothing to draw"));
/// ```
pub fn standalone(svg: &str) -> String {
    svg.replacen('>', &format!("><style>{STYLE}</style>"), 1)
}
