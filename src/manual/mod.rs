//! The manual: what rollcall does and how it is run, a subject a chapter. The same text stands at `/docs` of a server.
//!
//! [api]: api
//! [capacity]: capacity
//! [compression]: compression
//! [deploy]: deploy
//! [exec]: exec
//! [history]: history
//! [library]: library
//! [limits]: limits
//! [metrics]: metrics
//! [overload]: overload
//! [pages]: pages
//! [paths]: paths
//! [presence]: presence
//! [proxies]: proxies
//! [settings]: settings
//! [sockets]: sockets
//! [streams]: streams
//! [tls]: tls
//! [tokens]: tokens
//! [words]: words
#![doc = include_str!("README.md")]
// A chapter's links are names whose places stand at its end, as files beside it. For this documentation the names are
// given other places in front of the chapter: the first place of a name counts.

/// A chapter, as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chapter {
    /// Its file without the ending, and its path below `/docs`; empty for the contents.
    pub(crate) name: &'static str,
    /// In Markdown. The first line is `# ` and the title.
    pub(crate) text: &'static str,
}

impl Chapter {
    pub(crate) fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ")
    }
}

/// The places of links in this documentation.
macro_rules! places {
    () => {
        "[api]: crate::manual::api\n\
         [bans]: crate::manual::api#bans\n\
         [capacity]: crate::manual::capacity\n\
         [compression]: crate::manual::compression\n\
         [deploy]: crate::manual::deploy\n\
         [exec]: crate::manual::exec\n\
         [history]: crate::manual::history\n\
         [library]: crate::manual::library\n\
         [limits]: crate::manual::limits\n\
         [members]: crate::manual::presence#lists-of-members\n\
         [metrics]: crate::manual::metrics\n\
         [overload]: crate::manual::overload\n\
         [pages]: crate::manual::pages\n\
         [paths]: crate::manual::paths\n\
         [presence]: crate::manual::presence\n\
         [providers]: crate::manual::tokens#with-auth0-keycloak-and-the-like\n\
         [proxies]: crate::manual::proxies\n\
         [settings]: crate::manual::settings\n\
         [slow]: crate::manual::overload#slow-readers\n\
         [sockets]: crate::manual::sockets\n\
         [streams]: crate::manual::streams\n\
         [tls]: crate::manual::tls\n\
         [tokens]: crate::manual::tokens\n\
         [words]: crate::manual::words\n\n"
    };
}

macro_rules! chapters {
    ($($name:ident)*) => {
        $(
            #[doc = places!()]
            #[doc = include_str!(concat!(stringify!($name), ".md"))]
            pub mod $name {}
        )*

        /// The contents, then the chapters in their order.
        pub(crate) const CHAPTERS: &[Chapter] = &[
            Chapter { name: "", text: include_str!("README.md") },
            $(Chapter { name: stringify!($name), text: include_str!(concat!(stringify!($name), ".md")) },)*
        ];
    };
}

chapters! {
    pages streams tokens exec deploy words
    paths settings presence history api limits metrics
    proxies tls sockets compression overload capacity
    library
}
