//! The learning rate by epoch, and what changes with a large batch.
//!
//! A [`Regime`] lists the epochs at which the learning rate changes. For a batch of B examples in
//! ghost batches of G, the authors multiply the learning rate by sqrt(B/G)
//! ([`LearningRateScaling`]); *regime adaptation* multiplies all epochs by ceil(B/G), so that a
//! large batch gets as many updates as a small one ([`Adaptation`]). B counts accumulated batches.
//!
//! # Source
//! Hoffer et al. 2017, arXiv:1705.08741, sections 4 and 6; the authors' `--lr_bb_fix` and
//! `--regime_bb_fix`; Goyal et al. 2017, arXiv:1706.02677 (linear scaling).

use crate::OptimError;

/// From `epoch` on, this learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct RegimeStep {
    /// The first epoch (from 0) with this learning rate.
    pub epoch: usize,
    /// The learning rate.
    pub learning_rate: f64,
}

/// How the learning rate grows with B/G.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum LearningRateScaling {
    /// Not at all.
    None,
    /// By sqrt(B/G): the authors' choice.
    #[default]
    Sqrt,
    /// By B/G.
    Linear,
}

impl LearningRateScaling {
    /// The factor for batches of `batch` examples in ghost batches of `ghost`. It is below 1 where a batch
    /// has fewer examples than a ghost batch.
    ///
    /// # Panics
    /// If one of them is 0.
    pub fn factor(self, batch: usize, ghost: usize) -> f64 {
        assert!(batch > 0 && ghost > 0, "batches of {batch}, ghost batches of {ghost} examples");
        let ratio = batch as f64 / ghost as f64;
        match self {
            Self::None => 1.0,
            Self::Sqrt => ratio.sqrt(),
            Self::Linear => ratio,
        }
    }
}

/// Whether a large batch trains for more epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Adaptation {
    /// As many epochs as a small batch.
    #[default]
    None,
    /// Regime adaptation: all epochs times ceil(B/G).
    Epochs,
}

impl Adaptation {
    /// The factor on all epochs.
    ///
    /// # Panics
    /// If `ghost` is 0.
    pub fn factor(self, batch: usize, ghost: usize) -> usize {
        match self {
            Self::None => 1,
            Self::Epochs => batch.div_ceil(ghost),
        }
    }
}

/// A learning rate for every epoch.
///
/// ```
/// use smoothout_optim::Regime;
/// let f1 = Regime::new(&[(0, 0.1), (10, 0.01), (20, 1e-3), (30, 1e-4)])?;
/// assert_eq!(f1.learning_rate(9), 0.1);
/// assert_eq!(f1.learning_rate(10), 0.01);
/// assert_eq!(f1.stretched(32).learning_rate(319), 0.1);
/// # Ok::<(), smoothout_optim::OptimError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Regime {
    steps: Vec<RegimeStep>,
}

impl Regime {
    /// A regime from (epoch, learning rate) pairs.
    ///
    /// # Errors
    /// As [`Regime::from_steps`].
    pub fn new(steps: &[(usize, f64)]) -> Result<Self, OptimError> {
        let steps = steps.iter();
        Self::from_steps(
            steps.map(|&(epoch, learning_rate)| RegimeStep { epoch, learning_rate }).collect(),
        )
    }

    /// A regime from its steps.
    ///
    /// # Errors
    /// If there is none, the first does not start at epoch 0, the epochs do not rise, or a learning
    /// rate is negative or not finite.
    pub fn from_steps(steps: Vec<RegimeStep>) -> Result<Self, OptimError> {
        match steps.first() {
            Some(first) if first.epoch == 0 => {}
            Some(first) => {
                let reason = format!("the regime's first step is at epoch {}", first.epoch);
                return Err(OptimError::RegimeOrder { reason });
            }
            None => {
                return Err(OptimError::RegimeOrder {
                    reason: "the regime has no step".to_owned(),
                });
            }
        }
        if let Some(pair) = steps.windows(2).find(|pair| pair[0].epoch >= pair[1].epoch) {
            let reason =
                format!("the regime's epoch {} follows epoch {}", pair[1].epoch, pair[0].epoch);
            return Err(OptimError::RegimeOrder { reason });
        }
        for step in &steps {
            let rate = step.learning_rate;
            OptimError::check("learning_rate", rate, rate >= 0.0, "finite and not negative")?;
        }
        Ok(Self { steps })
    }

    /// One learning rate throughout.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn constant(learning_rate: f64) -> Result<Self, OptimError> {
        Self::new(&[(0, learning_rate)])
    }

    /// The learning rate of `epoch`, counted from 0.
    pub fn learning_rate(&self, epoch: usize) -> f64 {
        let later = self.steps.partition_point(|step| step.epoch <= epoch);
        self.steps[later - 1].learning_rate
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[RegimeStep] {
        &self.steps
    }

    /// Regime adaptation: all epochs times `factor`, as far as they can be counted.
    ///
    /// # Panics
    /// If `factor` is 0.
    #[must_use]
    pub fn stretched(&self, factor: usize) -> Self {
        assert!(factor > 0, "a regime is stretched by a factor of at least 1");
        let steps = self.steps.iter();
        Self {
            steps: steps
                .map(|step| RegimeStep { epoch: step.epoch.saturating_mul(factor), ..*step })
                .collect(),
        }
    }

    /// All learning rates times `factor`.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let steps = self.steps.iter();
        let scale =
            |step: &RegimeStep| RegimeStep { learning_rate: step.learning_rate * factor, ..*step };
        Self { steps: steps.map(scale).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_batches_scale_the_learning_rate_and_stretch_the_epochs() {
        assert_eq!(LearningRateScaling::Sqrt.factor(4096, 128), 32_f64.sqrt());
        assert_eq!(LearningRateScaling::Linear.factor(4096, 128), 32.0);
        assert_eq!(LearningRateScaling::None.factor(4096, 128), 1.0);
        assert_eq!(LearningRateScaling::Sqrt.factor(32, 128), 0.5);
        assert_eq!(Adaptation::Epochs.factor(4096, 128), 32);
        assert_eq!(Adaptation::Epochs.factor(300, 128), 3);
        assert_eq!(Adaptation::None.factor(4096, 128), 1);
        let regime = Regime::new(&[(0, 0.1), (10, 0.01)]).unwrap().scaled(2.0).stretched(3);
        assert_eq!(regime, Regime::new(&[(0, 0.2), (30, 0.02)]).unwrap());
        assert_eq!(regime.steps()[1], RegimeStep { epoch: 30, learning_rate: 0.02 });
        assert_eq!(
            [0, 29, 30, 99].map(|epoch| regime.learning_rate(epoch)),
            [0.2, 0.2, 0.02, 0.02]
        );
    }

    #[test]
    #[should_panic(expected = "ghost batches of 0 examples")]
    fn batches_of_nothing_have_no_factor() {
        LearningRateScaling::None.factor(128, 0);
    }

    #[test]
    fn a_regime_out_of_order_is_an_error() {
        for steps in [&[][..], &[(1, 0.1)], &[(0, 0.1), (0, 0.2)], &[(0, 0.1), (5, 0.1), (3, 0.1)]]
        {
            assert!(matches!(Regime::new(steps), Err(OptimError::RegimeOrder { .. })), "{steps:?}");
        }
        assert!(matches!(Regime::constant(f64::NAN), Err(OptimError::Range { .. })));
    }
}
