//! Progress: a bar on a terminal, plain lines elsewhere. Both go to standard error.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::oracle::Tally;
use crate::training::EpochRecord;

/// Reports the epochs of a training.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    epochs: usize,
}

impl Progress {
    /// For `epochs` epochs of `steps` parameter updates.
    pub(super) fn new(epochs: usize, steps: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "epoch {prefix} [{bar:30}] {pos}/{len} updates, {msg}, {eta} left";
            let style = ProgressStyle::with_template(style).expect("the template is well formed");
            let bar = ProgressBar::with_draw_target(
                Some(steps as u64),
                ProgressDrawTarget::stderr_with_hz(4),
            );
            bar.with_style(style)
        });
        Self { bar, epochs }
    }

    /// Before the first update of an epoch, or the first after a stop within one.
    pub(super) fn begin(&self, epoch: usize) {
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_prefix(format!("{epoch}/{}", self.epochs));
        }
    }

    /// After an update.
    pub(super) fn step(&self, step: usize, tally: &Tally) {
        if let Some(bar) = &self.bar {
            bar.set_position(step as u64);
            bar.set_message(format!("loss {:.4}, top-1 {:.2} %", tally.loss(), tally.top1()));
        }
    }

    /// After an epoch.
    pub(super) fn epoch(&self, record: &EpochRecord) {
        let line = format!(
            "epoch {:>3}/{}  train loss {:.4} top-1 {:6.2} %  test loss {:.4} top-1 {:6.2} %  \
             learning rate {}  {:.1} s",
            record.epoch,
            self.epochs,
            record.train_loss,
            record.train_top1,
            record.test_loss,
            record.test_top1,
            four_digits(record.learning_rate),
            record.seconds,
        );
        match &self.bar {
            Some(bar) => bar.println(line),
            None => note!("{line}"),
        }
    }
}

/// A number rounded to four digits, without zeros at its end.
fn four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().expect("a number as it was written")
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_kept() {
        let numbers = [0.565_685_424, 0.1, 1e-4, 0.0, 123_456.0].map(four_digits);
        assert_eq!(numbers, [0.5657, 0.1, 1e-4, 0.0, 123_500.0]);
    }
}
