//! What an audit leaves behind: each measure before and after.

use std::fmt;

use smoothout_tensor::Selection;

use crate::{Ending, Estimate};

/// What is measured at both weight vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Audited {
    /// The rise of the expected loss in the absolute box.
    AbsoluteRise,
    /// The rise of the expected loss, elementwise.
    ElementwiseRise,
    /// The rise of the expected loss, filter-wise.
    FilterRise,
    /// Keskar's sharpness.
    Keskar,
    /// The rise in the l2 ball (SAM).
    Sam,
    /// The rise in the elementwise l2 ball (ASAM; invariant but for its eta).
    Asam,
}

impl fmt::Display for Audited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AbsoluteRise => "rise of the expected loss, absolute",
            Self::ElementwiseRise => "rise of the expected loss, elementwise",
            Self::FilterRise => "rise of the expected loss, filter-wise",
            Self::Keskar => "Keskar sharpness, percent",
            Self::Sam => "rise in the l2 ball (SAM)",
            Self::Asam => "rise in the elementwise l2 ball (ASAM, eta 0.01)",
        })
    }
}

/// One measure at both weight vectors.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AuditRow {
    /// The measure.
    pub measure: Audited,
    /// At w; its standard error is 0 for measures that are not sampled.
    pub before: Estimate,
    /// At the rescaled w.
    pub after: Estimate,
    /// `after` - `before`. Both are sampled with the same draws, so that its standard error is that of
    /// the pairs.
    pub difference: Estimate,
}

impl AuditRow {
    /// `after` / `before`.
    pub fn ratio(&self) -> f64 {
        self.after.value / self.before.value
    }

    /// True if the values differ by more than 5 % and by more than three standard errors.
    pub fn moved(&self) -> bool {
        self.differs() && self.difference.value.abs() > 3.0 * self.difference.standard_error
    }

    /// By more than 5 %.
    fn differs(&self) -> bool {
        let size = self.after.value.abs().max(self.before.value.abs());
        self.difference.value.abs() > 0.05 * size
    }
}

/// What [`Audit::measure`](crate::Audit::measure) found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AuditReport {
    /// f(w).
    pub loss: f64,
    /// f at the rescaled w: the same but for rounding.
    pub rescaled_loss: f64,
    /// The measures.
    pub rows: Vec<AuditRow>,
    /// The radius of the sampled measures and of the balls.
    pub radius: f64,
    /// Keskar's eps.
    pub epsilon: f64,
    /// The blocks that moved while measuring.
    pub selection: Selection,
    /// Evaluations of the objective, with or without its gradient, in all measures.
    pub evaluations: usize,
    /// The seed.
    pub seed: u64,
    /// Whether all measures were taken.
    pub ending: Ending,
}

impl AuditReport {
    /// The largest factor by which a measure moved, up or down, whatever its sign; 1 if none did.
    pub fn largest_move(&self) -> f64 {
        let moved = self.rows.iter().filter(|row| row.moved()).map(|row| row.ratio().abs());
        moved.map(|ratio| ratio.max(1.0 / ratio)).fold(1.0, f64::max)
    }
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the same function (loss {:.6e}, rescaled {:.6e}); radius {}, eps {}, {} evaluations, seed {}:",
            self.loss, self.rescaled_loss, self.radius, self.epsilon, self.evaluations, self.seed
        )?;
        self.rows.iter().try_for_each(|row| {
            let verdict = match (row.moved(), row.differs()) {
                (true, _) => "moved",
                (false, true) => "not shown to move",
                (false, false) => "kept",
            };
            write!(
                f,
                "\n  {:<48} {:>13.6e} -> {:>13.6e}  x {:<8.3} {verdict}",
                row.measure,
                row.before.value,
                row.after.value,
                row.ratio()
            )
        })
    }
}
