//! The published SGD regime of each network.
//!
//! # Source
//! Wen et al. 2018, arXiv:1805.07898; the authors' and Hoffer's model files.
//!
//! # Differences
//! Not published, and chosen here: the regime of C2 and C4 (Keskar trained them with Adam; they take
//! that of C1), and the length of AlexNet's (60 epochs) and the ImageNet ResNets' (100 epochs)
//! training.

use smoothout_optim::RegimeStep;

use crate::experiment::RegimeSpec;

/// Learning rates by epoch, weight decay and length of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedRegime {
    /// Learning rates for batches of one ghost batch.
    pub steps: Vec<RegimeStep>,
    /// The weight decay.
    pub weight_decay: f64,
    /// The number of epochs.
    pub epochs: usize,
}

impl PublishedRegime {
    fn new(steps: &[(usize, f64)], weight_decay: f64, epochs: usize) -> Self {
        let step = |&(epoch, learning_rate): &(usize, f64)| RegimeStep { epoch, learning_rate };
        Self { steps: steps.iter().map(step).collect(), weight_decay, epochs }
    }

    /// The learning rates with their epochs moved in proportion to `epochs`. Where two meet, the
    /// later one stays.
    pub fn shortened(&self, epochs: usize) -> RegimeSpec {
        let mut steps: Vec<RegimeStep> = Vec::new();
        for step in &self.steps {
            let half = self.epochs / 2;
            let epoch = (step.epoch.saturating_mul(epochs).saturating_add(half)) / self.epochs;
            // The first learning rate has at least the first epoch.
            let epoch = epoch.max(usize::from(step.epoch > 0));
            steps.retain(|earlier| earlier.epoch < epoch);
            steps.push(RegimeStep { epoch, ..*step });
        }
        RegimeSpec(steps)
    }
}

/// The regime of a network by its name; unknown names take that of the CIFAR ResNets.
pub fn published_regime(model: &str) -> PublishedRegime {
    match model {
        "f1" => PublishedRegime::new(&[(0, 0.1), (10, 0.01), (20, 1e-3), (30, 1e-4)], 1e-4, 50),
        "c1" | "c2" | "c3" | "c4" => {
            PublishedRegime::new(&[(0, 1e-3), (60, 1e-2), (120, 1e-3), (180, 1e-4)], 5e-4, 200)
        }
        "wrn-16-4" => {
            PublishedRegime::new(&[(0, 0.1), (60, 0.02), (120, 4e-3), (140, 1e-4)], 1e-4, 200)
        }
        "alexnet" => PublishedRegime::new(&[(0, 1e-2), (20, 1e-3), (40, 1e-4)], 5e-4, 60),
        "resnet18" | "resnet34" | "resnet50" | "resnet101" | "resnet152" => {
            PublishedRegime::new(&[(0, 0.1), (30, 0.01), (60, 1e-3), (90, 1e-4)], 1e-4, 100)
        }
        _ => PublishedRegime::new(&[(0, 0.1), (81, 0.01), (122, 1e-3), (164, 1e-4)], 1e-4, 200),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_regime_keeps_its_proportions() {
        let epochs = |model: &str, epochs| -> Vec<usize> {
            published_regime(model).shortened(epochs).0.iter().map(|step| step.epoch).collect()
        };
        assert_eq!(epochs("resnet20", 200), [0, 81, 122, 164]);
        assert_eq!(epochs("resnet20", 10), [0, 4, 6, 8]);
        assert_eq!(epochs("f1", 5), [0, 1, 2, 3]);
        assert_eq!(epochs("f1", 1), [0, 1]);
        assert_eq!(published_regime("f1").shortened(1).0[0].learning_rate, 0.1);
        assert_eq!(published_regime("resnet152").steps[1].epoch, 30);
    }
}
