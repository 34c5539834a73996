//! What a report says, before it is a page or Markdown.

use super::ReportAbout;
use super::answers::{Question, questions};
use super::arms::StudyView;
use super::computed::Computed;
use super::table::Table;
use super::tables;

/// A report without its figures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    /// How much of what was asked for is there.
    pub(super) status: String,
    pub(super) questions: Vec<Question>,
    pub(super) sections: Vec<Section>,
    pub(super) computed: Computed,
}

/// A study.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) question: String,
    pub(super) source: String,
    pub(super) status: String,
    pub(super) tables: Vec<Table>,
    /// What is missing.
    pub(super) gaps: Vec<String>,
    /// (arm, its settings as JSON).
    pub(super) settings: Vec<(String, String)>,
}

pub(super) fn of_studies(about: &ReportAbout, views: &[StudyView<'_>]) -> Document {
    let (finished, wanted) = views.iter().fold((0, 0), |(finished, wanted), view| {
        (finished + view.finished(), wanted + view.wanted)
    });
    let mut status = format!(
        "{finished} of the {wanted} runs that are asked for are finished (profile {}).",
        about.profile.as_str()
    );
    if !about.left_out.is_empty() {
        let left_out = about.left_out.join(", ");
        status += &format!(" Studies that are built in and were not asked for: {left_out}.");
    }
    Document {
        status,
        questions: questions(views),
        sections: views.iter().map(section).collect(),
        computed: Computed::of(views),
    }
}

fn section(view: &StudyView<'_>) -> Section {
    let json = |spec| serde_json::to_string_pretty(spec).expect("a specification is JSON");
    let study = view.study;
    Section {
        name: study.name.clone(),
        title: study.title.clone(),
        question: study.question.clone(),
        source: study.source.clone(),
        status: format!("{} of {} runs are finished.", view.finished(), view.wanted),
        tables: tables::of_study(view),
        gaps: tables::gaps(view),
        settings: view.arms.iter().map(|arm| (arm.arm.label.clone(), json(&arm.spec))).collect(),
    }
}
