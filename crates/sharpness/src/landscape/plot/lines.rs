//! One-dimensional grids as lines.

use plotters::prelude::*;

use super::{Picture, PlotError, extent, failed, has_place, page, short};
use crate::Grid;

/// Which axis a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStyle {
    /// Blue, on the left axis.
    Left,
    /// Red, on the right axis.
    Right,
}

impl LineStyle {
    fn colour(self) -> RGBColor {
        match self {
            Self::Left => BLUE,
            Self::Right => RED,
        }
    }
}

/// Draws one-dimensional grids over their coordinate, each on the left or the right axis: loss and
/// accuracy along a line. Returns the SVG.
///
/// # Errors
/// [`PlotError`].
pub fn plot_lines(picture: &Picture, lines: &[(&Grid, LineStyle)]) -> Result<String, PlotError> {
    for (grid, _) in lines {
        if grid.axes().len() != 1 {
            return Err(PlotError::Axes { found: grid.axes().len() });
        }
    }
    let on = |style: LineStyle| lines.iter().filter(move |line| line.1 == style).map(|line| line.0);
    let (from, to) =
        extent(lines.iter().flat_map(|(grid, _)| [grid.axes()[0].from, grid.axes()[0].to]))?;
    let values = |style| {
        let (low, high) = extent(on(style).flat_map(|grid| grid.values().iter().copied()))?;
        let margin = if high > low { 0.05 * (high - low) } else { 0.5 };
        Ok(low - margin..high + margin)
    };
    let (left, right) = (values(LineStyle::Left), values(LineStyle::Right));
    let both = left.is_ok() && right.is_ok();
    // A single kind of line takes the left axis, whatever its style.
    let (left, right) = match (left, right) {
        (Ok(left), Ok(right)) => (left, right),
        (Ok(only), Err(_)) | (Err(_), Ok(only)) => (only.clone(), only),
        (Err(error), Err(_)) => return Err(error),
    };
    let name = |style: LineStyle| {
        let names = on(style).map(Grid::quantity).collect::<Vec<_>>().join(", ");
        let colour = if style == LineStyle::Left { "blue" } else { "red" };
        format!("{names} ({colour})")
    };
    page(|root| {
        let mut chart = ChartBuilder::on(root)
            .caption(&picture.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .right_y_label_area_size(if both { 64 } else { 0 })
            .build_cartesian_2d(from..to, left.clone())
            .map_err(failed)?
            .set_secondary_coord(from..to, right);
        let first =
            if on(LineStyle::Left).next().is_some() { LineStyle::Left } else { LineStyle::Right };
        chart
            .configure_mesh()
            .x_desc(&picture.axes[0])
            .y_desc(name(first))
            .x_label_formatter(&|&at| short(at))
            .axis_desc_style(("sans-serif", 14))
            .light_line_style(WHITE)
            .draw()
            .map_err(failed)?;
        if both {
            chart
                .configure_secondary_axes()
                .y_desc(name(LineStyle::Right))
                .axis_desc_style(("sans-serif", 14))
                .draw()
                .map_err(failed)?;
        }
        let (bottom, top) = (left.start, left.end);
        for (name, at) in picture.points.iter().filter(|(_, at)| (from..=to).contains(&at[0])) {
            let ends = vec![(at[0], bottom), (at[0], top)];
            let text = Text::new(name.clone(), (at[0], top), ("sans-serif", 14).into_font());
            chart.draw_series([PathElement::new(ends, BLACK.mix(0.4))]).map_err(failed)?;
            chart.draw_series([text]).map_err(failed)?;
        }
        for (grid, style) in lines {
            let stroke = style.colour().stroke_width(2);
            for piece in pieces(grid) {
                match style {
                    LineStyle::Right if both => {
                        chart.draw_secondary_series(LineSeries::new(piece, stroke))
                    }
                    _ => chart.draw_series(LineSeries::new(piece, stroke)),
                }
                .map_err(failed)?;
            }
        }
        Ok(())
    })
}

/// The runs of finite values: a hole breaks the line.
pub(super) fn pieces(grid: &Grid) -> Vec<Vec<(f64, f64)>> {
    let points: Vec<(f64, f64)> =
        grid.values().iter().enumerate().map(|(i, &value)| (grid.axes()[0].at(i), value)).collect();
    points
        .split(|point| !has_place(point.1))
        .filter(|run| !run.is_empty())
        .map(<[_]>::to_vec)
        .collect()
}
