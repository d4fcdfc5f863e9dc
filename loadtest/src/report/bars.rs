//! Bars in panels: one panel for each row of a comparison, one bar for each target.
//!
//! Every panel has a scale of its own that begins at zero (20 B and 1 MiB differ by a hundred times), and every
//! bar bears its name and its figure, so that there is neither an axis nor a legend to look up.

use super::canvas::{Canvas, HPos, Paint, Type, draw, heading, heading_height, width_of};

/// Bars that are compared with each other.
pub struct Panel {
    /// What was done: `20 B, 200 connections`.
    pub heading: String,
    pub bars: Vec<Bar>,
}

/// One target's figure.
pub struct Bar {
    pub label: String,
    /// The bar's length; not negative.
    pub value: f64,
    pub text: String,
    /// A remark after it, quieter: `0.97×`.
    pub remark: String,
    pub paint: Paint,
    /// Whether it is a bound only: drawn lighter.
    pub faint: bool,
    /// Whether it is the one that the reader looks for: in bold.
    pub strong: bool,
}

const WIDTH: f64 = 860.0;
const HEADING_HEIGHT: f64 = 26.0;
const BAR_STEP: f64 = 21.0;
const BAR_HEIGHT: f64 = 14.0;
const GAP: f64 = 20.0;
const BETWEEN: f64 = 44.0;
const FAINT_OPACITY: f64 = 0.55;

/// The whole drawing: two columns of panels, or one where there is but one panel.
pub fn bars(title: &str, subtitle: &str, panels: &[Panel]) -> String {
    let columns = if panels.len() > 1 { 2 } else { 1 };
    let column_width = (WIDTH - BETWEEN * (columns - 1) as f64) / columns as f64;
    let row_heights: Vec<f64> =
        panels.chunks(columns).map(|row| row.iter().map(height_of).fold(0.0, f64::max)).collect();
    let height = heading_height(WIDTH, subtitle) + row_heights.iter().map(|height| height + GAP).sum::<f64>()
        - GAP
        + 8.0;
    let columns_of_text = Columns::of(panels);
    draw(WIDTH, height, &format!("{title}: {subtitle}"), |canvas| {
        let mut top = heading(canvas, WIDTH, title, subtitle);
        for (row, row_height) in panels.chunks(columns).zip(&row_heights) {
            for (index, panel) in row.iter().enumerate() {
                let left = index as f64 * (column_width + BETWEEN);
                panel.draw(canvas, (left, top), column_width, columns_of_text);
            }
            top += row_height + GAP;
        }
    })
}

fn height_of(panel: &Panel) -> f64 {
    HEADING_HEIGHT + panel.bars.len() as f64 * BAR_STEP
}

/// Room for texts, the same in all panels so that the bars begin in one line.
#[derive(Clone, Copy)]
struct Columns {
    label: f64,
    text: f64,
    remark: f64,
}

impl Columns {
    fn of(panels: &[Panel]) -> Columns {
        let widest = |text: fn(&Bar) -> &str, kind: Type| {
            let bars = panels.iter().flat_map(|panel| &panel.bars);
            bars.map(|bar| width_of(text(bar), kind)).fold(0.0, f64::max)
        };
        Columns {
            label: widest(|bar| &bar.label, Type::BODY) + 12.0,
            text: widest(|bar| &bar.text, Type::HEADING) + 10.0,
            remark: widest(|bar| &bar.remark, Type::SMALL) + 8.0,
        }
    }
}

impl Panel {
    fn draw(&self, canvas: &Canvas<'_>, (left, top): (f64, f64), width: f64, columns: Columns) {
        canvas.text((left, top + 8.0), HPos::Left, Type::HEADING, &self.heading);
        canvas.path(&[(left, top + 20.0), (left + width, top + 20.0)], Paint::GRID, 1.0);
        let start = left + columns.label;
        let longest = width - columns.label - columns.text - columns.remark;
        let highest = self.bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        for (index, bar) in self.bars.iter().enumerate() {
            let middle = top + HEADING_HEIGHT + (index as f64 + 0.5) * BAR_STEP;
            let end = start + (bar.value / highest * longest).max(1.0);
            let opacity = if bar.faint { FAINT_OPACITY } else { 1.0 };
            let figure = if bar.strong { Type::HEADING } else { Type::BODY };
            canvas.text((start - 8.0, middle), HPos::Right, figure, &bar.label);
            canvas.bar(
                (start, middle - BAR_HEIGHT / 2.0),
                (end, middle + BAR_HEIGHT / 2.0),
                bar.paint,
                opacity,
            );
            canvas.text((end + 6.0, middle), HPos::Left, figure, &bar.text);
            canvas.text((left + width, middle), HPos::Right, Type::SMALL, &bar.remark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(values: &[f64]) -> Panel {
        let bar = |value: &f64| Bar {
            label: format!("t{value}"),
            value: *value,
            text: format!("{value}"),
            remark: String::new(),
            paint: Paint::of("bun", 0),
            faint: false,
            strong: false,
        };
        Panel { heading: "20 B".into(), bars: values.iter().map(bar).collect() }
    }

    #[test]
    fn a_bar_is_drawn_for_each_target_and_bears_its_figure() {
        let svg = bars("Title", "unit", &[panel(&[10.0, 5.0]), panel(&[1.0, 2.0, 4.0])]);
        assert_eq!(svg.matches("<rect").count(), 5);
        assert!(svg.contains("t10") && svg.contains("20 B"));
    }

    #[test]
    fn half_the_value_is_half_the_length() {
        let svg = bars("Title", "unit", &[panel(&[10.0, 5.0])]);
        let widths: Vec<f64> = svg
            .lines()
            .filter(|line| line.starts_with("<rect"))
            .map(|line| {
                line.split("width=\"")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next())
                    .expect("a width")
                    .parse()
                    .expect("a number")
            })
            .collect();
        assert!((widths[0] / widths[1] - 2.0).abs() < 0.01, "{widths:?}");
    }

    #[test]
    fn nothing_to_compare_is_an_empty_drawing() {
        assert!(bars("Title", "unit", &[]).contains("</svg>"));
    }
}
