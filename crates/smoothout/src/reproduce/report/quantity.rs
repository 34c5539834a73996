//! How quantities are called and their numbers written.

use smoothout_tensor::Geometry;

use crate::reproduce::measure::{Measure, Metric};
use crate::reproduce::statistics::{Certainty, PairedDifference, Summary};
use crate::reproduce::study::Quantity;

/// The quantities of training that every study has, in the order of the tables.
pub(super) const TRAINING: [Quantity; 4] =
    [Quantity::LastTop1, Quantity::BestTop1, Quantity::LastLoss, Quantity::TrainTop1];

/// A quantity's name; `split` is what the network was evaluated on after each epoch.
pub(super) fn name(quantity: Quantity, split: &str) -> String {
    match quantity {
        Quantity::LastTop1 => format!("{split} top-1 %, last epoch"),
        Quantity::BestTop1 => format!("{split} top-1 %, best epoch (the authors' way)"),
        Quantity::LastLoss => format!("{split} loss, last epoch"),
        Quantity::TrainTop1 => "train top-1 %, last epoch".to_owned(),
        Quantity::TrainLoss => "train loss, last epoch".to_owned(),
        Quantity::Measured(measure) => measure_name(&measure),
    }
}

/// What is measured, with its settings but for the examples.
pub(super) fn measure_name(measure: &Measure) -> String {
    match measure.metric {
        Metric::Keskar { .. } => format!("{measure}, %"),
        Metric::ExpectedLoss { .. } | Metric::LargestEigenvalue {} => measure.to_string(),
    }
}

/// What a radius is measured against.
pub(super) fn geometry_name(geometry: Geometry) -> &'static str {
    match geometry {
        Geometry::Absolute => "absolute box",
        Geometry::Filter => "filter-wise",
        Geometry::Elementwise => "elementwise",
        Geometry::KeskarBox => "Keskar's box",
        Geometry::Layer => "layer-wise",
    }
}

/// How many digits a quantity is written with.
fn decimals(quantity: Quantity, size: f64) -> usize {
    match quantity {
        Quantity::LastTop1 | Quantity::BestTop1 | Quantity::TrainTop1 => 2,
        Quantity::LastLoss | Quantity::TrainLoss => 4,
        // Four digits of the largest number that stands there.
        Quantity::Measured(_) if size > 0.0 => {
            (3.0 - size.log10().floor()).clamp(0.0, 12.0) as usize
        }
        Quantity::Measured(_) => 3,
    }
}

/// More decimals than this are written as a power of ten.
const FINEST: usize = 6;

/// A number of so many decimals, without a negative zero; very large and very small ones with a
/// power of ten.
fn fixed(value: f64, decimals: usize, sign: bool) -> String {
    let text = if decimals > FINEST || value.abs() >= 1e6 {
        format!("{value:.3e}")
    } else {
        format!("{value:.decimals$}")
    };
    let zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    let text = if zero { text.trim_start_matches('-').to_owned() } else { text };
    if sign && !zero && value > 0.0 { format!("+{text}") } else { text }
}

/// A setting as one would type it.
pub(super) fn plain_number(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:e}") } else { format!("{value}") }
}

/// "97.81 ± 0.07", the deviation from two values on; (n) where `expected` runs should have it and
/// others do.
pub(super) fn mean(quantity: Quantity, summary: Option<Summary>, expected: usize) -> String {
    let Some(Summary { n, mean, deviation }) = summary else { return "–".to_owned() };
    // Of a measure's deviation at least two digits.
    let fine = match (quantity, deviation) {
        (Quantity::Measured(_), Some(d)) if d > 0.0 => {
            (1.0 - d.log10().floor()).clamp(0.0, 6.0) as usize
        }
        _ => 0,
    };
    let number = |value| fixed(value, decimals(quantity, mean.abs()).max(fine), false);
    let spread = deviation.map(|d| format!(" ± {}", number(d))).unwrap_or_default();
    let count = if n == expected { String::new() } else { format!(" (n = {n})") };
    format!("{}{spread}{count}", number(mean))
}

/// The published number in its own digits.
pub(super) fn published(mean: f64, deviation: Option<f64>) -> String {
    match deviation {
        Some(deviation) => format!("{mean} ± {deviation}"),
        None => format!("{mean}"),
    }
}

/// The mean difference and its interval.
pub(super) struct DifferenceText {
    pub(super) mean: String,
    pub(super) interval: String,
    pub(super) p: String,
}

/// A difference in a quantity's digits, and in more where an end of its interval would be rounded
/// to zero and hide on which side of it the end lies.
pub(super) fn difference(quantity: Quantity, difference: &PairedDifference) -> DifferenceText {
    let (least, size) = match difference.certainty {
        Certainty::Interval { low, high, .. } => {
            (low.abs().min(high.abs()), low.abs().max(high.abs()))
        }
        _ => (0.0, difference.mean.abs()),
    };
    let usual = decimals(quantity, size);
    let shows = |decimals: &usize| least * 10_f64.powi(*decimals as i32) >= 0.5;
    let decimals = (usual..=FINEST).find(shows).unwrap_or(usual);
    let number = |value| fixed(value, decimals, true);
    let (interval, p) = match difference.certainty {
        Certainty::OnePair => ("none: one seed".to_owned(), None),
        Certainty::NoSpread => ("none: all differences equal".to_owned(), None),
        Certainty::Interval { low, high, p } => (format!("{} to {}", number(low), number(high)), p),
    };
    let p = p.map_or("–".to_owned(), |p| match p {
        p if p < 1e-4 => "< 0.0001".to_owned(),
        p if p < 0.01 => format!("{p:.4}"),
        p => format!("{p:.3}"),
    });
    DifferenceText { mean: number(difference.mean), interval, p }
}

/// Whole hours, minutes and seconds.
pub(super) fn duration(seconds: f64) -> String {
    let whole = if seconds.is_finite() && seconds > 0.0 { seconds.round() as u64 } else { 0 };
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_a_quantitys_digits() {
        let top1 = Quantity::LastTop1;
        let two = Summary::of(&[97.0, 98.0]);
        assert_eq!(mean(top1, two, 2), "97.50 ± 0.71");
        assert_eq!(mean(top1, two, 3), "97.50 ± 0.71 (n = 2)");
        assert_eq!(mean(top1, Summary::of(&[97.0]), 1), "97.00");
        assert_eq!(mean(top1, None, 1), "–");
        let keskar = |mean| {
            let measure = Metric::Keskar { epsilon: 1e-3, subspace: None }.on(1000);
            super::mean(Quantity::Measured(measure), Summary::of(&[mean]), 1)
        };
        assert_eq!(
            [205.14, 1.23, 0.012_34, 0.0, 3.2e-7].map(keskar),
            ["205.1", "1.230", "0.01234", "0.000", "3.200e-7"]
        );
    }

    #[test]
    fn differences_have_signs_and_no_negative_zero() {
        let of = |pairs: &[(f64, f64)]| {
            difference(Quantity::LastTop1, &PairedDifference::of(pairs).unwrap())
        };
        let text = of(&[(98.0, 97.0), (98.5, 97.1), (98.2, 97.4)]);
        assert_eq!((text.mean.as_str(), text.p.as_str()), ("+1.07", "–"));
        assert_eq!(text.interval, "+0.31 to +1.83");
        assert_eq!(of(&[(1.0, 1.001)]).mean, "0.00");
        assert_eq!(of(&[(1.0, 2.0)]).interval, "none: one seed");
        // SciPy: from -0.0029 to 0.3229. Two decimals would hide that it includes 0.
        let barely = [(1.0, 0.9), (2.0, 1.85), (1.0, 0.77)];
        assert_eq!(of(&barely).interval, "-0.003 to +0.323");
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(
            [0.4, 59.6, 3599.0, 7260.0, f64::NAN].map(duration),
            ["0 s", "1 min 0 s", "59 min 59 s", "2 h 1 min", "0 s"]
        );
    }
}
