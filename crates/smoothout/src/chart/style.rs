//! Colours, lines and letters.

/// The style of all charts, for light and dark pages: the colours are Okabe and Ito's. It has no variables,
/// which only browsers read: what turns a figure into PDF or PNG would leave out the axes.
pub const STYLE: &str = "
.chart{background:#fff;font-family:system-ui,sans-serif;font-size:12px}
.chart text{fill:#1b1b1b}
.chart .title{font-weight:600;font-size:13px}
.chart .about{opacity:.75}
.chart .grid{stroke:#d9d9d9;stroke-width:1}
.chart .axis{stroke:#1b1b1b;stroke-width:1}
.chart .mark{stroke:#1b1b1b;stroke-width:1;stroke-dasharray:2 3}
.chart .line{fill:none;stroke-width:2;stroke-linejoin:round}
.chart .whisker{fill:none;stroke-width:1.3}
.chart .over{stroke:#1b1b1b;stroke-width:1.3;fill:none}
.chart .each{fill:#fff;stroke:#1b1b1b;stroke-width:1}
.chart .band{fill:#1b1b1b;opacity:.13}
.chart .spread{stroke:none;opacity:.16}
.chart .dash{stroke-dasharray:7 4}
.chart .dot{stroke-dasharray:2 3}
.chart .contour{stroke:#000;stroke-width:.7;fill:none;opacity:.75}
.chart .place{fill:#fff;stroke:#000;stroke-width:1}
.chart .on-map{fill:#fff;stroke:#000;stroke-width:2.4px;paint-order:stroke;font-weight:600}
.chart .c0{stroke:#0072b2}.chart .f0{fill:#0072b2}
.chart .c1{stroke:#d55e00}.chart .f1{fill:#d55e00}
.chart .c2{stroke:#009e73}.chart .f2{fill:#009e73}
.chart .c3{stroke:#cc79a7}.chart .f3{fill:#cc79a7}
.chart .c4{stroke:#56b4e9}.chart .f4{fill:#56b4e9}
.chart .c5{stroke:#e69f00}.chart .f5{fill:#e69f00}
.chart .c6{stroke:#000}.chart .f6{fill:#000}
@media(prefers-color-scheme:dark){
.chart{background:#16191d}
.chart text{fill:#e8e8e8}
.chart .grid{stroke:#454a52}
.chart .axis,.chart .mark,.chart .over{stroke:#e8e8e8}
.chart .each{fill:#16191d;stroke:#e8e8e8}
.chart .band{fill:#e8e8e8}
.chart .c6{stroke:#fff}.chart .f6{fill:#fff}
}
";

/// How many colours there are: `c0`, `c1`, ... for lines, `f0`, `f1`, ... for what is filled.
pub(super) const COLOURS: usize = 7;

/// A length in the drawing, to a hundredth.
pub(super) fn px(length: f64) -> String {
    let text = format!("{length:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Cut into lines of at most `width` characters where there are spaces.
pub(super) fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_has_no_variables() {
        assert!(!STYLE.contains("var("), "{STYLE}");
    }

    #[test]
    fn lengths_are_short() {
        assert_eq!([0.0, -0.001, 1.5, 12.346, 100.0].map(px), ["0", "0", "1.5", "12.35", "100"]);
    }

    #[test]
    fn lines_keep_every_word() {
        assert_eq!(lines("one two  three", 8), ["one two", "three"]);
        assert_eq!(lines("unbreakable", 4), ["unbreakable"]);
        assert!(lines("", 4).is_empty());
    }
}
