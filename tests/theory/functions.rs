//! Generated functions that are point-symmetric about a centre, C(f + t) = C(f - t):
//!
//! C(w) = outer( sum_j weight_j phi_j( d_j . (w - f) ) ), every phi_j even.
//!
//! Directions along the axes give sums of even functions, general ones rotated quadratics and what
//! is not separable, `Plateau` a flat floor, `outer` compositions.

use proptest::prelude::*;
use smoothout_sharpness::{Differentiable, Objective};

use crate::cases::{dot, numbers};

/// An even function phi.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Even {
    /// x^2 / 2.
    Square,
    /// 1 - cos x.
    Cosine,
    /// |x|^3 / 3.
    Cube,
    /// ln cosh x.
    LogCosh,
    /// x^2 / (1 + x^2).
    Well,
    /// max(0, |x| - 1/2)^2 / 2: a floor of half-width 1/2.
    Plateau,
}

impl Even {
    const ALL: [Self; 6] =
        [Self::Square, Self::Cosine, Self::Cube, Self::LogCosh, Self::Well, Self::Plateau];

    fn value(self, x: f64) -> f64 {
        match self {
            Self::Square => x * x / 2.0,
            Self::Cosine => 1.0 - x.cos(),
            Self::Cube => x.abs().powi(3) / 3.0,
            Self::LogCosh => x.abs() + (-2.0 * x.abs()).exp().ln_1p() - std::f64::consts::LN_2,
            Self::Well => x * x / (1.0 + x * x),
            Self::Plateau => (x.abs() - 0.5).max(0.0).powi(2) / 2.0,
        }
    }

    fn slope(self, x: f64) -> f64 {
        match self {
            Self::Square => x,
            Self::Cosine => x.sin(),
            Self::Cube => x * x.abs(),
            Self::LogCosh => x.tanh(),
            Self::Well => 2.0 * x / (1.0 + x * x).powi(2),
            Self::Plateau => (x.abs() - 0.5).max(0.0) * x.signum(),
        }
    }

    /// At least the largest |phi'| on [-r, r].
    fn steepest(self, r: f64) -> f64 {
        match self {
            Self::Square | Self::Plateau => r,
            Self::Cosine | Self::LogCosh | Self::Well => 1.0,
            Self::Cube => r * r,
        }
    }
}

/// What is composed with the sum S >= 0; no slope is above 1.
#[derive(Debug, Clone, Copy)]
enum Outer {
    Identity,
    Root,
    Logarithm,
}

#[derive(Debug, Clone)]
struct Ridge {
    phi: Even,
    weight: f64,
    direction: Vec<f64>,
}

/// A point-symmetric function.
#[derive(Debug, Clone)]
pub(crate) struct Symmetric {
    pub(crate) center: Vec<f64>,
    pub(crate) radius: f64,
    pub(crate) seed: u64,
    ridges: Vec<Ridge>,
    outer: Outer,
}

/// Which functions to generate.
#[derive(Debug, Clone, Copy)]
enum Family {
    Separable,
    RotatedQuadratic,
    Plateaus,
    Mixed,
}

/// Functions of `dimension` coordinates, for radii from 1e-3 to 1e3. Their lengths are 0.1 to 10
/// radii, their centres up to ten radii from the origin.
pub(crate) fn symmetric(
    dimension: std::ops::RangeInclusive<usize>,
) -> impl Strategy<Value = Symmetric> {
    let family = prop_oneof![
        Just(Family::Separable),
        Just(Family::RotatedQuadratic),
        Just(Family::Plateaus),
        Just(Family::Mixed)
    ];
    let outer = prop_oneof![Just(Outer::Identity), Just(Outer::Root), Just(Outer::Logarithm)];
    (family, outer, dimension, -3.0..3.0_f64, any::<u64>()).prop_map(
        |(family, outer, m, exponent, seed)| {
            let radius = 10_f64.powf(exponent);
            let center = numbers(seed, 0, m).iter().map(|x| 10.0 * radius * x).collect();
            let ridge = |j: usize| {
                let draw = numbers(seed, 1 + j as u64, m + 3);
                let scale = 10_f64.powf(draw[m]) / radius;
                let direction = match family {
                    Family::Separable => (0..m).map(|i| f64::from(i == j) * scale).collect(),
                    _ => draw[..m].iter().map(|x| x * scale / (m as f64).sqrt()).collect(),
                };
                let phi = match family {
                    Family::RotatedQuadratic => Even::Square,
                    Family::Plateaus => Even::Plateau,
                    _ => Even::ALL[((draw[m + 1] + 1.0) * 3.0) as usize % 6],
                };
                Ridge { phi, weight: 1.5 + draw[m + 2], direction }
            };
            Symmetric { center, radius, seed, ridges: (0..m).map(ridge).collect(), outer }
        },
    )
}

impl Symmetric {
    /// For each coordinate, at least the largest |dC/dw_i| in the box of this radius about the
    /// centre.
    pub(crate) fn steepest(&self) -> Vec<f64> {
        let mut bound = vec![0.0; self.center.len()];
        for ridge in &self.ridges {
            let reach = self.radius * ridge.direction.iter().map(|d| d.abs()).sum::<f64>();
            let slope = ridge.weight * ridge.phi.steepest(reach);
            bound.iter_mut().zip(&ridge.direction).for_each(|(b, d)| *b += slope * d.abs());
        }
        bound
    }

    fn offset(&self, w: &[f64]) -> Vec<f64> {
        w.iter().zip(&self.center).map(|(w, f)| w - f).collect()
    }
}

impl Objective for Symmetric {
    type Real = f64;
    type Scratch = ();

    fn dimension(&self) -> usize {
        self.center.len()
    }

    fn scratch(&self) {}

    fn value(&self, w: &[f64], (): &mut ()) -> f64 {
        self.value_and_gradient(w, &mut vec![0.0; w.len()], &mut ())
    }
}

impl Differentiable for Symmetric {
    fn value_and_gradient(&self, w: &[f64], gradient: &mut [f64], (): &mut ()) -> f64 {
        let t = self.offset(w);
        let mut sum = 0.0;
        gradient.fill(0.0);
        for Ridge { phi, weight, direction } in &self.ridges {
            let x = dot(direction, &t);
            sum += weight * phi.value(x);
            let slope = weight * phi.slope(x);
            gradient.iter_mut().zip(direction).for_each(|(g, d)| *g += slope * d);
        }
        let (value, slope) = match self.outer {
            Outer::Identity => (sum, 1.0),
            Outer::Root => ((1.0 + sum).sqrt(), 0.5 / (1.0 + sum).sqrt()),
            Outer::Logarithm => (sum.ln_1p(), 1.0 / (1.0 + sum)),
        };
        gradient.iter_mut().for_each(|g| *g *= slope);
        value
    }
}
