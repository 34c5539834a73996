//! From values to shares of the colour map: linear, or logarithmic where the values span more than
//! two orders of magnitude.

use plotters::style::RGBColor;

/// The scale of a colour map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Shares of high - low.
    Linear(f64, f64),
    /// Shares of log high - log low.
    Logarithmic(f64, f64),
}

impl Scale {
    /// The scale of values from `low` to `high`.
    pub(super) fn of((low, high): (f64, f64)) -> Self {
        if low > 0.0 && high > 100.0 * low {
            Self::Logarithmic(low, high)
        } else if high > low {
            Self::Linear(low, high)
        } else {
            Self::Linear(low - 0.5, low + 0.5)
        }
    }

    /// 0 at the lowest value, 1 at the highest.
    pub(super) fn share(self, value: f64) -> f64 {
        match self {
            Self::Linear(low, high) => (value - low) / (high - low),
            Self::Logarithmic(low, high) => (value / low).ln() / (high / low).ln(),
        }
    }

    /// The value at a share.
    pub(super) fn value(self, share: f64) -> f64 {
        match self {
            Self::Linear(low, high) => low + share * (high - low),
            Self::Logarithmic(low, high) => low * (high / low).powf(share),
        }
    }
}

/// Dark blue over green to yellow: the colours of Matplotlib's viridis at five places.
pub(super) fn colour(share: f64) -> RGBColor {
    const STOPS: [[f64; 3]; 5] = [
        [68.0, 1.0, 84.0],
        [59.0, 82.0, 139.0],
        [33.0, 145.0, 140.0],
        [94.0, 201.0, 98.0],
        [253.0, 231.0, 37.0],
    ];
    let place = share.clamp(0.0, 1.0) * 4.0;
    let below = (place as usize).min(3);
    let mix = |channel: usize| {
        let (a, b) = (STOPS[below][channel], STOPS[below + 1][channel]);
        (a + (b - a) * (place - below as f64)).round() as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}
