//! A number for each of several things, with its spread: bars from zero, or dots on a logarithmic
//! axis where the numbers differ by orders of magnitude.

use maud::{Markup, html};

use super::axis::{AxisScale, AxisSpec, Ruler};
use super::frame::{LINE, Plot, WIDTH, bottom_axis, heading, nothing, svg};
use super::style::{COLOURS, lines, px};

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Its name.
    pub label: String,
    /// Its length, if it has one.
    pub value: Option<f64>,
    /// Half the length of its error bar.
    pub spread: Option<f64>,
    /// The single values that it is the mean of.
    pub each: Vec<f64>,
}

/// Bars below one another.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarChart {
    /// The title.
    pub title: String,
    /// What it is about, in smaller letters below the title; may be empty.
    pub about: String,
    /// What the lengths are.
    pub value: String,
    /// The bars, from above.
    pub bars: Vec<Bar>,
}

/// From this ratio of the largest to the smallest on, lengths from zero would hide the small ones.
const ORDERS: f64 = 30.0;
/// The least height of a bar and its gap.
const ROW: f64 = 34.0;
/// The height of a bar.
const BAR: f64 = 20.0;
/// Characters of a name in one line, and the height of a line.
const NAME: usize = 15;
const NAME_LINE: f64 = 14.0;

impl BarChart {
    fn headings(&self) -> [&str; 2] {
        [&self.title, &self.about]
    }

    /// The chart as an SVG element, styled by [`STYLE`](super::STYLE). `id` must be unique on the
    /// page that it is put in.
    pub fn svg(&self, id: &str) -> String {
        let (title, top) = heading(self.headings());
        let names = self.bars.iter().map(|bar| lines(&bar.label, NAME).len());
        let row = ROW.max(NAME_LINE * names.max().unwrap_or(0) as f64 + 6.0);
        let height = row * self.bars.len() as f64;
        let plot = Plot { left: 130.0, right: WIDTH - 20.0, top, bottom: top + height };
        let values = || self.bars.iter().filter_map(|bar| bar.value).filter(|v| v.is_finite());
        if values().next().is_none() {
            return nothing(id, self.headings());
        }
        let scale = AxisScale::spanning(values(), ORDERS);
        let ends = self.bars.iter().flat_map(|bar| {
            let (value, spread) = (bar.value.unwrap_or(f64::NAN), bar.spread.unwrap_or(0.0));
            [value - spread, value, value + spread].into_iter().chain(bar.each.iter().copied())
        });
        let zero = (scale == AxisScale::Linear).then_some(0.0);
        let Some(ruler) = Ruler::over(ends.chain(zero), scale, 0.03, plot.across()) else {
            return nothing(id, self.headings());
        };
        let label = match scale {
            AxisScale::Linear => self.value.clone(),
            AxisScale::Logarithmic => format!("{} (logarithmic axis)", self.value),
        };
        let content = html! {
            (title)
            (bottom_axis(plot, &AxisSpec { label, scale }, &ruler))
            @for (i, bar) in self.bars.iter().enumerate() {
                (bar.draw(i, plot.top + row * (i as f64 + 0.5), scale, &ruler))
            }
        };
        svg(id, self.headings(), plot.bottom + 2.0 * LINE + 10.0, &content)
    }
}

impl Bar {
    fn draw(&self, i: usize, middle: f64, scale: AxisScale, ruler: &Ruler) -> Markup {
        let fill = format!("f{}", i % COLOURS);
        let names = lines(&self.label, NAME);
        let first = middle + 4.0 - (names.len() as f64 - 1.0) * NAME_LINE / 2.0;
        let end = self.value.and_then(|value| ruler.pixel(value));
        html! {
            @for (line, name) in names.iter().enumerate() {
                text x="122" y=(px(first + NAME_LINE * line as f64)) text-anchor="end" { (name) }
            }
            @match (end, scale) {
                (None, _) => text x=(px(ruler.clamped(0.0) + 6.0)) y=(px(middle + 4.0)) { "no value" },
                (Some(end), AxisScale::Linear) => {
                    @let zero = ruler.clamped(0.0);
                    rect class=(fill) x=(px(zero.min(end))) y=(px(middle - BAR / 2.0)) width=(px((end - zero).abs())) height=(px(BAR)) {}
                }
                (Some(end), AxisScale::Logarithmic) =>
                    circle class=(fill) cx=(px(end)) cy=(px(middle)) r="6" {},
            }
            @if let (Some(value), Some(spread)) = (self.value, self.spread.filter(|s| *s > 0.0)) {
                @let (low, high) = (ruler.clamped(value - spread), ruler.clamped(value + spread));
                @let whisker = format!("M{0} {2}H{1}M{0} {3}v8M{1} {3}v8", px(low), px(high), px(middle), px(middle - 4.0));
                path class="over" d=(whisker) {}
            }
            @for at in self.each.iter().filter_map(|value| ruler.pixel(*value)) {
                circle class="each" cx=(px(at)) cy=(px(middle)) r="2.4" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(value: Option<f64>) -> Bar {
        Bar { label: "an arm <of> it".into(), value, spread: Some(0.5), each: vec![1.0, f64::NAN] }
    }

    fn chart(values: &[Option<f64>]) -> String {
        let bars = values.iter().copied().map(bar).collect();
        BarChart { title: "sharpness".into(), value: "percent".into(), bars, ..BarChart::default() }
            .svg("a")
    }

    #[test]
    fn bars_start_at_zero_and_dots_are_for_orders_of_magnitude() {
        let bars = chart(&[Some(1.0), Some(3.0), None]);
        assert_eq!((bars.matches("<rect").count(), bars.matches("no value").count()), (2, 1));
        assert!(bars.contains(">0<") && bars.contains("&lt;of&gt;"));
        let dots = chart(&[Some(1.0), Some(205.0)]);
        assert!(dots.contains("(logarithmic axis)") && !dots.contains("<rect"));
        for svg in [bars, dots] {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert!(chart(&[None, Some(f64::NAN)]).contains("nothing to draw"));
    }
}
