//! The files for browsers: the page at `/`, the client `/rollcall.js` with its types, and what they need. All of it is in
//! the binary; nothing is loaded from elsewhere.
//!
//! The page's style stands in the HTML, so that the first paint waits for nothing else; the policy that goes with it names
//! the style by its hash, and lets in no other script, style or address.

use std::borrow::Cow;
use std::sync::{LazyLock, OnceLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};

use crate::wire::http::{Head, Response};

const PAGE_HTML: &str = include_str!("assets/page.html");
/// The look that all pages share.
pub(super) const BASE_CSS: &str = include_str!("assets/base.css");
const PAGE_CSS: &str = concat!(include_str!("assets/base.css"), include_str!("assets/page.css"));
const PAGE_JS: &str = include_str!("assets/page.js");
/// One module, written in five files.
const ROLLCALL_JS: &str = concat!(
    include_str!("assets/rollcall.js"),
    include_str!("assets/parts.js"),
    include_str!("assets/history.js"),
    include_str!("assets/lists.js"),
    include_str!("assets/carriers.js")
);
const ROLLCALL_TYPES: &str = include_str!("assets/rollcall.d.ts");
const FAVICON: &str = include_str!("assets/favicon.svg");

pub(super) const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asset {
    /// `/page.js`: what moves on the page.
    PageScript,
    /// `/rollcall.js`: the client, also for pages elsewhere.
    Client,
    /// `/rollcall.d.ts`: its types.
    ClientTypes,
    /// `/favicon.svg`.
    Favicon,
}

impl Asset {
    /// The asset at a path.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Asset> {
        match path {
            "/page.js" => Some(Asset::PageScript),
            "/rollcall.js" => Some(Asset::Client),
            "/rollcall.d.ts" => Some(Asset::ClientTypes),
            "/favicon.svg" => Some(Asset::Favicon),
            _ => None,
        }
    }

    /// The file, or 304 where the browser has it already.
    #[must_use]
    pub fn response(self, head: &Head<'_>) -> Response {
        static PAGE_SCRIPT: LazyLock<File> = LazyLock::new(|| File::new(SCRIPT, lean(PAGE_JS)));
        static CLIENT: LazyLock<File> = LazyLock::new(|| File::new(SCRIPT, lean(ROLLCALL_JS)));
        static TYPES: LazyLock<File> =
            LazyLock::new(|| File::new("text/plain; charset=utf-8", ROLLCALL_TYPES));
        static ICON: LazyLock<File> = LazyLock::new(|| File::new("image/svg+xml", FAVICON));
        match self {
            Asset::PageScript => PAGE_SCRIPT.response(head),
            // A page anywhere may import the client; who may connect is the server's to say, not the file's.
            Asset::Client => open(CLIENT.response(head)),
            Asset::ClientTypes => open(TYPES.response(head)),
            Asset::Favicon => ICON.response(head),
        }
    }
}

fn open(response: Response) -> Response {
    response.with("Access-Control-Allow-Origin", "*").with("Cross-Origin-Resource-Policy", "cross-origin")
}

/// Whether the page is what a request for `/` wants: browsers ask for HTML, `curl` does not.
#[must_use]
pub fn wants_page(head: &Head<'_>) -> bool {
    head.list("Accept").any(|range| range.split(';').next() == Some("text/html"))
}

/// The page at `/`, made once for each `auth` and `side`, of which there are few. These are told to its script: whether tokens are asked for, and which listener this is.
#[must_use]
pub fn page(head: &Head<'_>, auth: &'static str, side: &'static str) -> Response {
    static STYLE: LazyLock<String> = LazyLock::new(|| lean(PAGE_CSS));
    static POLICY: LazyLock<String> = LazyLock::new(|| policy(&STYLE));
    // Made once for the process: each place is taken by the first variant that finds it free.
    static PAGES: [OnceLock<Variant>; PAGES_MAX] = [const { OnceLock::new() }; PAGES_MAX];
    let make = || {
        let html = PAGE_HTML
            .replace("{css}", &STYLE)
            .replace("{auth}", auth)
            .replace("{side}", side)
            .replace("{version}", env!("CARGO_PKG_VERSION"));
        Variant { auth, side, file: File::new(HTML, html) }
    };
    let of_this = |place: &'static OnceLock<Variant>| {
        Some(place.get_or_init(make)).filter(|page| page.auth == auth && page.side == side)
    };
    let made = PAGES.iter().find_map(of_this);
    let response = made.map_or_else(
        || Response::text(500, "the page has more variants than there is room for"),
        |page| page.file.response(head),
    );
    response.with("Vary", "Accept").with("Content-Security-Policy", &**POLICY)
}

/// The page as it is for one way to authenticate and one kind of listener.
struct Variant {
    auth: &'static str,
    side: &'static str,
    file: File,
}

/// Three ways to authenticate, three kinds of listeners, and room for more.
const PAGES_MAX: usize = 16;

/// The page's content security policy: its own scripts and addresses, and this one style.
pub(super) fn policy(style: &str) -> String {
    let hash = BASE64_STANDARD.encode(digest(&SHA256, style.as_bytes()));
    format!(
        "default-src 'none'; script-src 'self'; style-src 'sha256-{hash}'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
}

/// Text without indentation and without lines that are only a comment. The sources keep to what that does no harm to: no
/// line of them begins within a string.
pub(super) fn lean(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| {
        let comment = line.starts_with("//") || line.starts_with("/**") && line.ends_with("*/");
        !comment && !line.is_empty()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A text with its type and its name in caches.
pub(super) struct File {
    content_type: &'static str,
    text: Cow<'static, str>,
    etag: String,
}

impl File {
    pub(super) fn new(content_type: &'static str, text: impl Into<Cow<'static, str>>) -> File {
        let text = text.into();
        let hash = BASE64_STANDARD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..12]);
        File { content_type, text, etag: format!("\"{hash}\"") }
    }

    /// RFC 9110 §13.1.2: 304 to who names what is here. `no-cache` lets it be kept, and asks each time: a page and a client
    /// of two versions never meet.
    pub(super) fn response(&'static self, head: &Head<'_>) -> Response {
        let known = head
            .list("If-None-Match")
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag);
        let (status, text) = if known { (304, "") } else { (200, &*self.text) };
        let body = Cow::Borrowed(text.as_bytes());
        Response { status, content_type: self.content_type, fields: Vec::new(), body }
            .with("ETag", &*self.etag)
            .with("Cache-Control", "no-cache")
            .with("X-Content-Type-Options", "nosniff")
            .with("Referrer-Policy", "no-referrer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::Fields;

    fn asked<T>(fields: &str, then: impl FnOnce(&Head<'_>) -> T) -> T {
        let text = format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
        let mut storage = Fields::new();
        then(&Head::parse(text.as_bytes(), &mut storage).unwrap())
    }

    fn field<'r>(response: &'r Response, name: &str) -> &'r str {
        &response.fields.iter().find(|(field, _)| *field == name).unwrap().1
    }

    #[test]
    fn page_and_client_are_small() {
        let html = asked("", |head| page(head, "none", "whole")).body.len();
        let scripts = [Asset::PageScript, Asset::Client, Asset::Favicon]
            .map(|asset| asked("", |head| asset.response(head)).body.len());
        let all = html + scripts.iter().sum::<usize>();
        assert!(all < 120_000, "{all} bytes: {html} of HTML, {scripts:?}");
    }

    #[test]
    fn the_policy_names_the_style_that_is_in_the_page() {
        let page = asked("", |head| page(head, "none", "whole"));
        let html = std::str::from_utf8(&page.body).unwrap();
        let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let hash = BASE64_STANDARD.encode(digest(&SHA256, style.as_bytes()));
        assert!(field(&page, "Content-Security-Policy").contains(&format!("style-src 'sha256-{hash}'")));
        assert!(!html.contains("{css}") && html.contains("auth=none side=whole"));
    }

    #[test]
    fn each_variant_of_the_page_is_made_once() {
        for auth in ["none", "early", "late"] {
            for side in ["whole", "public", "admin"] {
                let [first, second] = [(), ()].map(|()| asked("", |head| page(head, auth, side)));
                let html = std::str::from_utf8(&first.body).unwrap();
                assert!(html.contains(&format!("auth={auth} side={side}")));
                assert!(matches!(first.body, Cow::Borrowed(_)), "it was copied");
                assert!(std::ptr::eq(first.body.as_ptr(), second.body.as_ptr()), "it was made again");
                assert_eq!(field(&first, "ETag"), field(&second, "ETag"));
            }
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_or_made_of_text() {
        for text in [PAGE_HTML, PAGE_CSS, PAGE_JS, ROLLCALL_JS] {
            for never in [
                "innerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=\"",
                " onclick=",
                "url(",
            ] {
                assert!(!text.contains(never), "{never}");
            }
        }
        for text in [PAGE_HTML, PAGE_CSS, PAGE_JS] {
            assert!(!text.contains("https://") && !text.contains("http://"));
        }
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let first = asked("", |head| Asset::Client.response(head));
        assert_eq!((first.status, field(&first, "Access-Control-Allow-Origin")), (200, "*"));
        let tag = field(&first, "ETag");
        for named in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let again = asked(&format!("If-None-Match: {named}\r\n"), |head| Asset::Client.response(head));
            assert_eq!((again.status, again.body.len(), field(&again, "ETag")), (304, 0, tag), "{named}");
        }
        assert_eq!(asked("If-None-Match: \"x\"\r\n", |head| Asset::Client.response(head)).status, 200);
    }

    #[test]
    fn browsers_get_the_page_and_curl_gets_text() {
        let browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
        assert!(asked(browser, wants_page));
        assert!(!asked("Accept: */*\r\n", wants_page) && !asked("", wants_page));
    }

    #[test]
    fn lean_text_says_the_same() {
        assert_eq!(lean("// a\n  f();  \n\n  /** b */\n  g(); // c\n"), "f();\ng(); // c");
    }
}
