//! Pictures through trained networks: lines, noise, planes.

use super::{Csv, Draft, Drawing, ink, number};
use crate::chart::{AxisScale, AxisSpec, Curve, CurveChart, Dash, Drawn, Ink, PlaneChart};
use crate::data::Split;
use crate::reproduce::drawing::STATISTICS_BATCH;
use crate::reproduce::report::arms::StudyView;
use crate::reproduce::report::quantity::geometry_name;
use crate::reproduce::results::{PictureResult, Series, SeriesOf};
use crate::reproduce::study::PictureKind;

/// A figure for each quantity of the picture.
pub(super) fn of(view: &StudyView<'_>, result: &PictureResult) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = [SeriesOf::Loss, SeriesOf::Accuracy]
        .iter()
        .filter_map(|of| lines(view, result, *of))
        .collect();
    drafts.extend(plane(view, result));
    drafts
}

fn lines(view: &StudyView<'_>, result: &PictureResult, of: SeriesOf) -> Option<Draft> {
    let series: Vec<&Series> = result.series.iter().filter(|series| series.of == of).collect();
    if series.is_empty() {
        return None;
    }
    let kind = &result.picture.kind;
    let mut csv = Csv::new("arm,split,x,value,standard_error");
    let mut curves = Vec::new();
    for one in &series {
        for (i, (x, y)) in one.x.iter().zip(&one.y).enumerate() {
            let error = number(one.standard_error.get(i).copied());
            csv.line([one.arm.clone(), one.split.to_string(), x.to_string(), y.to_string(), error]);
        }
        curves.push(Curve {
            label: label(view, kind, one),
            points: one.x.iter().copied().zip(one.y.iter().copied()).collect(),
            spread: one.standard_error.clone(),
            ink: curve_ink(view, kind, one),
            drawn: match kind {
                PictureKind::Noise { .. } => Drawn::LineAndDots,
                _ => Drawn::Line,
            },
        });
    }
    let (name, unit) = match of {
        SeriesOf::Loss => ("loss", "loss"),
        SeriesOf::Accuracy => ("accuracy", "accuracy, %"),
    };
    let values = || series.iter().flat_map(|series| series.y.iter().copied());
    let y_scale = match of {
        SeriesOf::Loss => AxisScale::spanning(values(), 50.0),
        SeriesOf::Accuracy => AxisScale::Linear,
    };
    let x = match kind {
        PictureKind::Noise { geometry, radii, .. } => AxisSpec::new(
            &format!("radius a of the perturbation ({})", geometry_name(*geometry)),
            AxisScale::spanning(radii.iter().copied(), 20.0),
        ),
        _ => AxisSpec::new("α", AxisScale::Linear),
    };
    let marks = match kind {
        PictureKind::Line { from, to, .. } => {
            vec![(view.label(from).to_owned(), 0.0), (view.label(to).to_owned(), 1.0)]
        }
        _ => Vec::new(),
    };
    let chart = CurveChart {
        title: format!("{}: {name}", result.picture.title),
        about: view.study.title.clone(),
        x,
        y: AxisSpec::new(unit, y_scale),
        curves,
        band: None,
        marks,
    };
    let file = format!("{}-{name}", result.picture.name);
    Some(Draft::new(view, &file, Drawing::Curves(chart), caption(result), csv))
}

/// Of a line between two arms the split alone tells curves apart.
fn label(view: &StudyView<'_>, kind: &PictureKind, series: &Series) -> String {
    match kind {
        PictureKind::Line { .. } => series.split.to_string(),
        _ => format!("{}, {}", view.label(&series.arm), series.split),
    }
}

/// The colour is the arm's (of a line between two: the split's), the dash the split's.
fn curve_ink(view: &StudyView<'_>, kind: &PictureKind, series: &Series) -> Ink {
    let (split, dash) = match series.split {
        Split::Train => (0, Dash::Solid),
        Split::Test => (1, Dash::Dashed),
    };
    match kind {
        PictureKind::Line { .. } => Ink { colour: split, dash },
        _ => Ink { dash, ..ink(view, &series.arm) },
    }
}

fn plane(view: &StudyView<'_>, result: &PictureResult) -> Option<Draft> {
    let grid = result.grid.as_ref()?;
    let mut numbers = Vec::new();
    grid.write_csv(&mut numbers).expect("memory takes every byte");
    let csv = Csv(String::from_utf8_lossy(&numbers).into_owned());
    let arms = result.picture.kind.arms();
    let labels: Vec<&str> = arms.iter().map(|arm| view.label(arm)).collect();
    let places = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
    let names = |k: usize| labels.get(k).copied().unwrap_or_default();
    let chart = PlaneChart {
        title: result.picture.title.clone(),
        about: view.study.title.clone(),
        axes: [format!("towards {}", names(1)), format!("towards {}", names(2))],
        grid: grid.clone(),
        points: labels.iter().map(|label| (*label).to_owned()).zip(places).collect(),
    };
    Some(Draft::new(view, &result.picture.name, Drawing::Plane(chart), caption(result), csv))
}

fn caption(result: &PictureResult) -> String {
    let examples = result.picture.examples;
    let seed = result.specs.first().and_then(|spec| spec.seed).unwrap_or(1);
    let batch_norm = match &result.picture.kind {
        PictureKind::Line { .. } | PictureKind::Plane { .. } => {
            let batch = STATISTICS_BATCH.min(examples);
            format!("batch norm by the statistics of {batch} examples at a time")
        }
        PictureKind::RandomLine { .. } | PictureKind::Noise { .. } => {
            "batch norm frozen".to_owned()
        }
    };
    let what = match &result.picture.kind {
        PictureKind::Line { .. } => {
            "w(α) = (1 − α) w_0 + α w_1 through the last networks of both arms".to_owned()
        }
        PictureKind::RandomLine { .. } => {
            "along one random filter-normalised direction, the same draws for each arm".to_owned()
        }
        PictureKind::Plane { .. } => "the plane through the last networks of three arms".to_owned(),
        PictureKind::Noise { samples, .. } => format!(
            "mean over {samples} pairs of opposite uniform perturbations of all parameters; bars are \
             ± one standard error over the pairs"
        ),
    };
    let split = match &result.picture.kind {
        PictureKind::Plane { .. } => "training examples",
        _ => "examples of each split",
    };
    format!("{what}; {batch_norm}; seed {seed}, {examples} {split}.")
}
