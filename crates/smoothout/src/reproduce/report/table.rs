//! A table as HTML and as Markdown.

use maud::{Markup, html};

/// A table of texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// What must be known to read it.
    pub(super) notes: Vec<String>,
}

/// A cell of more characters may be broken into lines.
const LONG: usize = 24;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Row {
    /// Names the rows below it.
    Heading(String),
    /// A cell a column.
    Cells(Vec<String>),
}

impl Table {
    pub(super) fn new<'a>(caption: &str, columns: impl IntoIterator<Item = &'a str>) -> Self {
        let columns = columns.into_iter().map(str::to_owned).collect();
        Self { caption: caption.to_owned(), columns, ..Self::default() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(Row::Cells(cells.into_iter().collect()));
    }

    /// The table in a box that scrolls by itself.
    pub(super) fn html(&self) -> Markup {
        html! {
            div class="table" role="region" aria-label=(self.caption) tabindex="0" {
                table {
                    caption { span { (self.caption) } }
                    thead { tr { @for column in &self.columns { th scope="col" { (column) } } } }
                    tbody {
                        @for row in &self.rows {
                            @match row {
                                Row::Heading(text) => tr class="heading" {
                                    th scope="rowgroup" colspan=(self.columns.len()) { span { (text) } }
                                },
                                Row::Cells(cells) => tr {
                                    @for (i, cell) in cells.iter().enumerate() {
                                        @if i == 0 { th scope="row" { (cell) } }
                                        @else if cell.chars().count() > LONG { td class="long" { (cell) } }
                                        @else { td { (cell) } }
                                    }
                                },
                            }
                        }
                    }
                }
            }
            @for note in &self.notes { p class="note" { (note) } }
        }
    }

    pub(super) fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| {
            let cells: Vec<String> = cells.map(|cell| escape(&cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = format!("**{}**\n\n", escape(&self.caption));
        text += &line(&mut self.columns.iter().cloned());
        text += &format!("|{}\n", "---|".repeat(self.columns.len()));
        for row in &self.rows {
            let blank = self.columns.len().saturating_sub(1);
            text += &match row {
                Row::Heading(heading) => {
                    format!("| **{}** |{}\n", escape(heading), " |".repeat(blank))
                }
                Row::Cells(cells) => line(&mut cells.iter().cloned()),
            };
        }
        for note in &self.notes {
            text += &format!("\n{}\n", escape(note));
        }
        text
    }
}

/// Text that Markdown shows as it is.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '#' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("a <b>", ["x", "y|z"]);
        table.rows.push(Row::Heading("group & co".into()));
        table.row(["1\n2".to_owned(), "<script>".to_owned()]);
        table.notes.push("n_ote".into());
        table
    }

    #[test]
    fn markdown_is_escaped_and_rectangular() {
        assert_eq!(
            table().markdown(),
            "**a &lt;b&gt;**\n\n| x | y\\|z |\n|---|---|\n| **group &amp; co** | |\n\
             | 1 2 | &lt;script&gt; |\n\nn\\_ote\n"
        );
    }

    #[test]
    fn html_is_escaped() {
        let html = table().html().into_string();
        assert!(html.contains("a &lt;b&gt;") && html.contains("group &amp; co"));
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script>"));
    }
}
