//! What stands around the values of every chart: the title, the axes, the legend.

use maud::{Markup, html};

use super::axis::{AxisSpec, Ruler};
use super::style::{lines, px};

/// The width of every chart.
pub(super) const WIDTH: f64 = 380.0;
/// The height of a line of text.
pub(super) const LINE: f64 = 16.0;
/// Characters of a title that fit a line.
const TITLE: usize = 46;
/// Characters of what a chart is about that fit a line.
const ABOUT: usize = 54;
/// A letter's width in the legend, on the safe side.
const LETTER: f64 = 6.6;

/// The rectangle that the values are drawn in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plot {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Plot {
    /// Pixels of the horizontal axis.
    pub(super) fn across(&self) -> (f64, f64) {
        (self.left, self.right)
    }

    /// Pixels of the vertical axis, from its low end to its high end.
    pub(super) fn up(&self) -> (f64, f64) {
        (self.bottom, self.top)
    }
}

/// The whole SVG element: `id` must be unique on the page.
pub(super) fn svg(id: &str, title: [&str; 2], height: f64, content: &Markup) -> String {
    let name = format!("{id}-title");
    let view = format!("0 0 {} {}", px(WIDTH), px(height));
    html! {
        svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox=(view) width=(px(WIDTH))
            height=(px(height)) role="img" aria-labelledby=(name) {
            title id=(name) { (whole(title)) }
            (content)
        }
    }
    .into_string()
}

/// A chart without a value.
pub(super) fn nothing(id: &str, title: [&str; 2]) -> String {
    let (heading, top) = heading(title);
    let content = html! {
        (heading)
        text x="12" y=(px(top + 2.0 * LINE)) { "nothing to draw: no value is finite" }
    };
    svg(id, title, top + 4.0 * LINE, &content)
}

/// The title and what it is about in one line.
fn whole([title, about]: [&str; 2]) -> String {
    if about.is_empty() { title.to_owned() } else { format!("{title}: {about}") }
}

/// The title and below it what it is about, and where what comes below them may begin.
pub(super) fn heading([title, about]: [&str; 2]) -> (Markup, f64) {
    let (title, about) = (lines(title, TITLE), lines(about, ABOUT));
    let below = 6.0 + LINE * (title.len() + about.len()) as f64;
    let y = |i: usize| px(LINE * (i + 1) as f64);
    let heading = html! {
        @for (i, line) in title.iter().enumerate() { text class="title" x="10" y=(y(i)) { (line) } }
        @for (i, line) in about.iter().enumerate() {
            text class="about" x="10" y=(y(title.len() + i)) { (line) }
        }
    };
    (heading, below)
}

/// Both axes with their grids, numbers and names: the vertical one's name stands above it, by
/// `aside` above the place next to the plot.
pub(super) fn axes(
    plot: Plot,
    aside: f64,
    x: (&AxisSpec, &Ruler),
    y: (&AxisSpec, &Ruler),
) -> Markup {
    html! {
        @for (value, text) in y.1.ticks(5) {
            @let at = y.1.clamped(value);
            line class="grid" x1=(px(plot.left)) x2=(px(plot.right)) y1=(px(at)) y2=(px(at)) {}
            text x=(px(plot.left - 6.0)) y=(px(at + 4.0)) text-anchor="end" { (text) }
        }
        (bottom_axis(plot, x.0, x.1))
        line class="axis" x1=(px(plot.left)) x2=(px(plot.left)) y1=(px(plot.top)) y2=(px(plot.bottom)) {}
        text x="10" y=(px(plot.top - 9.0 - aside)) { (y.0.label) }
    }
}

/// The horizontal axis with its grid, numbers and name.
pub(super) fn bottom_axis(plot: Plot, spec: &AxisSpec, ruler: &Ruler) -> Markup {
    let middle = (plot.left + plot.right) / 2.0;
    html! {
        @for (value, text) in ruler.ticks(6) {
            @let at = ruler.clamped(value);
            line class="grid" x1=(px(at)) x2=(px(at)) y1=(px(plot.top)) y2=(px(plot.bottom)) {}
            text x=(px(at)) y=(px(plot.bottom + LINE)) text-anchor="middle" { (text) }
        }
        line class="axis" x1=(px(plot.left)) x2=(px(plot.right)) y1=(px(plot.bottom)) y2=(px(plot.bottom)) {}
        text x=(px(middle)) y=(px(plot.bottom + 2.0 * LINE + 1.0)) text-anchor="middle" { (spec.label) }
    }
}

/// An entry of a legend: what is drawn at a place (its left end, its middle height), and its name.
pub(super) struct Entry<'a> {
    pub(super) sample: Box<dyn Fn(f64, f64) -> Markup + 'a>,
    pub(super) name: &'a str,
}

/// The width of a legend's sample.
pub(super) const SAMPLE: f64 = 26.0;

/// The entries below one another from `top` on, in two columns where all names are short, and the
/// height they take.
pub(super) fn legend(entries: &[Entry<'_>], top: f64) -> (Markup, f64) {
    let width = |entry: &Entry<'_>| SAMPLE + 10.0 + LETTER * entry.name.chars().count() as f64;
    let half = (WIDTH - 20.0) / 2.0;
    let columns = if entries.iter().all(|entry| width(entry) <= half) { 2 } else { 1 };
    let place = |i: usize| {
        let x = 10.0 + half * (i % columns) as f64;
        (x, top + LINE * ((i / columns) as f64 + 0.5))
    };
    let markup = html! {
        @for (i, entry) in entries.iter().enumerate() {
            @let (x, y) = place(i);
            ((entry.sample)(x, y))
            text x=(px(x + SAMPLE + 6.0)) y=(px(y + 4.0)) { (entry.name) }
        }
    };
    (markup, LINE * entries.len().div_ceil(columns) as f64)
}
