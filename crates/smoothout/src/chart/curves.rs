//! Curves over a coordinate.

use maud::{Markup, html};

use super::axis::{AxisSpec, Ruler};
use super::frame::{Entry, LINE, Plot, SAMPLE, WIDTH, axes, heading, legend, nothing, svg};
use super::style::{COLOURS, px};

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dash {
    /// Not at all.
    #[default]
    Solid,
    /// Dashes.
    Dashed,
    /// Dots.
    Dotted,
}

impl Dash {
    fn class(self) -> &'static str {
        match self {
            Self::Solid => "",
            Self::Dashed => " dash",
            Self::Dotted => " dot",
        }
    }
}

/// A curve's colour and dash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ink {
    /// The colour's number; they repeat after seven.
    pub colour: usize,
    /// The dash.
    pub dash: Dash,
}

impl Ink {
    /// The ink of curve `i` of many: seven colours, then the same dashed, then dotted.
    pub fn of(i: usize) -> Self {
        let dash = [Dash::Solid, Dash::Dashed, Dash::Dotted][i / COLOURS % 3];
        Self { colour: i % COLOURS, dash }
    }

    fn stroke(self) -> String {
        format!("c{}{}", self.colour % COLOURS, self.dash.class())
    }
}

/// One curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve {
    /// Its name.
    pub label: String,
    /// (x, y); what is not finite breaks the line.
    pub points: Vec<(f64, f64)>,
    /// Half the length of each point's error bar; none without it.
    pub spread: Vec<f64>,
    /// Colour and dash.
    pub ink: Ink,
    /// What is drawn of it.
    pub drawn: Drawn,
}

/// What is drawn of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Drawn {
    /// A line through its points.
    #[default]
    Line,
    /// The points.
    Dots,
    /// Both.
    LineAndDots,
}

impl Curve {
    /// A line through points.
    pub fn line(label: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { label: label.to_owned(), points: points.into_iter().collect(), ..Self::default() }
    }

    /// Points without a line.
    pub fn dots(label: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { drawn: Drawn::Dots, ..Self::line(label, points) }
    }

    fn has_line(&self) -> bool {
        self.drawn != Drawn::Dots
    }

    fn has_dots(&self) -> bool {
        self.drawn != Drawn::Line
    }
}

/// A value that does not depend on x, drawn across the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Its name.
    pub label: String,
    /// The value.
    pub value: f64,
    /// Half the band's height; a line without it.
    pub spread: Option<f64>,
}

/// Curves with axes and a legend.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CurveChart {
    /// The title.
    pub title: String,
    /// What it is about, in smaller letters below the title; may be empty.
    pub about: String,
    /// The horizontal axis.
    pub x: AxisSpec,
    /// The vertical axis.
    pub y: AxisSpec,
    /// The curves.
    pub curves: Vec<Curve>,
    /// A value to compare them with.
    pub band: Option<Band>,
    /// Named places on the horizontal axis.
    pub marks: Vec<(String, f64)>,
}

impl CurveChart {
    /// Curves in inks of their own, in their order.
    ///
    /// # Examples
    /// ```
    /// use smoothout::chart::{AxisScale, AxisSpec, Curve, CurveChart};
    ///
    /// let axis = |name| AxisSpec::new(name, AxisScale::Linear);
    /// let curve = Curve::line("x squared", (0..5).map(|x| (f64::from(x), f64::from(x * x))));
    /// let svg = CurveChart::new("A parabola", axis("x"), axis("y"), vec![curve]).svg("parabola");
    /// assert!(svg.contains("A parabola") && svg.contains("x squared"));
    /// ```
    pub fn new(title: &str, x: AxisSpec, y: AxisSpec, curves: Vec<Curve>) -> Self {
        let inked = |(i, curve)| Curve { ink: Ink::of(i), ..curve };
        let curves = curves.into_iter().enumerate().map(inked).collect();
        Self { title: title.to_owned(), x, y, curves, ..Self::default() }
    }

    fn headings(&self) -> [&str; 2] {
        [&self.title, &self.about]
    }

    /// The chart as an SVG element, styled by [`STYLE`](super::STYLE). `id` must be unique on the
    /// page that it is put in.
    pub fn svg(&self, id: &str) -> String {
        let (title, below) = heading(self.headings());
        let named = LINE * self.marks.len() as f64;
        let top = below + LINE + 4.0 + named;
        let plot = Plot { left: 52.0, right: WIDTH - 14.0, top, bottom: top + 190.0 };
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let x = Ruler::over(points().map(|p| p.0), self.x.scale, 0.02, plot.across());
        let y = Ruler::over(self.heights(), self.y.scale, 0.05, plot.up());
        let (Some(x), Some(y)) = (x, y) else { return nothing(id, self.headings()) };
        let (names, height) = legend(&self.entries(), plot.bottom + 2.0 * LINE + 10.0);
        let content = html! {
            (title)
            (axes(plot, named, (&self.x, &x), (&self.y, &y)))
            @for (row, (name, at)) in self.marks.iter().rev().enumerate() {
                @if let Some(at) = x.pixel(*at).filter(|at| (plot.left..=plot.right).contains(at)) {
                    line class="mark" x1=(px(at)) x2=(px(at)) y1=(px(plot.top - LINE * row as f64)) y2=(px(plot.bottom)) {}
                    (mark_name(name, at, row, plot))
                }
            }
            @if let Some(band) = &self.band { (band.draw(plot, &y)) }
            @for curve in &self.curves { (curve.draw(&x, &y)) }
            (names)
        };
        svg(id, self.headings(), plot.bottom + 2.0 * LINE + 16.0 + height, &content)
    }

    /// All heights that must be in sight.
    fn heights(&self) -> impl Iterator<Item = f64> {
        let band = self.band.iter().flat_map(|band| {
            let spread = band.spread.unwrap_or(0.0);
            [band.value - spread, band.value, band.value + spread]
        });
        let curves = self.curves.iter().flat_map(|curve| {
            curve.points.iter().enumerate().flat_map(|(i, &(_, y))| {
                let spread = curve.spread_at(i);
                [y - spread, y, y + spread]
            })
        });
        curves.chain(band)
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        let curve = |curve: &'_ Curve| {
            let class = format!("line {}", curve.ink.stroke());
            let (line, dots) = (curve.has_line(), curve.has_dots());
            let colour = format!("f{}", curve.ink.colour % COLOURS);
            let sample = move |x: f64, y: f64| {
                html! {
                    @if line {
                        line class=(class) x1=(px(x)) x2=(px(x + SAMPLE)) y1=(px(y)) y2=(px(y)) {}
                    }
                    @if dots {
                        circle class=(colour) cx=(px(x + SAMPLE / 2.0)) cy=(px(y)) r="3" {}
                    }
                }
            };
            Box::new(sample) as Box<dyn Fn(f64, f64) -> Markup>
        };
        let curves = self.curves.iter().map(|c| Entry { sample: curve(c), name: &c.label });
        let band = self.band.iter().map(|band| Entry {
            sample: Box::new(|x, y| {
                html! {
                    rect class="band" x=(px(x)) y=(px(y - 5.0)) width=(px(SAMPLE)) height="10" {}
                    line class="over" x1=(px(x)) x2=(px(x + SAMPLE)) y1=(px(y)) y2=(px(y)) {}
                }
            }),
            name: &band.label,
        });
        curves.chain(band).collect()
    }
}

/// A mark's name above the plot, each in a row of its own and within the chart's width.
fn mark_name(name: &str, at: f64, row: usize, plot: Plot) -> Markup {
    let middle = (plot.left + plot.right) / 2.0;
    let (anchor, aside) = if at > middle { ("end", -3.0) } else { ("start", 3.0) };
    html! { text x=(px(at + aside)) y=(px(plot.top - 5.0 - LINE * row as f64)) text-anchor=(anchor) { (name) } }
}

impl Curve {
    fn spread_at(&self, i: usize) -> f64 {
        self.spread.get(i).copied().filter(|spread| spread.is_finite()).unwrap_or(0.0)
    }

    fn draw(&self, x: &Ruler, y: &Ruler) -> Markup {
        let pixel = |&(px, py): &(f64, f64)| Some((x.pixel(px)?, y.pixel(py)?));
        let pixels: Vec<Option<(f64, f64)>> = self.points.iter().map(pixel).collect();
        let stroke = self.ink.stroke();
        let colour = format!("f{}", self.ink.colour % COLOURS);
        html! {
            @if let Some(path) = path(&pixels).filter(|_| self.has_line()) {
                path class=(format!("line {stroke}")) d=(path) {}
            }
            @for (i, at) in pixels.iter().enumerate() {
                @if let Some((px_x, px_y)) = *at {
                    @let (spread, value) = (self.spread_at(i), self.points[i].1);
                    @if spread > 0.0 {
                        @let (low, high) = (y.clamped(value - spread), y.clamped(value + spread));
                        @let bar = format!("M{0} {1}V{2}M{3} {1}h8M{3} {2}h8", px(px_x), px(low), px(high), px(px_x - 4.0));
                        path class=(format!("whisker c{}", self.ink.colour % COLOURS)) d=(bar) {}
                    }
                    @if self.has_dots() || alone(&pixels, i) {
                        circle class=(colour) cx=(px(px_x)) cy=(px(px_y)) r="3" {}
                    }
                }
            }
        }
    }
}

/// Whether a point has a hole or an end on both sides, so that no line shows it.
fn alone(pixels: &[Option<(f64, f64)>], i: usize) -> bool {
    let hole = |j: Option<usize>| j.and_then(|j| pixels.get(j)).is_none_or(Option::is_none);
    hole(i.checked_sub(1)) && hole(Some(i + 1))
}

/// The path through the points, lifted at each hole; `None` where no two are neighbours.
fn path(pixels: &[Option<(f64, f64)>]) -> Option<String> {
    let runs = pixels.split(Option::is_none).filter(|run| run.len() > 1);
    let piece = |run: &[Option<(f64, f64)>]| {
        let points: Vec<String> =
            run.iter().flatten().map(|(x, y)| format!("{} {}", px(*x), px(*y))).collect();
        format!("M{}", points.join("L"))
    };
    let path: String = runs.map(piece).collect();
    (!path.is_empty()).then_some(path)
}

impl Band {
    fn draw(&self, plot: Plot, y: &Ruler) -> Markup {
        let spread = self.spread.unwrap_or(0.0);
        let (low, high) = (y.clamped(self.value - spread), y.clamped(self.value + spread));
        let width = px(plot.right - plot.left);
        html! {
            @if spread > 0.0 {
                rect class="band" x=(px(plot.left)) y=(px(high)) width=(width) height=(px(low - high)) {}
            }
            @if let Some(at) = y.pixel(self.value) {
                line class="over" x1=(px(plot.left)) x2=(px(plot.right)) y1=(px(at)) y2=(px(at)) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> CurveChart {
        let curve = Curve { label: "one".into(), points, ..Curve::default() };
        CurveChart { title: "t".into(), curves: vec![curve], ..CurveChart::default() }
    }

    /// A hole lifts the pen; a point between two holes is a dot.
    #[test]
    fn holes_break_the_line() {
        let nan = f64::NAN;
        let svg = chart(vec![(0.0, 1.0), (1.0, 2.0), (2.0, nan), (3.0, 1.0), (4.0, nan)]).svg("a");
        assert_eq!((svg.matches("<path").count(), svg.matches("<circle").count()), (1, 1));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(chart(vec![(0.0, nan)]).svg("b").contains("nothing to draw"));
    }

    #[test]
    fn error_bars_marks_and_bands_are_drawn_and_named() {
        let mut chart = chart(vec![(0.0, 1.0), (1.0, 2.0)]);
        chart.curves[0].spread = vec![0.5, 0.0];
        chart.marks = vec![("<here>".into(), 1.0), ("outside".into(), 9.0)];
        chart.band = Some(Band { label: "plain & simple".into(), value: 5.0, spread: Some(0.1) });
        let svg = chart.svg("a");
        assert_eq!(svg.matches("whisker").count(), 1);
        assert!(svg.contains("&lt;here&gt;") && svg.contains("plain &amp; simple"));
        assert!(!svg.contains("outside"));
    }

    #[test]
    fn twenty_one_inks_differ() {
        let inks: Vec<String> = (0..21).map(|i| Ink::of(i).stroke()).collect();
        let mut unique = inks.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), inks.len());
    }
}
