//! What a measurement of Keskar's sharpness leaves behind: the highest loss seen, and a certificate for
//! each search.

use std::fmt;

use smoothout_tensor::Selection;

use super::{Space, Start};
use crate::{Ending, Status};

/// One search.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KeskarSearch {
    /// Where it started.
    pub start: Start,
    /// The sharpness it reached.
    pub sharpness: f64,
    /// max |P(z - g) - z|: 0 where the KKT conditions hold.
    pub projected_gradient: f64,
    /// The share of the coordinates at a bound, of those that may move.
    pub share_at_bound: f64,
    /// Iterations.
    pub iterations: usize,
    /// Evaluations of value and gradient.
    pub evaluations: usize,
    /// Why it ended.
    pub status: Status,
}

/// What [`Keskar::measure`](crate::Keskar::measure) found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KeskarReport {
    /// phi, in percent: the highest of all searches, a lower bound of the true maximum.
    pub sharpness: f64,
    /// f(w).
    pub loss: f64,
    /// The highest loss seen in the box.
    pub maximum: f64,
    /// The searches, in the order of their starts; the certificate of each.
    pub searches: Vec<KeskarSearch>,
    /// eps.
    pub epsilon: f64,
    /// The space searched.
    pub space: Space,
    /// The blocks.
    pub selection: Selection,
    /// The seed of the random starts and of A.
    pub seed: u64,
    /// What f is measured on, as given to [`Keskar::measured_on`](crate::Keskar::measured_on).
    pub data: String,
    /// Evaluations of value and gradient in all searches.
    pub evaluations: usize,
    /// Whether all searches were run.
    pub ending: Ending,
}

impl KeskarReport {
    /// The search that reached the highest loss: the certificate.
    pub fn best(&self) -> Option<&KeskarSearch> {
        self.searches.iter().max_by(|a, b| a.sharpness.total_cmp(&b.sharpness))
    }

    /// Mean and standard deviation over the searches, as Keskar's tables give them.
    pub fn spread(&self) -> (f64, f64) {
        let n = self.searches.len() as f64;
        let mean = self.searches.iter().map(|s| s.sharpness).sum::<f64>() / n;
        let squares: f64 = self.searches.iter().map(|s| (s.sharpness - mean).powi(2)).sum();
        (mean, (squares / (n - 1.0).max(1.0)).sqrt())
    }
}

impl fmt::Display for KeskarReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mean, deviation) = self.spread();
        write!(
            f,
            "Keskar sharpness {:.6} % (eps {:e}, {}): loss {:.6e}, at most {:.6e} seen; {} starts with a mean of {mean:.4} % and a standard deviation of {deviation:.4} %; {} evaluations, seed {}",
            self.sharpness,
            self.epsilon,
            self.space,
            self.loss,
            self.maximum,
            self.searches.len(),
            self.evaluations,
            self.seed
        )?;
        if let Some(best) = self.best() {
            write!(
                f,
                "; the best ended when {} (projected gradient {:.1e}, {:.1} % at a bound)",
                best.status,
                best.projected_gradient,
                100.0 * best.share_at_bound
            )?;
        }
        if !self.data.is_empty() {
            write!(f, "; on {}", self.data)?;
        }
        Ok(())
    }
}
