//! Grids as SVG pictures: lines with a second axis, and a plane as a colour map with contours.
//!
//! What is NaN or infinite is a hole: the line breaks, the cell stays white, contours go around it.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use thiserror::Error;

use super::{Axis, Grid};

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

/// Which axis a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStyle {
    /// Blue, on the left axis.
    Left,
    /// Orange, on the right axis.
    Right,
}

impl LineStyle {
    /// Colours that can be told apart without red against green (Okabe and Ito).
    fn stroke(self) -> ShapeStyle {
        let colour = match self {
            Self::Left => RGBColor(0, 114, 178),
            Self::Right => RGBColor(213, 94, 0),
        };
        colour.stroke_width(2 * FINE)
    }
}

/// Width and height of a picture.
const SIZE: (u32, u32) = (640, 480);
/// The drawing library rounds to whole numbers: it draws so many times larger.
const FINE: u32 = 4;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A picture as SVG.
fn picture(draw: impl FnOnce(&Area<'_>) -> Result<(), PlotError>) -> Result<String, PlotError> {
    let (width, height) = (FINE * SIZE.0, FINE * SIZE.1);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        draw(&root)?;
        root.present().map_err(failed)?;
    }
    let drawn = format!("width=\"{width}\" height=\"{height}\"");
    Ok(svg.replacen(&drawn, &format!("width=\"{}\" height=\"{}\"", SIZE.0, SIZE.1), 1))
}

fn font(size: u32) -> (&'static str, u32) {
    ("sans-serif", FINE * size)
}

fn failed(error: impl std::fmt::Display) -> PlotError {
    PlotError::Drawing(error.to_string())
}

/// The range of the finite values, a little wider.
fn range(values: impl Iterator<Item = f64>) -> Result<Range<f64>, PlotError> {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return Err(PlotError::Nothing);
    }
    let margin = if high > low { 0.05 * (high - low) } else { 0.5 };
    Ok(low - margin..high + margin)
}

/// Writes the numbers beside an axis of this range: six digits, and 0 for what is rounding.
fn numbers(range: &Range<f64>) -> impl Fn(&f64) -> String + use<> {
    let rounding = 1e-9 * (range.end - range.start);
    move |&x: &f64| {
        let x = if x.abs() < rounding { 0.0 } else { x };
        let short: f64 = format!("{x:.5e}").parse().unwrap_or(x);
        if short == 0.0 || (1e-4..1e6).contains(&short.abs()) {
            format!("{short}")
        } else {
            format!("{short:e}")
        }
    }
}

/// Draws one-dimensional grids over their coordinate, each on the left or the right axis: loss and
/// accuracy along a line. Returns the SVG.
///
/// # Errors
/// [`PlotError`].
pub fn plot_lines(title: &str, lines: &[(&Grid, LineStyle)]) -> Result<String, PlotError> {
    picture(|root| draw_lines(root, title, lines))
}

fn draw_lines(root: &Area<'_>, title: &str, lines: &[(&Grid, LineStyle)]) -> Result<(), PlotError> {
    for (grid, _) in lines {
        if grid.axes().len() != 1 {
            return Err(PlotError::Axes { found: grid.axes().len() });
        }
    }
    let on = |style: LineStyle| lines.iter().filter(move |line| line.1 == style).map(|line| line.0);
    let x = range(lines.iter().flat_map(|(grid, _)| [grid.axes()[0].from, grid.axes()[0].to]))?;
    let values = |style| range(on(style).flat_map(|grid| grid.values().iter().copied()));
    let (left, right) = (values(LineStyle::Left), values(LineStyle::Right));
    let both = left.is_ok() && right.is_ok();
    let left = left.or_else(|_| values(LineStyle::Right))?;
    let right = right.or_else(|_| values(LineStyle::Left))?;
    let name = |style| on(style).map(Grid::quantity).collect::<Vec<_>>().join(", ");
    let label =
        if both { name(LineStyle::Left) } else { name(LineStyle::Left) + &name(LineStyle::Right) };

    let mut chart = ChartBuilder::on(root)
        .caption(title, font(17))
        .margin(10 * FINE)
        .x_label_area_size(40 * FINE)
        .y_label_area_size(64 * FINE)
        .right_y_label_area_size(if both { 64 * FINE } else { 0 })
        .build_cartesian_2d(x.clone(), left.clone())
        .map_err(failed)?
        .set_secondary_coord(x.clone(), right.clone());
    chart
        .configure_mesh()
        .x_desc("coordinate")
        .y_desc(label)
        .x_label_formatter(&numbers(&x))
        .y_label_formatter(&numbers(&left))
        .label_style(font(12))
        .axis_desc_style(font(13))
        .axis_style(BLACK.stroke_width(FINE))
        .bold_line_style(BLACK.mix(0.15).stroke_width(FINE))
        .light_line_style(WHITE)
        .set_all_tick_mark_size(5 * FINE)
        .draw()
        .map_err(failed)?;
    if both {
        chart
            .configure_secondary_axes()
            .y_desc(name(LineStyle::Right))
            .y_label_formatter(&numbers(&right))
            .label_style(font(12))
            .axis_desc_style(font(13))
            .axis_style(BLACK.stroke_width(FINE))
            .set_all_tick_mark_size(5 * FINE)
            .draw()
            .map_err(failed)?;
    }
    for (grid, style) in lines {
        let (mut label, stroke) = (Some(grid.quantity()), style.stroke());
        for piece in pieces(grid) {
            let piece = LineSeries::new(piece, stroke);
            let drawn = match style {
                LineStyle::Left => chart.draw_series(piece).map_err(failed)?,
                LineStyle::Right => chart.draw_secondary_series(piece).map_err(failed)?,
            };
            if let Some(label) = label.take() {
                let sample =
                    move |(x, y)| PathElement::new([(x, y), (x + 18 * FINE as i32, y)], stroke);
                drawn.label(label).legend(sample);
            }
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperMiddle)
        .legend_area_size(24 * FINE)
        .margin(8 * FINE)
        .background_style(WHITE.mix(0.8))
        .label_font(font(12))
        .draw()
        .map_err(failed)
}

/// The runs of finite values: a hole breaks the line.
fn pieces(grid: &Grid) -> Vec<Vec<(f64, f64)>> {
    let points: Vec<(f64, f64)> =
        grid.values().iter().enumerate().map(|(i, &value)| (grid.axes()[0].at(i), value)).collect();
    points
        .split(|point| !point.1.is_finite())
        .filter(|run| !run.is_empty())
        .map(<[_]>::to_vec)
        .collect()
}

/// Draws a two-dimensional grid as a colour map with a scale, and with `levels` contours between its
/// lowest and its highest value. Returns the SVG.
///
/// # Errors
/// [`PlotError`].
pub fn plot_plane(title: &str, grid: &Grid, levels: usize) -> Result<String, PlotError> {
    picture(|root| draw_plane(root, title, grid, levels))
}

/// How far a cell reaches under its neighbours, in cells: no seam shows between them.
const OVERLAP: f64 = 0.03;

fn draw_plane(root: &Area<'_>, title: &str, grid: &Grid, levels: usize) -> Result<(), PlotError> {
    let [x, y] = grid.axes() else {
        return Err(PlotError::Axes { found: grid.axes().len() });
    };
    let values = range(grid.values().iter().copied())?;
    let (low, height) = (values.start, values.end - values.start);
    let half = |axis: &Axis| (axis.to - axis.from).abs() / (2 * axis.count.max(2) - 2) as f64;
    let (half_x, half_y) = (half(x), half(y));
    let extent =
        |axis: &Axis, half: f64| axis.from.min(axis.to) - half..axis.from.max(axis.to) + half;
    let (x_range, y_range) = (extent(x, half_x), extent(y, half_y));

    let (map, scale) = root.split_horizontally((SIZE.0 - 96) * FINE);
    let mut chart = ChartBuilder::on(&map)
        .caption(title, font(17))
        .margin(10 * FINE)
        .x_label_area_size(40 * FINE)
        .y_label_area_size(56 * FINE)
        .build_cartesian_2d(x_range.clone(), y_range.clone())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc("first coordinate")
        .y_desc("second coordinate")
        .x_label_formatter(&numbers(&x_range))
        .y_label_formatter(&numbers(&y_range))
        .label_style(font(12))
        .axis_desc_style(font(13))
        .axis_style(BLACK.stroke_width(FINE))
        .set_all_tick_mark_size(5 * FINE)
        .draw()
        .map_err(failed)?;
    let cells =
        (0..x.count).flat_map(|i| (0..y.count).map(move |j| (i, j))).filter_map(|(i, j)| {
            let value = grid.value(&[i, j]).filter(|value| value.is_finite())?;
            let (x, y, over) = (x.at(i), y.at(j), 1.0 + OVERLAP);
            let corners = [(x - half_x, y - half_y), (x + over * half_x, y + over * half_y)];
            Some(Rectangle::new(corners, colour((value - low) / height).filled()))
        });
    chart.draw_series(cells).map_err(failed)?;
    for level in 1..=levels {
        let at = low + height * level as f64 / (levels + 1) as f64;
        let segments = contour(grid, at).into_iter();
        let style = BLACK.mix(0.7).stroke_width(FINE);
        chart
            .draw_series(segments.map(|ends| PathElement::new(ends.to_vec(), style)))
            .map_err(failed)?;
    }
    draw_scale(&scale, grid.quantity(), &values)
}

/// The colours beside their values.
fn draw_scale(area: &Area<'_>, quantity: &str, values: &Range<f64>) -> Result<(), PlotError> {
    const STEPS: usize = 64;
    let mut chart = ChartBuilder::on(area)
        .caption(quantity, font(13))
        .margin_top(14 * FINE)
        .margin_right(10 * FINE)
        .margin_bottom(50 * FINE)
        .right_y_label_area_size(60 * FINE)
        .build_cartesian_2d(0.0..1.0, values.clone())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_label_formatter(&numbers(values))
        .label_style(font(12))
        .axis_style(BLACK.stroke_width(FINE))
        .set_all_tick_mark_size(5 * FINE)
        .draw()
        .map_err(failed)?;
    let height = (values.end - values.start) / STEPS as f64;
    let band = |step: usize| {
        let bottom = values.start + step as f64 * height;
        let top = (bottom + (1.0 + OVERLAP) * height).min(values.end);
        let share = (step as f64 + 0.5) / STEPS as f64;
        Rectangle::new([(0.0, bottom), (1.0, top)], colour(share).filled())
    };
    chart.draw_series((0..STEPS).map(band)).map_err(failed)?;
    Ok(())
}

/// Dark blue over green to yellow.
fn colour(share: f64) -> RGBColor {
    const STOPS: [[f64; 3]; 5] = [
        [68.0, 1.0, 84.0],
        [59.0, 82.0, 139.0],
        [33.0, 145.0, 140.0],
        [94.0, 201.0, 98.0],
        [253.0, 231.0, 37.0],
    ];
    let place = share.clamp(0.0, 1.0) * 4.0;
    let below = (place as usize).min(3);
    let mix = |channel: usize| {
        let (a, b) = (STOPS[below][channel], STOPS[below + 1][channel]);
        (a + (b - a) * (place - below as f64)).round() as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}

/// The segments of one contour: each cell of four finite corners is cut into two triangles, and a
/// triangle whose corners are not all on one side holds one segment.
fn contour(grid: &Grid, level: f64) -> Vec<[(f64, f64); 2]> {
    let (x, y) = (grid.axes()[0], grid.axes()[1]);
    let mut segments = Vec::new();
    let corner = |i: usize, j: usize| {
        grid.value(&[i, j]).filter(|v| v.is_finite()).map(|v| (x.at(i), y.at(j), v - level))
    };
    for i in 1..x.count {
        for j in 1..y.count {
            let corners = [corner(i - 1, j - 1), corner(i, j - 1), corner(i, j), corner(i - 1, j)];
            let [Some(a), Some(b), Some(c), Some(d)] = corners else { continue };
            for triangle in [[a, b, c], [a, c, d]] {
                let edges = [(0, 1), (1, 2), (2, 0)];
                let crossing: Vec<(f64, f64)> = edges
                    .iter()
                    .map(|&(p, q)| (triangle[p], triangle[q]))
                    .filter(|(p, q)| (p.2 < 0.0) != (q.2 < 0.0))
                    .map(|(p, q)| {
                        let t = p.2 / (p.2 - q.2);
                        (p.0 + t * (q.0 - p.0), p.1 + t * (q.1 - p.1))
                    })
                    .collect();
                if let [start, end] = crossing[..] {
                    segments.push([start, end]);
                }
            }
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chart, FnObjective};

    fn plane(hole: bool) -> Grid {
        let axis = Axis { from: -1.0, to: 1.0, count: 21 };
        let mut grid = Grid::new("loss", &[axis, axis]).unwrap();
        let f = FnObjective::new(2, |w: &[f64]| {
            if hole && w[0] == 0.0 && w[1] == 0.0 { f64::NAN } else { w[0] * w[0] + w[1] * w[1] }
        });
        let chart = Chart::new(&[0.0, 0.0], vec![vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap();
        grid.fill(&f, &chart).unwrap();
        grid
    }

    /// The contour of x^2 + y^2 at 1/4 is a circle of radius 1/2.
    #[test]
    fn contours_are_where_the_level_is() {
        let segments = contour(&plane(false), 0.25);
        assert!(segments.len() > 20);
        for (x, y) in segments.into_iter().flatten() {
            assert!((x.hypot(y) - 0.5).abs() < 0.01, "{x} {y}");
        }
    }

    #[test]
    fn numbers_are_short() {
        let write = numbers(&(-0.3..0.3));
        let found = [-0.1 - 0.2 + 0.3, 0.1 + 0.2, -2.5e-5, 1234567.0].map(|x| write(&x));
        assert_eq!(found, ["0", "0.3", "-2.5e-5", "1.23457e6"]);
    }

    /// NaN is drawn as a hole: one cell less.
    #[test]
    fn nan_is_a_hole() {
        let cells = |hole| plot_plane("plane", &plane(hole), 5).unwrap().matches("<rect").count();
        assert_eq!(cells(false) - cells(true), 1);
        let axis = Axis { from: 0.0, to: 4.0, count: 5 };
        let mut line = Grid::new("loss", &[axis]).unwrap();
        let f = FnObjective::new(1, |w: &[f64]| if w[0] == 2.0 { f64::NAN } else { w[0] });
        line.fill(&f, &Chart::line(&[0.0], &[1.0]).unwrap()).unwrap();
        assert_eq!(pieces(&line), [vec![(0.0, 0.0), (1.0, 1.0)], vec![(3.0, 3.0), (4.0, 4.0)]]);
        let svg =
            plot_lines("line", &[(&line, LineStyle::Left), (&line, LineStyle::Right)]).unwrap();
        // Two pieces each, and the sample beside the name.
        assert_eq!(["#0072B2", "#D55E00"].map(|colour| svg.matches(colour).count()), [3, 3]);
        assert!(svg.starts_with("<svg width=\"640\" height=\"480\" viewBox=\"0 0 2560 1920\""));
        assert!(svg.ends_with("</svg>\n"));
        assert!(matches!(plot_plane("", &line, 3), Err(PlotError::Axes { found: 1 })));
    }
}
