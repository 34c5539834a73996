//! How the perturbation's radius changes over training: the coefficient c(t) in [0, 1] of update t
//! out of T.
//!
//! | schedule | c(t) |
//! |---|---|
//! | constant | 1 |
//! | anneal | sqrt(1 / (1 + t)^0.55) |
//! | tanh | (tanh(10 (t/T - 1/2)) + 1) / 2 |
//!
//! # Source
//! Wen et al. 2018, arXiv:1805.07898, and the authors' `--smoothing-type`, `--anneal-index`,
//! `--tanh-scale`.

use crate::OptimError;

/// The course of the radius.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
pub enum RadiusSchedule {
    /// c = 1.
    #[default]
    Constant,
    /// c = sqrt(1 / (1 + t)^index): falls. The authors' index is 0.55.
    Anneal {
        /// The power of the variance's decay, positive.
        index: f64,
    },
    /// c = (tanh(scale (t/T - 1/2)) + 1) / 2: rises in the middle of training. The authors' scale
    /// is 10.
    Tanh {
        /// How sharp the rise is, positive.
        scale: f64,
    },
}

impl RadiusSchedule {
    /// The authors' falling schedule.
    pub const ANNEAL: Self = Self::Anneal { index: 0.55 };
    /// The authors' rising schedule.
    pub const TANH: Self = Self::Tanh { scale: 10.0 };

    /// Checks the parameters.
    ///
    /// # Errors
    /// If one is not positive and finite.
    pub fn check(self) -> Result<Self, OptimError> {
        let (name, value) = match self {
            Self::Constant => return Ok(self),
            Self::Anneal { index } => ("the radius schedule's anneal index", index),
            Self::Tanh { scale } => ("the radius schedule's tanh scale", scale),
        };
        OptimError::check(name, value, value > 0.0, "positive and finite")?;
        Ok(self)
    }

    /// c(t) for update `t` (from 0) of `total`.
    ///
    /// ```
    /// use smoothout_optim::RadiusSchedule;
    /// assert_eq!(RadiusSchedule::Constant.coefficient(3, 10), 1.0);
    /// assert_eq!(RadiusSchedule::ANNEAL.coefficient(0, 10), 1.0);
    /// assert_eq!(RadiusSchedule::TANH.coefficient(5, 10), 0.5);
    /// ```
    pub fn coefficient(&self, t: u64, total: u64) -> f64 {
        match *self {
            Self::Constant => 1.0,
            Self::Anneal { index } => (1.0 + t as f64).powf(-index).sqrt(),
            Self::Tanh { scale } => {
                ((scale * (t as f64 / total.max(1) as f64 - 0.5)).tanh() + 1.0) / 2.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_their_formulas() {
        assert_eq!(RadiusSchedule::Constant.coefficient(3, 10), 1.0);
        assert!((RadiusSchedule::ANNEAL.coefficient(99, 0) - 100_f64.powf(-0.275)).abs() < 1e-15);
        let tanh = RadiusSchedule::TANH.coefficient(9, 10);
        assert!((tanh - (4_f64.tanh() + 1.0) / 2.0).abs() < 1e-15);
        for schedule in [RadiusSchedule::Constant, RadiusSchedule::ANNEAL, RadiusSchedule::TANH] {
            assert_eq!(schedule.check(), Ok(schedule));
        }
        assert!(RadiusSchedule::Tanh { scale: -1.0 }.check().is_err());
        assert!(RadiusSchedule::Anneal { index: f64::NAN }.check().is_err());
    }
}
