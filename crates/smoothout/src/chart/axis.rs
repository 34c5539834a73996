//! Where values lie along an axis, and the numbers beside it.

/// How values are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AxisScale {
    /// Evenly.
    #[default]
    Linear,
    /// Evenly in the logarithm; what is not positive is a hole.
    Logarithmic,
}

impl AxisScale {
    /// Logarithmic for positive values that span a factor of at least `factor`. Values that are not
    /// finite do not count.
    pub fn spanning(values: impl IntoIterator<Item = f64>, factor: f64) -> Self {
        match extent(values.into_iter()) {
            Some((low, high)) if low > 0.0 && high >= factor * low => Self::Logarithmic,
            _ => Self::Linear,
        }
    }

    /// The value, or its logarithm; `None` for a hole.
    pub(super) fn place(self, value: f64) -> Option<f64> {
        let place = match self {
            Self::Linear => value,
            Self::Logarithmic if value > 0.0 => value.log10(),
            Self::Logarithmic => return None,
        };
        place.is_finite().then_some(place)
    }
}

/// An axis's name and spacing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AxisSpec {
    /// What its numbers are, with their unit.
    pub label: String,
    /// How they are spaced.
    pub scale: AxisScale,
}

impl AxisSpec {
    /// An axis.
    pub fn new(label: &str, scale: AxisScale) -> Self {
        Self { label: label.to_owned(), scale }
    }
}

/// An axis with the range of its values and the pixels between which they lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ruler {
    scale: AxisScale,
    /// Places of the ends.
    from: f64,
    to: f64,
    pixels: (f64, f64),
}

impl Ruler {
    /// Over all values that have a place, and `margin` of the span beyond them; `None` without one,
    /// and where the span is no number.
    pub(super) fn over(
        values: impl Iterator<Item = f64>,
        scale: AxisScale,
        margin: f64,
        pixels: (f64, f64),
    ) -> Option<Self> {
        let (low, high) = extent(values.filter_map(|value| scale.place(value)))?;
        let more = if high > low {
            margin * (high - low)
        } else {
            // A single value still needs a span to lie in.
            (0.05 * high.abs()).max(if scale == AxisScale::Linear { 1e-3 } else { 0.3 })
        };
        let (from, to) = (low - more, high + more);
        (to - from).is_finite().then_some(Self { scale, from, to, pixels })
    }

    /// The pixel of a value; `None` for a hole.
    pub(super) fn pixel(&self, value: f64) -> Option<f64> {
        let share = (self.scale.place(value)? - self.from) / (self.to - self.from);
        Some(self.pixels.0 + share * (self.pixels.1 - self.pixels.0))
    }

    /// The pixel of a value, moved to the nearer end where it lies outside or has no place.
    pub(super) fn clamped(&self, value: f64) -> f64 {
        let (a, b) = self.pixels;
        self.pixel(value).unwrap_or(a).clamp(a.min(b), a.max(b))
    }

    /// Some `count` round values between the ends, with their text.
    pub(super) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        match self.scale {
            AxisScale::Linear => linear_ticks(self.from, self.to, count),
            AxisScale::Logarithmic => logarithmic_ticks(self.from, self.to, count),
        }
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(from: f64, to: f64, count: usize) -> Vec<(f64, String)> {
    let rough = (to - from) / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    if step <= 0.0 {
        // The span is of the smallest numbers there are: none between its ends is round.
        return Vec::new();
    }
    let (first, last) = ((from / step - 1e-9).ceil(), (to / step + 1e-9).floor());
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let count = (last - first).max(0.0) as usize + 1;
    let value = |k: usize| (first + k as f64) * step;
    let plain = from.abs().max(to.abs()) < 1e5 && decimals <= 5;
    let text = |value: f64| match plain {
        true => format!("{:.decimals$}", value + 0.0),
        false => format!("{value:.1e}"),
    };
    (0..count).map(value).map(|value| (value, text(value).replace("-0.0e0", "0"))).collect()
}

/// Powers of ten; with few of them in sight, also their doubles and quintuples.
fn logarithmic_ticks(from: f64, to: f64, count: usize) -> Vec<(f64, String)> {
    let (first, last) = (from.floor() as i32, to.ceil() as i32);
    let decades = (to - from).max(1.0);
    let digits: &[f64] = if decades <= 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = (decades / count as f64).ceil().max(1.0) as i32;
    (first..=last)
        .filter(|exponent| exponent.rem_euclid(every) == 0)
        .flat_map(|exponent| digits.iter().map(move |digit| (*digit, exponent)))
        .map(|(digit, exponent)| (digit * 10_f64.powi(exponent), digit, exponent))
        .filter(|(value, ..)| (from - 1e-9..=to + 1e-9).contains(&value.log10()))
        .map(|(value, digit, exponent)| {
            let text = match exponent {
                -4..=4 => format!("{value:.*}", usize::try_from(-exponent).unwrap_or(0)),
                _ => format!("{digit}e{exponent}"),
            };
            (value, text)
        })
        .collect()
}

/// The least and the largest of the finite values.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.filter(|value| value.is_finite());
    finite.fold(None, |extent, v| {
        Some(extent.map_or((v, v), |(low, high): (f64, f64)| (low.min(v), high.max(v))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: Vec<(f64, String)>) -> Vec<String> {
        ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_numbers_between_the_ends() {
        assert_eq!(texts(linear_ticks(0.0, 1.0, 5)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(linear_ticks(-0.3, 0.3, 4)), ["-0.2", "0.0", "0.2"]);
        assert_eq!(texts(linear_ticks(97.61, 98.2, 4)), ["97.8", "98.0", "98.2"]);
        assert_eq!(texts(linear_ticks(0.0, 4e6, 4)), ["0.0e0", "1.0e6", "2.0e6", "3.0e6", "4.0e6"]);
        assert!(linear_ticks(-5e-324, 5e-324, 5).is_empty());
        assert_eq!(texts(logarithmic_ticks(-2.0, -0.7, 5)), ["0.01", "0.02", "0.05", "0.1"]);
        assert_eq!(texts(logarithmic_ticks(-6.0, 3.0, 5)), ["1e-6", "0.0001", "0.01", "1", "100"]);
    }

    #[test]
    fn a_ruler_places_values_between_its_pixels() {
        let values = [1.0, f64::NAN, 100.0, -5.0, 0.0];
        let log = Ruler::over(values.into_iter(), AxisScale::Logarithmic, 0.0, (10.0, 30.0));
        let log = log.unwrap();
        assert_eq!([1.0, 10.0, 100.0].map(|v| log.pixel(v).unwrap()), [10.0, 20.0, 30.0]);
        assert_eq!((log.pixel(0.0), log.pixel(f64::NAN), log.clamped(-1.0)), (None, None, 10.0));
        let nothing = [f64::NAN, f64::INFINITY].into_iter();
        assert_eq!(Ruler::over(nothing, AxisScale::Linear, 0.1, (0.0, 1.0)), None);
        let beyond = Ruler::over([-1e308, 1e308].into_iter(), AxisScale::Linear, 0.1, (0.0, 1.0));
        assert_eq!(beyond, None);
        let single = Ruler::over([2.0].into_iter(), AxisScale::Linear, 0.1, (0.0, 1.0)).unwrap();
        assert!((single.pixel(2.0).unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_span_chooses_the_scale() {
        assert_eq!(AxisScale::spanning([1.0, 50.0, f64::NAN], 20.0), AxisScale::Logarithmic);
        assert_eq!(AxisScale::spanning([1.0, 5.0], 20.0), AxisScale::Linear);
        assert_eq!(AxisScale::spanning([0.0, 500.0], 20.0), AxisScale::Linear);
        assert_eq!(AxisScale::spanning([], 20.0), AxisScale::Linear);
    }
}
