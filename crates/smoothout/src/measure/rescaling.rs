//! Rescalings of a network's layers that leave its function as it is.
//!
//! A ReLU is positively homogeneous, relu(c x) = c relu(x): the layer before it (weight and bias, or
//! batch norm's gamma and beta) may be multiplied by c > 0 and the weight behind it by 1/c. Which
//! neighbours in a network are such a pair depends on what is between them (a skip, another norm), so
//! each pair of neighbours is tried: multiplied by a power of two, every number in between is exactly
//! as many times larger, and the loss of a true pair has the same bits.

use std::fmt;

use serde::Serialize;
use smoothout_sharpness::{AuditReport, Objective, SharpnessError, rescale_blocks};
use smoothout_tensor::{BlockKind, ParameterLayout, Real};

use super::{MeasureError, NetworkObjective};

/// Blocks and what each is multiplied by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rescaling {
    factors: Vec<(String, f64)>,
}

/// A power of two, so that trying changes no bit of a true pair.
const TRIED_FACTOR: f64 = 0.125;

impl Rescaling {
    /// The factors of named blocks.
    pub fn of(factors: Vec<(String, f64)>) -> Self {
        Self { factors }
    }

    /// Every pair of neighbouring layers that may be rescaled: the first by `factor`, the weight of
    /// the second by 1 / `factor`. One evaluation a pair.
    ///
    /// # Errors
    /// If lengths differ, or there is no such pair.
    pub fn find<R: Real>(
        objective: &NetworkObjective<'_, R>,
        layout: &ParameterLayout,
        w: &[R],
        factor: f64,
    ) -> Result<Self, MeasureError> {
        let scratch = &mut objective.scratch();
        let loss = objective.value(w, scratch).to_bits();
        let mut factors: Vec<(String, f64)> = Vec::new();
        let layers = layers(layout);
        for pair in layers.windows(2) {
            let by = |c: f64| {
                let first = pair[0].iter().map(move |&name| (name.to_owned(), c));
                first.chain([(pair[1][0].to_owned(), 1.0 / c)])
            };
            let tried = Self::of(by(TRIED_FACTOR).collect()).apply(layout, w)?;
            let starts_with_a_weight =
                layout.block(pair[1][0]).is_some_and(|block| block.kind() == BlockKind::Weight);
            if starts_with_a_weight && objective.value(&tried, scratch).to_bits() == loss {
                by(factor).for_each(|(name, c)| {
                    match factors.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, product)) => *product *= c,
                        None => factors.push((name, c)),
                    }
                });
            }
        }
        factors.retain(|&(_, c)| c != 1.0);
        if factors.is_empty() { Err(MeasureError::NoRescaling) } else { Ok(Self { factors }) }
    }

    /// The rescaled weights.
    ///
    /// # Errors
    /// If the length is not the layout's, or a block is not in it.
    pub fn apply<R: Real>(
        &self,
        layout: &ParameterLayout,
        w: &[R],
    ) -> Result<Vec<R>, SharpnessError> {
        let factors: Vec<(&str, f64)> =
            self.factors.iter().map(|(name, factor)| (name.as_str(), *factor)).collect();
        rescale_blocks(layout, w, &factors)
    }
}

impl fmt::Display for Rescaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.factors.iter().map(|(name, factor)| format!("{name} x {factor}")).collect();
        f.write_str(&parts.join(", "))
    }
}

/// The names of each layer's blocks, in order: what stands before a name's last dot is the layer.
fn layers(layout: &ParameterLayout) -> Vec<Vec<&str>> {
    let mut layers: Vec<Vec<&str>> = Vec::new();
    let layer = |name: &str| name.rsplit_once('.').map_or(String::new(), |(layer, _)| layer.into());
    for block in layout.blocks() {
        match layers.last_mut().filter(|names| layer(names[0]) == layer(block.name())) {
            Some(names) => names.push(block.name()),
            None => layers.push(vec![block.name()]),
        }
    }
    layers
}

/// An audit of a network: what was rescaled, and which measures moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetworkAudit {
    /// The rescaling.
    #[serde(flatten)]
    pub rescaling: Rescaling,
    /// The measures before and after.
    #[serde(flatten)]
    pub audit: AuditReport,
}

impl fmt::Display for NetworkAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nrescaled: {}", self.audit, self.rescaling)
    }
}
