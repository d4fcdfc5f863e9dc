//! A drawing in SVG that reads on a white page and on a dark one.
//!
//! plotters draws with the light page's colours. A style sheet put in front of its output replaces each of them
//! on a dark page (`prefers-color-scheme`, which also holds inside an `<img>`), by the attribute that bears it, so
//! that a viewer without style sheets still shows the light drawing. There is no background: the page's own shows.

use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{DrawingArea, IntoDrawingArea, IntoFont, RGBColor, SVGBackend, ShapeStyle};
pub use plotters::style::text_anchor::HPos;
use plotters::style::text_anchor::{Pos, VPos};
use plotters::style::{Color, FontStyle, TextStyle};

use crate::comparison::{BARE, OURS};

/// Units of the drawing in one pixel: plotters knows only whole ones.
const FINE: f64 = 10.0;
/// The backend divides the size of text by this.
const TEXT_SIZE_FACTOR: f64 = 1.24;
const FONT: &str = "system-ui, -apple-system, Segoe UI, Roboto, Noto Sans, Liberation Sans, sans-serif";

/// What a mark is drawn with: a colour for the light page and one for the dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint(usize);

/// Light and dark of each paint. The light ones differ from each other, since the style sheet finds marks by them.
/// The marks' colours are Okabe and Ito's, made to differ in lightness as well as in hue, for colour-blind readers.
const PAINTS: [(u32, u32); 12] = [
    (0x1F2832, 0xE6EDF3), // titles and figures
    (0x59636E, 0x9AA4AF), // labels
    (0xD8DEE4, 0x2B323B), // grid
    (0xA3B1C2, 0x55657A), // any peer, where a name stands beside it
    (0x0066B3, 0x4FAEF2), // ours
    (0x8C959F, 0x76808B), // the bare loop
    (0xE09A00, 0xF0B429), // amber
    (0x008A64, 0x2EBE90), // green
    (0xC94F00, 0xF07F3C), // vermilion
    (0xB05F95, 0xDE8FC4), // mauve
    (0x3AA8C1, 0x74D3E8), // sky
    (0x6B4B1E, 0xC7A46A), // brown
];

impl Paint {
    /// Titles and figures.
    pub const INK: Paint = Paint(0);
    /// Labels.
    pub const QUIET: Paint = Paint(1);
    /// Grid lines.
    pub const GRID: Paint = Paint(2);
    /// A peer whose mark bears its name.
    pub const PEER: Paint = Paint(3);
    const MARKS: usize = 4;

    /// The paint of a target: known names keep theirs in every drawing, others take what is left by position.
    pub fn of(target: &str, position: usize) -> Paint {
        const KNOWN: [&str; 6] = [OURS, BARE, "bun", "ws", "fastwebsockets", "tokio-tungstenite"];
        let known = KNOWN.iter().position(|name| *name == target);
        Paint(Paint::MARKS + known.unwrap_or_else(|| 2 + (position + 4) % (PAINTS.len() - Paint::MARKS - 2)))
    }

    fn light(self) -> RGBColor {
        let [_, red, green, blue] = PAINTS[self.0].0.to_be_bytes();
        RGBColor(red, green, blue)
    }
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// Pixels.
    pub size: f64,
    pub paint: Paint,
    pub bold: bool,
}

impl Type {
    /// Headings of drawings.
    pub const TITLE: Type = Type { size: 16.0, paint: Paint::INK, bold: true };
    /// Headings of panels.
    pub const HEADING: Type = Type { size: 13.0, paint: Paint::INK, bold: true };
    /// Figures and names.
    pub const BODY: Type = Type { size: 13.0, paint: Paint::INK, bold: false };
    /// Ticks and remarks.
    pub const SMALL: Type = Type { size: 12.0, paint: Paint::QUIET, bold: false };
}

/// The surface, in pixels from its upper left corner; every text is centred on its height.
pub struct Canvas<'a>(DrawingArea<SVGBackend<'a>, Shift>);

/// Makes one SVG document. `label` says in words what it shows, for readers who can't see it.
pub fn draw(width: f64, height: f64, label: &str, paint: impl FnOnce(&Canvas<'_>)) -> String {
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (fine(width) as u32, fine(height) as u32)).into_drawing_area();
        let canvas = Canvas(area);
        paint(&canvas);
        canvas.0.present().expect(DRAWN);
    }
    let (_, marks) = svg.split_once('>').expect("the backend opens with an svg tag");
    let label = label.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" role=\"img\" \
         aria-label=\"{label}\">\n{}{marks}",
        fine(width),
        fine(height),
        style_sheet()
    )
}

const DRAWN: &str = "drawing into a string cannot fail";

fn fine(pixels: f64) -> i32 {
    (pixels * FINE).round() as i32
}

fn style_sheet() -> String {
    let mut sheet = String::from(
        "<style>polyline{stroke-linejoin:round;stroke-linecap:round}text{font-variant-numeric:tabular-nums}\n\
         @media (prefers-color-scheme:dark){\n",
    );
    for (light, dark) in PAINTS {
        for property in ["fill", "stroke"] {
            sheet.push_str(&format!("[{property}=\"#{light:06X}\"]{{{property}:#{dark:06X}}}"));
        }
        sheet.push('\n');
    }
    sheet + "}</style>\n"
}

impl Canvas<'_> {
    pub fn text(&self, at: (f64, f64), align: HPos, kind: Type, text: &str) {
        let style = if kind.bold { FontStyle::Bold } else { FontStyle::Normal };
        let font = (FONT, kind.size * FINE * TEXT_SIZE_FACTOR).into_font().style(style);
        let color = kind.paint.light();
        let style = TextStyle::from(font).color(&color).pos(Pos::new(align, VPos::Center));
        self.0.draw(&Text::new(text.to_owned(), point(at), style)).expect(DRAWN);
    }

    pub fn bar(&self, from: (f64, f64), to: (f64, f64), paint: Paint, opacity: f64) {
        let corners = [point(from), point(to)];
        self.0.draw(&Rectangle::new(corners, paint.light().mix(opacity).filled())).expect(DRAWN);
    }

    pub fn path(&self, points: &[(f64, f64)], paint: Paint, width: f64) {
        let style = ShapeStyle::from(&paint.light()).stroke_width(fine(width) as u32);
        let points: Vec<_> = points.iter().copied().map(point).collect();
        self.0.draw(&PathElement::new(points, style)).expect(DRAWN);
    }

    /// What lies between points, lightly filled.
    pub fn area(&self, points: &[(f64, f64)], paint: Paint, opacity: f64) {
        let points: Vec<_> = points.iter().copied().map(point).collect();
        self.0.draw(&Polygon::new(points, paint.light().mix(opacity))).expect(DRAWN);
    }

    pub fn dot(&self, at: (f64, f64), radius: f64, paint: Paint) {
        self.0.draw(&Circle::new(point(at), fine(radius), paint.light().filled())).expect(DRAWN);
    }
}

fn point((x, y): (f64, f64)) -> (i32, i32) {
    (fine(x), fine(y))
}

/// Writes a drawing's heading and what it means, in as many lines as it takes. Returns where the drawing goes on.
pub fn heading(canvas: &Canvas<'_>, width: f64, title: &str, about: &str) -> f64 {
    canvas.text((0.0, 14.0), HPos::Left, Type::TITLE, title);
    let lines = wrap(about, width, Type::SMALL);
    for (index, line) in lines.iter().enumerate() {
        canvas.text((0.0, 35.0 + index as f64 * LINE_STEP), HPos::Left, Type::SMALL, line);
    }
    heading_height(width, about)
}

/// How much room [`heading`] takes.
pub fn heading_height(width: f64, about: &str) -> f64 {
    40.0 + wrap(about, width, Type::SMALL).len() as f64 * LINE_STEP
}

const LINE_STEP: f64 = 17.0;

/// Lines of whole words that are not wider than `width`.
fn wrap(text: &str, width: f64, kind: Type) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width_of(&format!("{line} {word}"), kind) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// About how wide a text is, in pixels: the fonts of the readers differ, so leave a little room.
pub fn width_of(text: &str, kind: Type) -> f64 {
    let wide = |c: char| match c {
        'i' | 'l' | 'j' | '.' | ',' | ':' | '|' | '\'' | 't' | 'f' | 'r' | ' ' => 0.35,
        'm' | 'w' | 'M' | 'W' | '%' | '—' => 0.86,
        c if c.is_ascii_uppercase() => 0.68,
        c if c.is_ascii_digit() => 0.64,
        '≥' | '×' | '…' => 0.84,
        _ => 0.61,
    };
    text.chars().map(wide).sum::<f64>() * kind.size * if kind.bold { 1.07 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_paint_can_be_told_from_the_others_by_its_light_colour() {
        for (index, (light, _)) in PAINTS.iter().enumerate() {
            assert!(PAINTS[index + 1..].iter().all(|(other, _)| other != light), "{light:06X} stands twice");
        }
    }

    #[test]
    fn a_drawing_has_no_background_and_both_schemes() {
        let svg = draw(100.0, 50.0, "a \"line\" & a word", |canvas| {
            canvas.path(&[(0.0, 0.0), (50.0, 25.5)], Paint::of(OURS, 0), 2.0);
            canvas.text((10.0, 10.0), HPos::Left, Type::BODY, "a < b");
        });
        assert!(svg.starts_with(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100\" height=\"50\" viewBox=\"0 0 1000 500\""
        ));
        assert!(svg.contains("aria-label=\"a &quot;line&quot; &amp; a word\""));
        assert!(
            svg.contains("[stroke=\"#0066B3\"]{stroke:#4FAEF2}")
                && svg.contains("stroke=\"#0066B3\" stroke-width=\"20\"")
        );
        assert!(svg.contains("0,0 500,255") && svg.contains("a &lt; b"));
        assert!(!svg.contains("<rect"));
    }

    #[test]
    fn a_long_remark_takes_two_lines() {
        let text = "Processor time of the server for each message, kernel included. ".repeat(3);
        let lines = wrap(&text, 860.0, Type::SMALL);
        assert!(lines.len() > 1 && lines.iter().all(|line| width_of(line, Type::SMALL) <= 860.0));
        assert_eq!(lines.join(" "), text.trim());
    }

    #[test]
    fn known_targets_keep_their_paint_and_others_do_not_take_it() {
        assert_eq!(Paint::of("bun", 0), Paint::of("bun", 5));
        assert_ne!(Paint::of(OURS, 0), Paint::of(BARE, 0));
        assert!((0..20).all(|position| {
            ![OURS, BARE].map(|name| Paint::of(name, 0)).contains(&Paint::of("x", position))
        }));
    }
}
