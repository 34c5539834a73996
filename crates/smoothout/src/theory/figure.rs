//! A chart of curves, as SVG text.

use std::ops::Range;

use anyhow::anyhow;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

pub(super) use plotters::prelude::SeriesLabelPosition;

/// One curve.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Points without a line between them.
    pub(super) dots: bool,
}

impl Curve {
    pub(super) fn line(label: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { label: label.to_owned(), points: points.into_iter().collect(), dots: false }
    }

    pub(super) fn dots(label: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { dots: true, ..Self::line(label, points) }
    }
}

/// Whether an axis shows x or log10 x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Logarithmic,
}

impl Scale {
    fn place(self, x: f64) -> f64 {
        if self == Self::Linear { x } else { x.log10() }
    }

    fn label(self, x: f64) -> String {
        match self {
            Self::Linear => format!("{}", (x * 1e4).round() / 1e4 + 0.0),
            Self::Logarithmic => format!("{}", (10_f64.powf(x) * 1e6).round() / 1e6),
        }
    }

    /// The most numbers beside an axis of this range: on a logarithmic one, a number a decade.
    fn labels(self, range: &Range<f64>) -> usize {
        match self {
            Self::Linear => 10,
            Self::Logarithmic => (range.end.floor() - range.start.ceil()) as usize + 1,
        }
    }
}

/// A chart.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) title: &'static str,
    pub(super) x: (&'static str, Scale),
    pub(super) y: (&'static str, Scale),
    /// Where the curves leave room for their names.
    pub(super) legend: SeriesLabelPosition,
    pub(super) curves: Vec<Curve>,
}

/// Colours that can be told apart without red against green (Okabe and Ito).
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// Width and height of a figure.
const SIZE: (u32, u32) = (720, 480);
/// The drawing library rounds to whole numbers: it draws so many times larger.
const FINE: u32 = 4;

fn font(size: u32) -> (&'static str, u32) {
    ("sans-serif", FINE * size)
}

impl Figure {
    /// The chart as SVG.
    pub(super) fn svg(&self) -> anyhow::Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg).map_err(|error| anyhow!("{error}"))?;
        let attributes =
            |size: u32| format!("width=\"{}\" height=\"{}\"", size * SIZE.0, size * SIZE.1);
        Ok(svg.replacen(&attributes(FINE), &attributes(1), 1))
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn std::error::Error + '_>> {
        let size = (FINE * SIZE.0, FINE * SIZE.1);
        let root = SVGBackend::with_string(svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        let ((x, x_scale), (y, y_scale)) = (self.x, self.y);
        let curves: Vec<Vec<(f64, f64)>> = self
            .curves
            .iter()
            .map(|c| c.points.iter().map(|p| (x_scale.place(p.0), y_scale.place(p.1))).collect())
            .collect();
        let all = || curves.iter().flatten();
        let x_range = range(all().map(|p| p.0), 0.0);
        let y_range = range(all().map(|p| p.1), 0.05);
        let labels = (x_scale.labels(&x_range), y_scale.labels(&y_range));
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, font(17))
            .margin(12 * FINE)
            .margin_right(28 * FINE)
            .x_label_area_size(44 * FINE)
            .y_label_area_size(64 * FINE)
            .build_cartesian_2d::<RangedCoordf64, RangedCoordf64>(x_range.into(), y_range.into())?;
        chart
            .configure_mesh()
            .x_desc(x)
            .y_desc(y)
            .x_labels(labels.0)
            .y_labels(labels.1)
            .axis_style(BLACK.stroke_width(FINE))
            .bold_line_style(BLACK.mix(0.15).stroke_width(FINE))
            .light_line_style(WHITE)
            .set_all_tick_mark_size(5 * FINE)
            .label_style(font(13))
            .axis_desc_style(font(14))
            .x_label_formatter(&|value| x_scale.label(*value))
            .y_label_formatter(&|value| y_scale.label(*value))
            .draw()?;
        for (i, (curve, points)) in self.curves.iter().zip(curves).enumerate() {
            let color = COLORS[i % COLORS.len()];
            let drawn = if curve.dots {
                let dot = |p| Circle::new(p, 4 * FINE, color.filled());
                chart.draw_series(points.into_iter().map(dot))?
            } else {
                chart.draw_series(LineSeries::new(points, color.stroke_width(2 * FINE)))?
            };
            let (fine, dots) = (FINE as i32, curve.dots);
            drawn.label(&curve.label).legend(move |(x, y)| {
                // A dot or a line, as the curve is drawn.
                let half = if dots { (4 * fine, 4 * fine) } else { (9 * fine, fine) };
                let middle = x + 9 * fine;
                let corners = [(middle - half.0, y - half.1), (middle + half.0, y + half.1)];
                Rectangle::new(corners, color.filled())
            });
        }
        chart
            .configure_series_labels()
            .position(self.legend.clone())
            .legend_area_size(24 * FINE)
            .margin(8 * FINE)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3).stroke_width(FINE))
            .label_font(font(13))
            .draw()?;
        root.present()?;
        Ok(())
    }
}

/// From the smallest to the largest finite value, and a share of the span on both sides.
fn range(values: impl Iterator<Item = f64>, share: f64) -> Range<f64> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    let margin = (high - low) * share + f64::from(u8::from(high == low));
    low - margin..high + margin
}
