//! A plane as a colour map with contours.

use maud::{Markup, html};
use smoothout_sharpness::{Axis, ColourScale, Grid, contour, viridis};

use super::axis::{AxisScale, AxisSpec, Ruler, extent};
use super::frame::{LINE, Plot, WIDTH, axes, heading, nothing, svg};
use super::style::px;

/// A two-dimensional grid with named points.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaneChart {
    /// The title.
    pub title: String,
    /// What it is about, in smaller letters below the title; may be empty.
    pub about: String,
    /// The names of both axes.
    pub axes: [String; 2],
    /// The values.
    pub grid: Grid,
    /// Named points: (name, [x, y]).
    pub points: Vec<(String, [f64; 2])>,
}

/// Contours between the lowest and the highest value.
const LEVELS: usize = 9;
/// The height of the map.
const HEIGHT: f64 = 240.0;

impl PlaneChart {
    fn headings(&self) -> [&str; 2] {
        [&self.title, &self.about]
    }

    /// The chart as an SVG element, styled by [`STYLE`](super::STYLE). `id` must be unique on the
    /// page that it is put in. A grid of another number of axes than two has nothing to draw.
    pub fn svg(&self, id: &str) -> String {
        let (title, below) = heading(self.headings());
        let top = below + LINE + 4.0;
        let plot = Plot { left: 46.0, right: WIDTH - 84.0, top, bottom: top + HEIGHT };
        let (&[x_axis, y_axis], Some(ends)) =
            (self.grid.axes(), extent(self.grid.values().iter().copied()))
        else {
            return nothing(id, self.headings());
        };
        let ruler = |axis: Axis, pixels| {
            let half = half_cell(axis);
            let (low, high) = (axis.from.min(axis.to) - half, axis.from.max(axis.to) + half);
            Ruler::over([low, high].into_iter(), AxisScale::Linear, 0.0, pixels)
        };
        let (Some(x), Some(y)) = (ruler(x_axis, plot.across()), ruler(y_axis, plot.up())) else {
            return nothing(id, self.headings());
        };
        let scale = ColourScale::of(ends);
        let specs = self.axes.each_ref().map(|name| AxisSpec::new(name, AxisScale::Linear));
        let content = html! {
            (title)
            (axes(plot, 0.0, (&specs[0], &x), (&specs[1], &y)))
            (self.cells(scale, &x, &y))
            @for share in levels() {
                @let path = contour_path(&self.grid, scale.value(share), &x, &y);
                @if !path.is_empty() { path class="contour" d=(path) {} }
            }
            (bar(plot, scale, self.grid.quantity()))
            @for (i, (name, at)) in self.points.iter().enumerate() {
                (point(name, i, (x.clamped(at[0]), y.clamped(at[1])), plot))
            }
        };
        svg(id, self.headings(), plot.bottom + 2.0 * LINE + 10.0, &content)
    }

    /// A rectangle for each finite value, a little over its neighbours: no seams between them.
    fn cells(&self, scale: ColourScale, x: &Ruler, y: &Ruler) -> Markup {
        let (across, up) = (self.grid.axes()[0], self.grid.axes()[1]);
        let (half_x, half_y) = (half_cell(across), half_cell(up));
        let places = (0..across.count).flat_map(|i| (0..up.count).map(move |j| (i, j)));
        html! {
            g shape-rendering="crispEdges" {
                @for (i, j) in places {
                    @if let Some(value) = self.grid.value(&[i, j]).filter(|value| value.is_finite()) {
                        @let (at_x, at_y) = (across.at(i), up.at(j));
                        @let (left, right) = (x.clamped(at_x - half_x), x.clamped(at_x + half_x));
                        @let (above, below) = (y.clamped(at_y + half_y), y.clamped(at_y - half_y));
                        rect fill=(hex(scale.share(value))) x=(px(left)) y=(px(above)) width=(px(right - left)) height=(px(below - above)) {}
                    }
                }
            }
        }
    }
}

fn levels() -> impl Iterator<Item = f64> {
    (1..=LEVELS).map(|k| k as f64 / (LEVELS + 1) as f64)
}

fn half_cell(axis: Axis) -> f64 {
    let half = ((axis.to - axis.from) / (2 * axis.count.max(2) - 2) as f64).abs();
    if half > 0.0 { half } else { 0.5 }
}

fn hex(share: f64) -> String {
    let [red, green, blue] = viridis(share);
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn contour_path(grid: &Grid, level: f64, x: &Ruler, y: &Ruler) -> String {
    let place = |(a, b): (f64, f64)| format!("{} {}", px(x.clamped(a)), px(y.clamped(b)));
    let segments = contour(grid, level).into_iter();
    segments.map(|[from, to]| format!("M{}L{}", place(from), place(to))).collect()
}

/// The colours from the lowest value to the highest, with the value of every second contour.
fn bar(plot: Plot, scale: ColourScale, quantity: &str) -> Markup {
    const STEPS: u32 = 60;
    let left = plot.right + 14.0;
    let height = |share: f64| plot.bottom - share * (plot.bottom - plot.top);
    let step = (plot.bottom - plot.top) / f64::from(STEPS);
    html! {
        text x=(px(left)) y=(px(plot.top - 9.0)) { (quantity) }
        g shape-rendering="crispEdges" {
            @for k in 0..STEPS {
                @let (low, high) = (f64::from(k) / f64::from(STEPS), f64::from(k + 1) / f64::from(STEPS));
                rect fill=(hex((low + high) / 2.0)) x=(px(left)) y=(px(height(high))) width="14" height=(px(step + 0.5)) {}
            }
        }
        @for share in [0.0].into_iter().chain(levels().skip(1).step_by(2)).chain([1.0]) {
            @let at = height(share);
            line class="axis" x1=(px(left + 14.0)) x2=(px(left + 18.0)) y1=(px(at)) y2=(px(at)) {}
            text x=(px(left + 21.0)) y=(px(at + 4.0)) { (short(scale.value(share))) }
        }
    }
}

/// A dot and its name, below the first point and above the others: neighbours keep apart.
fn point(name: &str, i: usize, (x, y): (f64, f64), plot: Plot) -> Markup {
    let right = x > (plot.left + plot.right) / 2.0;
    let (anchor, aside) = if right { ("end", -7.0) } else { ("start", 7.0) };
    let down = if i == 0 { 17.0 } else { -7.0 };
    html! {
        circle class="place" cx=(px(x)) cy=(px(y)) r="4" {}
        text class="on-map" x=(px(x + aside)) y=(px(y + down)) text-anchor=(anchor) { (name) }
    }
}

/// A number in three digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if (1e-2..1e4).contains(&size) {
        let decimals = (2.0 - size.log10().floor()).clamp(0.0, 4.0) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use smoothout_sharpness::{Chart, FnObjective};

    use super::*;

    fn plane(hole: bool) -> String {
        let axis = Axis { from: -1.0, to: 1.0, count: 11 };
        let mut grid = Grid::new("loss", &[axis, axis]).unwrap();
        let f = FnObjective::new(2, |w: &[f64]| {
            if hole && w[0] == 0.0 && w[1] == 0.0 { f64::NAN } else { w[0] * w[0] + w[1] }
        });
        grid.fill(&f, &Chart::new(&[0.0, 0.0], vec![vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap())
            .unwrap();
        let points = vec![("A & B".to_owned(), [0.0, 0.0])];
        PlaneChart {
            title: "plane".into(),
            about: String::new(),
            axes: ["x".into(), "y".into()],
            grid,
            points,
        }
        .svg("p")
    }

    /// NaN is one rectangle less; the point is named.
    #[test]
    fn holes_and_points() {
        let (whole, hole) = (plane(false), plane(true));
        assert_eq!(whole.matches("<rect").count() - hole.matches("<rect").count(), 1);
        assert!(whole.contains("A &amp; B") && whole.contains("contour"));
        assert!(!hole.contains("NaN"), "{hole}");
    }

    #[test]
    fn a_line_is_no_plane() {
        let grid = Grid::new("loss", &[Axis { from: 0.0, to: 1.0, count: 3 }]).unwrap();
        let axes = ["x".into(), "y".into()];
        let chart = PlaneChart {
            title: "line".into(),
            about: String::new(),
            axes,
            grid,
            points: Vec::new(),
        };
        assert!(chart.svg("p").contains("nothing to draw"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.5, 12.345, 1234.5, 1e-5].map(short),
            ["0", "0.500", "12.3", "1234", "1.0e-5"]
        );
    }
}
