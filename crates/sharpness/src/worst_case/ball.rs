//! The two balls: their random points, the ascent step and the certificate of each.

use std::fmt;

use smoothout_tensor::{Purpose, Real, StreamKey, fill_gaussian, fill_uniform};

use crate::selected::Selected;
use crate::vector::{dot, norm, scale, update};

/// The norm of the ball.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Ball {
    /// ‖u‖_2 <= rho.
    L2,
    /// |u_i| <= rho for every i.
    LInfinity,
}

impl fmt::Display for Ball {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L2 => "l2",
            Self::LInfinity => "l-infinity",
        })
    }
}

impl Ball {
    /// Start 0 is w; the others are random points of the boundary.
    pub(super) fn place<R: Real>(
        self,
        radius: f64,
        seed: u64,
        start: usize,
        selected: &Selected,
        u: &mut [R],
    ) {
        let key = StreamKey::new(seed, Purpose::Measurement).step(BALL).copy(start as u64);
        match (start, self) {
            (0, _) => u.fill(R::zero()),
            (_, Self::L2) => {
                fill_gaussian(key, u);
                selected.mask(u);
                let length = norm(u);
                scale(u, radius / length);
            }
            (_, Self::LInfinity) => {
                fill_uniform(key, u);
                selected.mask(u);
                scale(u, radius);
            }
        }
    }

    /// `to` = P(u + s rho G / ‖G‖), or with the sign of G.
    pub(super) fn ascend<R: Real>(self, radius: f64, size: f64, u: &[R], g: &[R], to: &mut [R]) {
        match self {
            Self::L2 => {
                let length = norm(g);
                let factor = if length > 0.0 { size * radius / length } else { 0.0 };
                let factor = R::from_f64(factor);
                update(to, |i, _| u[i] + factor * g[i]);
                let length = norm(to);
                if length > radius {
                    scale(to, radius / length);
                }
            }
            Self::LInfinity => {
                let (step, rho) = (R::from_f64(size * radius), R::from_f64(radius));
                update(to, |i, _| {
                    let sign = if g[i] == R::zero() { R::zero() } else { g[i].signum() };
                    (u[i] + step * sign).max(-rho).min(rho)
                });
            }
        }
    }

    /// How far u is from a stationary point of the boundary: 0 there. `count` coordinates may move; in
    /// the others G is 0.
    pub(super) fn misalignment<R: Real>(self, radius: f64, count: usize, u: &[R], g: &[R]) -> f64 {
        match self {
            Self::L2 => {
                let lengths = norm(u) * norm(g);
                if lengths > 0.0 { 1.0 - dot(u, g) / lengths } else { 1.0 }
            }
            Self::LInfinity => {
                let rho = R::from_f64(radius);
                let free =
                    u.iter().zip(g).filter(|(u, g)| **g != R::zero() && **u != rho * g.signum());
                free.count() as f64 / count.max(1) as f64
            }
        }
    }
}

/// Keeps the streams of the starts apart from those of other measurements.
const BALL: u64 = 4;
