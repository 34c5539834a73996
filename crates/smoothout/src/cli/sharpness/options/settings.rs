//! The options as checked settings of the metrics.

use smoothout_sharpness::{
    Audit, Ball, Effort, Eigenvalues, ExpectedLoss, Keskar, NoiseTolerance, Sampling, Scaling,
    SharpnessError, Space, Spectrum, Start, Trace, TraceEstimator, WorstCase,
};
use smoothout_tensor::{Distribution, Geometry, Perturbation, Selection};

use super::{Draws, Law, Norm, Options, Quantity, Shape};
use crate::cli::BadInput;

/// The most searches that Keskar's sharpness may begin.
const MOST_STARTS: usize = 10_000;

impl Options {
    /// Whether the perturbation scales with the weights.
    pub(in crate::cli::sharpness) fn is_relative(&self) -> bool {
        !matches!(self.geometry, None | Some(Shape::Absolute))
    }

    /// What may rise.
    pub(in crate::cli::sharpness) fn quantity(&self) -> Quantity {
        self.of.unwrap_or(Quantity::Loss)
    }

    /// Examples in a batch of m-sharpness.
    pub(in crate::cli::sharpness) fn m(&self) -> usize {
        self.m.unwrap_or(128)
    }

    /// What the audit multiplies by.
    pub(in crate::cli::sharpness) fn factor(&self) -> f64 {
        self.factor.unwrap_or(0.125)
    }

    fn selection(&self) -> Selection {
        let selection = Selection::from(self.select);
        match &self.blocks {
            Some(pattern) => selection.named(pattern),
            None => selection,
        }
    }

    fn perturbation(&self) -> Result<Perturbation, SharpnessError> {
        let geometry = match self.geometry.unwrap_or(Shape::Absolute) {
            Shape::Absolute => Geometry::Absolute,
            Shape::Filter => Geometry::Filter,
            Shape::Elementwise => Geometry::Elementwise,
            Shape::Layer => Geometry::Layer,
        };
        let law = match self.distribution.unwrap_or(Law::Uniform) {
            Law::Uniform => Distribution::Uniform,
            Law::Gaussian => Distribution::Gaussian,
        };
        let perturbation = Perturbation::new(geometry, self.radius.unwrap_or(0.01))?;
        Ok(perturbation.distribution(law).selection(self.selection()))
    }

    pub(in crate::cli::sharpness) fn tolerance(&self) -> Result<NoiseTolerance, SharpnessError> {
        let mut settings = NoiseTolerance::new(self.perturbation()?, self.rise.unwrap_or(0.1))?;
        if let Some(samples) = self.samples {
            settings = settings.draws(samples)?;
        }
        Ok(settings)
    }

    pub(in crate::cli::sharpness) fn expected_loss(&self) -> Result<ExpectedLoss, SharpnessError> {
        let mut settings = ExpectedLoss::new(self.perturbation()?);
        settings = settings.sampling(match self.sampling.unwrap_or(Draws::Antithetic) {
            Draws::Plain => Sampling::Plain,
            Draws::Antithetic => Sampling::Antithetic,
            Draws::QuasiRandom => Sampling::QuasiRandom { points: 31 },
        });
        if let Some(samples) = self.samples {
            settings = settings.draws(samples)?;
        }
        if let Some(error) = self.standard_error {
            settings = settings.until(error)?;
        }
        Ok(settings)
    }

    /// For a network of so many parameters.
    pub(in crate::cli::sharpness) fn keskar(
        &self,
        parameters: usize,
    ) -> Result<Keskar, SharpnessError> {
        let mut settings = Keskar::new(self.epsilon.unwrap_or(1e-3))?.selection(self.selection());
        if let Some(dimension) = self.subspace {
            settings = settings.space(Space::random(dimension, parameters))?;
        }
        if let Some(count) = self.starts {
            if count > MOST_STARTS {
                let (setting, found) = ("the number of starts", count as f64);
                return Err(SharpnessError::Setting { setting, found, expected: "at most 10000" });
            }
            let random = std::iter::repeat(Start::Random);
            let starts = [Start::Centre, Start::GradientVertex].into_iter().chain(random);
            settings = settings.starts(&starts.take(count).collect::<Vec<_>>())?;
        }
        let effort = match (self.converged, self.iterations) {
            (true, _) => Effort::Converged,
            (false, iterations) => Effort::Iterations(iterations.unwrap_or(10)),
        };
        Ok(settings.effort(effort))
    }

    pub(in crate::cli::sharpness) fn worst_case(&self) -> anyhow::Result<WorstCase> {
        let ball = match self.ball.unwrap_or(Norm::L2) {
            Norm::L2 => Ball::L2,
            Norm::LInfinity => Ball::LInfinity,
        };
        let scaling = match self.geometry.unwrap_or(Shape::Absolute) {
            Shape::Absolute => Scaling::Plain,
            Shape::Filter => Scaling::Filter,
            Shape::Elementwise => Scaling::Elementwise,
            Shape::Layer => {
                let message = "geometry is layer: a ball takes absolute, filter or elementwise";
                return Err(BadInput(message.to_owned()).into());
            }
        };
        let settings = WorstCase::new(ball, self.radius.unwrap_or(0.01))?
            .scaling(scaling)
            .selection(self.selection())
            .steps(self.steps.unwrap_or(20), self.starts.unwrap_or(2))?;
        Ok(settings)
    }

    pub(in crate::cli::sharpness) fn eigenvalues(&self) -> Result<Eigenvalues, SharpnessError> {
        let counts = (self.largest.unwrap_or(1), self.smallest.unwrap_or(1));
        Eigenvalues::new(counts.0, counts.1)?
            .selection(self.selection())
            .tolerance(self.tolerance.unwrap_or(1e-6))?
            .steps(self.steps.unwrap_or(200))
    }

    pub(in crate::cli::sharpness) fn trace(&self) -> Result<Trace, SharpnessError> {
        let mut settings = Trace::new().selection(self.selection());
        if let Some(sketch) = self.sketch {
            settings = settings.estimator(TraceEstimator::HutchPlusPlus { sketch });
        }
        if let Some(samples) = self.samples {
            settings = settings.probes(samples)?;
        }
        if let Some(error) = self.standard_error {
            settings = settings.until(error)?;
        }
        Ok(settings)
    }

    pub(in crate::cli::sharpness) fn spectrum(&self) -> Result<Spectrum, SharpnessError> {
        let settings = Spectrum::new(self.samples.unwrap_or(10), self.steps.unwrap_or(60))?;
        Ok(settings.selection(self.selection()))
    }

    pub(in crate::cli::sharpness) fn audit(&self) -> Result<Audit, SharpnessError> {
        let (radius, epsilon) = (self.radius.unwrap_or(0.01), self.epsilon.unwrap_or(1e-3));
        let settings = Audit::new(radius, epsilon)?.selection(self.selection());
        settings.draws(self.samples.unwrap_or(100))
    }

    /// The blocks and factors that were named, if any; and the factor is a factor.
    pub(in crate::cli::sharpness) fn factors(
        &self,
    ) -> Result<Option<Vec<(String, f64)>>, BadInput> {
        let sound = |factor: f64| factor > 0.0 && factor.is_finite();
        if !sound(self.factor()) {
            let found = self.factor();
            return Err(BadInput(format!("factor is {found}: it must be positive and finite")));
        }
        let parse = |text: &String| {
            let parts = text.rsplit_once('=');
            let parsed = parts.and_then(|(name, factor)| Some((name, factor.parse().ok()?)));
            match parsed.filter(|&(_, factor)| sound(factor)) {
                Some((name, factor)) => Ok((name.to_owned(), factor)),
                None => Err(BadInput(format!(
                    "scale is {text:?}: give a block and a positive factor, fc1.weight=0.1"
                ))),
            }
        };
        let factors = self.scale.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok((!factors.is_empty()).then_some(factors))
    }
}
