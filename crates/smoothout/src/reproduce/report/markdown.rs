//! The report as Markdown: tables alone, or with what was run on what.

use std::fmt::Write;

use super::ReportAbout;
use super::answers::HOW_ANSWERED;
use super::document::{Document, Section};
use super::figures::Figure;
use super::table::escape;
use super::tables::PAPER_BLANK;

/// `tables.md`: neither times nor machines, so that equal results give equal bytes.
pub(super) fn tables(document: &Document) -> String {
    let mut text = format!("# Tables\n\n{}\n", escape(&document.status));
    questions(&mut text, document);
    for section in &document.sections {
        study(&mut text, section);
    }
    text
}

/// `reproduction.md`: what was run, on what, how long, what came out, with the figures of each study.
pub(super) fn reproduction(
    about: &ReportAbout,
    document: &Document,
    figures: &[Vec<Figure>],
) -> String {
    let mut text = format!(
        "# Reproduction\n\n\
         Made by `{}` (version {}, profile `{}`) from the results; every number below is \
         measured, but for those of the column \"published\".\n\n{} {}\n\n{PAPER_BLANK}\n\n## On what, and how long\n\n{}\n{}\n",
        about.command,
        escape(&about.version),
        about.profile.as_str(),
        escape(&document.status),
        document.computed.time(),
        document.computed.table.markdown(),
        "Same seed, same bits: the number of threads changes no result; other kernels, \
         instruction sets and precisions round differently.",
    );
    questions(&mut text, document);
    for (section, figures) in document.sections.iter().zip(figures) {
        study(&mut text, section);
        for Figure { name, caption, .. } in figures {
            let caption = escape(caption);
            let _ = write!(
                text,
                "\n![{name}](figures/{name}.svg)\n\n{caption} [Numbers](figures/{name}.csv)\n"
            );
        }
    }
    text
}

fn questions(text: &mut String, document: &Document) {
    let _ = write!(text, "\n## The paper's questions\n\n{HOW_ANSWERED}\n");
    for question in &document.questions {
        let _ = write!(text, "\n### {}\n\n{}\n", question.text, escape(&question.summary));
        if !question.table.rows.is_empty() {
            let _ = write!(text, "\n{}", question.table.markdown());
        }
    }
}

fn study(text: &mut String, section: &Section) {
    let Section { title, question, source, status, .. } = section;
    let [title, question, source, status] =
        [title, question, source, status].map(|line| escape(line));
    let _ = write!(text, "\n## {title}\n\n{question}\n\nSettings: {source}\n\n{status}\n");
    if !section.gaps.is_empty() {
        text.push_str("\nWhat is missing:\n\n");
        for gap in &section.gaps {
            let _ = writeln!(text, "- {}", escape(gap));
        }
    }
    for table in &section.tables {
        let _ = write!(text, "\n{}", table.markdown());
    }
}
