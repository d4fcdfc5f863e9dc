//! `/docs`: the manual as pages that need no script, in the look of the page at `/`. A program that does not ask for HTML, as
//! `curl` does not, gets a chapter as it is written.
//!
//! The Markdown is read by `pulldown-cmark`, which rustdoc reads it by too: a chapter that reads well there does here. A
//! chapter is made when somebody first asks for it.

use std::sync::{LazyLock, OnceLock};

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use crate::http::assets::{BASE_CSS, File, HTML, lean, policy, wants_page};
use crate::manual::{CHAPTERS, Chapter};
use crate::wire::http::{Head, Response};

const DOCS_HTML: &str = include_str!("assets/docs.html");
const DOCS_CSS: &str = include_str!("assets/docs.css");
/// Below it, each chapter has its name.
const DOCS: &str = "/docs";

/// A chapter, by its place in the manual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Page(usize);

impl Page {
    pub(crate) fn of_path(path: &str) -> Option<Page> {
        let below = path.strip_prefix(DOCS)?;
        let name = if below.is_empty() { "" } else { below.strip_prefix('/')? };
        CHAPTERS.iter().position(|chapter| chapter.name == name).map(Page)
    }

    /// The chapter, or 304 where the client has it already.
    pub(crate) fn response(self, head: &Head<'_>) -> Response {
        static STYLE: LazyLock<String> = LazyLock::new(|| lean(&[BASE_CSS, DOCS_CSS].concat()));
        static POLICY: LazyLock<String> = LazyLock::new(|| policy(&STYLE));
        static MADE: [[OnceLock<File>; 2]; CHAPTERS.len()] =
            [const { [const { OnceLock::new() }; 2] }; CHAPTERS.len()];
        let (chapter, [page, text]) = (&CHAPTERS[self.0], &MADE[self.0]);
        let response = if wants_page(head) {
            let page = page.get_or_init(|| File::new(HTML, page_of(chapter, &STYLE)));
            page.response(head).with("Content-Security-Policy", &**POLICY)
        } else {
            text.get_or_init(|| File::new("text/markdown; charset=utf-8", chapter.text)).response(head)
        };
        response.with("Vary", "Accept")
    }
}

fn page_of(chapter: &Chapter, style: &str) -> String {
    let chapters = CHAPTERS.iter().map(|other| {
        let here = if other.name == chapter.name { " aria-current=\"page\"" } else { "" };
        format!("<a href=\"{}\"{here}>{}</a>\n", address(other.name), short_title(other))
    });
    DOCS_HTML
        .replace("{title}", chapter.title())
        .replace("{css}", style)
        .replace("{chapters}", &chapters.collect::<String>())
        .replace("{article}", &article(chapter.text))
}

fn short_title(chapter: &Chapter) -> &'static str {
    if chapter.name.is_empty() { "Contents" } else { chapter.title() }
}

fn address(name: &str) -> String {
    if name.is_empty() { DOCS.to_owned() } else { format!("{DOCS}/{name}") }
}

/// The place of a link here: chapters lie beside each other as `NAME.md`.
fn place(link: &str) -> String {
    let (file, anchor) = link.split_once('#').map_or((link, ""), |(file, anchor)| (file, anchor));
    match file.strip_suffix(".md") {
        Some("README") => address(""),
        Some(name) if anchor.is_empty() => address(name),
        Some(name) => format!("{}#{anchor}", address(name)),
        None => link.to_owned(),
    }
}

/// A chapter's HTML. Headings get the names that rustdoc and code forges give them; a wide table scrolls by itself.
fn article(text: &str) -> String {
    let mut events: Vec<Event<'_>> = Vec::new();
    // The place of the heading that is open, and its words so far.
    let mut heading: Option<(usize, String)> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some((events.len(), String::new())),
            Event::Text(ref words) | Event::Code(ref words) => {
                if let Some((_, name)) = &mut heading {
                    name.push_str(words);
                }
            }
            _ => {}
        }
        match event {
            Event::Start(Tag::Table(columns)) => {
                events.push(Event::Html("<div class=\"wide\" tabindex=\"0\">".into()));
                // Alignment would be a style of its own, which the page's policy does not let in.
                events.push(Event::Start(Tag::Table(vec![pulldown_cmark::Alignment::None; columns.len()])));
            }
            Event::End(TagEnd::Table) => events.extend([event, Event::Html("</div>\n".into())]),
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let dest_url = CowStr::from(place(&dest_url));
                events.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            }
            Event::End(TagEnd::Heading(level)) => {
                if let Some((at, name)) = heading.take() {
                    events[at] = named(level, &name);
                }
                events.push(event);
            }
            event => events.push(event),
        }
    }
    let mut made = String::with_capacity(text.len() * 2);
    html::push_html(&mut made, events.into_iter());
    made
}

fn named(level: HeadingLevel, words: &str) -> Event<'static> {
    let id = Some(CowStr::from(anchor(words)));
    Event::Start(Tag::Heading { level, id, classes: Vec::new(), attrs: Vec::new() })
}

/// A heading's name in addresses.
fn anchor(words: &str) -> String {
    let kept = words.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every name that something has in a chapter's page.
    fn ids(html: &str) -> Vec<&str> {
        html.split("id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    }

    #[test]
    fn every_link_of_the_manual_leads_somewhere() {
        let pages: Vec<String> = CHAPTERS.iter().map(|chapter| article(chapter.text)).collect();
        for (chapter, page) in CHAPTERS.iter().zip(&pages) {
            assert!(chapter.text.starts_with("# ") && !page.contains("]["), "{}", chapter.name);
            for link in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                if link.starts_with("https://") {
                    continue;
                }
                let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
                let to = Page::of_path(path).unwrap_or_else(|| panic!("{}: {link}", chapter.name)).0;
                assert!(anchor.is_empty() || ids(&pages[to]).contains(&anchor), "{}: {link}", chapter.name);
            }
        }
    }

    #[test]
    fn nothing_on_a_page_breaks_its_policy() {
        for chapter in CHAPTERS {
            let page = page_of(chapter, "");
            for never in ["style=", "<script", "src=", "onclick"] {
                let shown = page.replace("&lt;script", "");
                assert!(!shown.contains(never) || chapter.text.contains(never), "{}: {never}", chapter.name);
            }
        }
    }

    #[test]
    fn every_name_of_a_link_has_the_same_place_in_all_three_places() {
        let module = include_str!("../manual/mod.rs");
        for chapter in CHAPTERS {
            for line in chapter.text.lines().filter(|line| line.starts_with('[') && line.contains("]: ")) {
                let (name, file) = line.split_once("]: ").unwrap();
                let path = file.replace(".md", "");
                let (wanted, top) =
                    (format!("{name}]: crate::manual::{path}\\n"), format!("//! {name}]: {path}\n"));
                assert!(
                    module.contains(&wanted) && (!chapter.name.is_empty() || module.contains(&top)),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn a_path_is_a_chapter_or_none() {
        assert_eq!(Page::of_path("/docs"), Page::of_path("/docs/"));
        assert!(Page::of_path("/docs/settings").is_some());
        for path in ["/docsx", "/docs/nothing", "/docs/settings/", "/"] {
            assert_eq!(Page::of_path(path), None, "{path}");
        }
        assert_eq!(place("tokens.md"), "/docs/tokens");
        assert_eq!(place("api.md#bans"), "/docs/api#bans");
        assert_eq!(place("README.md"), "/docs");
        assert_eq!(anchor("With Auth0, Keycloak and the `like`"), "with-auth0-keycloak-and-the-like");
    }
}
