//! The report of a reproduction: tables, answers and figures from results alone.
//!
//! ```text
//! FOLDER/report.html      everything on one page that needs nothing else
//! FOLDER/reproduction.md  the same as Markdown
//! FOLDER/tables.md        the tables as Markdown, without times and machines
//! FOLDER/figures/*.svg    each figure, and its numbers in a CSV of the same name
//! ```
//!
//! The order in which results are read changes no byte of it.

mod answers;
mod arms;
mod computed;
mod document;
mod figures;
mod html;
mod markdown;
mod quantity;
mod table;
mod tables;
mod verdict;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use thiserror::Error;

use super::results::{PictureResult, RunResult};
use super::study::{Profile, Study};
use crate::checkpoint::{CheckpointError, write_whole};
use crate::remedy::remedy;

use arms::StudyView;
use figures::Figure;

/// Everything a study's part of a report is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyResults {
    /// What was asked for.
    pub study: Study,
    /// The finished runs, in any order.
    pub runs: Vec<RunResult>,
    /// The finished pictures, in any order.
    pub pictures: Vec<PictureResult>,
    /// How many runs are asked for: the arms times the seeds.
    pub wanted: usize,
}

/// What made the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportAbout {
    /// The profile.
    pub profile: Profile,
    /// The program's version.
    pub version: String,
    /// The command, as one would type it.
    pub command: String,
    /// Studies that the program has and that are no part of this reproduction, by name.
    pub left_out: Vec<String>,
}

/// A report that cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A folder.
    #[error("{path} cannot be created: {source}; {}", remedy(source))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The file system's answer.
        source: io::Error,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] CheckpointError),
}

/// Writes the report into `folder`: see the [module](self).
///
/// # Errors
/// If a folder or file cannot be written.
pub fn write_report(
    folder: &Path,
    about: &ReportAbout,
    studies: &[StudyResults],
) -> Result<(), ReportError> {
    let views: Vec<StudyView<'_>> =
        studies.iter().map(|study| StudyView::new(study, about.profile)).collect();
    let figures = named_apart(views.iter().map(figures::of_study).collect());
    let place = folder.join("figures");
    fs::create_dir_all(&place)
        .map_err(|source| ReportError::Folder { path: place.clone(), source })?;
    for figure in figures.iter().flatten() {
        let svg = crate::chart::standalone(&figure.svg);
        write_whole(&place.join(format!("{}.svg", figure.name)), svg.as_bytes())?;
        write_whole(&place.join(format!("{}.csv", figure.name)), figure.csv.as_bytes())?;
    }
    let document = document::of_studies(about, &views);
    write_whole(&folder.join("tables.md"), markdown::tables(&document).as_bytes())?;
    let text = markdown::reproduction(about, &document, &figures);
    write_whole(&folder.join("reproduction.md"), text.as_bytes())?;
    let page = html::page(about, &document, &figures);
    Ok(write_whole(&folder.join("report.html"), page.as_bytes())?)
}

/// Draws the figures, each under a file name of its own.
fn named_apart(studies: Vec<Vec<figures::Draft>>) -> Vec<Vec<Figure>> {
    let mut taken = HashSet::new();
    let mut named = |draft: figures::Draft| {
        let mut name = draft.name.clone();
        let mut k = 2;
        while !taken.insert(name.clone()) {
            name = format!("{}-{k}", draft.name);
            k += 1;
        }
        draft.draw(name)
    };
    studies.into_iter().map(|drafts| drafts.into_iter().map(&mut named).collect()).collect()
}
