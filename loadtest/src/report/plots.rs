//! From rows to drawings: which plots a comparison gets.

use super::bars::{Bar, Panel, bars};
use super::canvas::Paint;
use super::curves::{self, Chart, Curve};
use super::measures::{Measure, targets};
use super::scale::{Scale, last_quantile, percentile_name, quantiles};
use crate::comparison::{BARE, Cell, OURS, Row};
use crate::numbers;

/// A drawing and the end of its file name.
pub struct Plot {
    /// `throughput`, `latency-1`.
    pub file: String,
    pub label: String,
    pub svg: String,
}

const SAMPLES: usize = 240;
/// Lateness below this is drawn as this.
const LATENESS_MICROS_MIN: f64 = 100.0;
const CURVE_HEIGHT: f64 = 300.0;
/// Its curve is that of the whole, which is drawn.
const PART_OF_MEMORY: &str = "server_anonymous_memory";
/// Fewer values than this make no curve worth a drawing.
const TIMELINE_SECONDS: usize = 8;
const TIMELINE_HEIGHT: f64 = 150.0;

/// Bars of one measure, where there is more than one target to compare.
pub fn measure(measure: &Measure, rows: &[(&Row, &str)]) -> Option<Plot> {
    let panels: Vec<Panel> = rows.iter().map(|(row, name)| panel(measure, row, name)).collect();
    if panels.iter().all(|panel| panel.bars.len() < 2) {
        return None;
    }
    let to_bare = rows.iter().any(|(row, _)| bare_figure(measure, row).is_some());
    let remark = if to_bare { " ×: ratio to the bare loop." } else { "" };
    let svg = bars(measure.title, &format!("{}{remark}", measure.about), &panels);
    Some(Plot { file: measure.file.into(), label: measure.title.into(), svg })
}

fn bare_figure(measure: &Measure, row: &Row) -> Option<f64> {
    row.figure(BARE, measure.figure).filter(|value| *value > 0.0)
}

fn panel(measure: &Measure, row: &Row, name: &str) -> Panel {
    let bare = bare_figure(measure, row);
    let ours_stands_out = row.cell(OURS).is_some();
    let bar = |(position, target): (usize, &str)| {
        let cell = row.cell(target)?;
        let value = cell.figure(measure.figure)?;
        let bound = measure.is_bound_by_the_server() && cell.had_spare_time();
        let remark = bare.filter(|_| target != BARE).map(|bare| numbers::ratio(value / bare));
        Some(Bar {
            label: target.to_owned(),
            value: value.max(0.0),
            text: format!("{}{}", if bound { "≥ " } else { "" }, measure.text(value)),
            remark: remark.unwrap_or_default(),
            paint: if ours_stands_out && target != OURS && target != BARE {
                Paint::PEER
            } else {
                Paint::of(target, position)
            },
            faint: bound,
            strong: target == OURS,
        })
    };
    Panel {
        heading: name.to_owned(),
        bars: targets(&[row]).into_iter().enumerate().filter_map(bar).collect(),
    }
}

/// Latency by percentile, one curve a target, if the row has such a histogram.
pub fn latency(row: &Row, name: &str, file: String) -> Option<Plot> {
    let is_death = is_of_deaths(row);
    let (what, called) =
        if is_death { ("lateness", "Lateness of detection") } else { ("latency", "Latency") };
    let mut curves = Vec::new();
    let mut last: f64 = 0.9;
    for (position, target) in targets(&[row]).into_iter().enumerate().rev() {
        let Some(histogram) = row.cell(target).and_then(|cell| cell.histogram(what)) else { continue };
        let end = last_quantile(histogram.count());
        last = last.max(end);
        // What was detected before its deadline counts as zero, which no logarithm has.
        let least = if is_death { LATENESS_MICROS_MIN } else { 0.0 };
        let micros = |quantile| histogram.micros_at(quantile).max(least);
        let points = quantiles(end, SAMPLES).map(|quantile| (quantile, micros(quantile)));
        curves.push(Curve {
            label: target.to_owned(),
            paint: Paint::of(target, position),
            points: points.collect(),
            filled: false,
            strong: target == OURS,
        });
    }
    // The few fastest would stretch the axis by a power of ten and say nothing.
    let shown = |(quantile, _): &&(f64, f64)| *quantile >= 0.05;
    let values = || curves.iter().flat_map(|curve| &curve.points).filter(shown).map(|(_, value)| *value);
    let (lowest, highest) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    if curves.is_empty() {
        return None;
    }
    let subtitle = if is_death {
        "From the deadline of a silent user, as seen by a client, to the moment a watcher is told that it is offline."
    } else if row.is_paced() {
        "Fixed rate: each latency counts from the moment the message was due, so a stall is seen by all it delays."
    } else {
        "Closed loop: who waits sends less, so these are no latencies under a given load."
    };
    let title = format!("{called} by percentile: {name}");
    let chart = Chart {
        title: title.clone(),
        subtitle: subtitle.into(),
        marks: Vec::new(),
        x: Scale::Nines(last),
        x_text: |quantile, _| percentile_name(quantile),
        x_name: "percentile".into(),
        panels: vec![curves::Panel {
            heading: String::new(),
            y: Scale::around(lowest, highest),
            y_text: |micros, _| axis_micros(micros),
            curves,
            height: CURVE_HEIGHT,
        }],
    };
    Some(Plot { file, label: title, svg: chart.svg() })
}

/// Whether a row's runs time deaths.
pub fn is_of_deaths(row: &Row) -> bool {
    ["death", super::goals::SCENARIO].contains(&row.scenario.as_str())
}

/// Everything that a row's runs recorded second by second: a panel for each series, a curve for each target. Runs of
/// a few seconds get none.
pub fn timeline(row: &Row, name: &str, file: String) -> Option<Plot> {
    let order = targets(&[row]);
    let mut names: Vec<(&str, &str)> = Vec::new();
    let all = || row.cells.iter().flat_map(|cell| &cell.series);
    for series in all().filter(|series| series.values.len() >= TIMELINE_SECONDS) {
        if series.name != PART_OF_MEMORY && !names.iter().any(|(known, _)| *known == series.name) {
            names.push((&series.name, &series.unit));
        }
    }
    let end = all().flat_map(|series| &series.seconds).copied().fold(0.0, f64::max);
    if names.is_empty() || end <= 0.0 {
        return None;
    }
    let panels = names.iter().map(|(series, unit)| {
        let curves: Vec<Curve> = order
            .iter()
            .enumerate()
            .rev()
            .filter_map(|(position, target)| curve(row.cell(target)?, series, position, order.len() > 1))
            .collect();
        let highest =
            curves.iter().flat_map(|curve| &curve.points).map(|(_, value)| *value).fold(0.0, f64::max);
        let in_bytes = *unit == "bytes";
        curves::Panel {
            heading: heading(series, unit),
            y: if in_bytes { Scale::from_zero_binary(highest) } else { Scale::from_zero(highest) },
            y_text: if in_bytes { numbers::axis_bytes } else { numbers::axis },
            curves,
            height: TIMELINE_HEIGHT,
        }
    });
    let title = format!("Second by second: {name}");
    let chart = Chart {
        title: title.clone(),
        subtitle: format!("Targets: {}.", order.join(", ")),
        marks: marks(row),
        x: Scale::Linear(0.0, end),
        x_text: numbers::axis,
        x_name: "seconds from the start".into(),
        panels: panels.collect(),
    };
    Some(Plot { file, label: title, svg: chart.svg() })
}

/// Where the phases of the first cell begin.
fn marks(row: &Row) -> Vec<(f64, String)> {
    let phases = row.cells.first().map_or(&[][..], |cell| cell.phases.as_slice());
    phases.iter().map(|phase| (phase.seconds, phase.name.clone())).collect()
}

fn curve(cell: &Cell, series: &str, position: usize, named: bool) -> Option<Curve> {
    let series = cell.series.iter().find(|candidate| candidate.name == series)?;
    Some(Curve {
        label: if named { cell.target.clone() } else { String::new() },
        paint: Paint::of(&cell.target, position),
        points: series.seconds.iter().copied().zip(series.values.iter().copied()).collect(),
        filled: !named,
        strong: cell.target == OURS,
    })
}

fn heading(series: &str, unit: &str) -> String {
    let words = series.replace('_', " ");
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let unit = match unit {
        "1/s" => " per second",
        "1" | "bytes" | "" => "",
        other => return format!("{first}{}, {other}", letters.as_str()),
    };
    format!("{first}{}{unit}", letters.as_str())
}

fn axis_micros(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} s", numbers::axis(v / 1e6, 0.0)),
        v if v >= 1e3 => format!("{} ms", numbers::axis(v / 1e3, 0.0)),
        v => format!("{} µs", numbers::axis(v, 0.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_read_as_words() {
        assert_eq!(heading("server_memory", "bytes"), "Server memory");
        assert_eq!(heading("heartbeats", "1/s"), "Heartbeats per second");
        assert_eq!(heading("turn", "ms"), "Turn, ms");
    }

    #[test]
    fn latency_ticks_take_the_unit_that_suits() {
        assert_eq!([20.0, 500.0, 2_000.0, 1e6].map(axis_micros), ["20 µs", "500 µs", "2 ms", "1 s"]);
    }

    #[test]
    fn one_target_alone_gets_no_bars() {
        let mut row = Row { scenario: "echo".into(), ..Row::default() };
        row.cells.push(Cell { target: OURS.into(), ..Cell::default() });
        row.cells[0].figures.insert("messages_per_second".into(), 1.0);
        assert!(measure(&super::super::measures::MEASURES[0], &[(&row, "20 B")]).is_none());
        row.cells.push(Cell { target: "bun".into(), ..row.cells[0].clone() });
        assert!(measure(&super::super::measures::MEASURES[0], &[(&row, "20 B")]).is_some());
    }
}
