//! Figures, as SVG that needs nothing from outside and is readable at the width of a phone.

use crate::series::{Spread, digits};
use std::fmt::Write as _;

const WIDTH: f64 = 380.0;
const INK: &str = "#1f2933";
const SOFT: &str = "#616e7c";
const RULE: &str = "#e4e7eb";
const PAPER: &str = "#ffffff";
const OURS: &str = "#1769aa";
const THEIRS: &str = "#9aa5b1";
const COLOURS: [&str; 4] = ["#1769aa", "#c2571a", "#3a7d44", "#7b4fa3"];

/// What becomes of the colours on a dark page.
pub(super) const DARK: [(&str, &str); 9] = [
    (INK, "#e4e7eb"),
    (SOFT, "#b8c2cc"),
    (RULE, "#3b4754"),
    (PAPER, "#1a2129"),
    (OURS, "#5aa9e6"),
    (THEIRS, "#76838f"),
    (COLOURS[1], "#f0955a"),
    (COLOURS[2], "#78c285"),
    (COLOURS[3], "#b794e0"),
];

/// One bar.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: Spread,
    pub(super) ours: bool,
}

/// Some points with a line through them: x, y.
pub(super) struct Curve {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) dashed: bool,
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn open(height: f64, title: &str) -> String {
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"12\" fill=\"{INK}\">\
         <rect width=\"100%\" height=\"100%\" fill=\"{PAPER}\"/>\
         <text x=\"8\" y=\"18\" font-size=\"14\" font-weight=\"600\">{title}</text>"
    )
}

/// Bars from the median, with a line from the lowest to the highest measurement.
pub(super) fn bars(title: &str, unit: &str, bars: &[Bar]) -> String {
    const EACH: f64 = 36.0;
    let most = bars.iter().map(|bar| bar.value.highest).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let scale = if most > 0.0 { (WIDTH - 16.0 - 90.0) / most } else { 0.0 };
    let height = 46.0 + EACH * bars.len() as f64;
    let mut svg = open(height, title);
    let mut add = |text: std::fmt::Arguments<'_>| svg.write_fmt(text).expect("a string grows");
    add(format_args!("<text x=\"8\" y=\"34\" fill=\"{SOFT}\">{}</text>", escape(unit)));
    for (at, Bar { label, value, ours }) in bars.iter().enumerate() {
        let y = 44.0 + EACH * at as f64;
        let width = (value.median * scale).max(1.0);
        let colour = if *ours { OURS } else { THEIRS };
        let middle = y + 21.0;
        add(format_args!("<text x=\"8\" y=\"{:.1}\">{}</text>", y + 11.0, escape(label)));
        add(format_args!("<rect x=\"8\" y=\"{:.1}\" width=\"{width:.1}\" height=\"12\" fill=\"{colour}\"/>", y + 15.0));
        let (low, high) = (8.0 + value.lowest * scale, 8.0 + value.highest * scale);
        add(format_args!(
            "<path d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {:.1}v6M{high:.1} {:.1}v6\" stroke=\"{INK}\" fill=\"none\"/>",
            middle - 3.0,
            middle - 3.0
        ));
        let end = (8.0 + width).max(high) + 6.0;
        add(format_args!("<text x=\"{end:.1}\" y=\"{:.1}\">{}</text>", y + 25.0, digits(value.median)));
    }
    svg + "</svg>"
}

/// Curves over a logarithmic x axis, y from 0.
pub(super) fn curves(title: &str, x_label: &str, unit: &str, curves: &[Curve]) -> String {
    const LEFT: f64 = 44.0;
    const TOP: f64 = 48.0;
    const RIGHT: f64 = 364.0;
    const BOTTOM: f64 = 220.0;
    let all = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    let (first, last) = all().fold((f64::INFINITY, 1.0_f64), |(low, high), (x, _)| (low.min(x), high.max(x)));
    let most = all().map(|(_, y)| y).fold(0.0, f64::max) * 1.1;
    let span = (last / first).ln();
    let x = |value: f64| if span > 0.0 { LEFT + (value / first).ln() / span * (RIGHT - LEFT) } else { LEFT };
    let y = |value: f64| if most > 0.0 { BOTTOM - value / most * (BOTTOM - TOP) } else { BOTTOM };
    let height = BOTTOM + 44.0 + 16.0 * curves.len() as f64;
    let mut svg = open(height, title);
    let mut add = |text: std::fmt::Arguments<'_>| svg.write_fmt(text).expect("a string grows");
    add(format_args!("<text x=\"8\" y=\"36\" fill=\"{SOFT}\">{}</text>", escape(unit)));
    for step in 0..=4 {
        let value = most * f64::from(step) / 4.0;
        let at = y(value);
        add(format_args!("<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"{RULE}\"/>"));
        add(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 4.0,
            at + 4.0,
            digits(value)
        ));
    }
    let mut marks: Vec<f64> = all().map(|(x, _)| x).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    for mark in marks {
        // The last one ends where the axis does.
        let anchor = if mark < last || first == last { "middle" } else { "end" };
        add(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" font-size=\"11\">{}</text>",
            if anchor == "end" { RIGHT + 8.0 } else { x(mark) },
            BOTTOM + 14.0,
            short(mark)
        ));
    }
    add(format_args!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"{SOFT}\">{}</text>",
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 30.0,
        escape(x_label)
    ));
    for (number, curve) in curves.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let dashes = if curve.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let points: Vec<String> = curve.points.iter().map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py))).collect();
        add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
            points.join(" ")
        ));
        for (px, py) in &curve.points {
            add(format_args!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x(*px), y(*py)));
        }
        let line = BOTTOM + 46.0 + 16.0 * number as f64;
        add(format_args!("<rect x=\"8\" y=\"{:.1}\" width=\"12\" height=\"4\" fill=\"{colour}\"/>", line - 6.0));
        add(format_args!("<text x=\"26\" y=\"{line:.1}\">{}</text>", escape(&curve.label)));
    }
    svg + "</svg>"
}

/// A count that fits below an axis.
fn short(count: f64) -> String {
    match count {
        million if million >= 1e6 => format!("{} M", million / 1e6),
        many if many >= 10_000.0 => format!("{:.0} k", many / 1e3),
        few => few.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_closed_and_hold_what_they_show() {
        let bar = Bar { label: "a < b".to_owned(), value: Spread::of(&[1.0, 2.0, 4.0]), ours: true };
        let svg = bars("bars & more", "cycles", &[bar]);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
        assert!(svg.contains("a &lt; b") && svg.contains("bars &amp; more") && !svg.contains("NaN"));
        let curve =
            Curve { label: "c".to_owned(), points: vec![(1.0, 10.0), (64.0, 20.0), (65_536.0, 15.0)], dashed: true };
        let svg = curves("curves", "vNICs", "cycles", &[curve]);
        assert!(
            svg.matches("<circle").count() == 3
                && svg.contains(">66 k<")
                && svg.contains("dasharray")
                && !svg.contains("NaN")
        );
    }

    #[test]
    fn nothing_to_show_is_no_accident() {
        assert!(!bars("none", "", &[]).contains("NaN"));
        let one = Curve { label: String::new(), points: vec![(1.0, 0.0)], dashed: false };
        for svg in [curves("none", "", "", &[]), curves("one", "", "", &[one])] {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
