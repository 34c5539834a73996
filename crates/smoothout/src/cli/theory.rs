//! `smoothout theory`.

use std::path::PathBuf;

use clap::Args;

use crate::run::io_error;
use crate::theory::demonstrations;

/// Show the paper's theory: measure each statement, print a table, draw each as SVG.
#[derive(Debug, Args)]
pub(super) struct TheoryCommand {
    /// Folder for the figures; created if it is not there
    #[arg(long, default_value = "theory")]
    out: PathBuf,
}

impl TheoryCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.out).map_err(io_error("created", &self.out))?;
        // Within the pool, which each of the many joins would have to wake from outside.
        let rows = rayon::scope(|_| demonstrations())?;
        let mut failed = 0;
        say!("{:<64}  {:<58}  {:<64}  holds", "statement", "expected", "measured");
        for row in &rows {
            row.draw(&self.out)?;
            failed += usize::from(!row.holds);
            let holds = if row.holds { "yes" } else { "no" };
            say!("{:<64}  {:<58}  {:<64}  {holds}", row.statement, row.expected, row.measured);
        }
        say!("{} figures in {}", rows.len(), self.out.display());
        anyhow::ensure!(failed == 0, "{failed} of {} statements do not hold", rows.len());
        Ok(())
    }
}
