//! The page's files, built into the program. Colours, elements and drawing code are shared with the other pages.

use crate::draw::glossary;
use crate::draw::page::{
    AXIS_JS, BASE_CSS, CHARTS_JS, DATA_JS, DOM_JS, DRAW_JS, PAGE_CSS, TERMS_CSS, TERMS_JS,
};
use std::sync::LazyLock;

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct File {
    /// Path below the page's address.
    pub name: &'static str,
    pub kind: &'static str,
    pub text: &'static str,
}

const CSS: &str = "text/css";
const JS: &str = "text/javascript";

/// The files as they are in the sources.
static SOURCES: [File; 16] = [
    File { name: "", kind: "text/html", text: include_str!("page/live.html") },
    File { name: "base.css", kind: CSS, text: BASE_CSS },
    File { name: "page.css", kind: CSS, text: PAGE_CSS },
    File { name: "terms.css", kind: CSS, text: TERMS_CSS },
    File { name: "live.css", kind: CSS, text: include_str!("page/live.css") },
    File { name: "data.js", kind: JS, text: DATA_JS },
    File { name: "dom.js", kind: JS, text: DOM_JS },
    File { name: "terms.js", kind: JS, text: TERMS_JS },
    File { name: "draw.js", kind: JS, text: DRAW_JS },
    File { name: "axis.js", kind: JS, text: AXIS_JS },
    File { name: "charts.js", kind: JS, text: CHARTS_JS },
    File { name: "curves.js", kind: JS, text: include_str!("page/curves.js") },
    File { name: "filters.js", kind: JS, text: include_str!("page/filters.js") },
    File { name: "predictions.js", kind: JS, text: include_str!("page/predictions.js") },
    File { name: "layers.js", kind: JS, text: include_str!("page/layers.js") },
    File { name: "live.js", kind: JS, text: include_str!("page/live.js") },
];

/// The meanings of the terms that the sources mark.
static MEANINGS: LazyLock<String> =
    LazyLock::new(|| glossary::script(&SOURCES.each_ref().map(|file| file.text)));

/// All files of the page.
pub(super) fn files() -> impl Iterator<Item = File> {
    SOURCES.iter().copied().chain([File { name: "meanings.js", kind: JS, text: &MEANINGS }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every file that the page requests is served, and no other file is served.
    #[test]
    fn the_page_asks_for_what_is_served() {
        let page = SOURCES[0].text;
        let mut asked: Vec<&str> = ["src=\"", "href=\""]
            .iter()
            .flat_map(|attribute| page.split(attribute).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .filter(|name| !name.starts_with("data:"))
            .collect();
        let mut served: Vec<&str> = files().skip(1).map(|file| file.name).collect();
        asked.sort_unstable();
        served.sort_unstable();
        assert_eq!(asked, served);
        for File { name, text, .. } in files() {
            for sign in ["http://", "https://", "innerHTML", "eval(", "@import"] {
                let named = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!named.contains(sign), "{name}: {sign}");
            }
        }
    }

    /// Every marked term is in the glossary. What explains them makes the page only a little larger.
    #[test]
    fn marked_terms_are_explained() {
        let known: BTreeSet<&str> = glossary::entries().map(|entry| entry.term).collect();
        let marked = glossary::marked(&SOURCES.each_ref().map(|file| file.text));
        let unknown: Vec<_> = marked.difference(&known).collect();
        assert!(unknown.is_empty() && marked.len() >= 8, "{unknown:?} of {marked:?}");
        let bytes = TERMS_CSS.len() + TERMS_JS.len() + MEANINGS.len();
        assert!(bytes < 9_500, "{bytes} bytes");
    }
}
