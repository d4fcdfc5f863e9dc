//! How one cell of a table reads.

use super::measures::Measure;
use crate::comparison::Cell;
use crate::numbers;

/// A compared figure, with a mark where the load side was the limit: `≥ 255 k`.
pub fn figure_text(measure: &Measure, cell: Option<&Cell>) -> String {
    let Some((cell, value)) = cell.and_then(|cell| Some((cell, cell.figure(measure.figure)?))) else {
        return "–".into();
    };
    let bound = if measure.is_bound_by_the_server() && cell.had_spare_time() { "≥ " } else { "" };
    format!("{bound}{}", measure.text(value))
}

/// A figure with its rounds' ends: `3.40 µs (3.38 µs … 3.51 µs)`.
pub fn with_spread(cell: Option<&Cell>, figure: &str) -> String {
    let Some((cell, value)) = cell.and_then(|cell| Some((cell, cell.figure(figure)?))) else {
        return String::new();
    };
    let text = |value: f64| numbers::figure(figure, value);
    let ends = cell.spread.get(figure).map(|(low, high)| (text(*low), text(*high)));
    match ends.filter(|(low, high)| low != high) {
        Some((low, high)) => format!("{} ({low} … {high})", text(value)),
        None => text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::measures::MEASURES;
    use super::*;

    fn cell(rate: f64, low: f64, percent: f64) -> Cell {
        Cell {
            figures: [("messages_per_second".to_owned(), rate), ("server_cpu_percent".to_owned(), percent)]
                .into(),
            spread: [("messages_per_second".to_owned(), (low, rate))].into(),
            ..Cell::default()
        }
    }

    #[test]
    fn a_server_with_spare_time_gives_a_lower_bound() {
        assert_eq!(figure_text(&MEASURES[0], Some(&cell(255_000.0, 1.0, 60.0))), "≥ 255 k");
        assert_eq!(figure_text(&MEASURES[0], Some(&cell(255_000.0, 1.0, 99.0))), "255 k");
        assert_eq!(figure_text(&MEASURES[1], Some(&cell(255_000.0, 1.0, 60.0))), "–");
        assert_eq!(figure_text(&MEASURES[0], None), "–");
    }

    #[test]
    fn rounds_that_differ_show_their_ends() {
        assert_eq!(with_spread(Some(&cell(300.0, 200.0, 1.0)), "messages_per_second"), "300 (200 … 300)");
        assert_eq!(with_spread(Some(&cell(300.0, 300.0, 1.0)), "messages_per_second"), "300");
        assert_eq!(with_spread(None, "messages_per_second"), "");
    }
}
