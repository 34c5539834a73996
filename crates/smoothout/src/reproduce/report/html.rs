//! The report as one page that needs nothing else: no script, no font, no other file.
//!
//! All text goes through the template, which escapes it; only the charts' own SVG and the style are
//! put in as they are.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::ReportAbout;
use super::answers::HOW_ANSWERED;
use super::document::{Document, Section};
use super::figures::Figure;
use super::tables::PAPER_BLANK;
use crate::chart::STYLE as CHART_STYLE;

const STYLE: &str = include_str!("page.css");

pub(super) fn page(about: &ReportAbout, document: &Document, figures: &[Vec<Figure>]) -> String {
    let profile = about.profile.as_str();
    let title = format!("SmoothOut reproduced: {profile}");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(CHART_STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p { "Made by " code { (about.command) } ", version " (about.version) ", from results alone. " (document.status) }
                    p class="note" { (PAPER_BLANK) }
                }
                (contents(document))
                main {
                    (answers(document))
                    @for (i, (section, figures)) in document.sections.iter().zip(figures).enumerate() {
                        (study(i, section, figures))
                    }
                    section id="computed" {
                        h2 { "On what, and how long" }
                        p { (document.computed.time()) }
                        (document.computed.table.html())
                        p class="note" { "Same seed, same bits: the number of threads changes no result; other kernels, instruction sets and precisions round differently." }
                    }
                }
            }
        }
    }
    .into_string()
}

fn contents(document: &Document) -> Markup {
    html! {
        nav aria-label="Contents" {
            h2 { "Contents" }
            ol {
                li { a href="#questions" { "The paper's questions" } }
                @for (i, section) in document.sections.iter().enumerate() {
                    li { a href=(format!("#study-{i}")) { (section.title) } }
                }
                li { a href="#computed" { "On what, and how long" } }
            }
        }
    }
}

fn answers(document: &Document) -> Markup {
    html! {
        section id="questions" {
            h2 { "The paper's questions" }
            p { (HOW_ANSWERED) }
            @for question in &document.questions {
                h3 { (question.text) }
                p class="answer" { (question.summary) }
                @if !question.table.rows.is_empty() { (question.table.html()) }
            }
        }
    }
}

fn study(i: usize, section: &Section, figures: &[Figure]) -> Markup {
    html! {
        section id=(format!("study-{i}")) {
            h2 { (section.title) }
            p { (section.question) }
            p class="note" { code { (section.name) } " · " (section.status) " " (section.source) }
            @if !section.gaps.is_empty() {
                div class="gaps" {
                    h3 { "What is missing" }
                    ul { @for gap in &section.gaps { li { (gap) } } }
                }
            }
            @for table in &section.tables { (table.html()) }
            @if !figures.is_empty() {
                div class="figures" { @for figure in figures { (drawn(figure)) } }
            }
            details {
                summary { "Settings of each arm, with every default" }
                @for (arm, json) in &section.settings {
                    h4 { (arm) }
                    pre tabindex="0" { (json) }
                }
            }
        }
    }
}

fn drawn(figure: &Figure) -> Markup {
    let file = |ending: &str| format!("figures/{}.{ending}", figure.name);
    html! {
        figure id=(figure.name) {
            (PreEscaped(&figure.svg))
            figcaption {
                (figure.caption) " "
                a href=(file("csv")) { "numbers (CSV)" } ", "
                a href=(file("svg")) { "picture (SVG)" }
            }
        }
    }
}
