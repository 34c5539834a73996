//! A two-dimensional grid as a colour map with contours.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::contour::contour;
use super::scale::{ColourScale, viridis};
use super::{Picture, PlotError, SIZE, extent, failed, has_place, page, short};
use crate::{Axis, Grid};

/// The width of the colour bar with its labels.
const BAR: u32 = 110;

/// Draws a two-dimensional grid as a colour map with `levels` contours between its lowest and its
/// highest value, and a bar that says what the colours and contours are. Colours and levels are
/// evenly spaced in the value, or, where positive values span more than an order of magnitude, in
/// its logarithm. Returns the SVG.
///
/// # Errors
/// [`PlotError`].
pub fn plot_plane(picture: &Picture, grid: &Grid, levels: usize) -> Result<String, PlotError> {
    if grid.axes().len() != 2 {
        return Err(PlotError::Axes { found: grid.axes().len() });
    }
    let scale = ColourScale::of(extent(grid.values().iter().copied())?);
    let levels: Vec<f64> = (1..=levels).map(|k| k as f64 / (levels + 1) as f64).collect();
    page(|root| {
        let (map, bar) = root.split_horizontally(SIZE.0 - BAR);
        draw_map(&map, picture, grid, scale, &levels)?;
        draw_bar(&bar, grid.quantity(), scale, &levels)
    })
}

fn colour(share: f64) -> RGBColor {
    let [red, green, blue] = viridis(share);
    RGBColor(red, green, blue)
}

fn draw_map(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    picture: &Picture,
    grid: &Grid,
    scale: ColourScale,
    levels: &[f64],
) -> Result<(), PlotError> {
    let (x, y) = (grid.axes()[0], grid.axes()[1]);
    let half = |axis: Axis| (axis.to - axis.from) / (2 * axis.count.max(2) - 2) as f64;
    let (half_x, half_y) = (half(x), half(y));
    let range = |axis: Axis, half: f64| {
        axis.from.min(axis.to) - half.abs()..axis.from.max(axis.to) + half.abs()
    };
    let mut chart = ChartBuilder::on(area)
        .caption(&picture.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(range(x, half_x), range(y, half_y))
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc(&picture.axes[0])
        .y_desc(&picture.axes[1])
        .x_label_formatter(&|&at| short(at))
        .y_label_formatter(&|&at| short(at))
        .axis_desc_style(("sans-serif", 14))
        .draw()
        .map_err(failed)?;
    let cells =
        (0..x.count).flat_map(|i| (0..y.count).map(move |j| (i, j))).filter_map(|(i, j)| {
            let value = grid.value(&[i, j]).filter(|&value| has_place(value))?;
            let (x, y) = (x.at(i), y.at(j));
            // A little over the next cell, which covers it: no seams between them.
            let corners = [(x - half_x, y - half_y), (x + 1.1 * half_x, y + 1.1 * half_y)];
            Some(Rectangle::new(corners, colour(scale.share(value)).filled()))
        });
    chart.draw_series(cells).map_err(failed)?;
    for &level in levels {
        let style = BLACK.mix(0.7).stroke_width(1);
        let segments = contour(grid, scale.value(level)).into_iter();
        chart
            .draw_series(segments.map(|ends| PathElement::new(ends.to_vec(), style)))
            .map_err(failed)?;
    }
    let points: Vec<(f64, f64)> = picture.points.iter().map(|(_, at)| (at[0], at[1])).collect();
    if picture.path {
        let line = PathElement::new(points.clone(), WHITE.stroke_width(2));
        chart.draw_series([line]).map_err(failed)?;
    }
    for ((name, _), &at) in picture.points.iter().zip(&points) {
        let text =
            Text::new(name.clone(), (6, -16), ("sans-serif", 15, &WHITE).into_text_style(area));
        chart
            .draw_series([EmptyElement::at(at) + Circle::new((0, 0), 4, WHITE.filled()) + text])
            .map_err(failed)?;
    }
    Ok(())
}

/// The bar: the colours from the lowest value to the highest, a tick and its value at each contour.
fn draw_bar(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    quantity: &str,
    scale: ColourScale,
    levels: &[f64],
) -> Result<(), PlotError> {
    const STEPS: i32 = 100;
    let (left, right, top, bottom) = (0, 18, 48, SIZE.1 as i32 - 62);
    let height = |share: f64| bottom - (share * f64::from(bottom - top)).round() as i32;
    let steps = (0..STEPS).map(|step| {
        let share = |step: i32| f64::from(step) / f64::from(STEPS);
        let corners = [(left, height(share(step + 1))), (right, height(share(step)) + 1)];
        Rectangle::new(corners, colour(share(step)).filled())
    });
    steps.into_iter().try_for_each(|step| area.draw(&step)).map_err(failed)?;
    let font = ("sans-serif", 12).into_text_style(area).pos(Pos::new(HPos::Left, VPos::Center));
    let ends = [0.0, 1.0];
    for &share in ends.iter().chain(levels) {
        let at = height(share);
        let tick = PathElement::new(vec![(left, at), (right + 4, at)], BLACK.stroke_width(1));
        area.draw(&tick).map_err(failed)?;
        let text = Text::new(short(scale.value(share)), (right + 8, at), font.clone());
        area.draw(&text).map_err(failed)?;
    }
    let name = ("sans-serif", 14).into_text_style(area).pos(Pos::new(HPos::Left, VPos::Bottom));
    area.draw(&Text::new(quantity.to_owned(), (left, top - 8), name)).map_err(failed)
}
