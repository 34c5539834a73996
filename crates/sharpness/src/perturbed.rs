//! What a measurement perturbed, as it stands in a report.

use std::fmt;

use smoothout_tensor::{Distribution, Geometry, ParameterLayout, Perturbation, Selection};

use crate::SharpnessError;

/// Which parameters were perturbed, and how.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Perturbed {
    /// What the size was measured against.
    pub geometry: Geometry,
    /// The radius a.
    pub radius: f64,
    /// The law of the random numbers.
    pub distribution: Distribution,
    /// The blocks.
    pub selection: Selection,
    /// How many parameters they hold.
    pub parameters: usize,
}

impl Perturbed {
    pub(crate) fn new(
        perturbation: &Perturbation,
        layout: &ParameterLayout,
    ) -> Result<Self, SharpnessError> {
        Ok(Self {
            geometry: perturbation.geometry(),
            radius: perturbation.radius(),
            distribution: perturbation.law(),
            selection: perturbation.selected().clone(),
            parameters: perturbation.selected().count(layout)?,
        })
    }
}

impl fmt::Display for Perturbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let geometry = match self.geometry {
            Geometry::Absolute => "absolute",
            Geometry::Filter => "filter",
            Geometry::Elementwise => "elementwise",
            Geometry::KeskarBox => "Keskar box",
            Geometry::Layer => "layer",
        };
        let law = match self.distribution {
            Distribution::Uniform => "uniform",
            Distribution::Gaussian => "Gaussian",
        };
        write!(
            f,
            "{geometry} {law} perturbation of radius {} on {} parameters ({})",
            self.radius, self.parameters, self.selection
        )
    }
}
