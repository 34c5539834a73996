//! The paper's theory as demonstrations: each statement is measured, compared with what it
//! predicts, and drawn.
//!
//! These are pictures with numbers, on one example each; the property tests in `tests/theory` make
//! the same statements for generated functions. `docs/theory.md` has the proofs.
//!
//! # Source
//! Wen et al. 2018, arXiv:1805.07898, section 3.

mod closed_forms;
mod dimension;
mod flat_minimum;
mod rescaling;
mod sharp_constraint;
mod training;
mod unbiased;

use std::path::Path;

use anyhow::Context;

use crate::chart::{CurveChart, standalone};

/// One statement, what it predicts and what was measured.
#[derive(Debug)]
pub struct Demonstration {
    /// The figure's file name, without its ending.
    pub name: &'static str,
    /// The statement.
    pub statement: &'static str,
    /// What it predicts.
    pub expected: String,
    /// What was measured.
    pub measured: String,
    /// Whether they agree.
    pub holds: bool,
    figure: CurveChart,
}

impl Demonstration {
    /// Draws the figure into `folder` as an SVG.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn draw(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(format!("{}.svg", self.name));
        let svg = standalone(&self.figure.svg(self.name));
        std::fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// All demonstrations, in the order of `docs/theory.md`; a few seconds of one core.
///
/// # Errors
/// If a measurement fails.
pub fn demonstrations() -> anyhow::Result<Vec<Demonstration>> {
    Ok(vec![
        flat_minimum::demonstrate()?,
        sharp_constraint::demonstrate()?,
        dimension::demonstrate()?,
        unbiased::demonstrate()?,
        closed_forms::demonstrate()?,
        training::demonstrate()?,
        rescaling::demonstrate()?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_holds_and_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        for demonstration in demonstrations().unwrap() {
            assert!(demonstration.holds, "{demonstration:?}");
            demonstration.draw(folder.path()).unwrap();
            let path = folder.path().join(format!("{}.svg", demonstration.name));
            assert!(std::fs::read_to_string(path).unwrap().contains("<path class=\"line"));
        }
    }
}
