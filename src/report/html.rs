//! Builds one page from many small files: markup, style, scripts and the report.
//!
//! The files are in `page/`; those that all pages share are in [`draw::page`](crate::draw::page). The page loads
//! nothing from outside, so it can be opened from a disk, sent by mail, or kept in a run's folder for years.

use crate::draw::glossary;
use crate::draw::page::{
    AXIS_JS, BASE_CSS, CHARTS_JS, DATA_JS, DOM_JS, DRAW_JS, PAGE_CSS, TERMS_CSS, TERMS_JS,
};

const PAGE: &str = include_str!("page/page.html");

const STYLES: [&str; 4] = [BASE_CSS, PAGE_CSS, TERMS_CSS, include_str!("page/stepper.css")];

/// The scripts, sorted so that each comes after those it needs. `main.js` starts the page.
const SCRIPTS: [&str; 26] = [
    DATA_JS,
    DOM_JS,
    TERMS_JS,
    DRAW_JS,
    AXIS_JS,
    CHARTS_JS,
    include_str!("page/overview.js"),
    include_str!("page/diagram.js"),
    include_str!("page/maps.js"),
    include_str!("page/values.js"),
    include_str!("page/stepper.js"),
    include_str!("page/stepper_parts.js"),
    include_str!("page/stepper_map.js"),
    include_str!("page/stepper_conv.js"),
    include_str!("page/stepper_gemm.js"),
    include_str!("page/stepper_grad.js"),
    include_str!("page/stepper_transposed.js"),
    include_str!("page/stepper_pool.js"),
    include_str!("page/stepper_norm.js"),
    include_str!("page/stepper_vector.js"),
    include_str!("page/layer.js"),
    include_str!("page/field.js"),
    include_str!("page/heat.js"),
    include_str!("page/health.js"),
    include_str!("page/confusion.js"),
    include_str!("page/main.js"),
];

/// The page for a report in JSON.
pub fn page(title: &str, report: &str) -> String {
    let script = |script: &str| format!("<script>\n{script}</script>\n");
    let scripts = script(&glossary::script(&SCRIPTS)) + &SCRIPTS.map(script).concat();
    // In JSON, `<` occurs only inside strings, where it may be escaped. So no text can end the script element.
    let report = report.replace('<', "\\u003c");
    let parts =
        [("title", escaped(title)), ("style", STYLES.concat()), ("report", report), ("scripts", scripts)];
    let mut page =
        String::with_capacity(PAGE.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>());
    let mut rest = PAGE;
    for (name, part) in &parts {
        let (before, after) =
            rest.split_once(&format!("{{{{{name}}}}}")).expect("page.html names every part");
        page.push_str(before);
        page.push_str(part);
        rest = after;
    }
    page + rest
}

/// Escapes a text for HTML between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A class may have any name, but its name must not end the script element that contains it.
    #[test]
    fn no_text_leaves_its_element() {
        let report =
            serde_json::json!({ "classes": ["</script><script>alert(1)</script>", "<!--", "{{scripts}}"] });
        let page = page("a < b & c", &report.to_string());
        assert!(page.contains("<title>a &lt; b &amp; c"));
        assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
        assert!(!page.contains("alert(1)</script>") && !page.contains("<!--\""));
        let json = page.split_once("id=\"report\">").unwrap().1.split_once("</script>").unwrap().0;
        assert_eq!(serde_json::from_str::<serde_json::Value>(json).unwrap(), report);
    }

    /// Every marked term is in the glossary. What explains them makes the page only a little larger.
    #[test]
    fn marked_terms_are_explained() {
        let known: BTreeSet<&str> = glossary::entries().map(|entry| entry.term).collect();
        let marked = glossary::marked(&SCRIPTS);
        let unknown: Vec<_> = marked.difference(&known).collect();
        assert!(unknown.is_empty() && marked.len() >= 25, "{unknown:?} of {marked:?}");
        let bytes = TERMS_CSS.len() + TERMS_JS.len() + glossary::script(&SCRIPTS).len();
        assert!(bytes < 9_500, "{bytes} bytes");
    }

    /// Neither markup nor style nor scripts load anything from outside the page.
    #[test]
    fn nothing_points_outside() {
        let page = page("", "{}");
        for part in
            ["src=", "href=", "url(", "@import", "import(", "fetch(", "XMLHttpRequest", "innerHTML", "eval("]
        {
            for (at, _) in page.match_indices(part) {
                let after = page[at + part.len()..].trim_start_matches(['"', '\'']);
                assert!(part.ends_with('=') && after.starts_with(['#', '$']), "{part} {:?}", &after[..20]);
            }
        }
    }
}
