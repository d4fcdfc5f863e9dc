//! `loadtest report --index`: a page that names every report of a folder, with a line and a picture of each.
//!
//! It is made of the reports as they stand: their headings, their first drawings, and where one has tables alone a drawing of the
//! first table whose cells are figures.

use std::path::Path;
use std::{fs, io};

use super::bars::{Bar, Panel, bars};
use super::canvas::Paint;
use super::markdown::Markdown;
use crate::{files, units};

/// What the reports of these names show; others are told by their heading.
const SHOWS: [(&str, &str); 9] = [
    (
        "million",
        "from the first connection to the last of a million named users: memory, heartbeats, deaths, a message to all",
    ),
    (
        "presence",
        "how late the death of a silent user is told, and what users, members and watches take of memory",
    ),
    ("compare", "the same load on rollcall, its peers and the least that it can cost, in turns"),
    ("encodings", "what TLS and compression cost, in CPU and in memory"),
    ("stuck", "what members that read nothing are to the others of a busy room"),
    ("soak", "everything at once and for long, hostile peers too: whether memory stays flat"),
    ("resume", "rooms that keep what was said: what it costs to recover it, and to keep it"),
    ("exec", "a command per connection, beside websocketd: what it costs, and what it leaves behind"),
    ("herd", "a server that goes away and comes back, and how its clients return"),
];
/// What stands in front of the reports, written by hand.
const HEAD: &str = include_str!("head.md");
/// Rows of a table that a drawing has room for.
const PANELS_MAX: usize = 12;

/// Writes the page of the reports in `folder` to `page`, and the drawings that it needs beside the reports.
pub fn write(folder: &Path, page: &Path) -> io::Result<()> {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| files::about(folder, &error.to_string()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    // Those that are known come first, in the order above.
    let known = |name: &str| SHOWS.iter().position(|(known, _)| *known == name).unwrap_or(SHOWS.len());
    names.sort_by_key(|name| (known(name), name.clone()));
    let above = folder.strip_prefix(page.parent().unwrap_or(Path::new(""))).unwrap_or(folder);
    let mut text = Markdown::default();
    text.line("# loadtest: what was measured");
    text.paragraph(
        "One program puts load on any WebSocket server and writes what it has seen. `loadtest --help` says of each of its \
         commands what it shows, what it needs and how long it takes; [peers](peers/README.md) are the servers that rollcall is \
         compared with. This page is made by `loadtest report --index`.",
    );
    text.paragraph(HEAD.trim_end());
    for name in names {
        let report = files::read(&folder.join(format!("{name}.md")))?;
        let picture = match picture(&report) {
            Some(picture) => Some(picture.to_owned()),
            None => draw(&report, &name, folder)?,
        };
        let title = report.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned();
        let shows = SHOWS.iter().find(|(known, _)| *known == name).map_or(&*title, |(_, shows)| shows);
        text.section(&name);
        text.line(&format!("[{title}]({}): {shows}.", above.join(format!("{name}.md")).display()));
        if let Some(picture) = picture {
            text.picture(&title, &above.join(picture).display().to_string());
        }
    }
    files::write(page, &text.into_text())
}

/// The file of the first drawing that a report shows.
fn picture(report: &str) -> Option<&str> {
    let (_, rest) = report.split_once("![")?;
    rest.split_once("](")?.1.split(')').next()
}

/// Draws the first table of figures, and returns the drawing's file.
fn draw(report: &str, name: &str, folder: &Path) -> io::Result<Option<String>> {
    let title = report.lines().next().unwrap_or_default().trim_start_matches("# ");
    let Some(panels) = tables(report).find_map(|table| panels(&table)) else { return Ok(None) };
    let file = format!("{name}-table.svg");
    files::write(&folder.join(&file), &bars(title, "Each row has a scale of its own.", &panels))?;
    Ok(Some(file))
}

/// The tables of a text: lines of cells, the header first.
fn tables(text: &str) -> impl Iterator<Item = Vec<Vec<String>>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    text.split("\n\n").filter(|block| block.starts_with('|')).map(move |block| {
        block.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---")).map(cells).collect()
    })
}

/// A panel for each row that has a figure in two columns at least; `None` where no row has.
fn panels(table: &[Vec<String>]) -> Option<Vec<Panel>> {
    let (header, rows) = table.split_first()?;
    let panel = |row: &Vec<String>| {
        let bar = |(index, cell): (usize, &String)| {
            let name = header.get(index + 1).filter(|name| !name.is_empty())?;
            // The rounds' ends stand in brackets behind the median.
            let text = cell.split(" (").next().unwrap_or(cell);
            Some(Bar {
                label: name.clone(),
                value: figure(text)?,
                text: text.to_owned(),
                remark: String::new(),
                paint: Paint::of(name, index),
                faint: false,
                strong: false,
            })
        };
        let bars: Vec<Bar> = row.iter().skip(1).enumerate().filter_map(bar).collect();
        (bars.len() > 1).then(|| Panel { heading: row[0].clone(), bars })
    };
    let panels: Vec<Panel> = rows.iter().filter_map(panel).take(PANELS_MAX).collect();
    (!panels.is_empty()).then_some(panels)
}

/// A figure with its unit, in the unit's smallest; `None` where the cell is something else.
fn figure(cell: &str) -> Option<f64> {
    let end = cell.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(cell.len());
    let value: f64 = cell[..end].replace(',', "").parse().ok()?;
    let factor = match cell[end..].trim() {
        "ns" | "%" | "×" => 1.0,
        "µs" | "k" => 1e3,
        "ms" | "M" => 1e6,
        "s" | "G" => 1e9,
        size => units::size_factor(size)?,
    };
    Some(value * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "# Costs\n\n|  |  |\n|---|--:|\n| asked | 3 of 4 |\n\n## B\n\n| | plain | TLS |\n|---|--:|--:|\n\
        | an echo | 950 ns (900 ns … 1.00 µs) | 2.00 µs |\n| idle | 83 B | – |\n\n";

    #[test]
    fn the_first_table_of_figures_is_drawn() {
        let drawn = tables(TABLES).find_map(|table| panels(&table)).expect("one has figures");
        assert_eq!(drawn.len(), 1, "a row with one figure compares nothing");
        assert_eq!((drawn[0].heading.as_str(), drawn[0].bars[1].label.as_str()), ("an echo", "TLS"));
        assert_eq!(drawn[0].bars.iter().map(|bar| bar.value).collect::<Vec<_>>(), [950.0, 2_000.0]);
        assert_eq!(
            ["1,000", "14.3 MiB", "holds", "–"].map(figure),
            [Some(1e3), Some(14.3 * 1_048_576.0), None, None]
        );
        assert_eq!(picture("x\n\n![A b](c-d.svg)\n"), Some("c-d.svg"));
    }

    #[test]
    fn the_index_names_every_report_with_a_picture() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copy = std::env::temp_dir().join(format!("loadtest-{}-index", std::process::id()));
        let reports = copy.join("reports");
        fs::create_dir_all(&reports).expect("a folder of our own");
        let mut count = 0;
        for entry in fs::read_dir(folder.join("reports")).expect("there are reports") {
            let path = entry.expect("it reads").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                count += 1;
                fs::copy(&path, reports.join(path.file_name().expect("a file"))).expect("it reads");
            }
        }
        write(&reports, &copy.join("README.md")).expect("they are reports");
        let made = fs::read_to_string(copy.join("README.md")).expect("it was written");
        fs::remove_dir_all(&copy).expect("it is ours");
        assert_eq!(made.matches("![").count(), count);
        let kept = fs::read_to_string(folder.join("README.md")).expect("it is kept");
        assert!(made == kept, "make it anew: loadtest report --index");
        for file in kept.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(folder.join(file).is_file(), "{file} is missing");
        }
    }
}
