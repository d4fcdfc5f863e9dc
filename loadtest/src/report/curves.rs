//! Curves over an axis: latency by percentile, and anything over time. Each curve is named at its end.

use super::canvas::{Canvas, HPos, Paint, Type, draw, heading, heading_height, width_of};
use super::scale::Scale;

/// A drawing of one or more panels above each other with a common horizontal axis.
pub struct Chart {
    pub title: String,
    /// What the figures are, in a sentence.
    pub subtitle: String,
    /// Where parts of it begin, ascending, and what they are.
    pub marks: Vec<(f64, String)>,
    pub x: Scale,
    /// How its ticks read, given the last one too.
    pub x_text: fn(f64, f64) -> String,
    /// What they are: `percentile`, `seconds`.
    pub x_name: String,
    /// From top to bottom.
    pub panels: Vec<Panel>,
}

/// Curves with a common vertical axis.
pub struct Panel {
    /// What it shows; may be empty where the title says it.
    pub heading: String,
    pub y: Scale,
    /// How its ticks read, given the last one too.
    pub y_text: fn(f64, f64) -> String,
    /// Drawn in this order, the last on top.
    pub curves: Vec<Curve>,
    /// Pixels between the axes' ends.
    pub height: f64,
}

/// One curve.
pub struct Curve {
    /// Written at its end; may be empty.
    pub label: String,
    pub paint: Paint,
    pub points: Vec<(f64, f64)>,
    pub filled: bool,
    /// Whether it is the one that the reader looks for: drawn wider.
    pub strong: bool,
}

const WIDTH: f64 = 860.0;
const HEADING: f64 = 24.0;
const GAP: f64 = 22.0;
const BELOW: f64 = 46.0;
const LABEL_STEP: f64 = 16.0;
/// Room for the names of marks.
const MARKS: f64 = 2.0 * LABEL_STEP + 4.0;

impl Chart {
    pub fn svg(&self) -> String {
        let marked = if self.marks.is_empty() { 0.0 } else { MARKS };
        let heights: f64 = self.panels.iter().map(|panel| panel.full_height() + GAP).sum();
        let height = heading_height(WIDTH, &self.subtitle) + marked + heights - GAP + BELOW;
        draw(WIDTH, height, &format!("{}: {}", self.title, self.subtitle), |canvas| {
            let mut top = heading(canvas, WIDTH, &self.title, &self.subtitle);
            let (left, right) = self.sides();
            let names = top + 7.0;
            top += marked;
            for (index, panel) in self.panels.iter().enumerate() {
                if !panel.heading.is_empty() {
                    canvas.text((left, top + 7.0), HPos::Left, Type::HEADING, &panel.heading);
                }
                let bottom = top + panel.full_height();
                let frame = Frame { left, right, top: bottom - panel.height, bottom, x: self.x, y: panel.y };
                self.draw_x(canvas, frame, index + 1 == self.panels.len());
                self.draw_marks(canvas, frame, (index == 0).then_some(names));
                panel.draw(canvas, frame);
                top = bottom + GAP;
            }
        })
    }

    /// The frame's left and right, so that ticks and names have room.
    fn sides(&self) -> (f64, f64) {
        let widest = |texts: &mut dyn Iterator<Item = String>, kind| {
            texts.map(|text| width_of(&text, kind)).fold(0.0, f64::max)
        };
        let ticks =
            widest(&mut self.panels.iter().flat_map(|panel| texts(panel.y, panel.y_text)), Type::SMALL);
        let names = widest(
            &mut self.panels.iter().flat_map(|panel| panel.curves.iter().map(|curve| curve.label.clone())),
            Type::BODY,
        );
        let last_tick =
            texts(self.x, self.x_text).last().map_or(0.0, |text| width_of(text, Type::SMALL) / 2.0);
        (ticks + 10.0, WIDTH - if names > 0.0 { names + 22.0 } else { last_tick + 4.0 })
    }

    /// A line where each part begins, and above the first panel their names: in two rows, for some parts are short.
    fn draw_marks(&self, canvas: &Canvas<'_>, frame: Frame, names: Option<f64>) {
        let mut free = [f64::NEG_INFINITY; 2];
        for (at, name) in &self.marks {
            let x = frame.x(*at);
            canvas.path(&[(x, frame.top), (x, frame.bottom)], Paint::QUIET, 1.0);
            let Some(top) = names else { continue };
            let Some(row) = free.iter().position(|free| *free <= x) else { continue };
            free[row] = x + width_of(name, Type::SMALL) + 6.0;
            canvas.text((x, top + LABEL_STEP * row as f64), HPos::Left, Type::SMALL, name);
        }
    }

    fn draw_x(&self, canvas: &Canvas<'_>, frame: Frame, with_text: bool) {
        for (tick, text) in self.x.ticks().into_iter().zip(texts(self.x, self.x_text)) {
            let x = frame.x(tick);
            canvas.path(&[(x, frame.top), (x, frame.bottom)], Paint::GRID, 1.0);
            if with_text {
                canvas.text((x, frame.bottom + 14.0), HPos::Center, Type::SMALL, &text);
            }
        }
        if with_text {
            let middle = f64::midpoint(frame.left, frame.right);
            canvas.text((middle, frame.bottom + 34.0), HPos::Center, Type::SMALL, &self.x_name);
        }
    }
}

impl Panel {
    fn full_height(&self) -> f64 {
        self.height + if self.heading.is_empty() { 0.0 } else { HEADING }
    }

    fn draw(&self, canvas: &Canvas<'_>, frame: Frame) {
        for (tick, text) in self.y.ticks().into_iter().zip(texts(self.y, self.y_text)) {
            let y = frame.y(tick);
            canvas.path(&[(frame.left, y), (frame.right, y)], Paint::GRID, 1.0);
            canvas.text((frame.left - 7.0, y), HPos::Right, Type::SMALL, &text);
        }
        for curve in &self.curves {
            let points: Vec<_> = curve.points.iter().map(|(x, y)| (frame.x(*x), frame.y(*y))).collect();
            if let (true, Some(first), Some(last)) = (curve.filled, points.first(), points.last()) {
                let below = [(last.0, frame.bottom), (first.0, frame.bottom)];
                canvas.area(&[points.as_slice(), &below].concat(), curve.paint, 0.14);
            }
            canvas.path(&points, curve.paint, if curve.strong { 2.8 } else { 1.6 });
        }
        self.draw_names(canvas, frame);
    }

    /// Names beside the curves' ends, moved apart where they would overlap, with a dot in the curve's colour.
    fn draw_names(&self, canvas: &Canvas<'_>, frame: Frame) {
        let named = self.curves.iter().rev().filter(|curve| !curve.label.is_empty());
        let mut ends: Vec<(f64, &Curve)> =
            named.filter_map(|curve| Some((frame.y(curve.points.last()?.1), curve))).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted: Vec<f64> = ends.iter().map(|(y, _)| *y).collect();
        for (y, (_, curve)) in apart(&wanted, LABEL_STEP, frame.top, frame.bottom).into_iter().zip(ends) {
            canvas.dot((frame.right + 9.0, y), 4.0, curve.paint);
            canvas.text((frame.right + 18.0, y), HPos::Left, Type::BODY, &curve.label);
        }
    }
}

/// The ticks of an axis as they read.
fn texts(scale: Scale, text: fn(f64, f64) -> String) -> Vec<String> {
    let ticks = scale.ticks();
    let end = ticks.last().copied().unwrap_or(0.0);
    ticks.into_iter().map(|tick| text(tick, end)).collect()
}

/// Places as near as may be to the wanted ones (ascending) and at least `step` from each other, inside the bounds
/// as long as there is room.
fn apart(wanted: &[f64], step: f64, low: f64, high: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    for index in 1..places.len() {
        places[index] = places[index].max(places[index - 1] + step);
    }
    let mut limit = high;
    for place in places.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - step;
    }
    let mut floor = low.min(places.first().copied().unwrap_or(low));
    for place in &mut places {
        *place = place.max(floor);
        floor = *place + step;
    }
    places
}

/// Where a panel's values are drawn, in pixels.
#[derive(Clone, Copy)]
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: Scale,
    y: Scale,
}

impl Frame {
    fn x(&self, value: f64) -> f64 {
        self.left + (self.right - self.left) * self.x.place(value)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * self.y.place(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_overlap_move_apart() {
        assert_eq!(apart(&[10.0, 50.0], 16.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(apart(&[10.0, 12.0, 13.0], 16.0, 0.0, 100.0), [10.0, 26.0, 42.0]);
        assert_eq!(apart(&[95.0, 99.0, 100.0], 16.0, 0.0, 100.0), [68.0, 84.0, 100.0]);
        assert!(apart(&[], 16.0, 0.0, 100.0).is_empty());
    }

    #[test]
    fn a_chart_names_its_curves_and_its_axis() {
        let chart = Chart {
            title: "Connections".into(),
            subtitle: "open".into(),
            marks: vec![(5.0, "half".into())],
            x: Scale::from_zero(10.0),
            x_text: |value, _| format!("{value:.0}"),
            x_name: "seconds".into(),
            panels: vec![Panel {
                heading: String::new(),
                y: Scale::from_zero(100.0),
                y_text: |value, _| format!("{value:.0}"),
                curves: vec![Curve {
                    label: "rollcall".into(),
                    paint: Paint::of("rollcall", 0),
                    points: vec![(0.0, 0.0), (10.0, 100.0)],
                    filled: true,
                    strong: true,
                }],
                height: 200.0,
            }],
        };
        let svg = chart.svg();
        assert!(
            svg.contains("rollcall")
                && svg.contains("seconds")
                && svg.contains("half")
                && svg.contains("<polygon")
        );
    }
}
