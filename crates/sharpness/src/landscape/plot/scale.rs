//! From values to shares of the colour map: linear, or logarithmic where the values span more than
//! an order of magnitude, so that the floor of a valley is not all one colour.

/// How a colour map spaces its values.
///
/// # Examples
/// ```
/// use smoothout_sharpness::{ColourScale, viridis};
///
/// let scale = ColourScale::of((1.0, 1000.0));
/// assert!((scale.value(1.0 / 3.0) - 10.0).abs() < 1e-9); // three orders: logarithmic
/// assert_eq!(viridis(scale.share(1000.0)), [253, 231, 37]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ColourScale {
    /// Shares of high - low.
    Linear(f64, f64),
    /// Shares of log high - log low.
    Logarithmic(f64, f64),
}

impl ColourScale {
    /// The scale of values from `low` to `high`: logarithmic where both are positive and more than
    /// an order of magnitude apart.
    pub fn of((low, high): (f64, f64)) -> Self {
        if low > 0.0 && high > 10.0 * low {
            Self::Logarithmic(low, high)
        } else if high > low {
            Self::Linear(low, high)
        } else {
            Self::Linear(low - 0.5, low + 0.5)
        }
    }

    /// 0 at the lowest value, 1 at the highest.
    pub fn share(self, value: f64) -> f64 {
        match self {
            Self::Linear(low, high) => (value - low) / (high - low),
            Self::Logarithmic(low, high) => (value / low).ln() / (high / low).ln(),
        }
    }

    /// The value at a share.
    pub fn value(self, share: f64) -> f64 {
        match self {
            Self::Linear(low, high) => low + share * (high - low),
            Self::Logarithmic(low, high) => low * (high / low).powf(share),
        }
    }
}

/// Dark blue over green to yellow, as red, green and blue: the colours of Matplotlib's viridis at
/// five places, mixed in between.
pub fn viridis(share: f64) -> [u8; 3] {
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
    [mix(0), mix(1), mix(2)]
}
