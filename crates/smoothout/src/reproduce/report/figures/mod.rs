//! The figures of one study, each with its numbers as CSV.

mod pictures;
mod training;

use super::arms::{ArmView, StudyView, Sweep};
use super::quantity::{TRAINING, measure_name};
use super::tables::split_name;
use crate::chart::{
    AxisScale, AxisSpec, Band, Bar, BarChart, Curve, CurveChart, Drawn, Ink, PlaneChart,
};
use crate::reproduce::measure::{Measure, Metric};
use crate::reproduce::study::Quantity;

/// A figure before it has a file name of its own.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) name: String,
    chart: Drawing,
    caption: String,
    csv: String,
}

#[derive(Debug)]
enum Drawing {
    Curves(CurveChart),
    Bars(BarChart),
    Plane(PlaneChart),
}

/// A figure.
#[derive(Debug)]
pub(super) struct Figure {
    /// Its file name without an ending, and its id on the page.
    pub(super) name: String,
    pub(super) svg: String,
    pub(super) caption: String,
    pub(super) csv: String,
}

impl Draft {
    /// A figure of a study; what its name holds besides letters, digits and hyphens becomes hyphens.
    fn new(study: &StudyView<'_>, kind: &str, chart: Drawing, caption: String, csv: Csv) -> Self {
        let name: String = format!("{}-{kind}", study.study.name)
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        Self { name, chart, caption, csv: csv.0 }
    }

    pub(super) fn draw(self, name: String) -> Figure {
        let svg = match &self.chart {
            Drawing::Curves(chart) => chart.svg(&name),
            Drawing::Bars(chart) => chart.svg(&name),
            Drawing::Plane(chart) => chart.svg(&name),
        };
        Figure { name, svg, caption: self.caption, csv: self.csv }
    }
}

/// All figures of a study that there are numbers for.
pub(super) fn of_study(view: &StudyView<'_>) -> Vec<Draft> {
    let mut figures = training::curves(view);
    figures.extend(view.sweeps().iter().filter_map(|sweep| accuracy_against_radius(view, sweep)));
    figures.extend(view.study.measures.iter().filter_map(|measure| sharpness_bars(view, measure)));
    figures.extend(view.pictures.iter().flat_map(|picture| pictures::of(view, picture)));
    figures
}

/// Text of comma-separated values.
#[derive(Debug)]
struct Csv(String);

impl Csv {
    fn new(columns: &str) -> Self {
        Self(format!("{columns}\n"))
    }

    /// A line; fields with commas, quotes or line breaks are quoted.
    fn line<const N: usize>(&mut self, fields: [String; N]) {
        let field = |field: &String| match field.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", field.replace('"', "\"\"")),
            false => field.clone(),
        };
        let fields: Vec<String> = fields.iter().map(field).collect();
        self.0 += &fields.join(",");
        self.0.push('\n');
    }
}

/// A number of a CSV, empty where there is none.
fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The ink of an arm, the same in all figures of a study.
fn ink(view: &StudyView<'_>, arm: &str) -> Ink {
    Ink::of(view.arms.iter().position(|view| view.arm.name == arm).unwrap_or_default())
}

/// "mean over 5 seeds", or what is there.
fn over_seeds<'a>(arms: impl Iterator<Item = &'a ArmView<'a>>) -> String {
    let counts: Vec<usize> = arms.map(|arm| arm.runs.len()).filter(|n| *n > 0).collect();
    match (counts.iter().min(), counts.iter().max()) {
        (Some(1), Some(1)) => "one seed".to_owned(),
        (Some(low), Some(high)) if low == high => format!("mean over {low} seeds"),
        (Some(low), Some(high)) => format!("mean over {low} to {high} seeds"),
        _ => "no run".to_owned(),
    }
}

fn accuracy_against_radius(view: &StudyView<'_>, sweep: &Sweep<'_, '_>) -> Option<Draft> {
    let quantity = Quantity::LastTop1;
    let mut csv = Csv::new("arm,radius,n,mean,deviation");
    let mut line = |arm: &ArmView<'_>, radius: Option<f64>| {
        let summary = arm.sample(quantity).summary()?;
        let fields = [Some(summary.mean), summary.deviation].map(number);
        let [mean, deviation] = fields;
        csv.line([arm.arm.name.clone(), number(radius), summary.n.to_string(), mean, deviation]);
        Some(summary)
    };
    let band = sweep.plain.and_then(|plain| {
        let summary = line(plain, None)?;
        Some(Band {
            label: plain.arm.label.clone(),
            value: summary.mean,
            spread: summary.deviation,
        })
    });
    let found: Vec<_> = sweep
        .arms
        .iter()
        .filter_map(|arm| Some((arm.radius(), line(arm, Some(arm.radius()))?)))
        .collect();
    if found.is_empty() {
        return None;
    }
    let curve = Curve {
        label: sweep.name(),
        points: found.iter().map(|(radius, summary)| (*radius, summary.mean)).collect(),
        spread: found.iter().map(|(_, summary)| summary.deviation.unwrap_or(0.0)).collect(),
        ink: Ink::of(0),
        drawn: Drawn::LineAndDots,
    };
    let split = split_name(view);
    let title = format!("Accuracy against radius, {}", sweep.name());
    let scale = AxisScale::spanning(found.iter().map(|(radius, _)| *radius), 3.0);
    let chart = CurveChart {
        title,
        about: view.study.title.clone(),
        x: AxisSpec::new("radius a", scale),
        y: AxisSpec::new(&format!("{split} top-1, % (last epoch)"), AxisScale::Linear),
        curves: vec![curve],
        band,
        marks: Vec::new(),
    };
    let seeds = over_seeds(sweep.arms.iter().copied());
    let caption = format!(
        "{seeds}; bars and the band are ± one standard deviation where there are several seeds."
    );
    let kind = format!("radius-{}", sweep.name().replace(" = ", "").replace(", ", "-"));
    Some(Draft::new(view, &kind, Drawing::Curves(chart), caption, csv))
}

fn sharpness_bars(view: &StudyView<'_>, measure: &Measure) -> Option<Draft> {
    let quantity = Quantity::Measured(*measure);
    let mut csv = Csv::new("arm,n,mean,deviation,seed,value,standard_error");
    let mut bars = Vec::new();
    for arm in &view.arms {
        let sample = arm.sample(quantity);
        let summary = sample.summary();
        let [mean, deviation] = [summary.map(|s| s.mean), summary.and_then(|s| s.deviation)];
        for (seed, value) in &sample.values {
            let run = arm.runs.iter().find(|run| run.seed() == *seed);
            let error = run.and_then(|run| {
                run.measured.iter().find(|measured| measured.measure == *measure)?.standard_error
            });
            csv.line([
                arm.arm.name.clone(),
                sample.values.len().to_string(),
                number(mean),
                number(deviation),
                seed.to_string(),
                value.to_string(),
                number(error),
            ]);
        }
        let each = match sample.values.len() {
            1 => Vec::new(),
            _ => sample.values.iter().map(|(_, value)| *value).collect(),
        };
        bars.push(Bar { label: arm.arm.label.clone(), value: mean, spread: deviation, each });
    }
    bars.iter().find(|bar| bar.value.is_some())?;
    let place = view.study.measures.iter().position(|other| other == measure)? + 1;
    let name = measure_name(measure);
    let chart = BarChart {
        title: name,
        about: view.study.title.clone(),
        value: unit(measure.metric).to_owned(),
        bars,
    };
    let caption = format!(
        "{}, {} training examples; bars are ± one standard deviation, circles the single seeds.",
        over_seeds(view.arms.iter()),
        measure.examples
    );
    Some(Draft::new(view, &format!("sharpness-{place}"), Drawing::Bars(chart), caption, csv))
}

fn unit(metric: Metric) -> &'static str {
    match metric {
        Metric::ExpectedLoss { .. } => "loss",
        Metric::Keskar { .. } => "%",
        Metric::LargestEigenvalue {} => "eigenvalue",
    }
}

/// Whether a study has any number of training to draw.
fn has_records(arm: &ArmView<'_>) -> bool {
    TRAINING.iter().any(|quantity| !arm.sample(*quantity).values.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_are_quoted_where_they_must_be() {
        let mut csv = Csv::new("a,b");
        csv.line(["x,y".into(), "say \"no\"".into()]);
        csv.line([number(Some(0.1)), number(None)]);
        assert_eq!(csv.0, "a,b\n\"x,y\",\"say \"\"no\"\"\"\n0.1,\n");
    }
}
